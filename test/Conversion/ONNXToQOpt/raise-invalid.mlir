// RUN: qopt-opt %s --split-input-file --verify-diagnostics --qopt-normalize-onnx --qopt-raise-onnx

// expected-error @+1 {{has no function @main}}
module {}

// -----

// Every operator that is not supported is reported.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  // expected-error @+1 {{operator Gelu of node 'Gelu node' is not supported: expected SiLU, x * sigmoid(x)}}
  %a = onnx_graph.node "Gelu"(%x) : (!u) -> !u
  // expected-error @+1 {{operator LayerNormalization of node 'LayerNormalization node' is not supported: expected RMSNorm}}
  %b = onnx_graph.node "LayerNormalization"(%a) : (!u) -> !u
  // expected-error @+1 {{is not supported: expected an operator of a Llama model}}
  %c = onnx_graph.node "GatherElements"(%b) : (!u) -> !u
  // expected-error @+1 {{operator com.microsoft.MatMulNBits of node 'com.microsoft.MatMulNBits node' is not supported: expected weights in float32, float16 or bfloat16}}
  %d = onnx_graph.node "MatMulNBits" in "com.microsoft"(%c) : (!u) -> !u
  // expected-error @+1 {{operator com.microsoft.GroupQueryAttention of node 'com.microsoft.GroupQueryAttention node' is not supported: expected attention of ai.onnx or of primitive operators}}
  %e = onnx_graph.node "GroupQueryAttention" in "com.microsoft"(%d) : (!u) -> !u
  // expected-error @+1 {{operator Attention of node 'Attention node' is not supported: expected no softcap, no window and no lengths of its own}}
  %f = onnx_graph.node "Attention"(%e, %e, %e) {softcap = 30.0 : f32} : (!u, !u, !u) -> !u
  // expected-error @+1 {{is not supported: expected the whole head rotated, halves against each other}}
  %g = onnx_graph.node "RotaryEmbedding"(%f, %f, %f) {interleaved = 1 : i64} : (!u, !u, !u) -> !u
  // expected-error @+1 {{operator Gemm of node 'Gemm node' is not supported: expected x w or x w + b, x as it is and no factors}}
  %h = onnx_graph.node "Gemm"(%g, %g) {alpha = 2.0 : f32} : (!u, !u) -> !u
  // expected-error @+1 {{operator Scan of node 'Scan node' is not supported: expected no control flow, or an If on use_cache_branch}}
  %l = onnx_graph.node "Scan"(%h) : (!u) -> !u
  return %l : !u
}

// -----

!u = !onnx_graph.unknown

// expected-error @+1 {{no graph input holds tokens: none is looked up in an embedding table}}
func.func @main(%x: tensor<?x?xi64> {onnx_graph.name = "x"}) -> tensor<?x?xi64> {
  return %x : tensor<?x?xi64>
}

// -----

!u = !onnx_graph.unknown

// expected-error @+1 {{graph input 'token_type_ids' has no role, expected input_ids, attention_mask, position_ids and past keys and values}}
func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %t: tensor<?x?xi64> {onnx_graph.name = "token_type_ids"}) -> tensor<?x?xi64> {
  return %t : tensor<?x?xi64>
}

// -----

!u = !onnx_graph.unknown

// expected-error @+1 {{graph input 'input_ids' has type tensor<?x8xi64>, expected tokens, mask or positions [batch, sequence] or a past [batch, KV heads, past, head size], with a dynamic sequence and past}}
func.func @main(%ids: tensor<?x8xi64> {onnx_graph.name = "input_ids"}) -> tensor<?x8xi64> {
  return %ids : tensor<?x8xi64>
}

// -----

!u = !onnx_graph.unknown

// expected-error @+1 {{graph input 'past' has type tensor<?x2x8x4xf32>, expected tokens, mask or positions}}
func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %p: tensor<?x2x8x4xf32> {onnx_graph.name = "past"}) -> tensor<?x2x8x4xf32> {
  return %p : tensor<?x2x8x4xf32>
}

// -----

!u = !onnx_graph.unknown

// expected-error @+1 {{graph input 'v' differs in shape from 'k'}}
func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %k: tensor<?x2x?x4xf32> {onnx_graph.name = "k"}, %v: tensor<?x2x?x8xf32> {onnx_graph.name = "v"}) -> tensor<?x2x?x4xf32> {
  return %k : tensor<?x2x?x4xf32>
}

// -----

!u = !onnx_graph.unknown

// expected-error @+1 {{the graph has no embedding table of float32, float16 or bfloat16}}
func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> tensor<?x?xi64> {
  return %ids : tensor<?x?xi64>
}

// -----

// Traced with one row of ten tokens.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %s = onnx_graph.initializer "s" value dense<[1, 10, 4]> : tensor<3xi64> : tensor<3xi64>
  // expected-error @+1 {{the graph does not take 2 rows of 3 tokens after a past of 0: node 'Reshape node' (Reshape) can't reshape [2, 3, 4] to [1, 10, 4]; expected a graph exported for any batch and length}}
  %y = onnx_graph.node "Reshape"(%x, %s) : (!u, tensor<3xi64>) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %n = onnx_graph.initializer "n" : tensor<4xf32>
  %axes = onnx_graph.initializer "axes" value dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %eps = onnx_graph.initializer "eps" value dense<1.0e-5> : tensor<f32> : tensor<f32>
  %sq = onnx_graph.node "Mul"(%x, %x) : (!u, !u) -> !u
  %mean = onnx_graph.node "ReduceMean"(%sq, %axes) : (!u, tensor<1xi64>) -> !u
  %sum = onnx_graph.node "Add"(%mean, %eps) : (!u, tensor<f32>) -> !u
  %root = onnx_graph.node "Sqrt"(%sum) : (!u) -> !u
  %inv = onnx_graph.node "Reciprocal"(%root) : (!u) -> !u
  %y0 = onnx_graph.node "Mul"(%x, %inv) : (!u, !u) -> !u
  // expected-error @+1 {{node 'Mul node' (Mul) is not understood: RMSNorm's mean is not over the last axis}}
  %y = onnx_graph.node "Mul"(%y0, %n) : (!u, tensor<4xf32>) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %n = onnx_graph.initializer "n" : tensor<4xf32>
  %axes = onnx_graph.initializer "axes" value dense<[-1]> : tensor<1xi64> : tensor<1xi64>
  %eps = onnx_graph.initializer "eps" value dense<1.0e-5> : tensor<f32> : tensor<f32>
  %sq = onnx_graph.node "Mul"(%x, %x) : (!u, !u) -> !u
  %mean = onnx_graph.node "ReduceMean"(%sq, %axes) : (!u, tensor<1xi64>) -> !u
  %root = onnx_graph.node "Sqrt"(%mean) : (!u) -> !u
  %inv = onnx_graph.node "Reciprocal"(%root) : (!u) -> !u
  %y0 = onnx_graph.node "Mul"(%x, %inv) : (!u, !u) -> !u
  // expected-error @+1 {{RMSNorm has no epsilon under its root}}
  %y = onnx_graph.node "Mul"(%y0, %n) : (!u, tensor<4xf32>) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %t = onnx_graph.node "Neg"(%x) : (!u) -> !u
  %n = onnx_graph.initializer "n" : tensor<4xf32>
  %axes = onnx_graph.initializer "axes" value dense<[-1]> : tensor<1xi64> : tensor<1xi64>
  %eps = onnx_graph.initializer "eps" value dense<1.0e-5> : tensor<f32> : tensor<f32>
  %sq = onnx_graph.node "Mul"(%x, %t) : (!u, !u) -> !u
  %mean = onnx_graph.node "ReduceMean"(%sq, %axes) : (!u, tensor<1xi64>) -> !u
  %sum = onnx_graph.node "Add"(%mean, %eps) : (!u, tensor<f32>) -> !u
  %root = onnx_graph.node "Sqrt"(%sum) : (!u) -> !u
  %inv = onnx_graph.node "Reciprocal"(%root) : (!u) -> !u
  %y0 = onnx_graph.node "Mul"(%x, %inv) : (!u, !u) -> !u
  // expected-error @+1 {{RMSNorm's mean is not of the operand's squares}}
  %y = onnx_graph.node "Mul"(%y0, %n) : (!u, tensor<4xf32>) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %n = onnx_graph.initializer "n" : tensor<4xf32>
  %axes = onnx_graph.initializer "axes" value dense<[-1]> : tensor<1xi64> : tensor<1xi64>
  %eps = onnx_graph.initializer "eps" value dense<1.0e-5> : tensor<f32> : tensor<f32>
  %sq = onnx_graph.node "Mul"(%x, %x) : (!u, !u) -> !u
  %mean = onnx_graph.node "ReduceMean"(%sq, %axes) : (!u, tensor<1xi64>) -> !u
  %sum = onnx_graph.node "Add"(%mean, %eps) : (!u, tensor<f32>) -> !u
  %root = onnx_graph.node "Sqrt"(%sum) : (!u) -> !u
  %inv = onnx_graph.node "Reciprocal"(%root) : (!u) -> !u
  %y0 = onnx_graph.node "Mul"(%x, %inv) : (!u, !u) -> !u
  // expected-error @+1 {{RMSNorm has no weight vector, or a normalised operand that is not understood}}
  %y = onnx_graph.node "Mul"(%y0, %x) : (!u, !u) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %n = onnx_graph.initializer "n" : tensor<4xf32>
  %axes = onnx_graph.initializer "axes" value dense<[-1]> : tensor<1xi64> : tensor<1xi64>
  %eps = onnx_graph.initializer "eps" value dense<1.0e-5> : tensor<f32> : tensor<f32>
  %sq = onnx_graph.node "Mul"(%x, %x) : (!u, !u) -> !u
  %mean = onnx_graph.node "ReduceSum"(%sq, %axes) : (!u, tensor<1xi64>) -> !u
  %sum = onnx_graph.node "Add"(%mean, %eps) : (!u, tensor<f32>) -> !u
  %root = onnx_graph.node "Sqrt"(%sum) : (!u) -> !u
  %inv = onnx_graph.node "Reciprocal"(%root) : (!u) -> !u
  %y0 = onnx_graph.node "Mul"(%x, %inv) : (!u, !u) -> !u
  // expected-error @+1 {{RMSNorm has no mean of squares under its root}}
  %y = onnx_graph.node "Mul"(%y0, %n) : (!u, tensor<4xf32>) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %wg = onnx_graph.initializer "wg" : tensor<4x4xf32>
  %wu = onnx_graph.initializer "wu" : tensor<4x4xf32>
  %g = onnx_graph.node "MatMul"(%x, %wg) : (!u, tensor<4x4xf32>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wu) : (!u, tensor<4x4xf32>) -> !u
  %sig = onnx_graph.node "Sigmoid"(%x) : (!u) -> !u
  %s = onnx_graph.node "Mul"(%g, %sig) : (!u, !u) -> !u
  // expected-error @+1 {{the sigmoid is not of a factor beside it}}
  %y = onnx_graph.node "Mul"(%s, %v) : (!u, !u) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %wg = onnx_graph.initializer "wg" : tensor<4x4xf32>
  %wu = onnx_graph.initializer "wu" : tensor<4x4xf32>
  %g = onnx_graph.node "MatMul"(%x, %wg) : (!u, tensor<4x4xf32>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wu) : (!u, tensor<4x4xf32>) -> !u
  %sig = onnx_graph.node "Sigmoid"(%g) : (!u) -> !u
  %s = onnx_graph.node "Mul"(%g, %sig) : (!u, !u) -> !u
  %t = onnx_graph.node "Tanh"(%v) : (!u) -> !u
  // expected-error @+1 {{expected gate * sigmoid(gate) * up of two linear layers}}
  %y = onnx_graph.node "Mul"(%s, %t) : (!u, !u) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

// Two nodes that are no part of a Llama model, both reported.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  // expected-error @+1 {{node 'Tanh node' (Tanh) is not understood: its operand is neither understood nor an attention}}
  %t = onnx_graph.node "Tanh"(%x) : (!u) -> !u
  %wg = onnx_graph.initializer "wg" : tensor<4x4xf32>
  %wu = onnx_graph.initializer "wu" : tensor<4x4xf32>
  %g = onnx_graph.node "MatMul"(%t, %wg) : (!u, tensor<4x4xf32>) -> !u
  // expected-error @+1 {{node 'Exp node' (Exp) is not understood}}
  %t2 = onnx_graph.node "Exp"(%g) : (!u) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%t2, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

!u = !onnx_graph.unknown

// expected-error @+1 {{'model.norm' is no RMSNorm}}
func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%x, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

!u = !onnx_graph.unknown

// expected-error @+1 {{no output of the graph is the logits, a linear layer's result}}
func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u

  return %x : !u
}

// -----

!u = !onnx_graph.unknown

// expected-error @+1 {{an output of the graph is neither logits nor present keys or values}}
func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u, !u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %n = onnx_graph.initializer "n" : tensor<4xf32>
  %axes = onnx_graph.initializer "axes" value dense<[-1]> : tensor<1xi64> : tensor<1xi64>
  %eps = onnx_graph.initializer "eps" value dense<1.0e-5> : tensor<f32> : tensor<f32>
  %sq = onnx_graph.node "Mul"(%x, %x) : (!u, !u) -> !u
  %mean = onnx_graph.node "ReduceMean"(%sq, %axes) : (!u, tensor<1xi64>) -> !u
  %sum = onnx_graph.node "Add"(%mean, %eps) : (!u, tensor<f32>) -> !u
  %root = onnx_graph.node "Sqrt"(%sum) : (!u) -> !u
  %inv = onnx_graph.node "Reciprocal"(%root) : (!u) -> !u
  %y0 = onnx_graph.node "Mul"(%x, %inv) : (!u, !u) -> !u
  %y = onnx_graph.node "Mul"(%y0, %n) : (!u, tensor<4xf32>) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l, %x : !u, !u
}

// -----

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %n = onnx_graph.initializer "n" : tensor<4xf32>
  %axes = onnx_graph.initializer "axes" value dense<[-1]> : tensor<1xi64> : tensor<1xi64>
  %eps = onnx_graph.initializer "eps" value dense<1.0e-5> : tensor<f32> : tensor<f32>
  %sq = onnx_graph.node "Mul"(%x, %x) : (!u, !u) -> !u
  %mean = onnx_graph.node "ReduceMean"(%sq, %axes) : (!u, tensor<1xi64>) -> !u
  %sum = onnx_graph.node "Add"(%mean, %eps) : (!u, tensor<f32>) -> !u
  %root = onnx_graph.node "Sqrt"(%sum) : (!u) -> !u
  %inv = onnx_graph.node "Reciprocal"(%root) : (!u) -> !u
  %y0 = onnx_graph.node "Mul"(%x, %inv) : (!u, !u) -> !u
  %y = onnx_graph.node "Mul"(%y0, %n) : (!u, tensor<4xf32>) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l0 = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u
  %b = onnx_graph.initializer "b" : tensor<5xf32>
  // expected-error @+1 {{the logits have a bias, expected none}}
  %l = onnx_graph.node "Add"(%l0, %b) : (!u, tensor<5xf32>) -> !u

  return %l : !u
}

// -----

// An MLP without an attention before it.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %wg = onnx_graph.initializer "wg" : tensor<4x4xf32>
  %wu = onnx_graph.initializer "wu" : tensor<4x4xf32>
  // expected-error @+1 {{initializer 'wg' has no role in a Llama model}}
  %g = onnx_graph.node "MatMul"(%x, %wg) : (!u, tensor<4x4xf32>) -> !u
  // expected-error @+1 {{initializer 'wu' has no role in a Llama model}}
  %v = onnx_graph.node "MatMul"(%x, %wu) : (!u, tensor<4x4xf32>) -> !u
  %sig = onnx_graph.node "Sigmoid"(%g) : (!u) -> !u
  %s = onnx_graph.node "Mul"(%g, %sig) : (!u, !u) -> !u
  %m = onnx_graph.node "Mul"(%s, %v) : (!u, !u) -> !u
  %n = onnx_graph.initializer "n" : tensor<4xf32>
  %axes = onnx_graph.initializer "axes" value dense<[-1]> : tensor<1xi64> : tensor<1xi64>
  %eps = onnx_graph.initializer "eps" value dense<1.0e-5> : tensor<f32> : tensor<f32>
  %sq = onnx_graph.node "Mul"(%m, %m) : (!u, !u) -> !u
  %mean = onnx_graph.node "ReduceMean"(%sq, %axes) : (!u, tensor<1xi64>) -> !u
  %sum = onnx_graph.node "Add"(%mean, %eps) : (!u, tensor<f32>) -> !u
  %root = onnx_graph.node "Sqrt"(%sum) : (!u) -> !u
  %inv = onnx_graph.node "Reciprocal"(%root) : (!u) -> !u
  %y0 = onnx_graph.node "Mul"(%m, %inv) : (!u, !u) -> !u
  %y = onnx_graph.node "Mul"(%y0, %n) : (!u, tensor<4xf32>) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

// Only the last token of each row.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %last = onnx_graph.initializer "last" value dense<[-1]> : tensor<1xi64> : tensor<1xi64>
  // expected-error @+1 {{node 'Gather node' (Gather) is not understood: its indices are not the tokens}}
  %y = onnx_graph.node "Gather"(%x, %last) {axis = 1 : i64} : (!u, tensor<1xi64>) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<4x5xf32>
  // expected-error @+1 {{node 'Gather node' (Gather) is not understood: expected rows of an embedding table}}
  %x = onnx_graph.node "Gather"(%table, %ids) {axis = 1 : i64} : (tensor<4x5xf32>, tensor<?x?xi64>) -> !u
  // expected-error @+1 {{its operand is neither understood nor an attention}}
  %y = onnx_graph.node "Transpose"(%x) {perm = [1, 2, 0]} : (!u) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x1x4xf32>
  // expected-error @+1 {{node 'Gather node' (Gather) is not understood: expected an embedding table of rank 2}}
  %y = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x1x4xf32>, tensor<?x?xi64>) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %other = onnx_graph.initializer "other" : tensor<5x4xf32>
  %a = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  // expected-error @+1 {{initializers 'table' and 'other' are both 'model.embed_tokens.weight'}}
  %b = onnx_graph.node "Gather"(%other, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %y = onnx_graph.node "Add"(%a, %b) : (!u, !u) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

// Heads of two, each multiplied by the matrix.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %shape = onnx_graph.initializer "shape" value dense<[0, -1, 2]> : tensor<3xi64> : tensor<3xi64>
  %p = onnx_graph.node "Reshape"(%x, %shape) : (!u, tensor<3xi64>) -> !u
  %w = onnx_graph.initializer "w" : tensor<2x4xf32>
  // expected-error @+1 {{node 'MatMul node' (MatMul) is not understood: its operand is not [batch, sequence, width]}}
  %y = onnx_graph.node "MatMul"(%p, %w) : (!u, tensor<2x4xf32>) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

// A norm with two weights.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %n = onnx_graph.initializer "n" : tensor<4xf32>
  %n2 = onnx_graph.initializer "n2" : tensor<4xf32>
  %axes = onnx_graph.initializer "axes" value dense<[-1]> : tensor<1xi64> : tensor<1xi64>
  %eps = onnx_graph.initializer "eps" value dense<1.0e-5> : tensor<f32> : tensor<f32>
  %sq = onnx_graph.node "Mul"(%x, %x) : (!u, !u) -> !u
  %mean = onnx_graph.node "ReduceMean"(%sq, %axes) : (!u, tensor<1xi64>) -> !u
  %sum = onnx_graph.node "Add"(%mean, %eps) : (!u, tensor<f32>) -> !u
  %root = onnx_graph.node "Sqrt"(%sum) : (!u) -> !u
  %inv = onnx_graph.node "Reciprocal"(%root) : (!u) -> !u
  %y0 = onnx_graph.node "Mul"(%x, %inv) : (!u, !u) -> !u
  %weights = onnx_graph.node "Mul"(%n, %n2) : (tensor<4xf32>, tensor<4xf32>) -> !u
  // expected-error @+1 {{expected RMSNorm, x * rsqrt(mean(x * x) + eps) * weight}}
  %y = onnx_graph.node "Mul"(%y0, %weights) : (!u, !u) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

// Two things are gated.

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %wg = onnx_graph.initializer "wg" : tensor<4x4xf32>
  %wu = onnx_graph.initializer "wu" : tensor<4x4xf32>
  %g = onnx_graph.node "MatMul"(%x, %wg) : (!u, tensor<4x4xf32>) -> !u
  %v = onnx_graph.node "MatMul"(%x, %wu) : (!u, tensor<4x4xf32>) -> !u
  %sig = onnx_graph.node "Sigmoid"(%g) : (!u) -> !u
  %s = onnx_graph.node "Mul"(%g, %sig) : (!u, !u) -> !u
  %up = onnx_graph.node "Mul"(%v, %x) : (!u, !u) -> !u
  // expected-error @+1 {{node 'Mul node' (Mul) is not understood: expected gate * sigmoid(gate) * up}}
  %y = onnx_graph.node "Mul"(%s, %up) : (!u, !u) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

!u = !onnx_graph.unknown

func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}) -> (!u) {
  %table = onnx_graph.initializer "table" : tensor<5x4xf32>
  %x = onnx_graph.node "Gather"(%table, %ids) : (tensor<5x4xf32>, tensor<?x?xi64>) -> !u
  %wq = onnx_graph.initializer "wq" : tensor<4x4xf32>
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<4x4xf32>) -> !u
  // expected-error @+1 {{the softmax is not of products of queries and keys}}
  %y = onnx_graph.node "Softmax"(%q) {axis = -1 : i64} : (!u) -> !u
  %wl = onnx_graph.initializer "head" : tensor<4x5xf32>
  %l = onnx_graph.node "MatMul"(%y, %wl) : (!u, tensor<4x5xf32>) -> !u

  return %l : !u
}

// -----

!u = !onnx_graph.unknown

// expected-error @+1 {{'model.layers.0.input_layernorm' is no RMSNorm}}
func.func @main(%ids: tensor<?x?xi64> {onnx_graph.name = "input_ids"}, %mask: tensor<?x?xi64> {onnx_graph.name = "attention_mask"},
                %pos: tensor<?x?xi64> {onnx_graph.name = "position_ids"}) -> !u {
  %table = onnx_graph.initializer "table" : tensor<5x8xf32>
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
  %q = onnx_graph.node "MatMul"(%x, %wq) : (!u, tensor<8x8xf32>) -> !u
  %k = onnx_graph.node "MatMul"(%x, %wk) : (!u, tensor<8x4xf32>) -> !u
  %v0 = onnx_graph.node "MatMul"(%x, %wv) : (!u, tensor<8x4xf32>) -> !u
  %v = onnx_graph.node "Add"(%bv, %v0) : (tensor<4xf32>, !u) -> !u
  %rq = onnx_graph.node "RotaryEmbedding"(%q, %cos, %sin) {num_heads = 2 : i64} : (!u, !u, !u) -> !u
  %rk = onnx_graph.node "RotaryEmbedding"(%k, %cos, %sin) {num_heads = 1 : i64} : (!u, !u, !u) -> !u
  %a = onnx_graph.node "Attention"(%rq, %rk, %v, %m3) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 1 : i64}
    : (!u, !u, !u, !u) -> !u
  %o = onnx_graph.node "MatMul"(%a, %wo) : (!u, tensor<8x8xf32>) -> !u
  %r = onnx_graph.node "Add"(%o, %x) : (!u, !u) -> !u

  %g0 = onnx_graph.node "RMSNormalization"(%r, %n2) {epsilon = 1.0e-5 : f32} : (!u, tensor<8xf32>) -> !u
  %gate = onnx_graph.node "MatMul"(%g0, %wg) : (!u, tensor<8x6xf32>) -> !u
  %up = onnx_graph.node "MatMul"(%g0, %wu) : (!u, tensor<8x6xf32>) -> !u
  %sig = onnx_graph.node "Sigmoid"(%gate) : (!u) -> !u
  %s0 = onnx_graph.node "Mul"(%up, %sig) : (!u, !u) -> !u
  %s = onnx_graph.node "Mul"(%gate, %s0) : (!u, !u) -> !u
  %d = onnx_graph.node "MatMul"(%s, %wd) : (!u, tensor<6x8xf32>) -> !u
  %y = onnx_graph.node "Add"(%r, %d) : (!u, !u) -> !u
  %f = onnx_graph.node "RMSNormalization"(%y, %n3) {epsilon = 1.0e-5 : f32} : (!u, tensor<8xf32>) -> !u
  %wt = onnx_graph.node "Transpose"(%table) {perm = [1, 0]} : (tensor<5x8xf32>) -> !u
  %l = onnx_graph.node "MatMul"(%f, %wt) : (!u, !u) -> !u
  return %l : !u
}
