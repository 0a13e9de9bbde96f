// RUN: qopt-opt %s --split-input-file --qopt-normalize-onnx --qopt-raise-onnx | FileCheck %s

!u = !onnx_graph.unknown

// A layer of fused operators, with a past. The mask is padding alone, the attention causal; the
// frequencies are 1 and 0.01, theta 10000.

// CHECK-LABEL: func.func @forward
// CHECK-SAME: %[[IDS:.*]]: tensor<?x?xi64> {qopt.name = "input_ids"}, %[[MASK:.*]]: tensor<?x?xi64> {qopt.name = "attention_mask"}
// CHECK-SAME: %[[POS:[a-z0-9]+]]: tensor<?x?xi64> {qopt.name = "position_ids"}
// CHECK-SAME: %[[PK:.*]]: tensor<?x1x?x4xf32> {qopt.name = "past_key_values.0.key"}, %[[PV:.*]]: tensor<?x1x?x4xf32> {qopt.name = "past_key_values.0.value"}
// CHECK-SAME: -> (tensor<?x?x5xf32> {qopt.name = "logits"}, tensor<?x1x?x4xf32> {qopt.name = "present.0.key"}, tensor<?x1x?x4xf32> {qopt.name = "present.0.value"})
// CHECK: %[[TABLE:.*]] = qopt.weight @model.embed_tokens.weight : tensor<5x8xf32>
// CHECK: %[[X:.*]] = qopt.embedding %[[IDS]], %[[TABLE]]
// CHECK: %[[N1:.*]] = qopt.weight @model.layers.0.input_layernorm.weight : tensor<8xf32>
// CHECK: %[[H:.*]] = qopt.rms_norm %[[X]], %[[N1]] {eps = 1.000000e-05 : f64}
// CHECK: %[[WQ:.*]] = qopt.weight @model.layers.0.self_attn.q_proj.weight : tensor<8x8xf32>
// CHECK: %[[Q:.*]] = qopt.linear %[[H]], %[[WQ]]
// CHECK: %[[RQ:.*]] = qopt.rope %[[Q]], %[[POS]] {rope = #qopt.rope<head_dim = 4, theta = 1.000000e+04 : f64, scaling = none>}
// CHECK: %[[WK:.*]] = qopt.weight @model.layers.0.self_attn.k_proj.weight : tensor<4x8xf32>
// CHECK: %[[K:.*]] = qopt.linear %[[H]], %[[WK]]
// CHECK: %[[RK:.*]] = qopt.rope %[[K]], %[[POS]]
// CHECK: %[[WV:.*]] = qopt.weight @model.layers.0.self_attn.v_proj.weight : tensor<4x8xf32>
// CHECK: %[[BV:.*]] = qopt.weight @model.layers.0.self_attn.v_proj.bias : tensor<4xf32>
// CHECK: %[[V:.*]] = qopt.linear %[[H]], %[[WV]] bias(%[[BV]])
// CHECK: %[[A:.*]], %[[K1:.*]], %[[V1:.*]] = qopt.attention %[[RQ]], %[[RK]], %[[V]], %[[MASK]], %[[PK]], %[[PV]] {num_heads = 2 : i64, num_kv_heads = 1 : i64, scale = 5.000000e-01 : f64}
// CHECK: %[[O:.*]] = qopt.linear %[[A]]
// CHECK: %[[R:.*]] = qopt.add %[[X]], %[[O]]
// CHECK: %[[M:.*]] = qopt.rms_norm %[[R]]
// CHECK: qopt.weight @model.layers.0.mlp.gate_proj.weight : tensor<6x8xf32>
// CHECK: %[[G:.*]] = qopt.linear %[[M]]
// CHECK: qopt.weight @model.layers.0.mlp.up_proj.weight : tensor<6x8xf32>
// CHECK: %[[U:.*]] = qopt.linear %[[M]]
// CHECK: %[[S:.*]] = qopt.silu_mul %[[G]], %[[U]]
// CHECK: qopt.weight @model.layers.0.mlp.down_proj.weight : tensor<8x6xf32>
// CHECK: %[[D:.*]] = qopt.linear %[[S]]
// CHECK: %[[Y:.*]] = qopt.add %[[R]], %[[D]]
// CHECK: %[[F:.*]] = qopt.rms_norm %[[Y]]
// CHECK: %[[L:.*]] = qopt.logits %[[F]], %[[TABLE]]
// CHECK: return %[[L]], %[[K1]], %[[V1]]
func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"},
                %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"},
                %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x8xf32>
  %n1 = onnx_graph.initializer "n1" : tensor<8xf32>
  %n2 = onnx_graph.initializer "n2" : tensor<8xf32>
  %n3 = onnx_graph.initializer "n3" : tensor<8xf32>
  %wq = onnx_graph.initializer "wq" : tensor<8x8xf32>
  %wk = onnx_graph.initializer "wk" : tensor<8x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<8x4xf32>
  %bv = onnx_graph.initializer "bv" : tensor<4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<8x8xf32>
  %wg = onnx_graph.initializer "wg" : tensor<8x6xf32>
  %wu = onnx_graph.initializer "wu" : tensor<8x6xf32>
  %wd = onnx_graph.initializer "wd" : tensor<6x8xf32>
  %inv = onnx_graph.initializer "inv_freq" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %one = onnx_graph.initializer "one" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %two = onnx_graph.initializer "two" value dense<[2]> : tensor<1xi64> : tensor<1xi64>

  %m = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m, %one) : (!u, tensor<1xi64>) -> !u
  %m2 = onnx_graph.node "Unsqueeze"(%m1, %one) : (!u, tensor<1xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %two) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u

  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x8xf32>, tensor<?x?xi64>) -> !u
  %h = onnx_graph.node "RMSNormalization"(%x, %n1) {epsilon = 1.0e-5 : f32} : (!u, tensor<8xf32>) -> !u
  %q = onnx_graph.node "MatMul"(%h, %wq) : (!u, tensor<8x8xf32>) -> !u
  %k = onnx_graph.node "MatMul"(%h, %wk) : (!u, tensor<8x4xf32>) -> !u
  %v0 = onnx_graph.node "MatMul"(%h, %wv) : (!u, tensor<8x4xf32>) -> !u
  %v = onnx_graph.node "Add"(%bv, %v0) : (tensor<4xf32>, !u) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%q, %cos, %sin) {num_heads = 2 : i64} : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%k, %cos, %sin) {num_heads = 1 : i64} : (!u, !u, !u) -> !u
  %a:3 = onnx_graph.node "Attention"(%rq, %rk, %v, %m2, %pk, %pv) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 1 : i64}
    : (!u, !u, !u, !u, tensor<?x1x?x4xf32>, tensor<?x1x?x4xf32>) -> (!u, !u, !u)
  %o = onnx_graph.node "MatMul"(%a#0, %wo) : (!u, tensor<8x8xf32>) -> !u
  // The residual may stand on either side.
  %r = onnx_graph.node "Add"(%o, %x) : (!u, !u) -> !u

  %g0 = onnx_graph.node "RMSNormalization"(%r, %n2) {epsilon = 1.0e-5 : f32} : (!u, tensor<8xf32>) -> !u
  %gate = onnx_graph.node "MatMul"(%g0, %wg) : (!u, tensor<8x6xf32>) -> !u
  %up = onnx_graph.node "MatMul"(%g0, %wu) : (!u, tensor<8x6xf32>) -> !u
  %sig = onnx_graph.node "Sigmoid"(%gate) : (!u) -> !u
  // Any order of the factors.
  %s0 = onnx_graph.node "Mul"(%up, %sig) : (!u, !u) -> !u
  %s = onnx_graph.node "Mul"(%gate, %s0) : (!u, !u) -> !u
  %d = onnx_graph.node "MatMul"(%s, %wd) : (!u, tensor<6x8xf32>) -> !u
  %y = onnx_graph.node "Add"(%r, %d) : (!u, !u) -> !u
  %f = onnx_graph.node "RMSNormalization"(%y, %n3) {epsilon = 1.0e-5 : f32} : (!u, tensor<8xf32>) -> !u
  %wt = onnx_graph.node "Transpose"(%table) {perm = [1, 0]} : (tensor<5x8xf32>) -> !u
  %l = onnx_graph.node "MatMul"(%f, %wt) : (!u, !u) -> !u
  return %l, %a#1, %a#2 : !u, !u, !u
}

// -----

// No layer at all; RMSNorm spelled out, tokens flattened, logits converted.

!u = !onnx_graph.unknown

// CHECK-LABEL: func.func @forward
// CHECK: qopt.embedding
// CHECK: qopt.rms_norm %{{.*}}, %{{.*}} {eps = 9.99{{[0-9]+}}E-7 : f64}
// CHECK: qopt.weight @lm_head.weight : tensor<5x8xf16>
// CHECK: qopt.logits
func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> !u {
  %table = onnx_graph.initializer "table" : tensor<5x8xf16>
  %n = onnx_graph.initializer "n" : tensor<8xf16>
  %w = onnx_graph.initializer "head" : tensor<8x5xf16>
  %eps = onnx_graph.initializer "eps" value dense<1.0e-6> : tensor<f32> : tensor<f32>
  %axes = onnx_graph.initializer "axes" value dense<[-1]> : tensor<1xi64> : tensor<1xi64>
  %rows = onnx_graph.initializer "rows" value dense<[-1, 8]> : tensor<2xi64> : tensor<2xi64>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x8xf16>, tensor<?x?xi64>) -> !u
  %c = onnx_graph.node "Cast"(%x) {to = f32} : (!u) -> !u
  %sq = onnx_graph.node "Mul"(%c, %c) : (!u, !u) -> !u
  %mean = onnx_graph.node "ReduceMean"(%sq, %axes) : (!u, tensor<1xi64>) -> !u
  %sum = onnx_graph.node "Add"(%eps, %mean) : (tensor<f32>, !u) -> !u
  %root = onnx_graph.node "Sqrt"(%sum) : (!u) -> !u
  %y0 = onnx_graph.node "Div"(%c, %root) : (!u, !u) -> !u
  %y1 = onnx_graph.node "Cast"(%y0) {to = f16} : (!u) -> !u
  %y = onnx_graph.node "Mul"(%n, %y1) : (tensor<8xf16>, !u) -> !u
  %flat = onnx_graph.node "Reshape"(%y, %rows) : (!u, tensor<2xi64>) -> !u
  %l0 = onnx_graph.node "MatMul"(%flat, %w) : (!u, tensor<8x5xf16>) -> !u
  %shape = onnx_graph.node "Shape"(%ids) : (tensor<?x?xi64>) -> !u
  %five = onnx_graph.initializer "five" value dense<[5]> : tensor<1xi64> : tensor<1xi64>
  %to = onnx_graph.node "Concat"(%shape, %five) {axis = 0 : i64} : (!u, tensor<1xi64>) -> !u
  %l1 = onnx_graph.node "Reshape"(%l0, %to) : (!u, !u) -> !u
  %l = onnx_graph.node "Cast"(%l1) {to = f32} : (!u) -> !u
  return %l : !u
}

// -----

// Positions that count the mask's tokens are the ones that @forward takes.

!u = !onnx_graph.unknown

// CHECK-LABEL: func.func @forward
// CHECK-SAME: %[[POS:[a-z0-9]+]]: tensor<?x?xi64> {qopt.name = "position_ids"}
// CHECK: qopt.rope %{{.*}}, %[[POS]]
// CHECK: qopt.attention
func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"},
                %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x8xf32>
  %n1 = onnx_graph.initializer "n1" : tensor<8xf32>
  %n2 = onnx_graph.initializer "n2" : tensor<8xf32>
  %n3 = onnx_graph.initializer "n3" : tensor<8xf32>
  %wq = onnx_graph.initializer "wq" : tensor<8x8xf32>
  %wk = onnx_graph.initializer "wk" : tensor<8x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<8x4xf32>
  %bv = onnx_graph.initializer "bv" : tensor<4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<8x8xf32>
  %wg = onnx_graph.initializer "wg" : tensor<8x6xf32>
  %wu = onnx_graph.initializer "wu" : tensor<8x6xf32>
  %wd = onnx_graph.initializer "wd" : tensor<6x8xf32>
  %inv = onnx_graph.initializer "inv_freq" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %one = onnx_graph.initializer "one" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %two = onnx_graph.initializer "two" value dense<[2]> : tensor<1xi64> : tensor<1xi64>

  %m = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m, %one) : (!u, tensor<1xi64>) -> !u
  %m2 = onnx_graph.node "Unsqueeze"(%m1, %one) : (!u, tensor<1xi64>) -> !u
  %i0 = onnx_graph.initializer "i0" value dense<0> : tensor<i64> : tensor<i64>
  %i1 = onnx_graph.initializer "i1" value dense<1> : tensor<i64> : tensor<i64>
  %len = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %end = onnx_graph.initializer "end" value dense<[9223372036854775807]> : tensor<1xi64> : tensor<1xi64>
  %cum = onnx_graph.node "CumSum"(%mask, %i1) : (tensor<?x?xi64>, tensor<i64>) -> !u
  %all = onnx_graph.node "Sub"(%cum, %i1) : (!u, tensor<i64>) -> !u
  %start = onnx_graph.node "Neg"(%len) : (!u) -> !u
  %pos = onnx_graph.node "Slice"(%all, %start, %end, %one) : (!u, !u, tensor<1xi64>, tensor<1xi64>) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (!u) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %two) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u

  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x8xf32>, tensor<?x?xi64>) -> !u
  %h = onnx_graph.node "RMSNormalization"(%x, %n1) {epsilon = 1.0e-5 : f32} : (!u, tensor<8xf32>) -> !u
  %q = onnx_graph.node "MatMul"(%h, %wq) : (!u, tensor<8x8xf32>) -> !u
  %k = onnx_graph.node "MatMul"(%h, %wk) : (!u, tensor<8x4xf32>) -> !u
  %v0 = onnx_graph.node "MatMul"(%h, %wv) : (!u, tensor<8x4xf32>) -> !u
  %v = onnx_graph.node "Add"(%bv, %v0) : (tensor<4xf32>, !u) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%q, %cos, %sin) {num_heads = 2 : i64} : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%k, %cos, %sin) {num_heads = 1 : i64} : (!u, !u, !u) -> !u
  %a:3 = onnx_graph.node "Attention"(%rq, %rk, %v, %m2, %pk, %pv) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 1 : i64}
    : (!u, !u, !u, !u, tensor<?x1x?x4xf32>, tensor<?x1x?x4xf32>) -> (!u, !u, !u)
  %o = onnx_graph.node "MatMul"(%a#0, %wo) : (!u, tensor<8x8xf32>) -> !u
  // The residual may stand on either side.
  %r = onnx_graph.node "Add"(%o, %x) : (!u, !u) -> !u

  %g0 = onnx_graph.node "RMSNormalization"(%r, %n2) {epsilon = 1.0e-5 : f32} : (!u, tensor<8xf32>) -> !u
  %gate = onnx_graph.node "MatMul"(%g0, %wg) : (!u, tensor<8x6xf32>) -> !u
  %up = onnx_graph.node "MatMul"(%g0, %wu) : (!u, tensor<8x6xf32>) -> !u
  %sig = onnx_graph.node "Sigmoid"(%gate) : (!u) -> !u
  // Any order of the factors.
  %s0 = onnx_graph.node "Mul"(%up, %sig) : (!u, !u) -> !u
  %s = onnx_graph.node "Mul"(%gate, %s0) : (!u, !u) -> !u
  %d = onnx_graph.node "MatMul"(%s, %wd) : (!u, tensor<6x8xf32>) -> !u
  %y = onnx_graph.node "Add"(%r, %d) : (!u, !u) -> !u
  %f = onnx_graph.node "RMSNormalization"(%y, %n3) {epsilon = 1.0e-5 : f32} : (!u, tensor<8xf32>) -> !u
  %wt = onnx_graph.node "Transpose"(%table) {perm = [1, 0]} : (tensor<5x8xf32>) -> !u
  %l = onnx_graph.node "MatMul"(%f, %wt) : (!u, !u) -> !u
  return %l, %a#1, %a#2 : !u, !u, !u
}

// -----

// So are positions that follow the past.

!u = !onnx_graph.unknown

// CHECK-LABEL: func.func @forward
// CHECK-SAME: %[[POS:[a-z0-9]+]]: tensor<?x?xi64> {qopt.name = "position_ids"}
// CHECK: qopt.rope %{{.*}}, %[[POS]]
// CHECK: qopt.attention
func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"},
                %pk: tensor<?x1x?x4xf32> {onnx_graph.name = "past.key"}, %pv: tensor<?x1x?x4xf32> {onnx_graph.name = "past.value"}) -> (!u, !u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x8xf32>
  %n1 = onnx_graph.initializer "n1" : tensor<8xf32>
  %n2 = onnx_graph.initializer "n2" : tensor<8xf32>
  %n3 = onnx_graph.initializer "n3" : tensor<8xf32>
  %wq = onnx_graph.initializer "wq" : tensor<8x8xf32>
  %wk = onnx_graph.initializer "wk" : tensor<8x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<8x4xf32>
  %bv = onnx_graph.initializer "bv" : tensor<4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<8x8xf32>
  %wg = onnx_graph.initializer "wg" : tensor<8x6xf32>
  %wu = onnx_graph.initializer "wu" : tensor<8x6xf32>
  %wd = onnx_graph.initializer "wd" : tensor<6x8xf32>
  %inv = onnx_graph.initializer "inv_freq" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %one = onnx_graph.initializer "one" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %two = onnx_graph.initializer "two" value dense<[2]> : tensor<1xi64> : tensor<1xi64>

  %m = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m, %one) : (!u, tensor<1xi64>) -> !u
  %m2 = onnx_graph.node "Unsqueeze"(%m1, %one) : (!u, tensor<1xi64>) -> !u
  %zeros = onnx_graph.initializer "zeros" value dense<[0]> : tensor<1xi64> : tensor<1xi64>
  %i0 = onnx_graph.initializer "i0" value dense<0> : tensor<i64> : tensor<i64>
  %i1 = onnx_graph.initializer "i1" value dense<1> : tensor<i64> : tensor<i64>
  %len = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %past0 = onnx_graph.node "Shape"(%pk) {start = 2 : i64, end = 3 : i64} : (tensor<?x1x?x4xf32>) -> !u
  %n = onnx_graph.node "Squeeze"(%len) : (!u) -> !u
  %range = onnx_graph.node "Range"(%i0, %n, %i1) : (tensor<i64>, !u, tensor<i64>) -> !u
  %from = onnx_graph.node "Add"(%range, %past0) : (!u, !u) -> !u
  %row = onnx_graph.node "Unsqueeze"(%from, %zeros) : (!u, tensor<1xi64>) -> !u
  %b = onnx_graph.node "Shape"(%ids) : (tensor<?x?xi64>) -> !u
  %pos = onnx_graph.node "Expand"(%row, %b) : (!u, !u) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (!u) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %two) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u

  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x8xf32>, tensor<?x?xi64>) -> !u
  %h = onnx_graph.node "RMSNormalization"(%x, %n1) {epsilon = 1.0e-5 : f32} : (!u, tensor<8xf32>) -> !u
  %q = onnx_graph.node "MatMul"(%h, %wq) : (!u, tensor<8x8xf32>) -> !u
  %k = onnx_graph.node "MatMul"(%h, %wk) : (!u, tensor<8x4xf32>) -> !u
  %v0 = onnx_graph.node "MatMul"(%h, %wv) : (!u, tensor<8x4xf32>) -> !u
  %v = onnx_graph.node "Add"(%bv, %v0) : (tensor<4xf32>, !u) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%q, %cos, %sin) {num_heads = 2 : i64} : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%k, %cos, %sin) {num_heads = 1 : i64} : (!u, !u, !u) -> !u
  %a:3 = onnx_graph.node "Attention"(%rq, %rk, %v, %m2, %pk, %pv) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 1 : i64}
    : (!u, !u, !u, !u, tensor<?x1x?x4xf32>, tensor<?x1x?x4xf32>) -> (!u, !u, !u)
  %o = onnx_graph.node "MatMul"(%a#0, %wo) : (!u, tensor<8x8xf32>) -> !u
  // The residual may stand on either side.
  %r = onnx_graph.node "Add"(%o, %x) : (!u, !u) -> !u

  %g0 = onnx_graph.node "RMSNormalization"(%r, %n2) {epsilon = 1.0e-5 : f32} : (!u, tensor<8xf32>) -> !u
  %gate = onnx_graph.node "MatMul"(%g0, %wg) : (!u, tensor<8x6xf32>) -> !u
  %up = onnx_graph.node "MatMul"(%g0, %wu) : (!u, tensor<8x6xf32>) -> !u
  %sig = onnx_graph.node "Sigmoid"(%gate) : (!u) -> !u
  // Any order of the factors.
  %s0 = onnx_graph.node "Mul"(%up, %sig) : (!u, !u) -> !u
  %s = onnx_graph.node "Mul"(%gate, %s0) : (!u, !u) -> !u
  %d = onnx_graph.node "MatMul"(%s, %wd) : (!u, tensor<6x8xf32>) -> !u
  %y = onnx_graph.node "Add"(%r, %d) : (!u, !u) -> !u
  %f = onnx_graph.node "RMSNormalization"(%y, %n3) {epsilon = 1.0e-5 : f32} : (!u, tensor<8xf32>) -> !u
  %wt = onnx_graph.node "Transpose"(%table) {perm = [1, 0]} : (tensor<5x8xf32>) -> !u
  %l = onnx_graph.node "MatMul"(%f, %wt) : (!u, !u) -> !u
  return %l, %a#1, %a#2 : !u, !u, !u
}

// -----

// Without a past a mask is as wide as it is high. Numbers in it that are no window may be as
// large as they like.

!u = !onnx_graph.unknown

// CHECK-LABEL: func.func @forward
// CHECK-SAME: tensor<?x1x?x4xf32> {qopt.name = "past_key_values.0.key"}
// CHECK: qopt.attention
func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"},
                %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}) -> !u {
  %table = onnx_graph.initializer "table" : tensor<5x8xf32>
  %n1 = onnx_graph.initializer "n1" : tensor<8xf32>
  %n2 = onnx_graph.initializer "n2" : tensor<8xf32>
  %n3 = onnx_graph.initializer "n3" : tensor<8xf32>
  %wq = onnx_graph.initializer "wq" : tensor<8x8xf32>
  %wk = onnx_graph.initializer "wk" : tensor<8x4xf32>
  %wv = onnx_graph.initializer "wv" : tensor<8x4xf32>
  %bv = onnx_graph.initializer "bv" : tensor<4xf32>
  %wo = onnx_graph.initializer "wo" : tensor<8x8xf32>
  %wg = onnx_graph.initializer "wg" : tensor<8x6xf32>
  %wu = onnx_graph.initializer "wu" : tensor<8x6xf32>
  %wd = onnx_graph.initializer "wd" : tensor<6x8xf32>
  %inv = onnx_graph.initializer "inv_freq" value dense<[1.0, 0.01]> : tensor<2xf32> : tensor<2xf32>
  %one = onnx_graph.initializer "one" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %two = onnx_graph.initializer "two" value dense<[2]> : tensor<1xi64> : tensor<1xi64>

  %m = onnx_graph.node "Cast"(%mask) {to = i1} : (tensor<?x?xi64>) -> !u
  %m1 = onnx_graph.node "Unsqueeze"(%m, %one) : (!u, tensor<1xi64>) -> !u
  %m2 = onnx_graph.node "Unsqueeze"(%m1, %one) : (!u, tensor<1xi64>) -> !u
  %i0 = onnx_graph.initializer "i0" value dense<0> : tensor<i64> : tensor<i64>
  %i1 = onnx_graph.initializer "i1" value dense<1> : tensor<i64> : tensor<i64>
  %far = onnx_graph.initializer "far" value dense<-100000> : tensor<i64> : tensor<i64>
  %len = onnx_graph.node "Shape"(%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Squeeze"(%len) : (!u) -> !u
  %columns = onnx_graph.node "Range"(%i0, %t, %i1) : (tensor<i64>, !u, tensor<i64>) -> !u
  %every = onnx_graph.node "Greater"(%columns, %far) : (!u, tensor<i64>) -> !u
  %m3 = onnx_graph.node "And"(%m2, %every) : (!u, !u) -> !u
  %p = onnx_graph.node "Cast"(%pos) {to = f32} : (tensor<?x?xi64>) -> !u
  %p1 = onnx_graph.node "Unsqueeze"(%p, %two) : (!u, tensor<1xi64>) -> !u
  %angle = onnx_graph.node "Mul"(%p1, %inv) : (!u, tensor<2xf32>) -> !u
  %cos = onnx_graph.node "Cos"(%angle) : (!u) -> !u
  %sin = onnx_graph.node "Sin"(%angle) : (!u) -> !u

  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x8xf32>, tensor<?x?xi64>) -> !u
  %h = onnx_graph.node "RMSNormalization"(%x, %n1) {epsilon = 1.0e-5 : f32} : (!u, tensor<8xf32>) -> !u
  %q = onnx_graph.node "MatMul"(%h, %wq) : (!u, tensor<8x8xf32>) -> !u
  %k = onnx_graph.node "MatMul"(%h, %wk) : (!u, tensor<8x4xf32>) -> !u
  %v0 = onnx_graph.node "MatMul"(%h, %wv) : (!u, tensor<8x4xf32>) -> !u
  %v = onnx_graph.node "Add"(%bv, %v0) : (tensor<4xf32>, !u) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%q, %cos, %sin) {num_heads = 2 : i64} : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%k, %cos, %sin) {num_heads = 1 : i64} : (!u, !u, !u) -> !u
  %a = onnx_graph.node "Attention"(%rq, %rk, %v, %m3) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 1 : i64}
    : (!u, !u, !u, !u) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<8x8xf32>) -> !u
  // The residual may stand on either side.
  %r = onnx_graph.node "Add"(%o, %x) : (!u, !u) -> !u

  %g0 = onnx_graph.node "RMSNormalization"(%r, %n2) {epsilon = 1.0e-5 : f32} : (!u, tensor<8xf32>) -> !u
  %gate = onnx_graph.node "MatMul"(%g0, %wg) : (!u, tensor<8x6xf32>) -> !u
  %up = onnx_graph.node "MatMul"(%g0, %wu) : (!u, tensor<8x6xf32>) -> !u
  %sig = onnx_graph.node "Sigmoid"(%gate) : (!u) -> !u
  // Any order of the factors.
  %s0 = onnx_graph.node "Mul"(%up, %sig) : (!u, !u) -> !u
  %s = onnx_graph.node "Mul"(%gate, %s0) : (!u, !u) -> !u
  %d = onnx_graph.node "MatMul"(%s, %wd) : (!u, tensor<6x8xf32>) -> !u
  %y = onnx_graph.node "Add"(%r, %d) : (!u, !u) -> !u
  %f = onnx_graph.node "RMSNormalization"(%y, %n3) {epsilon = 1.0e-5 : f32} : (!u, tensor<8xf32>) -> !u
  %wt = onnx_graph.node "Transpose"(%table) {perm = [1, 0]} : (tensor<5x8xf32>) -> !u
  %l = onnx_graph.node "MatMul"(%f, %wt) : (!u, !u) -> !u
  return %l : !u
}
