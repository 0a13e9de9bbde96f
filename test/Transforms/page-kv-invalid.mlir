// RUN: qopt-opt %s --qopt-page-kv --split-input-file --verify-diagnostics
// RUN: not qopt-opt %S/Inputs/model.mlir --qopt-page-kv=page-tokens=0 2>&1 | FileCheck %s --check-prefix=PAGE
// PAGE: error: page holds 0 tokens, expected some

// expected-error @+1 {{expected a function @forward with a body of one block}}
module {
}

// -----

// expected-error @+1 {{expected a function @forward with a body of one block}}
module {
  func.func private @forward()
}

// -----

// expected-error @+1 {{expected a dense model: tokens, mask and positions, attention layers, and logits as first result}}
func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}

// -----

func.func @forward(%ids: tensor<?x?xi64>, %mask: tensor<?x?xi64>, %positions: tensor<?x?xi64>,
                   %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>) -> tensor<?x?x32xf32> {
  %table = qopt.weight @embed : tensor<32x32xf32>
  %x = qopt.embedding %ids, %table : (tensor<?x?xi64>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  // expected-error @+1 {{mask must be the function's attention mask}}
  %y, %yk, %yv = qopt.attention %x, %x, %x, %positions, %pk, %pv {num_heads = 2 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64}
    : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    -> (tensor<?x?x32xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  %l = qopt.logits %y, %table : (tensor<?x?x32xf32>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  return %l : tensor<?x?x32xf32>
}

// -----

func.func @forward(%ids: tensor<?x?xi64>, %mask: tensor<?x?xi64>, %positions: tensor<?x?xi64>,
                   %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>) -> tensor<?x?x32xf32> {
  %table = qopt.weight @embed : tensor<32x32xf32>
  %x = qopt.embedding %ids, %table : (tensor<?x?xi64>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  // expected-error @+1 {{past keys and values must be function arguments of their own}}
  %y, %yk, %yv = qopt.attention %x, %x, %x, %mask, %pk, %pk {num_heads = 2 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64}
    : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    -> (tensor<?x?x32xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  %l = qopt.logits %y, %table : (tensor<?x?x32xf32>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  return %l : tensor<?x?x32xf32>
}

// -----

func.func @forward(%ids: tensor<?x?xi64>, %mask: tensor<?x?xi64>, %positions: tensor<?x?xi64>,
                   %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>) -> tensor<?x?x32xf32> {
  %table = qopt.weight @embed : tensor<32x32xf32>
  %x = qopt.embedding %ids, %table : (tensor<?x?xi64>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  // expected-error @+1 {{present keys and values must be function results only}}
  %y, %yk, %yv = qopt.attention %x, %x, %x, %mask, %pk, %pv {num_heads = 2 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64}
    : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    -> (tensor<?x?x32xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  %n = qopt.add %yk, %yv : tensor<?x2x?x16xf32>
  %l = qopt.logits %y, %table : (tensor<?x?x32xf32>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  return %l : tensor<?x?x32xf32>
}

// -----

func.func @forward(%ids: tensor<?x?xi64>, %mask: tensor<?x?xi64>, %positions: tensor<?x?xi64>,
                   %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>, %pk1: tensor<?x4x?x8xf32>, %pv1: tensor<?x4x?x8xf32>) -> tensor<?x?x32xf32> {
  %table = qopt.weight @embed : tensor<32x32xf32>
  %x = qopt.embedding %ids, %table : (tensor<?x?xi64>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  %y, %yk, %yv = qopt.attention %x, %x, %x, %mask, %pk, %pv {num_heads = 2 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64}
    : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    -> (tensor<?x?x32xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  // expected-error @+1 {{layers differ in heads: found 'tensor<?x4x?x8xf32>' in layer 1}}
  %z, %zk, %zv = qopt.attention %x, %x, %x, %mask, %pk1, %pv1 {num_heads = 4 : i64, num_kv_heads = 4 : i64, scale = 0.25 : f64}
    : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>)
    -> (tensor<?x?x32xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>)
  %l = qopt.logits %z, %table : (tensor<?x?x32xf32>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  return %l : tensor<?x?x32xf32>
}

// -----

func.func @forward(%ids: tensor<?x?xi64>, %mask: tensor<?x?xi64>, %positions: tensor<?x?xi64>,
                   %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>) -> tensor<?x?x32xf32> {
  %table = qopt.weight @embed : tensor<32x32xf32>
  %x = qopt.embedding %ids, %table : (tensor<?x?xi64>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  // expected-error @+1 {{positions must be the function's positions}}
  %r = qopt.rope %x, %mask {rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>} : (tensor<?x?x32xf32>, tensor<?x?xi64>) -> tensor<?x?x32xf32>
  %y, %yk, %yv = qopt.attention %r, %x, %x, %mask, %pk, %pv {num_heads = 2 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64}
    : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    -> (tensor<?x?x32xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  %l = qopt.logits %y, %table : (tensor<?x?x32xf32>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  return %l : tensor<?x?x32xf32>
}

// -----

func.func @forward(%ids: tensor<?x?xi64>, %mask: tensor<?x?xi64>, %positions: tensor<?x?xi64>,
                   %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>, %e: tensor<?x?x32xf32>) -> tensor<?x?x32xf32> {
  %table = qopt.weight @embed : tensor<32x32xf32>
  %x = qopt.embedding %ids, %table : (tensor<?x?xi64>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  // expected-error @+1 {{operand of type 'tensor<?x?x32xf32>' has no ragged form}}
  %n = qopt.add %x, %e : tensor<?x?x32xf32>
  %y, %yk, %yv = qopt.attention %n, %x, %x, %mask, %pk, %pv {num_heads = 2 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64}
    : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    -> (tensor<?x?x32xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  %l = qopt.logits %y, %table : (tensor<?x?x32xf32>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  return %l : tensor<?x?x32xf32>
}

// -----

func.func @forward(%ids: tensor<?x?xi64>, %mask: tensor<?x?xi64>, %positions: tensor<?x?xi64>,
                   %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>, %e: tensor<?x?x32xf32>) -> tensor<?x?x32xf32> {
  %table = qopt.weight @embed : tensor<32x32xf32>
  %x = qopt.embedding %ids, %table : (tensor<?x?xi64>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  // expected-error @+1 {{operand of type 'tensor<?x?x32xf32>' has no ragged form}}
  %y, %yk, %yv = qopt.attention %e, %x, %x, %mask, %pk, %pv {num_heads = 2 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64}
    : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    -> (tensor<?x?x32xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  %l = qopt.logits %y, %table : (tensor<?x?x32xf32>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  return %l : tensor<?x?x32xf32>
}

// -----

func.func @forward(%ids: tensor<?x?xi64>, %mask: tensor<?x?xi64>, %positions: tensor<?x?xi64>,
                   %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>, %w: tensor<?x16xf32>, %v: tensor<16xf32>) -> tensor<?x?x32xf32> {
  %table = qopt.weight @embed : tensor<32x32xf32>
  %x = qopt.embedding %ids, %table : (tensor<?x?xi64>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  // expected-error @+1 {{expected a result [batch, seq, hidden], found 'tensor<?x16xf32>'}}
  %n = qopt.rms_norm %w, %v {eps = 1.0e-5 : f64} : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %y, %yk, %yv = qopt.attention %x, %x, %x, %mask, %pk, %pv {num_heads = 2 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64}
    : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    -> (tensor<?x?x32xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  %l = qopt.logits %y, %table : (tensor<?x?x32xf32>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  return %l : tensor<?x?x32xf32>
}

// -----

func.func @forward(%ids: tensor<?x?xi64>, %mask: tensor<?x?xi64>, %positions: tensor<?x?xi64>,
                   %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>) -> tensor<?x?x32xf32> {
  %table = qopt.weight @embed : tensor<32x32xf32>
  %x = qopt.embedding %ids, %table : (tensor<?x?xi64>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  // expected-error @+1 {{operation has no ragged form}}
  %q = qopt.quantize %x : (tensor<?x?x32xf32>) -> tensor<?x?x32x!qopt.q<i8, per_token, scale = f32>>
  %y, %yk, %yv = qopt.attention %x, %x, %x, %mask, %pk, %pv {num_heads = 2 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64}
    : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    -> (tensor<?x?x32xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  %l = qopt.logits %y, %table : (tensor<?x?x32xf32>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  return %l : tensor<?x?x32xf32>
}
