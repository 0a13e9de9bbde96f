// RUN: qopt-opt %s --split-input-file --verify-diagnostics

// -----

// expected-error @+1 {{storage must be i4, ui4, i8 or f8E4M3FN, found 'i16'}}
func.func private @q_storage(!qopt.q<i16, per_channel, scale = f32>)

// -----

// expected-error @+1 {{group size must be positive, found 0}}
func.func private @q_group_zero(!qopt.q<i4, group = 0, scale = f32>)

// -----

// expected-error @+1 {{group size must be a multiple of 16, found 24}}
func.func private @q_group_multiple(!qopt.q<i4, group = 24, scale = f32>)

// -----

// expected-error @+1 {{scale and min must be f32, f16 or bf16, found 'f64'}}
func.func private @q_scale(!qopt.q<i8, per_channel, scale = f64>)

// -----

// expected-error @+1 {{ui4 storage goes with a min, and only ui4 does}}
func.func private @q_min(!qopt.q<i4, group = 32, scale = f16, min = f16>)

// -----

// expected-error @+1 {{ui4 storage goes with a min, and only ui4 does}}
func.func private @q_no_min(!qopt.q<ui4, group = 32, scale = f16>)

// -----

// expected-error @+1 {{min must have the scale's type 'f16', found 'bf16'}}
func.func private @q_min_type(!qopt.q<ui4, group = 32, scale = f16, min = bf16>)

// -----

// expected-error @+1 {{per_token storage must be i8 or f8E4M3FN, found 'i4'}}
func.func private @q_per_token(!qopt.q<i4, per_token, scale = f32>)

// -----

// expected-error @+1 {{layers, kv_heads, head_dim and page_tokens must be positive}}
func.func private @cache_positive(!qopt.kv_cache<layers = 0, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>)

// -----

// expected-error @+1 {{cache type must be a float type, found 'i8'}}
func.func private @cache_type(!qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = i8>)

// -----

// expected-error @+1 {{head_dim must be positive and even, found 3}}
func.func private @rope_head_dim() attributes {a = #qopt.rope<head_dim = 3, theta = 1.0 : f64, scaling = none>}

// -----

// expected-error @+1 {{theta must be positive}}
func.func private @rope_theta() attributes {a = #qopt.rope<head_dim = 4, theta = 0.0 : f64, scaling = none>}

// -----

// expected-error @+1 {{linear scaling needs a positive factor}}
func.func private @rope_factor() attributes {a = #qopt.rope<head_dim = 4, theta = 1.0 : f64, scaling = linear>}

// -----

// expected-error @+1 {{llama3 scaling needs low, high and original}}
func.func private @rope_llama3() attributes {a = #qopt.rope<head_dim = 4, theta = 1.0 : f64, scaling = llama3, factor = 8.0 : f64>}

// -----

// expected-error @+1 {{llama3 scaling needs low below high}}
func.func private @rope_llama3_order() attributes {a = #qopt.rope<head_dim = 4, theta = 1.0 : f64, scaling = llama3, factor = 8.0 : f64, low = 4.0 : f64, high = 1.0 : f64, original = 8>}

// -----

// expected-error @+1 {{table scaling, and only it, has a table}}
func.func private @rope_table() attributes {a = #qopt.rope<head_dim = 4, theta = 1.0 : f64, scaling = table>}

// -----

// expected-error @+1 {{table has 1 frequencies, expected head_dim / 2 = 2}}
func.func private @rope_table_size() attributes {a = #qopt.rope<head_dim = 4, theta = 1.0 : f64, scaling = table, table = [1.0]>}

// -----

func.func @weight_unnamed() {
  // expected-error @+1 {{needs at least one name}}
  %w = "qopt.weight"() {sources = []} : () -> tensor<4x4xf32>
  return
}

// -----

func.func @weight_dynamic() {
  // expected-error @+1 {{result must have a static shape, found}}
  %w = qopt.weight @w : tensor<?x4xf32>
  return
}

// -----

func.func @weight_empty() {
  // expected-error @+1 {{result must have elements, found}}
  %w = qopt.weight @w : tensor<4x0xf32>
  return
}

// -----

func.func @weight_per_token() {
  // expected-error @+1 {{a weight can't be quantized per_token}}
  %w = qopt.weight @w : tensor<4x4x!qopt.q<i8, per_token, scale = f32>>
  return
}

// -----

func.func @weight_group() {
  // expected-error @+1 {{group size 32 does not divide K = 48}}
  %w = qopt.weight @w : tensor<4x48x!qopt.q<i4, group = 32, scale = bf16>>
  return
}

// -----

func.func @weight_stored_group() {
  // expected-error @+1 {{group size 32 does not divide K = 48}}
  %w = qopt.weight @w stored !qopt.q<i4, group = 32, scale = bf16> : tensor<4x48xf32>
  return
}

// -----

func.func @weight_element() {
  // expected-error @+1 {{must be non-scalar ranked tensor}}
  %w = qopt.weight @w : tensor<4x4xi32>
  return
}

// -----

func.func @weight_scalar() {
  // expected-error @+1 {{must be non-scalar ranked tensor}}
  %w = qopt.weight @w : tensor<f32>
  return
}

// -----

func.func @embedding_table(%t: tensor<?xi32>, %w: tensor<64xf32>) {
  // expected-error @+1 {{table has rank 1, expected 2}}
  %y = qopt.embedding %t, %w : (tensor<?xi32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @embedding_rows(%t: tensor<?xi32>, %w: tensor<8x64xf32>) {
  // expected-error @+1 {{result must have one row for each token}}
  %y = qopt.embedding %t, %w : (tensor<?xi32>, tensor<8x64xf32>) -> tensor<4x64xf32>
  return
}

// -----

func.func @embedding_columns(%t: tensor<?xi32>, %w: tensor<8x64xf32>) {
  // expected-error @+1 {{result has last dimension 32, expected 64}}
  %y = qopt.embedding %t, %w : (tensor<?xi32>, tensor<8x64xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @norm_weight_rank(%x: tensor<?x64xf32>, %w: tensor<1x64xf32>) {
  // expected-error @+1 {{weight has rank 2, expected 1}}
  %y = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<?x64xf32>, tensor<1x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @norm_tokens(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error @+1 {{expected the same tokens in}}
  %y = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<2x64xf32>
  return
}

// -----

func.func @norm_result(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error @+1 {{result has last dimension 32, expected 64}}
  %y = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @norm_weight(%x: tensor<?x64xf32>, %w: tensor<32xf32>) {
  // expected-error @+1 {{weight has last dimension 32, expected 64}}
  %y = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<?x64xf32>, tensor<32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @norm_per_channel(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error @+1 {{quantized result must be per_token, found}}
  %y = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64x!qopt.q<i8, per_channel, scale = f32>>
  return
}

// -----

func.func @linear_weight_rank(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error @+1 {{weight has rank 1, expected 2}}
  %y = qopt.linear %x, %w : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @linear_tokens(%x: tensor<?x64xf32>, %w: tensor<32x64xf32>) {
  // expected-error @+1 {{expected the same tokens in}}
  %y = qopt.linear %x, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<2x32xf32>
  return
}

// -----

func.func @linear_input(%x: tensor<?x48xf32>, %w: tensor<32x64xf32>) {
  // expected-error @+1 {{input has last dimension 48, expected 64}}
  %y = qopt.linear %x, %w : (tensor<?x48xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @linear_result(%x: tensor<?x64xf32>, %w: tensor<32x64xf32>) {
  // expected-error @+1 {{result has last dimension 64, expected 32}}
  %y = qopt.linear %x, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @linear_bias_rank(%x: tensor<?x64xf32>, %w: tensor<32x64xf32>, %b: tensor<1x32xf32>) {
  // expected-error @+1 {{bias has rank 2, expected 1}}
  %y = qopt.linear %x, %w bias(%b) : (tensor<?x64xf32>, tensor<32x64xf32>, tensor<1x32xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @linear_bias(%x: tensor<?x64xf32>, %w: tensor<32x64xf32>, %b: tensor<64xf32>) {
  // expected-error @+1 {{bias has last dimension 64, expected 32}}
  %y = qopt.linear %x, %w bias(%b) : (tensor<?x64xf32>, tensor<32x64xf32>, tensor<64xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @linear_residual(%x: tensor<?x64xf32>, %w: tensor<32x64xf32>, %r: tensor<?x64xf32>) {
  // expected-error @+1 {{residual has type 'tensor<?x64xf32>', expected the shape of 'tensor<?x32xf32>'}}
  %y = qopt.linear %x, %w residual(%r) : (tensor<?x64xf32>, tensor<32x64xf32>, tensor<?x64xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @linear_per_channel_input(%x: tensor<?x64x!qopt.q<i8, per_channel, scale = f32>>, %w: tensor<32x64x!qopt.q<i8, per_channel, scale = f32>>) {
  // expected-error @+1 {{quantized input must be per_token, found}}
  %y = qopt.linear %x, %w : (tensor<?x64x!qopt.q<i8, per_channel, scale = f32>>, tensor<32x64x!qopt.q<i8, per_channel, scale = f32>>) -> tensor<?x32xf32>
  return
}

// -----

func.func @linear_float_weight(%x: tensor<?x64x!qopt.q<i8, per_token, scale = f32>>, %w: tensor<32x64xf32>) {
  // expected-error @+1 {{input quantized as 'i8' per_token needs a weight of the same storage per_channel}}
  %y = qopt.linear %x, %w : (tensor<?x64x!qopt.q<i8, per_token, scale = f32>>, tensor<32x64xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @linear_grouped_weight(%x: tensor<?x64x!qopt.q<i8, per_token, scale = f32>>, %w: tensor<32x64x!qopt.q<i8, group = 32, scale = f16>>) {
  // expected-error @+1 {{input quantized as 'i8' per_token needs a weight of the same storage per_channel}}
  %y = qopt.linear %x, %w : (tensor<?x64x!qopt.q<i8, per_token, scale = f32>>, tensor<32x64x!qopt.q<i8, group = 32, scale = f16>>) -> tensor<?x32xf32>
  return
}

// -----

func.func @linear_other_storage(%x: tensor<?x64x!qopt.q<i8, per_token, scale = f32>>, %w: tensor<32x64x!qopt.q<f8E4M3FN, per_channel, scale = f32>>) {
  // expected-error @+1 {{input quantized as 'i8' per_token needs a weight of the same storage per_channel}}
  %y = qopt.linear %x, %w : (tensor<?x64x!qopt.q<i8, per_token, scale = f32>>, tensor<32x64x!qopt.q<f8E4M3FN, per_channel, scale = f32>>) -> tensor<?x32xf32>
  return
}

// -----

func.func @rope_type(%x: tensor<?x64xf32>, %b: !qopt.batch) {
  // expected-error @+1 {{input and result must have the same type}}
  %y = qopt.rope %x, %b {rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>} : (tensor<?x64xf32>, !qopt.batch) -> tensor<?x64xbf16>
  return
}

// -----

func.func @rope_heads(%x: tensor<?x40xf32>, %b: !qopt.batch) {
  // expected-error @+1 {{last dimension 40 is not a multiple of head_dim 16}}
  %y = qopt.rope %x, %b {rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>} : (tensor<?x40xf32>, !qopt.batch) -> tensor<?x40xf32>
  return
}

// -----

func.func @silu_mul_operands(%g: tensor<?x64xf32>, %u: tensor<?x32xf32>) {
  // expected-error @+1 {{gate and up must have the same type}}
  %y = qopt.silu_mul %g, %u : (tensor<?x64xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @silu_mul_tokens(%g: tensor<?x64xf32>) {
  // expected-error @+1 {{expected the same tokens in}}
  %y = qopt.silu_mul %g, %g : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<2x64xf32>
  return
}

// -----

func.func @silu_mul_result(%g: tensor<?x64xf32>) {
  // expected-error @+1 {{result has last dimension 32, expected 64}}
  %y = qopt.silu_mul %g, %g : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @silu_mul_per_channel(%g: tensor<?x64xf32>) {
  // expected-error @+1 {{quantized result must be per_token, found}}
  %y = qopt.silu_mul %g, %g : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64x!qopt.q<i8, per_channel, scale = f32>>
  return
}

// -----

func.func @slice_tokens(%x: tensor<?x64xf32>) {
  // expected-error @+1 {{expected the same tokens in}}
  %y = qopt.slice %x {offset = 0 : i64} : (tensor<?x64xf32>) -> tensor<2x32xf32>
  return
}

// -----

func.func @slice_columns(%x: tensor<?x64xf32>) {
  // expected-error @+1 {{columns [48, 80) are outside of the input's 64}}
  %y = qopt.slice %x {offset = 48 : i64} : (tensor<?x64xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @slice_negative(%x: tensor<?x64xf32>) {
  // expected-error @+1 {{columns [-8, 24) are outside of the input's 64}}
  %y = qopt.slice %x {offset = -8 : i64} : (tensor<?x64xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @quantize_float(%x: tensor<?x64xf32>) {
  // expected-error @+1 {{result must be quantized, found}}
  %y = qopt.quantize %x : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @quantize_shape(%x: tensor<?x64xf32>) {
  // expected-error @+1 {{input and result must have the same shape}}
  %y = qopt.quantize %x : (tensor<?x64xf32>) -> tensor<?x32x!qopt.q<i8, per_token, scale = f32>>
  return
}

// -----

func.func @quantize_per_channel(%x: tensor<?x64xf32>) {
  // expected-error @+1 {{quantized result must be per_token, found}}
  %y = qopt.quantize %x : (tensor<?x64xf32>) -> tensor<?x64x!qopt.q<i8, per_channel, scale = f32>>
  return
}

// -----

func.func @dequantize_float(%x: tensor<?x64xf32>) {
  // expected-error @+1 {{input must be quantized, found}}
  %y = qopt.dequantize %x : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @dequantize_shape(%x: tensor<?x64x!qopt.q<i8, per_token, scale = f32>>) {
  // expected-error @+1 {{input and result must have the same shape}}
  %y = qopt.dequantize %x : (tensor<?x64x!qopt.q<i8, per_token, scale = f32>>) -> tensor<?x32xf32>
  return
}

// -----

func.func @logits_weight_rank(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error @+1 {{weight has rank 1, expected 2}}
  %y = qopt.logits %x, %w : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @logits_input(%x: tensor<?x48xf32>, %w: tensor<32x64xf32>) {
  // expected-error @+1 {{input has last dimension 48, expected 64}}
  %y = qopt.logits %x, %w : (tensor<?x48xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @logits_result(%x: tensor<?x64xf32>, %w: tensor<32x64xf32>) {
  // expected-error @+1 {{result has last dimension 64, expected 32}}
  %y = qopt.logits %x, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @logits_tokens(%x: tensor<?x64xf32>, %w: tensor<32x64xf32>) {
  // expected-error @+1 {{expected the same tokens in}}
  %y = qopt.logits %x, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<2x32xf32>
  return
}

// -----

func.func @logits_rank(%x: tensor<?x64xf32>, %w: tensor<32x64xf32>, %b: !qopt.batch) {
  // expected-error @+1 {{result has rank 3, expected 2}}
  %y = qopt.logits %x, %w batch(%b) : (tensor<?x64xf32>, tensor<32x64xf32>, !qopt.batch) -> tensor<1x?x32xf32>
  return
}

// -----

func.func @attention_heads(%q: tensor<?x?x64xf32>, %k: tensor<?x?x32xf32>, %m: tensor<?x?xi64>, %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>) {
  // expected-error @+1 {{num_heads 3 is not a multiple of num_kv_heads 2}}
  %y:3 = qopt.attention %q, %k, %k, %m, %pk, %pv {num_heads = 3 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64} : (tensor<?x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>) -> (tensor<?x?x64xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  return
}

// -----

func.func @attention_past_rank(%q: tensor<?x?x64xf32>, %k: tensor<?x?x32xf32>, %m: tensor<?x?xi64>, %pk: tensor<2x?x16xf32>, %pv: tensor<?x2x?x16xf32>) {
  // expected-error @+1 {{past or present has rank 3, expected 4}}
  %y:3 = qopt.attention %q, %k, %k, %m, %pk, %pv {num_heads = 4 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64} : (tensor<?x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<2x?x16xf32>, tensor<?x2x?x16xf32>) -> (tensor<?x?x64xf32>, tensor<2x?x16xf32>, tensor<?x2x?x16xf32>)
  return
}

// -----

func.func @attention_past_heads(%q: tensor<?x?x64xf32>, %k: tensor<?x?x32xf32>, %m: tensor<?x?xi64>, %pk: tensor<?x3x?x16xf32>, %pv: tensor<?x2x?x16xf32>) {
  // expected-error @+1 {{past or present has 3 heads, expected 2}}
  %y:3 = qopt.attention %q, %k, %k, %m, %pk, %pv {num_heads = 4 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64} : (tensor<?x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x3x?x16xf32>, tensor<?x2x?x16xf32>) -> (tensor<?x?x64xf32>, tensor<?x3x?x16xf32>, tensor<?x2x?x16xf32>)
  return
}

// -----

func.func @attention_past_head_dim(%q: tensor<?x?x64xf32>, %k: tensor<?x?x32xf32>, %m: tensor<?x?xi64>, %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x8xf32>) {
  // expected-error @+1 {{past or present has last dimension 8, expected 16}}
  %y:3 = qopt.attention %q, %k, %k, %m, %pk, %pv {num_heads = 4 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64} : (tensor<?x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x8xf32>) -> (tensor<?x?x64xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x8xf32>)
  return
}

// -----

func.func @attention_query_rank(%q: tensor<?x64xf32>, %k: tensor<?x?x32xf32>, %m: tensor<?x?xi64>, %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>) {
  // expected-error @+1 {{query or result has rank 2, expected 3}}
  %y:3 = qopt.attention %q, %k, %k, %m, %pk, %pv {num_heads = 4 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64} : (tensor<?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>) -> (tensor<?x64xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  return
}

// -----

func.func @attention_query(%q: tensor<?x?x48xf32>, %k: tensor<?x?x32xf32>, %m: tensor<?x?xi64>, %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>) {
  // expected-error @+1 {{query or result has last dimension 48, expected 64}}
  %y:3 = qopt.attention %q, %k, %k, %m, %pk, %pv {num_heads = 4 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64} : (tensor<?x?x48xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>) -> (tensor<?x?x48xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  return
}

// -----

func.func @attention_key_rank(%q: tensor<?x?x64xf32>, %k: tensor<?x32xf32>, %m: tensor<?x?xi64>, %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>) {
  // expected-error @+1 {{key or value has rank 2, expected 3}}
  %y:3 = qopt.attention %q, %k, %k, %m, %pk, %pv {num_heads = 4 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64} : (tensor<?x?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>) -> (tensor<?x?x64xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  return
}

// -----

func.func @attention_key(%q: tensor<?x?x64xf32>, %k: tensor<?x?x48xf32>, %m: tensor<?x?xi64>, %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>) {
  // expected-error @+1 {{key or value has last dimension 48, expected 32}}
  %y:3 = qopt.attention %q, %k, %k, %m, %pk, %pv {num_heads = 4 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64} : (tensor<?x?x64xf32>, tensor<?x?x48xf32>, tensor<?x?x48xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>) -> (tensor<?x?x64xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  return
}

// -----

func.func @attention_mask(%q: tensor<?x?x64xf32>, %k: tensor<?x?x32xf32>, %m: tensor<?xi64>, %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>) {
  // expected-error @+1 {{mask has rank 1, expected 2}}
  %y:3 = qopt.attention %q, %k, %k, %m, %pk, %pv {num_heads = 4 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64} : (tensor<?x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>) -> (tensor<?x?x64xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  return
}

// -----

func.func @paged_attention_layer(%q: tensor<?x64xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{layer 2 is outside of the cache's 2}}
  %y = qopt.paged_attention %q, %c, %b {layer = 2 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (tensor<?x64xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> tensor<?x64xf32>
  return
}

// -----

func.func @paged_attention_heads(%q: tensor<?x64xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{num_heads 3 is not a multiple of the cache's 2 heads}}
  %y = qopt.paged_attention %q, %c, %b {layer = 0 : i64, num_heads = 3 : i64, scale = 0.25 : f64} : (tensor<?x64xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> tensor<?x64xf32>
  return
}

// -----

func.func @paged_attention_type(%q: tensor<?x64xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{query and result must have the same type}}
  %y = qopt.paged_attention %q, %c, %b {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (tensor<?x64xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> tensor<?x64xbf16>
  return
}

// -----

func.func @paged_attention_rank(%q: tensor<?x?x64xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{query has rank 3, expected 2}}
  %y = qopt.paged_attention %q, %c, %b {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (tensor<?x?x64xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> tensor<?x?x64xf32>
  return
}

// -----

func.func @paged_attention_query(%q: tensor<?x48xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{query has last dimension 48, expected 64}}
  %y = qopt.paged_attention %q, %c, %b {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (tensor<?x48xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> tensor<?x48xf32>
  return
}

// -----

func.func @kv_append_layer(%k: tensor<?x32xf32>, %v: tensor<?x32xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{layer -1 is outside of the cache's 2}}
  qopt.kv_append %k, %v, %c, %b {layer = -1 : i64} : (tensor<?x32xf32>, tensor<?x32xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> ()
  return
}

// -----

func.func @kv_append_key_rank(%k: tensor<?x?x32xf32>, %v: tensor<?x32xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{key has rank 3, expected 2}}
  qopt.kv_append %k, %v, %c, %b {layer = 0 : i64} : (tensor<?x?x32xf32>, tensor<?x32xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> ()
  return
}

// -----

func.func @kv_append_value_rank(%k: tensor<?x32xf32>, %v: tensor<?x?x32xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{value has rank 3, expected 2}}
  qopt.kv_append %k, %v, %c, %b {layer = 0 : i64} : (tensor<?x32xf32>, tensor<?x?x32xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> ()
  return
}

// -----

func.func @kv_append_key(%k: tensor<?x48xf32>, %v: tensor<?x32xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{key has 48 columns, expected 32}}
  qopt.kv_append %k, %v, %c, %b {layer = 0 : i64} : (tensor<?x48xf32>, tensor<?x32xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> ()
  return
}

// -----

func.func @kv_append_value(%k: tensor<?x32xf32>, %v: tensor<?x48xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{value has 48 columns, expected 32}}
  qopt.kv_append %k, %v, %c, %b {layer = 0 : i64} : (tensor<?x32xf32>, tensor<?x48xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> ()
  return
}

// -----

func.func @rope_append_layer(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{layer 2 is outside of the cache's 2}}
  %y = qopt.rope_append %q, %k, %k, %c, %b {layer = 2 : i64, rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> tensor<?x64xf32>
  return
}

// -----

func.func @rope_append_key(%q: tensor<?x64xf32>, %k: tensor<?x48xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{key has 48 columns, expected 32}}
  %y = qopt.rope_append %q, %k, %k, %c, %b {layer = 0 : i64, rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>} : (tensor<?x64xf32>, tensor<?x48xf32>, tensor<?x48xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> tensor<?x64xf32>
  return
}

// -----

func.func @rope_append_head_dim(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{rope has head_dim 8, expected the cache's 16}}
  %y = qopt.rope_append %q, %k, %k, %c, %b {layer = 0 : i64, rope = #qopt.rope<head_dim = 8, theta = 1.0e4 : f64, scaling = none>} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> tensor<?x64xf32>
  return
}

// -----

func.func @rope_append_query(%q: tensor<?x40xf32>, %k: tensor<?x32xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{query has last dimension 40, expected a multiple of head_dim 16}}
  %y = qopt.rope_append %q, %k, %k, %c, %b {layer = 0 : i64, rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>} : (tensor<?x40xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> tensor<?x40xf32>
  return
}

// -----

func.func @rope_append_type(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %c: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, %b: !qopt.batch) {
  // expected-error @+1 {{query and result must have the same type}}
  %y = qopt.rope_append %q, %k, %k, %c, %b {layer = 0 : i64, rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> tensor<?x64xbf16>
  return
}

// -----

func.func @logits_storage(%x: tensor<?x64x!qopt.q<i8, per_token, scale = f32>>, %w: tensor<32x64xbf16>) {
  // expected-error @+1 {{input quantized as 'i8' per_token needs a weight of the same storage per_channel}}
  %y = qopt.logits %x, %w : (tensor<?x64x!qopt.q<i8, per_token, scale = f32>>, tensor<32x64xbf16>) -> tensor<?x32xf32>
  return
}
