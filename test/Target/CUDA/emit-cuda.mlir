// The text of every launch. Schedules are given, so that no model of the machine
// decides what is written.
// RUN: qopt-opt %s --kernel-emit-cuda -o %t.mlir | FileCheck %s
// RUN: FileCheck %s --check-prefix=ENTRY --input-file %t.mlir

#rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>
#small = #kernel.schedule<{tile_n = 16 : i64, tile_t = 8 : i64, k_stage = 64 : i64, stages = 2 : i64, wgmma = 0 : i64}, reason = "small">
#codes = #kernel.schedule<{tile_n = 64 : i64, tile_t = 64 : i64, k_stage = 128 : i64, stages = 3 : i64, wgmma = 1 : i64}, reason = "codes">
!cache = !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
!table = !kernel.packed<tensor<512x64xbf16>, #kernel.layout<swizzled>>
!plain = !kernel.packed<tensor<128x64xbf16>, #kernel.layout<swizzled>>
!pair = !kernel.packed<tensor<192x64x!qopt.q<i4, group = 64, scale = bf16>>, #kernel.layout<fragment, interleave = 1>>
!fp8 = !kernel.packed<tensor<64x128x!qopt.q<f8E4M3FN, per_channel, scale = bf16>>, #kernel.layout<swizzled>>

// CHECK-LABEL: //===- embedding_k64
// CHECK: #include "embedding.cuh"
// CHECK: constexpr RowConfig config = {.columns = 64, .input_stride = 0, .output_stride = 64};
// CHECK: constexpr GemmConfig table = {.codes = Codes::bf16, .n = 512, .k = 64,
// CHECK: extern "C" __global__ void __launch_bounds__(row_threads(config.columns), 1)
// CHECK-NEXT: embedding_k64(const int32_t *tokens,
// CHECK-NEXT:     const void *image,
// CHECK-NEXT:     bf16 *y,
// CHECK-NEXT:     int64_t rows) {
// CHECK-NEXT:   embedding<config, table>(tokens, image, y, rows);

// CHECK-LABEL: //===- norm_k64
// CHECK: constexpr NormConfig config = {.columns = 64, .input_stride = 64, .output_stride = 64,
// CHECK-NEXT:     .eps = 0x1.4f8b58p-17f};
// CHECK: norm_k64(const bf16 *x,
// CHECK:   rms_norm<config>(x, weight, y, rows);

// CHECK-LABEL: //===- gemm_bf16_k64_n128_c16_t8
// CHECK: constexpr GemmConfig config = {.codes = Codes::bf16, .n = 128, .k = 64,
// CHECK-NEXT:     .group = 64, .affine = false, .scale = Number::bf16,
// CHECK-NEXT:     .tile_n = 16, .tile_t = 8, .k_stage = 64, .stages = 2,
// CHECK-NEXT:     .wgmma = false, .pair = false, .k_warps = 1, .row_copies = false};
// A bias is a vector: stride 0.
// CHECK: struct Epilogue {
// CHECK-NEXT:   using Output = bf16;
// CHECK-NEXT:   static constexpr int output_stride = 128;
// CHECK-NEXT:   Output *output;
// CHECK-NEXT:   static constexpr int extras = 1;
// CHECK-NEXT:   const bf16 *extra0;
// CHECK-NEXT:   static constexpr int extra0_stride = 0;
// CHECK-NEXT:   __device__ static float apply(float sum, float extra0) {
// CHECK-NEXT:     const float v0 = __fadd_rn(sum, extra0);
// CHECK-NEXT:     return v0;
// CHECK: gemm_bf16_k64_n128_c16_t8(const bf16 *x,
// CHECK-NEXT:     const void *weight,
// CHECK-NEXT:     const bf16 *extra0,
// CHECK-NEXT:     bf16 *y,
// CHECK-NEXT:     int64_t rows,
// CHECK-NEXT:     const __grid_constant__ TensorMap x_map) {
// CHECK-NEXT:   gemm<config>(x_map, nullptr, weight, Epilogue{y, extra0}, rows);

// CHECK-LABEL: //===- rotary_table_k16
// CHECK: __constant__ float frequencies[8] = {
// CHECK-NEXT:     0x1p+0f,
// CHECK: rotary_table<16>(positions, frequencies, table, rows);

// CHECK-LABEL: //===- rope_append_k64
// A page of two layers holds 2 x 2 x 2 x 64 x 16 values of bf16.
// CHECK: constexpr AppendConfig config = {.kv_heads = 2, .head_dim = 16,
// CHECK-NEXT:     .key_stride = 128, .value_stride = 128, .page_bytes = 16384,
// CHECK-NEXT:     .heads = 4, .query_stride = 128, .output_stride = 64};
// CHECK:   rope_append<config>(query, key, value, table, pool, positions, sequences, block_tables,
// CHECK-NEXT:                       max_pages, y, rows);

// CHECK-LABEL: //===- rope_k32
// CHECK: constexpr RopeConfig config = {.heads = 2, .head_dim = 16,
// CHECK-NEXT:     .input_stride = 128, .output_stride = 32};
// CHECK:   rope<config>(x, table, y, rows);

// CHECK-LABEL: //===- kv_append_k32
// CHECK: constexpr AppendConfig config = {.kv_heads = 2, .head_dim = 16,
// CHECK-NEXT:     .key_stride = 32, .value_stride = 128, .page_bytes = 16384};
// CHECK:   kv_append<config>(key, value, pool, positions, sequences, block_tables, max_pages, rows);

// CHECK-LABEL: //===- attention_decode_s2_h4_kv2_d16
// CHECK: constexpr AttentionConfig config = {.heads = 4, .kv_heads = 2, .head_dim = 16,
// CHECK-NEXT:     .query_stride = 64, .output_stride = 64, .scale = 0x1p-2f,
// CHECK-NEXT:     .page_bytes = 16384, .warps = 4, .stages = 2, .splits = 2};
// CHECK: extern "C" __global__ void __cluster_dims__(1, 1, 2) __launch_bounds__(decode_threads(config), 1)
// CHECK:     int64_t rows) {
// CHECK-NEXT:   attention_decode<config>(query, pool, positions, sequences, block_tables, max_pages, y, rows);

// CHECK-LABEL: //===- rope_attention_decode_s1_h4_kv2_d16
// CHECK: #include "rope_attention.cuh"
// CHECK:     .query_stride = 128, .output_stride = 64, .scale = 0x1p-2f,
// CHECK-NEXT:     .page_bytes = 16384, .warps = 4, .stages = 2, .splits = 1,
// CHECK-NEXT:     .key_stride = 128, .value_stride = 128};
// CHECK: extern "C" __global__ void __launch_bounds__(decode_threads(config), 1)
// CHECK-NEXT: rope_attention_decode_s1_h4_kv2_d16(const bf16 *query,
// CHECK-NEXT:     void *pool,
// CHECK:     int64_t max_pages,
// CHECK-NEXT:     const bf16 *key,
// CHECK-NEXT:     const bf16 *value,
// CHECK-NEXT:     const float *table,
// CHECK-NEXT:     bf16 *y,
// CHECK-NEXT:     int64_t rows) {
// CHECK-NEXT:   rope_attention<config>(query, key, value, table, pool, positions, sequences, block_tables,
// CHECK-NEXT:                          max_pages, y, rows);

// CHECK-LABEL: //===- quantize_fp8_k128
// CHECK: quantize_fp8_k128(const bf16 *x,
// CHECK-NEXT:     e4m3 *codes,
// CHECK-NEXT:     float *scales,
// CHECK:   quantize<config>(x, codes, scales, rows);

// CHECK-LABEL: //===- gemm_w8a8_fp8_k128_n64_w64_t64
// CHECK: .codes = Codes::e4m3
// CHECK: .wgmma = true
// CHECK: extra0_stride = 64;
// CHECK: gemm_w8a8_fp8_k128_n64_w64_t64(const e4m3 *x,
// CHECK-NEXT:     const float *x_scales,
// CHECK:   gemm<config>(x_map, x_scales, weight, Epilogue{y, extra0}, rows);

// CHECK-LABEL: //===- norm_int8_k64
// CHECK:     int8_t *codes,
// CHECK-NEXT:     float *scales,
// CHECK:   rms_norm_quantized<config>(x, weight, codes, scales, rows);

// Gate and up are rounded before the function, the product by the store.
// CHECK-LABEL: //===- gemm_w4a16_g64_k64_n96_pair_c16_t8
// CHECK: .codes = Codes::s4, .n = 192, .k = 64,
// CHECK: .pair = true, .k_warps = 1, .row_copies = false};
// CHECK: __device__ static float apply(float gate, float up) {
// CHECK-NEXT:     const float v0 = to_float(to_bf16(gate));
// CHECK-NEXT:     const float v1 = to_float(to_bf16(up));
// CHECK-NEXT:     const float v2 = -v0;
// CHECK-NEXT:     const float v3 = expf(v2);
// CHECK-NEXT:     const float v4 = __fadd_rn(0x1p+0f, v3);
// CHECK-NEXT:     const float v5 = quotient(v0, v4);
// CHECK-NEXT:     const float v6 = __fmul_rn(v5, v1);
// CHECK-NEXT:     return v6;

// CHECK-LABEL: //===- elementwise_k64
// CHECK: struct Body {
// CHECK-NEXT:   static constexpr int extras = 2;
// CHECK-NEXT:   const bf16 *extra0;
// CHECK-NEXT:   static constexpr int extra0_stride = 64;
// CHECK-NEXT:   const bf16 *extra1;
// CHECK-NEXT:   static constexpr int extra1_stride = 128;
// CHECK-NEXT:   __device__ static float apply(float extra0, float extra1) {
// Arithmetic on bf16 rounds each result.
// CHECK-NEXT:     const float v0 = to_float(to_bf16(__fsub_rn(extra0, extra1)));
// CHECK: __launch_bounds__(elementwise_threads(config.columns), 1)
// CHECK:   elementwise<config>(Body{extra0, extra1}, y, rows);

// CHECK-LABEL: //===- elementwise_int8_k64
// CHECK: __launch_bounds__(row_threads(config.columns), 1)
// CHECK:   elementwise_quantized<config>(Body{extra0}, codes, scales, rows);

// CHECK-LABEL: //===- gather_k64
// CHECK:   gather<config>(x, index, y, rows);

// CHECK-LABEL: //===- sample_v512
// CHECK: constexpr SampleConfig config = {.vocabulary = 512, .logits_stride = 512, .blocks = 8};
// CHECK: extern "C" __global__ void __cluster_dims__(1, 1, 8) __launch_bounds__(sample_threads(config), 1)
// CHECK-NEXT: sample_v512(const float *logits,
// CHECK-NEXT:     const SamplingRow *sampling,
// CHECK-NEXT:     int32_t *tokens,
// CHECK-NEXT:     float *logprobs,
// CHECK-NEXT:     int64_t rows) {
// CHECK-NEXT:   sample<config>(logits, sampling, tokens, logprobs, rows);

// Two kernels of one name.
// CHECK-LABEL: //===- norm_k64_v2

// CHECK-LABEL: //===- attention_tiles_h4_kv2_d16
// CHECK:     const int32_t *tiles,
// CHECK-NEXT:     int64_t tile_count) {
// CHECK-NEXT:   attention_tiles<config>(query, pool, positions, sequences, block_tables, max_pages, y, tiles, tile_count);

// CHECK-LABEL: //===- attention_decode_s1_h4_kv2_d16
// CHECK:   attention_decode<config>(query, pool, positions, sequences, block_tables, max_pages, y, rows);
// CHECK-NOT: //===-

// ENTRY: kernel.norm {{.*}}entry = @norm_k64,
// ENTRY: kernel.norm {{.*}}entry = @norm_k64_v2,
kernel.plan @decode kind = decode max_tokens = 4 max_logit_rows = 4 {
  %tokens = kernel.input tokens : memref<?xi32>
  %rows = kernel.input logit_rows : memref<?xi32>
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %table = kernel.weight @embed : !table
  %wqkv = kernel.weight @q, @k, @v : !plain
  %bias = kernel.weight @bq, @bk, @bv : memref<128xbf16>
  %wfp8 = kernel.weight @o : !fp8
  %wpair = kernel.weight @gate, @up : !pair
  %norm = kernel.weight @norm : memref<64xbf16>

  %x = kernel.alloc : memref<?x64xbf16>
  kernel.embedding ins(%tokens, %table) outs(%x) : (memref<?xi32>, !table, memref<?x64xbf16>) -> ()
  %n = kernel.alloc : memref<?x64xbf16>
  kernel.norm ins(%x, %norm) outs(%n) {eps = 1.0e-5 : f64} : (memref<?x64xbf16>, memref<64xbf16>, memref<?x64xbf16>) -> ()
  %qkv = kernel.alloc : memref<?x128xbf16>
  kernel.gemm ins(%n, %wqkv) extras(%bias) outs(%qkv) attributes {schedule = #small} epilogue {
  ^bb0(%acc: f32, %b: bf16):
    %0 = arith.extf %b : bf16 to f32
    %1 = arith.addf %acc, %0 : f32
    %2 = arith.truncf %1 : f32 to bf16
    kernel.yield %2 : bf16
  } : (memref<?x64xbf16>, !plain, memref<128xbf16>, memref<?x128xbf16>) -> ()
  %q = kernel.slice %qkv {offset = 0 : i64} : memref<?x128xbf16> to memref<?x64xbf16, strided<[128, 1]>>
  %k = kernel.slice %qkv {offset = 64 : i64} : memref<?x128xbf16> to memref<?x32xbf16, strided<[128, 1], offset: 64>>
  %v = kernel.slice %qkv {offset = 96 : i64} : memref<?x128xbf16> to memref<?x32xbf16, strided<[128, 1], offset: 96>>
  %angles = kernel.alloc : memref<?x16xf32>
  kernel.rotary_table ins(%batch) outs(%angles) {rope = #rope} : (!qopt.batch, memref<?x16xf32>) -> ()
  %qr = kernel.alloc : memref<?x64xbf16>
  kernel.rope_append ins(%q, %k, %v, %angles, %cache, %batch) outs(%qr) {layer = 0 : i64}
    : (memref<?x64xbf16, strided<[128, 1]>>, memref<?x32xbf16, strided<[128, 1], offset: 64>>,
       memref<?x32xbf16, strided<[128, 1], offset: 96>>, memref<?x16xf32>, !cache, !qopt.batch, memref<?x64xbf16>) -> ()
  %kr = kernel.alloc : memref<?x32xbf16>
  kernel.rope ins(%k, %angles) outs(%kr)
    : (memref<?x32xbf16, strided<[128, 1], offset: 64>>, memref<?x16xf32>, memref<?x32xbf16>) -> ()
  kernel.kv_append ins(%kr, %v, %cache, %batch) {layer = 0 : i64}
    : (memref<?x32xbf16>, memref<?x32xbf16, strided<[128, 1], offset: 96>>, !cache, !qopt.batch) -> ()
  %a = kernel.alloc : memref<?x64xbf16>
  kernel.attention ins(%qr, %cache, %batch) outs(%a)
    {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64,
     schedule = #kernel.schedule<{warps = 4 : i64, stages = 2 : i64, splits = 2 : i64}, reason = "two">}
    : (memref<?x64xbf16>, !cache, !qopt.batch, memref<?x64xbf16>) -> ()
  // The next layer's is the same kernel.
  kernel.attention ins(%qr, %cache, %batch) outs(%a)
    {layer = 1 : i64, num_heads = 4 : i64, scale = 0.25 : f64,
     schedule = #kernel.schedule<{warps = 4 : i64, stages = 2 : i64, splits = 2 : i64}, reason = "two">}
    : (memref<?x64xbf16>, !cache, !qopt.batch, memref<?x64xbf16>) -> ()
  kernel.attention ins(%q, %cache, %batch) rope_append(%k, %v, %angles) outs(%a)
    {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64,
     schedule = #kernel.schedule<{warps = 4 : i64, stages = 2 : i64, splits = 1 : i64}, reason = "one">}
    : (memref<?x64xbf16, strided<[128, 1]>>, !cache, !qopt.batch, memref<?x32xbf16, strided<[128, 1], offset: 64>>,
       memref<?x32xbf16, strided<[128, 1], offset: 96>>, memref<?x16xf32>, memref<?x64xbf16>) -> ()

  %codes = kernel.alloc : memref<?x128xf8E4M3FN>
  %scales = kernel.alloc : memref<?xf32>
  kernel.quantize ins(%qkv) outs(%codes, %scales) : (memref<?x128xbf16>, memref<?x128xf8E4M3FN>, memref<?xf32>) -> ()
  %o = kernel.alloc : memref<?x64xf32>
  kernel.gemm ins(%codes scales %scales, %wfp8) extras(%x) outs(%o) attributes {schedule = #codes} epilogue {
  ^bb0(%acc: f32, %r: bf16):
    %0 = arith.extf %r : bf16 to f32
    %1 = arith.addf %acc, %0 : f32
    kernel.yield %1 : f32
  } : (memref<?x128xf8E4M3FN>, memref<?xf32>, !fp8, memref<?x64xbf16>, memref<?x64xf32>) -> ()
  %bytes = kernel.alloc : memref<?x64xi8>
  kernel.norm ins(%x, %norm) outs(%bytes, %scales) {eps = 1.0e-5 : f64}
    : (memref<?x64xbf16>, memref<64xbf16>, memref<?x64xi8>, memref<?xf32>) -> ()
  %gu = kernel.alloc : memref<?x96xbf16>
  kernel.gemm ins(%x, %wpair) outs(%gu) attributes {schedule = #small} epilogue {
  ^bb0(%g: f32, %u: f32):
    %0 = arith.truncf %g : f32 to bf16
    %1 = arith.truncf %u : f32 to bf16
    %2 = arith.extf %0 : bf16 to f32
    %3 = arith.extf %1 : bf16 to f32
    %one = arith.constant 1.0 : f32
    %4 = arith.negf %2 : f32
    %5 = math.exp %4 : f32
    %6 = arith.addf %one, %5 : f32
    %7 = arith.divf %2, %6 : f32
    %8 = arith.mulf %7, %3 : f32
    %9 = arith.truncf %8 : f32 to bf16
    kernel.yield %9 : bf16
  } : (memref<?x64xbf16>, !pair, memref<?x96xbf16>) -> ()
  %y = kernel.alloc : memref<?x64xbf16>
  kernel.elementwise ins(%x, %q) outs(%y) body {
  ^bb0(%l: bf16, %r: bf16):
    %0 = arith.subf %l, %r : bf16
    kernel.yield %0 : bf16
  } : (memref<?x64xbf16>, memref<?x64xbf16, strided<[128, 1]>>, memref<?x64xbf16>) -> ()
  kernel.elementwise ins(%x) outs(%bytes, %scales) body {
  ^bb0(%l: bf16):
    %0 = arith.extf %l : bf16 to f32
    kernel.yield %0 : f32
  } : (memref<?x64xbf16>, memref<?x64xi8>, memref<?xf32>) -> ()
  %last = kernel.alloc rows = logit_rows : memref<?x64xbf16>
  kernel.gather ins(%y, %rows) outs(%last) : (memref<?x64xbf16>, memref<?xi32>, memref<?x64xbf16>) -> ()
  %logits = kernel.alloc rows = logit_rows : memref<?x512xf32>
  %sampling = kernel.input sampling : memref<?x14xi32>
  %chosen = kernel.alloc rows = logit_rows : memref<?xi32>
  %logprobs = kernel.alloc rows = logit_rows : memref<?xf32>
  kernel.sample ins(%logits, %sampling) outs(%chosen, %logprobs)
    {schedule = #kernel.schedule<{blocks = 8 : i64}, reason = "eight">}
    : (memref<?x512xf32>, memref<?x14xi32>, memref<?xi32>, memref<?xf32>) -> ()
  kernel.norm ins(%q, %norm) outs(%n) {eps = 1.0e-5 : f64}
    : (memref<?x64xbf16, strided<[128, 1]>>, memref<64xbf16>, memref<?x64xbf16>) -> ()
}

kernel.plan @mixed max_tokens = 64 max_logit_rows = 4 query_tile = 32 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %q = kernel.alloc : memref<?x64xbf16>
  %a = kernel.alloc : memref<?x64xbf16>
  kernel.attention ins(%q, %cache, %batch) outs(%a)
    {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64,
     schedule = #kernel.schedule<{warps = 4 : i64, stages = 4 : i64}, reason = "tiles">}
    : (memref<?x64xbf16>, !cache, !qopt.batch, memref<?x64xbf16>) -> ()
  kernel.attention ins(%q, %cache, %batch) outs(%a)
    {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64,
     schedule = #kernel.schedule<{warps = 4 : i64, stages = 4 : i64, splits = 1 : i64}, reason = "one">}
    : (memref<?x64xbf16>, !cache, !qopt.batch, memref<?x64xbf16>) -> ()
}
