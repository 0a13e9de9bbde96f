// RUN: qopt-opt %s --convert-qopt-to-kernel --split-input-file --verify-diagnostics

// expected-error @+1 {{expected a function @forward with a body of one block}}
module {
}

// -----

// expected-error @+1 {{expected a ragged model: tokens, batch and cache}}
func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch) {
  return
}

// -----

// expected-error @+1 {{expected a ragged model: tokens, batch and cache}}
func.func @forward(%tokens: tensor<?x?xi32>, %batch: !qopt.batch, %cache: !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>) {
  return
}

// -----

func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>) -> tensor<?xi32> {
  // expected-error @+1 {{expected the logits as only result}}
  return %tokens : tensor<?xi32>
}

// -----

func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>) -> tensor<?x32xf32> {
  %table = qopt.weight @embed {kernel.layout = #kernel.layout<row_major>} : tensor<32x64xbf16>
  %x = qopt.embedding %tokens, %table : (tensor<?xi32>, tensor<32x64xbf16>) -> tensor<?x64xbf16>
  %q = qopt.quantize %x : (tensor<?x64xbf16>) -> tensor<?x64x!qopt.q<i8, per_token, scale = f32>>
  // expected-error @+1 {{expected rows [tokens, columns] of a type that kernels have, found 'tensor<?x64xf64>'}}
  %r = qopt.dequantize %q : (tensor<?x64x!qopt.q<i8, per_token, scale = f32>>) -> tensor<?x64xf64>
  %l = qopt.logits %x, %table batch(%batch) : (tensor<?x64xbf16>, tensor<32x64xbf16>, !qopt.batch) -> tensor<?x32xf32>
  return %l : tensor<?x32xf32>
}

// -----

func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>) -> tensor<?x32xf32> {
  // expected-error @+1 {{weight has no kernel.layout: qopt-pack-weights must run first}}
  %table = qopt.weight @embed  : tensor<32x64xbf16>
  %x = qopt.embedding %tokens, %table : (tensor<?xi32>, tensor<32x64xbf16>) -> tensor<?x64xbf16>
  %l = qopt.logits %x, %table batch(%batch) : (tensor<?x64xbf16>, tensor<32x64xbf16>, !qopt.batch) -> tensor<?x32xf32>
  return %l : tensor<?x32xf32>
}

// -----

func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>) -> tensor<?x32xf32> {
  %table = qopt.weight @embed {kernel.layout = #kernel.layout<row_major>} : tensor<32x64xbf16>
  %x = qopt.embedding %tokens, %table : (tensor<?xi32>, tensor<32x64xbf16>) -> tensor<?x64xbf16>
  // expected-error @+1 {{expected a matrix or a vector of floats, found 'tensor<64x!qopt.q<i8, group = 32, scale = f16>>'}}
  %v = qopt.weight @v : tensor<64x!qopt.q<i8, group = 32, scale = f16>>
  %l = qopt.logits %x, %table batch(%batch) : (tensor<?x64xbf16>, tensor<32x64xbf16>, !qopt.batch) -> tensor<?x32xf32>
  return %l : tensor<?x32xf32>
}

// -----

func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>) -> tensor<?x32xf32> {
  %table = qopt.weight @embed {kernel.layout = #kernel.layout<row_major>} : tensor<32x64xbf16>
  %x = qopt.embedding %tokens, %table : (tensor<?xi32>, tensor<32x64xbf16>) -> tensor<?x64xbf16>
  // expected-error @+1 {{expected a matrix or a vector of floats, found 'tensor<2x2x2xf32>'}}
  %v = qopt.weight @v : tensor<2x2x2xf32>
  %l = qopt.logits %x, %table batch(%batch) : (tensor<?x64xbf16>, tensor<32x64xbf16>, !qopt.batch) -> tensor<?x32xf32>
  return %l : tensor<?x32xf32>
}

// -----

func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>) -> tensor<?x32xf32> {
  %table = qopt.weight @embed {kernel.layout = #kernel.layout<row_major>} : tensor<32x64xbf16>
  %x = qopt.embedding %tokens, %table : (tensor<?xi32>, tensor<32x64xbf16>) -> tensor<?x64xbf16>
  %q = qopt.quantize %x : (tensor<?x64xbf16>) -> tensor<?x64x!qopt.q<i8, per_token, scale = f32>>
  // expected-error @+1 {{operation 'qopt.dequantize' has no kernel}}
  %r = qopt.dequantize %q : (tensor<?x64x!qopt.q<i8, per_token, scale = f32>>) -> tensor<?x64xbf16>
  %l = qopt.logits %x, %table batch(%batch) : (tensor<?x64xbf16>, tensor<32x64xbf16>, !qopt.batch) -> tensor<?x32xf32>
  return %l : tensor<?x32xf32>
}

// -----

func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>) -> tensor<?x32xf32> {
  %table = qopt.weight @embed {kernel.layout = #kernel.layout<row_major>} : tensor<32x64xbf16>
  %x = qopt.embedding %tokens, %table : (tensor<?xi32>, tensor<32x64xbf16>) -> tensor<?x64xbf16>
  %a = qopt.slice %x {offset = 0 : i64} : (tensor<?x64xbf16>) -> tensor<?x32xbf16>
  // expected-error @+1 {{a slice of a slice has no kernel}}
  %b = qopt.slice %a {offset = 0 : i64} : (tensor<?x32xbf16>) -> tensor<?x16xbf16>
  %l = qopt.logits %x, %table batch(%batch) : (tensor<?x64xbf16>, tensor<32x64xbf16>, !qopt.batch) -> tensor<?x32xf32>
  return %l : tensor<?x32xf32>
}

// -----

func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>) -> tensor<?x32xf32> {
  %table = qopt.weight @embed {kernel.layout = #kernel.layout<row_major>} : tensor<32x64xbf16>
  %x = qopt.embedding %tokens, %table : (tensor<?xi32>, tensor<32x64xbf16>) -> tensor<?x64xbf16>
  // expected-error @+1 {{expected the batch that says which rows are wanted}}
  %l = qopt.logits %x, %table : (tensor<?x64xbf16>, tensor<32x64xbf16>) -> tensor<?x32xf32>
  return %l : tensor<?x32xf32>
}

// -----

func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>) -> tensor<?x32xf32> {
  %table = qopt.weight @embed {kernel.layout = #kernel.layout<row_major>} : tensor<32x64xbf16>
  %x = qopt.embedding %tokens, %table : (tensor<?xi32>, tensor<32x64xbf16>) -> tensor<?x64xbf16>
  // expected-error @+1 {{positions must be the batch's}}
  %r = qopt.rope %x, %tokens {rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>} : (tensor<?x64xbf16>, tensor<?xi32>) -> tensor<?x64xbf16>
  %l = qopt.logits %r, %table batch(%batch) : (tensor<?x64xbf16>, tensor<32x64xbf16>, !qopt.batch) -> tensor<?x32xf32>
  return %l : tensor<?x32xf32>
}

// -----

func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>) -> tensor<?x32xf32> {
  %table = qopt.weight @embed {kernel.layout = #kernel.layout<row_major>} : tensor<32x64xbf16>
  %head = qopt.weight @head {kernel.layout = #kernel.layout<swizzled>} : tensor<32x64x!qopt.q<i8, per_channel, scale = bf16>>
  %w = qopt.weight @norm : tensor<64xbf16>
  %x = qopt.embedding %tokens, %table : (tensor<?xi32>, tensor<32x64xbf16>) -> tensor<?x64xbf16>
  %n = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<?x64xbf16>, tensor<64xbf16>) -> tensor<?x64x!qopt.q<i8, per_token, scale = f32>>
  // expected-error @+1 {{an input quantized by another operation has no kernel}}
  %l = qopt.logits %n, %head batch(%batch) : (tensor<?x64x!qopt.q<i8, per_token, scale = f32>>, tensor<32x64x!qopt.q<i8, per_channel, scale = bf16>>, !qopt.batch) -> tensor<?x32xf32>
  return %l : tensor<?x32xf32>
}
