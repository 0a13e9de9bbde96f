// A linear layer whose blocks copy tokens for each other, in pairs of neighbouring channels.
// RUN: qopt-opt %s --kernel-emit-cuda | FileCheck %s

#pairs = #kernel.schedule<{tile_n = 64 : i64, tile_t = 64 : i64, k_stage = 64 : i64, stages = 3 : i64, wgmma = 1 : i64, cluster = 2 : i64}, reason = "pairs">
!w = !kernel.packed<tensor<128x64xbf16>, #kernel.layout<swizzled>>

// CHECK-LABEL: //===- gemm_bf16_k64_n128_w64_t64_x2
// CHECK: .wgmma = true, .pair = false, .k_warps = 1, .row_copies = false,
// CHECK-NEXT:     .cluster = 2};
// CHECK: extern "C" __global__ void __cluster_dims__(1, 2, 1) __launch_bounds__(threads(config), 1)
// CHECK-NEXT: gemm_bf16_k64_n128_w64_t64_x2(const bf16 *x,
// CHECK:   gemm<config>(x_map, nullptr, weight, Epilogue{y}, rows);
kernel.plan @step max_tokens = 64 max_logit_rows = 64 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : !w
  %y = kernel.alloc : memref<?x128xbf16>
  kernel.gemm ins(%x, %w) outs(%y) attributes {schedule = #pairs} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (memref<?x64xbf16>, !w, memref<?x128xbf16>) -> ()
}
