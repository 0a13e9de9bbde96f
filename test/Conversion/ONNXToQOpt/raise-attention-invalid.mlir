// RUN: qopt-opt %s --split-input-file --verify-diagnostics --qopt-normalize-onnx --qopt-raise-onnx

// Padding alone: every query sees what comes after it.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%padding, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  // expected-error @+1 {{the mask is not causal and padding: with a past of 0, 2 new tokens query 0 sees key 1}}
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// Causal alone: padding is seen.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%causal, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  // expected-error @+1 {{the mask is not causal and padding: with a past of 0, 2 new tokens and padding on the left query 1 sees key 0}}
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// A sliding window, found beyond the constant in the mask.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %window = onnx_graph.initializer "window" value dense<-4096> : tensor<i64> : tensor<i64>
  %lo = onnx_graph.node "Add"(%rows, %window) : (!u, tensor<i64>) -> !u
  %near = onnx_graph.node "Greater"(%columns, %lo) : (!u, !u) -> !u
  %bw = onnx_graph.node "And"(%both, %near) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%bw, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  // expected-error @+1 {{the mask is not causal and padding: with a past of 4099, 2 new tokens query 0 does not see key 0}}
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// So is one without a past, of whose square mask only the last rows are made.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}) -> !u {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%rk) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %window = onnx_graph.initializer "window" value dense<-4096> : tensor<i64> : tensor<i64>
  %lo = onnx_graph.node "Add"(%rows, %window) : (!u, tensor<i64>) -> !u
  %near = onnx_graph.node "Greater"(%columns, %lo) : (!u, !u) -> !u
  %bw = onnx_graph.node "And"(%both, %near) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%bw, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  // expected-error @+1 {{the mask is not causal and padding: with a past of 0, 4101 new tokens query 4099 does not see key 0}}
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %vh) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l : !u
}

// -----

// A mask that also weights what it lets through.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %small = onnx_graph.initializer "small" value dense<-0.25> : tensor<f32> : tensor<f32>
  %nil = onnx_graph.initializer "nil" value dense<0.0> : tensor<f32> : tensor<f32>
  %ninf = onnx_graph.initializer "ninf" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %bias0 = onnx_graph.node "Where"(%both, %small, %ninf) : (!u, tensor<f32>, tensor<f32>) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Add"(%sc, %bias0) : (!u, !u) -> !u
  // expected-error @+1 {{the mask is not causal and padding: with a past of 0, 1 new tokens query 0 weights key 0}}
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// A mask whose values are elsewhere.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %nil = onnx_graph.initializer "nil" value dense<0.0> : tensor<f32> : tensor<f32>
  %bias = onnx_graph.initializer "bias" : tensor<1x1x1x1xf32>
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Add"(%sc, %bias) : (!u, tensor<1x1x1x1xf32>) -> !u
  // expected-error @+1 {{the mask depends on more than masks, positions and shapes: initializer 'bias' has elements that are not known}}
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// A mask of at most 4096 keys.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %most = onnx_graph.initializer "most" value dense<[4096]> : tensor<1xi64> : tensor<1xi64>
  %axis3 = onnx_graph.initializer "axis3" value dense<[3]> : tensor<1xi64> : tensor<1xi64>
  %cut = onnx_graph.node "Slice"(%both, %axis0, %most, %axis3) : (!u, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> !u
  %masked = onnx_graph.node "Where"(%cut, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  // expected-error @+1 {{the mask has shape [1, 1, 2, 4096], expected one that broadcasts to [1, 1, 2, 4101]}}
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// A mask that is a factor of the scores.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %factor = onnx_graph.node "Cast"(%both) {to = f32} : (!u) -> !u
  // expected-error @+1 {{(Mul) is not understood: expected scores to be scaled and masked only}}
  %masked = onnx_graph.node "Mul"(%sc, %factor) : (!u, !u) -> !u
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// Hidden scores are merely small.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %mild = onnx_graph.initializer "mild" value dense<-5.0> : tensor<f32> : tensor<f32>
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  // expected-error @+1 {{expected hidden scores to become very negative}}
  %masked = onnx_graph.node "Where"(%both, %sc, %mild) : (!u, !u, tensor<f32>) -> !u
  %pr = onnx_graph.node "Softmax"(%masked) : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// A soft cap.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  // expected-error @+1 {{(Tanh) is not understood: expected scores to be scaled and masked only}}
  %cap = onnx_graph.node "Tanh"(%sc) : (!u) -> !u
  %masked = onnx_graph.node "Where"(%both, %cap, %hidden) : (!u, !u, tensor<f32>) -> !u
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// The softmax is over the wrong axis.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%both, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  // expected-error @+1 {{expected a softmax over the last axis}}
  %pr = onnx_graph.node "Softmax"(%masked) {axis = 2 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// Two softmaxes, one after the other.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%both, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  // expected-error @+1 {{there is a second softmax between two linear layers}}
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %pr2 = onnx_graph.node "Softmax"(%pr) : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr2, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// Only the queries are rotated.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %kh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%both, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  // expected-error @+1 {{it has a softmax, but is not rotary embedding by position and causal attention of 1 heads on 1}}
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// The new keys come before the past.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%rk, %pk) {axis = 2 : i64} : (!u, tensor<?x1x?x4xf32>) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%both, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  // expected-error @+1 {{expected the present to be the past followed by the new keys and values, along axis 2}}
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// The queries are two linear layers.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %qk = onnx_graph.node "Add"(%qh, %kh) : (!u, !u) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qk, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  // expected-error @+1 {{the queries are not one linear layer's result}}
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%both, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// The keys are two linear layers.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %qk = onnx_graph.node "Add"(%qh, %kh) : (!u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%qk, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  // expected-error @+1 {{the keys are not one linear layer's result and a past}}
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%both, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// The values are two linear layers.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %qv = onnx_graph.node "Add"(%qh, %vh) : (!u, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %qv) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%both, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  // expected-error @+1 {{the values are not one linear layer's result and a past}}
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// A present that is no output.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%both, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  // expected-error @+1 {{a present key or value is no output of the graph}}
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key : !u, !u
}

// -----

// An attention without the rest of a layer.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%both, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  // expected-error @+1 {{layer 0 is not attention, residual, norm, MLP and residual}}
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %value) : (!u, !u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// The values are on the left of their product with the softmax.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}, %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<4x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x4xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %key = onnx_graph.node "Concat"(%pk, %rk) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %value = onnx_graph.node "Concat"(%pv, %vh) {axis = 2 : i64} : (tensor<?x1x?x4xf32>, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%key) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%both, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  // expected-error @+1 {{expected a product of the softmax and the values}}
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %prt = onnx_graph.node "Transpose"(%pr) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %valuet = onnx_graph.node "Transpose"(%value) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %at = onnx_graph.node "MatMul"(%valuet, %prt) : (!u, !u) -> !u
  %a0 = onnx_graph.node "Transpose"(%at) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<4x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l, %key, %value : !u, !u, !u
}

// -----

// Values are wider than keys.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"}, %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}) -> !u {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %wk = onnx_graph.initializer "wk" : tensor<4x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<4x8xf32>
  %wo = onnx_graph.initializer "wo" : tensor<8x4xf32>
  %wl = onnx_graph.initializer "wl" : tensor<4x5xf32>
  %inv = onnx_graph.initializer "inv" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %zero = onnx_graph.initializer "zero" value dense<0> : tensor<i64> : tensor<i64>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i64> : tensor<i64>
  %axis0 = onnx_graph.initializer "axis0" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %axis1 = onnx_graph.initializer "axis1" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %axis2 = onnx_graph.initializer "axis2" value dense<[2]> : tensor<1xi64> : tensor<1xi64>
  %hidden = onnx_graph.initializer "hidden" value dense<-3.0e38> : tensor<f32> : tensor<f32>
  %half = onnx_graph.initializer "half" value dense<0.5> : tensor<f32> : tensor<f32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %axis2) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  %qh = onnx_graph.node "Unsqueeze"(%q, %axis1) : (!u, tensor<1xi64>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<4x4xf32>) -> !u
  %kh = onnx_graph.node "Unsqueeze"(%k, %axis1) : (!u, tensor<1xi64>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<4x8xf32>) -> !u
  %vh = onnx_graph.node "Unsqueeze"(%v, %axis1) : (!u, tensor<1xi64>) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%qh, %cos, %sin) : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%kh, %cos, %sin) : (!u, !u, !u) -> !u
  %kt = onnx_graph.node "Transpose"(%rk) {perm = [0, 1, 3, 2]} : (!u) -> !u
  %s0 = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %s = onnx_graph.node "Squeeze"(%s0, %axis0) : (!u, tensor<1xi64>) -> !u
  %t0 = onnx_graph.node "Shape"(%mask) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%t0, %axis0) : (!u, tensor<1xi64>) -> !u
  %past = onnx_graph.node "Sub"(%t, %s) : (!u, !u) -> !u
  %r0 = onnx_graph.node "Range"(%zero, %s, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %r1 = onnx_graph.node "Add"(%r0, %past) : (!u, !u) -> !u
  %rows = onnx_graph.node "Unsqueeze"(%r1, %axis1) : (!u, tensor<1xi64>) -> !u
  %columns = onnx_graph.node "Range"(%zero, %t, %one) : (tensor<i64>, !u, tensor<i64>) -> !u
  %causal = onnx_graph.node "LessOrEqual"(%columns, %rows) : (!u, !u) -> !u
  %m0 = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m0, %axis1) : (!u, tensor<1xi64>) -> !u
  %padding = onnx_graph.node "Unsqueeze"(%m1, %axis1) : (!u, tensor<1xi64>) -> !u
  %both = onnx_graph.node "And"(%causal, %padding) : (!u, !u) -> !u
  %sc0 = onnx_graph.node "MatMul"(%rq, %kt) : (!u, !u) -> !u
  %sc = onnx_graph.node "Mul"(%sc0, %half) : (!u, tensor<f32>) -> !u
  %masked = onnx_graph.node "Where"(%both, %sc, %hidden) : (!u, !u, tensor<f32>) -> !u
  %pr = onnx_graph.node "Softmax"(%masked) {axis = -1 : i64} : (!u) -> !u
  %a0 = onnx_graph.node "MatMul"(%pr, %vh) : (!u, !u) -> !u
  // expected-error @+1 {{expected queries, keys and values of whole heads of an even size, found 4, 4 and 8 for heads of 4}}
  %a = onnx_graph.node "Squeeze"(%a0, %axis1) : (!u, tensor<1xi64>) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<8x4xf32>) -> !u
  %y = onnx_graph.node "Add"(%x, %o) : (!u, !u) -> !u
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  return %l : !u
}
