// The text of linear layers that normalise and quantize their rows themselves.
// RUN: qopt-opt %s --kernel-emit-cuda | FileCheck %s

#rows = #kernel.schedule<{tile_n = 16 : i64, tile_t = 1 : i64, k_stage = 64 : i64, stages = 2 : i64, wgmma = 0 : i64, spread = 1 : i64}, reason = "rows">
#boxes = #kernel.schedule<{tile_n = 64 : i64, tile_t = 2 : i64, k_stage = 128 : i64, stages = 3 : i64, wgmma = 1 : i64}, reason = "boxes">
!plain = !kernel.packed<tensor<128x64xbf16>, #kernel.layout<swizzled>>
!fp8 = !kernel.packed<tensor<64x128x!qopt.q<f8E4M3FN, per_channel, scale = bf16>>, #kernel.layout<swizzled>>

// No tensor map: rows are read where they are.
// CHECK-LABEL: //===- gemm_bf16_k64_n128_norm_c16_t1
// CHECK: constexpr GemmConfig config = {.codes = Codes::bf16, .n = 128, .k = 64,
// CHECK: .wgmma = false, .pair = false, .k_warps = 1, .row_copies = false,
// CHECK-NEXT:     .prologue = Prologue::norm,
// CHECK-NEXT:     .spread = true};
// CHECK: struct Norm {
// CHECK-NEXT:   static constexpr float eps = 0x1.4f8b58p-17f;
// CHECK-NEXT:   const bf16 *weight;
// CHECK-NEXT: };
// CHECK: struct Epilogue {
// CHECK: gemm_bf16_k64_n128_norm_c16_t1(const bf16 *x,
// CHECK-NEXT:     const void *weight,
// CHECK-NEXT:     const bf16 *norm,
// CHECK-NEXT:     bf16 *y,
// CHECK-NEXT:     int64_t rows) {
// CHECK-NEXT:   gemm_of_rows<config>(x, 128, Norm{norm}, weight, Epilogue{y}, rows);

// CHECK-LABEL: //===- gemm_w8a8_fp8_k128_n64_quantize_w64_t2
// CHECK: .prologue = Prologue::quantize};
// CHECK-NOT: struct Norm
// CHECK: gemm_w8a8_fp8_k128_n64_quantize_w64_t2(const bf16 *x,
// CHECK-NEXT:     const void *weight,
// CHECK-NEXT:     const bf16 *extra0,
// CHECK-NEXT:     bf16 *y,
// CHECK-NEXT:     int64_t rows) {
// The rows are slices of longer ones.
// CHECK-NEXT:   gemm_of_rows<config>(x, 512, NoNorm{}, weight, Epilogue{y, extra0}, rows);
kernel.plan @decode kind = decode max_tokens = 2 max_logit_rows = 2 {
  %x = kernel.alloc : memref<?x64xbf16>
  %n = kernel.weight @n : memref<64xbf16>
  %w = kernel.weight @w : !plain
  %y = kernel.alloc : memref<?x128xbf16>
  kernel.gemm ins(%x, %w) norm(%n) outs(%y) attributes {eps = 1.0e-5 : f64, schedule = #rows} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (memref<?x64xbf16>, !plain, memref<64xbf16>, memref<?x128xbf16>) -> ()
  %wide = kernel.alloc : memref<?x256xbf16>
  %v = kernel.weight @v : !fp8
  %slice = kernel.slice %wide {offset = 128 : i64}
    : memref<?x256xbf16> to memref<?x128xbf16, strided<[256, 1], offset: 128>>
  %z = kernel.alloc : memref<?x64xbf16>
  kernel.gemm ins(%slice, %v) quantize extras(%x) outs(%z) attributes {schedule = #boxes} epilogue {
  ^bb0(%acc: f32, %r: bf16):
    %0 = arith.extf %r : bf16 to f32
    %1 = arith.addf %acc, %0 : f32
    %2 = arith.truncf %1 : f32 to bf16
    kernel.yield %2 : bf16
  } : (memref<?x128xbf16, strided<[256, 1], offset: 128>>, !fp8, memref<?x64xbf16>, memref<?x64xbf16>) -> ()
}
