// The kernels of cuda:sm_80: schedules that say `portable` take them. All others are shared.
// RUN: qopt-opt %s --kernel-emit-cuda -o %t.mlir | FileCheck %s

#small = #kernel.schedule<{portable = 1 : i64, tile_n = 32 : i64, tile_t = 8 : i64, warp_n = 16 : i64, warp_t = 8 : i64, k_stage = 64 : i64, stages = 2 : i64}, reason = "small">
#codes = #kernel.schedule<{portable = 1 : i64, tile_n = 64 : i64, tile_t = 64 : i64, warp_n = 32 : i64, warp_t = 32 : i64, k_stage = 128 : i64, stages = 3 : i64}, reason = "codes">
#shared = #kernel.schedule<{portable = 1 : i64, tile_n = 16 : i64, tile_t = 8 : i64, warp_n = 16 : i64, warp_t = 8 : i64, k_stage = 128 : i64, k_warps = 2 : i64, stages = 3 : i64}, reason = "shared">
!cache = !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
!plain = !kernel.packed<tensor<128x64xbf16>, #kernel.layout<swizzled>>
!pair = !kernel.packed<tensor<192x64x!qopt.q<i4, group = 64, scale = bf16>>, #kernel.layout<fragment, interleave = 1>>
!affine = !kernel.packed<tensor<64x256x!qopt.q<ui4, group = 64, scale = f16, min = f16>>, #kernel.layout<fragment>>
!int8 = !kernel.packed<tensor<64x128x!qopt.q<i8, per_channel, scale = bf16>>, #kernel.layout<swizzled>>

// Tokens come by their address: there is no tensor map.
// CHECK-LABEL: //===- gemm_bf16_k64_n128_p32_t8
// CHECK: #include "portable_gemm.cuh"
// CHECK: constexpr GemmConfig layer = {.codes = Codes::bf16, .n = 128, .k = 64,
// CHECK: .tile_n = 32, .tile_t = 8, .k_stage = 64, .stages = 2,
// CHECK: constexpr PortableGemmConfig config = {.layer = layer, .warp_n = 16, .warp_t = 8};
// CHECK: struct Epilogue {
// CHECK: extern "C" __global__ void __launch_bounds__(threads(config), 1)
// CHECK-NEXT: gemm_bf16_k64_n128_p32_t8(const bf16 *x,
// CHECK-NEXT:     const void *weight,
// CHECK-NEXT:     const bf16 *extra0,
// CHECK-NEXT:     bf16 *y,
// CHECK-NEXT:     int64_t rows) {
// CHECK-NEXT:   portable_gemm<config>(x, 128, nullptr, weight, Epilogue{y, extra0}, rows);

// CHECK-LABEL: //===- gemm_w8a8_int8_k128_n64_p64_t64
// CHECK: .codes = Codes::s8
// CHECK: constexpr PortableGemmConfig config = {.layer = layer, .warp_n = 32, .warp_t = 32};
// CHECK:   portable_gemm<config>(x, 128, x_scales, weight, Epilogue{y}, rows);

// CHECK-LABEL: //===- gemm_w4a16_g64_k64_n96_pair_p32_t8
// CHECK: .codes = Codes::s4, .n = 192, .k = 64,
// CHECK: .pair = true
// CHECK: __device__ static float apply(float gate, float up) {
// CHECK:   portable_gemm<config>(x, 128, nullptr, weight, Epilogue{y}, rows);

// Warps share columns, and tokens are a slice of wider rows.
// CHECK-LABEL: //===- gemm_w4a16_affine_g64_k256_n64_p16_t8_k2
// CHECK: .codes = Codes::u4, .n = 64, .k = 256,
// CHECK: .group = 64, .affine = true, .scale = Number::f16,
// CHECK: .k_warps = 2
// CHECK:   portable_gemm<config>(x, 1024, nullptr, weight, Epilogue{y}, rows);

// CHECK-LABEL: //===- portable_attention_decode_s1_h4_kv2_d16
// CHECK: #include "portable_decode.cuh"
// CHECK: .warps = 4, .stages = 2
// CHECK: __launch_bounds__(portable_threads(config), 1)
// CHECK:   portable_attention_decode<config>(query, pool, positions, sequences, block_tables, max_pages, y, rows);

// CHECK-LABEL: //===- portable_attention_tiles_h4_kv2_d16
// CHECK: #include "portable_tiles.cuh"
// CHECK: __launch_bounds__(portable_threads(config), 1)
// CHECK:   portable_attention_tiles<config>(query, pool, positions, sequences, block_tables, max_pages, y, tiles, tile_count);

// One block chooses the token of a row.
// CHECK-LABEL: //===- sample_v512
// CHECK: .blocks = 1};
// CHECK: extern "C" __global__ void __launch_bounds__(sample_threads(config), 1)
// CHECK-NOT: //===-
kernel.plan @decode kind = decode max_tokens = 4 max_logit_rows = 4 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %w = kernel.weight @w : !plain
  %bias = kernel.weight @b : memref<128xbf16>
  %w8 = kernel.weight @o : !int8
  %wpair = kernel.weight @gate, @up : !pair
  %x = kernel.alloc : memref<?x64xbf16>
  %y = kernel.alloc : memref<?x128xbf16>
  kernel.gemm ins(%x, %w) extras(%bias) outs(%y) attributes {schedule = #small} epilogue {
  ^bb0(%acc: f32, %b: bf16):
    %0 = arith.extf %b : bf16 to f32
    %1 = arith.addf %acc, %0 : f32
    %2 = arith.truncf %1 : f32 to bf16
    kernel.yield %2 : bf16
  } : (memref<?x64xbf16>, !plain, memref<128xbf16>, memref<?x128xbf16>) -> ()
  %codes = kernel.alloc : memref<?x128xi8>
  %scales = kernel.alloc : memref<?xf32>
  %o = kernel.alloc : memref<?x64xf32>
  kernel.gemm ins(%codes scales %scales, %w8) outs(%o) attributes {schedule = #codes} epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x128xi8>, memref<?xf32>, !int8, memref<?x64xf32>) -> ()
  %gu = kernel.alloc : memref<?x96xbf16>
  kernel.gemm ins(%x, %wpair) outs(%gu) attributes {schedule = #small} epilogue {
  ^bb0(%g: f32, %u: f32):
    %0 = arith.mulf %g, %u : f32
    %1 = arith.truncf %0 : f32 to bf16
    kernel.yield %1 : bf16
  } : (memref<?x64xbf16>, !pair, memref<?x96xbf16>) -> ()
  %wide = kernel.alloc : memref<?x512xbf16>
  %slice = kernel.slice %wide {offset = 256 : i64} : memref<?x512xbf16> to memref<?x256xbf16, strided<[512, 1], offset: 256>>
  %waffine = kernel.weight @down : !affine
  kernel.gemm ins(%slice, %waffine) outs(%o) attributes {schedule = #shared} epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x256xbf16, strided<[512, 1], offset: 256>>, !affine, memref<?x64xf32>) -> ()
  %a = kernel.alloc : memref<?x64xbf16>
  kernel.attention ins(%x, %cache, %batch) outs(%a)
    {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64,
     schedule = #kernel.schedule<{portable = 1 : i64, warps = 4 : i64, stages = 2 : i64, splits = 1 : i64}, reason = "one">}
    : (memref<?x64xbf16>, !cache, !qopt.batch, memref<?x64xbf16>) -> ()
}

kernel.plan @mixed max_tokens = 64 max_logit_rows = 4 query_tile = 32 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %q = kernel.alloc : memref<?x64xbf16>
  kernel.attention ins(%q, %cache, %batch) outs(%q)
    {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64,
     schedule = #kernel.schedule<{portable = 1 : i64, warps = 4 : i64, stages = 4 : i64}, reason = "tiles">}
    : (memref<?x64xbf16>, !cache, !qopt.batch, memref<?x64xbf16>) -> ()
  %logits = kernel.alloc rows = logit_rows : memref<?x512xf32>
  %sampling = kernel.input sampling : memref<?x14xi32>
  %chosen = kernel.alloc rows = logit_rows : memref<?xi32>
  %logprobs = kernel.alloc rows = logit_rows : memref<?xf32>
  kernel.sample ins(%logits, %sampling) outs(%chosen, %logprobs)
    : (memref<?x512xf32>, memref<?x14xi32>, memref<?xi32>, memref<?xf32>) -> ()
}
