// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// RUN: qopt-opt %s --mlir-print-op-generic | qopt-opt | FileCheck %s

!cache = !qopt.kv_cache<layers = 30, kv_heads = 3, head_dim = 64, page_tokens = 64, type = bf16>

// CHECK-LABEL: func @weight_i4_group
func.func @weight_i4_group() -> tensor<960x576x!qopt.q<i4, group = 64, scale = bf16>> {
  // CHECK: qopt.weight @q, @k, @v : tensor<960x576x!qopt.q<i4, group = 64, scale = bf16>>
  %w = qopt.weight @q, @k, @v : tensor<960x576x!qopt.q<i4, group = 64, scale = bf16>>
  return %w : tensor<960x576x!qopt.q<i4, group = 64, scale = bf16>>
}

// CHECK-LABEL: func @weight_bf16_stored
func.func @weight_bf16_stored() -> tensor<64x64xbf16> {
  // CHECK: qopt.weight @model.layers.0.mlp.down_proj.weight stored !qopt.q<ui4, group = 32, scale = f16, min = f16> : tensor<64x64xbf16>
  %w = qopt.weight @model.layers.0.mlp.down_proj.weight
    stored !qopt.q<ui4, group = 32, scale = f16, min = f16> : tensor<64x64xbf16>
  return %w : tensor<64x64xbf16>
}

// CHECK-LABEL: func @embedding_bf16
func.func @embedding_bf16(%tokens: tensor<?xi32>, %table: tensor<49152x576xbf16>) -> tensor<?x576xbf16> {
  // CHECK: qopt.embedding %{{.*}}, %{{.*}} : (tensor<?xi32>, tensor<49152x576xbf16>) -> tensor<?x576xbf16>
  %y = qopt.embedding %tokens, %table
    : (tensor<?xi32>, tensor<49152x576xbf16>) -> tensor<?x576xbf16>
  return %y : tensor<?x576xbf16>
}

// CHECK-LABEL: func @rms_norm_bf16
func.func @rms_norm_bf16(%x: tensor<?x576xbf16>, %w: tensor<576xbf16>) -> tensor<?x576xbf16> {
  // CHECK: qopt.rms_norm %{{.*}}, %{{.*}} {eps = 1.000000e-05 : f64} : (tensor<?x576xbf16>, tensor<576xbf16>) -> tensor<?x576xbf16>
  %y = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64}
    : (tensor<?x576xbf16>, tensor<576xbf16>) -> tensor<?x576xbf16>
  return %y : tensor<?x576xbf16>
}

// CHECK-LABEL: func @rms_norm_f8_quantized
func.func @rms_norm_f8_quantized(%x: tensor<?x576xbf16>, %w: tensor<576xbf16>)
    -> tensor<?x576x!qopt.q<f8E4M3FN, per_token, scale = f32>> {
  // CHECK: qopt.rms_norm {{.*}} -> tensor<?x576x!qopt.q<f8E4M3FN, per_token, scale = f32>>
  %y = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64}
    : (tensor<?x576xbf16>, tensor<576xbf16>) -> tensor<?x576x!qopt.q<f8E4M3FN, per_token, scale = f32>>
  return %y : tensor<?x576x!qopt.q<f8E4M3FN, per_token, scale = f32>>
}

// CHECK-LABEL: func @linear_bf16
func.func @linear_bf16(%x: tensor<?x576xbf16>, %w: tensor<192x576xbf16>, %b: tensor<192xbf16>,
                       %r: tensor<?x192xbf16>) -> tensor<?x192xbf16> {
  // CHECK: qopt.linear %{{.*}}, %{{.*}} : (tensor<?x576xbf16>, tensor<192x576xbf16>) -> tensor<?x192xbf16>
  %0 = qopt.linear %x, %w : (tensor<?x576xbf16>, tensor<192x576xbf16>) -> tensor<?x192xbf16>
  // CHECK: qopt.linear %{{.*}}, %{{.*}} bias(%{{.*}}) :
  %1 = qopt.linear %x, %w bias(%b)
    : (tensor<?x576xbf16>, tensor<192x576xbf16>, tensor<192xbf16>) -> tensor<?x192xbf16>
  // CHECK: qopt.linear %{{.*}}, %{{.*}} residual(%{{.*}}) :
  %2 = qopt.linear %x, %w residual(%r)
    : (tensor<?x576xbf16>, tensor<192x576xbf16>, tensor<?x192xbf16>) -> tensor<?x192xbf16>
  // CHECK: qopt.linear %{{.*}}, %{{.*}} bias(%{{.*}}) residual(%{{.*}}) :
  %3 = qopt.linear %x, %w bias(%b) residual(%r)
    : (tensor<?x576xbf16>, tensor<192x576xbf16>, tensor<192xbf16>, tensor<?x192xbf16>) -> tensor<?x192xbf16>
  return %3 : tensor<?x192xbf16>
}

// CHECK-LABEL: func @linear_i8_per_token
func.func @linear_i8_per_token(%x: tensor<?x64x!qopt.q<i8, per_token, scale = f32>>,
                               %w: tensor<32x64x!qopt.q<i8, per_channel, scale = f32>>) -> tensor<?x32xbf16> {
  // CHECK: qopt.linear {{.*}} : (tensor<?x64x!qopt.q<i8, per_token, scale = f32>>, tensor<32x64x!qopt.q<i8, per_channel, scale = f32>>) -> tensor<?x32xbf16>
  %y = qopt.linear %x, %w
    : (tensor<?x64x!qopt.q<i8, per_token, scale = f32>>, tensor<32x64x!qopt.q<i8, per_channel, scale = f32>>)
    -> tensor<?x32xbf16>
  return %y : tensor<?x32xbf16>
}

// CHECK-LABEL: func @rope_f32_none
func.func @rope_f32_none(%x: tensor<?x?x64xf32>, %p: tensor<?x?xi64>) -> tensor<?x?x64xf32> {
  // CHECK: qopt.rope %{{.*}}, %{{.*}} {rope = #qopt.rope<head_dim = 16, theta = 1.000000e+04 : f64, scaling = none>} : (tensor<?x?x64xf32>, tensor<?x?xi64>) -> tensor<?x?x64xf32>
  %y = qopt.rope %x, %p {rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>}
    : (tensor<?x?x64xf32>, tensor<?x?xi64>) -> tensor<?x?x64xf32>
  return %y : tensor<?x?x64xf32>
}

// CHECK-LABEL: func @rope_bf16_scaled
func.func @rope_bf16_scaled(%x: tensor<?x64xbf16>, %batch: !qopt.batch) -> tensor<?x64xbf16> {
  // CHECK: scaling = linear, factor = 4.000000e+00 : f64>
  %0 = qopt.rope %x, %batch {rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = linear, factor = 4.0 : f64>}
    : (tensor<?x64xbf16>, !qopt.batch) -> tensor<?x64xbf16>
  // CHECK: scaling = llama3, factor = 8.000000e+00 : f64, low = 1.000000e+00 : f64, high = 4.000000e+00 : f64, original = 8192>
  %1 = qopt.rope %0, %batch {rope = #qopt.rope<head_dim = 16, theta = 5.0e5 : f64, scaling = llama3,
      factor = 8.0 : f64, low = 1.0 : f64, high = 4.0 : f64, original = 8192>}
    : (tensor<?x64xbf16>, !qopt.batch) -> tensor<?x64xbf16>
  // CHECK: scaling = table, table = [1.000000e+00, 5.000000e-01]>
  %2 = qopt.rope %1, %batch {rope = #qopt.rope<head_dim = 4, theta = 1.0 : f64, scaling = table, table = [1.0, 0.5]>}
    : (tensor<?x64xbf16>, !qopt.batch) -> tensor<?x64xbf16>
  return %2 : tensor<?x64xbf16>
}

// CHECK-LABEL: func @attention_f32
func.func @attention_f32(%q: tensor<?x?x128xf32>, %k: tensor<?x?x32xf32>, %v: tensor<?x?x32xf32>,
                         %mask: tensor<?x?xi64>, %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>)
    -> tensor<?x?x128xf32> {
  // CHECK: qopt.attention {{.*}} {num_heads = 8 : i64, num_kv_heads = 2 : i64, scale = 2.500000e-01 : f64}
  %y, %ck, %cv = qopt.attention %q, %k, %v, %mask, %pk, %pv
    {num_heads = 8 : i64, num_kv_heads = 2 : i64, scale = 2.5e-1 : f64}
    : (tensor<?x?x128xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>,
       tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    -> (tensor<?x?x128xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  return %y : tensor<?x?x128xf32>
}

// CHECK-LABEL: func @paged_attention_bf16
func.func @paged_attention_bf16(%q: tensor<?x576xbf16>, %cache: !cache, %batch: !qopt.batch) -> tensor<?x576xbf16> {
  // CHECK: qopt.paged_attention {{.*}} {layer = 0 : i64, num_heads = 9 : i64, scale = 1.250000e-01 : f64} : (tensor<?x576xbf16>, !qopt.kv_cache<layers = 30, kv_heads = 3, head_dim = 64, page_tokens = 64, type = bf16>, !qopt.batch)
  %y = qopt.paged_attention %q, %cache, %batch {layer = 0 : i64, num_heads = 9 : i64, scale = 1.25e-1 : f64}
    : (tensor<?x576xbf16>, !cache, !qopt.batch) -> tensor<?x576xbf16>
  return %y : tensor<?x576xbf16>
}

// CHECK-LABEL: func @kv_append_bf16
func.func @kv_append_bf16(%k: tensor<?x192xbf16>, %v: tensor<?x192xbf16>, %cache: !cache, %batch: !qopt.batch) {
  // CHECK: qopt.kv_append %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {layer = 29 : i64}
  qopt.kv_append %k, %v, %cache, %batch {layer = 29 : i64}
    : (tensor<?x192xbf16>, tensor<?x192xbf16>, !cache, !qopt.batch) -> ()
  return
}

// CHECK-LABEL: func @rope_append_bf16
func.func @rope_append_bf16(%q: tensor<?x576xbf16>, %k: tensor<?x192xbf16>, %v: tensor<?x192xbf16>,
                            %cache: !cache, %batch: !qopt.batch) -> tensor<?x576xbf16> {
  // CHECK: qopt.rope_append {{.*}} {layer = 1 : i64, rope = #qopt.rope<head_dim = 64, theta = 1.000000e+05 : f64, scaling = none>}
  %y = qopt.rope_append %q, %k, %v, %cache, %batch
    {layer = 1 : i64, rope = #qopt.rope<head_dim = 64, theta = 1.0e5 : f64, scaling = none>}
    : (tensor<?x576xbf16>, tensor<?x192xbf16>, tensor<?x192xbf16>, !cache, !qopt.batch) -> tensor<?x576xbf16>
  return %y : tensor<?x576xbf16>
}

// CHECK-LABEL: func @silu_mul_bf16
func.func @silu_mul_bf16(%g: tensor<?x96xbf16>, %u: tensor<?x96xbf16>) -> tensor<?x96xbf16> {
  // CHECK: qopt.silu_mul %{{.*}}, %{{.*}} : (tensor<?x96xbf16>, tensor<?x96xbf16>) -> tensor<?x96xbf16>
  %y = qopt.silu_mul %g, %u : (tensor<?x96xbf16>, tensor<?x96xbf16>) -> tensor<?x96xbf16>
  return %y : tensor<?x96xbf16>
}

// CHECK-LABEL: func @add_bf16
func.func @add_bf16(%a: tensor<?x96xbf16>, %b: tensor<?x96xbf16>) -> tensor<?x96xbf16> {
  // CHECK: qopt.add %{{.*}}, %{{.*}} : tensor<?x96xbf16>
  %y = qopt.add %a, %b : tensor<?x96xbf16>
  return %y : tensor<?x96xbf16>
}

// CHECK-LABEL: func @slice_bf16
func.func @slice_bf16(%x: tensor<?x960xbf16>) -> tensor<?x192xbf16> {
  // CHECK: qopt.slice %{{.*}} {offset = 576 : i64} : (tensor<?x960xbf16>) -> tensor<?x192xbf16>
  %y = qopt.slice %x {offset = 576 : i64} : (tensor<?x960xbf16>) -> tensor<?x192xbf16>
  return %y : tensor<?x192xbf16>
}

// CHECK-LABEL: func @quantize_i8
func.func @quantize_i8(%x: tensor<?x64xbf16>) -> tensor<?x64xbf16> {
  // CHECK: qopt.quantize %{{.*}} : (tensor<?x64xbf16>) -> tensor<?x64x!qopt.q<i8, per_token, scale = f32>>
  %q = qopt.quantize %x : (tensor<?x64xbf16>) -> tensor<?x64x!qopt.q<i8, per_token, scale = f32>>
  // CHECK: qopt.dequantize %{{.*}} : (tensor<?x64x!qopt.q<i8, per_token, scale = f32>>) -> tensor<?x64xbf16>
  %y = qopt.dequantize %q : (tensor<?x64x!qopt.q<i8, per_token, scale = f32>>) -> tensor<?x64xbf16>
  return %y : tensor<?x64xbf16>
}

// CHECK-LABEL: func @logits_f32
func.func @logits_f32(%x: tensor<?x64xbf16>, %w: tensor<512x64xbf16>, %batch: !qopt.batch) -> tensor<?x512xf32> {
  // CHECK: qopt.logits %{{.*}}, %{{.*}} : (tensor<?x64xbf16>, tensor<512x64xbf16>) -> tensor<?x512xf32>
  %0 = qopt.logits %x, %w : (tensor<?x64xbf16>, tensor<512x64xbf16>) -> tensor<?x512xf32>
  // CHECK: qopt.logits %{{.*}}, %{{.*}} batch(%{{.*}}) : (tensor<?x64xbf16>, tensor<512x64xbf16>, !qopt.batch) -> tensor<?x512xf32>
  %1 = qopt.logits %x, %w batch(%batch) : (tensor<?x64xbf16>, tensor<512x64xbf16>, !qopt.batch) -> tensor<?x512xf32>
  return %1 : tensor<?x512xf32>
}
