// RUN: qopt-opt %s -kernel-lower-to-llvm="target=cpu:znver4" | FileCheck %s --check-prefixes=CHECK,V4,VNNI
// RUN: qopt-opt %s -kernel-lower-to-llvm="target=cpu:x86-64-v4" | FileCheck %s --check-prefixes=CHECK,V4,WORDS

!x = memref<?x576xbf16>
!y = memref<?x64xf32>
!w4 = !kernel.packed<tensor<64x576x!qopt.q<i4, group = 64, scale = bf16>>, #kernel.layout<tiled, tile_n = 32, k_pack = 8>>
!w8 = !kernel.packed<tensor<64x576x!qopt.q<i8, per_channel, scale = f32>>, #kernel.layout<tiled, tile_n = 32, k_pack = 4>>

// CHECK-LABEL: kernel.plan @w4a16
kernel.plan @w4a16 max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : !x
  %w0 = kernel.weight @a : !w4
  %w1 = kernel.weight @b : !w4
  %y = kernel.alloc : !y
  // Other weights of the same shape run the same code.
  // CHECK-COUNT-2: entry = @gemm_w4a16_g64_k576_n64_m1
  kernel.gemm ins(%x, %w0) outs(%y) attributes {schedule = #kernel.schedule<{tile_m = 1 : i64}, reason = "a">} epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (!x, !w4, !y) -> ()
  kernel.gemm ins(%x, %w1) outs(%y) attributes {schedule = #kernel.schedule<{tile_m = 1 : i64}, reason = "b">} epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (!x, !w4, !y) -> ()
  // Another epilogue is another function.
  // CHECK: entry = @gemm_w4a16_g64_k576_n64_m1_v2
  kernel.gemm ins(%x, %w1) outs(%y) attributes {schedule = #kernel.schedule<{tile_m = 1 : i64}, reason = "b">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.negf %acc : f32
    kernel.yield %0 : f32
  } : (!x, !w4, !y) -> ()
}

// CHECK-LABEL: kernel.plan @w8a8
kernel.plan @w8a8 max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x576xi8>
  %s = kernel.alloc : memref<?xf32>
  %w = kernel.weight @c : !w8
  %y = kernel.alloc : !y
  // CHECK: entry = @gemm_w8a8_int8_k576_n64_m1
  kernel.gemm ins(%x scales %s, %w) outs(%y) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x576xi8>, memref<?xf32>, !w8, !y) -> ()
}

// Codes are multiplied by 16-bit integers, in pairs; the sums of a group become
// float32. One row asks for the words that it needs next.
// CHECK-LABEL: llvm.func @gemm_w4a16_g64_k576_n64_m1(
// CHECK-SAME:    !llvm.ptr, %{{.*}}: i64, %{{.*}}: i64)
// CHECK:         llvm.intr.prefetch
// VNNI:          llvm.call_intrinsic "llvm.x86.avx512.vpdpwssd.512"
// WORDS:         llvm.call_intrinsic "llvm.x86.avx512.pmaddw.d.512"
// V4:            llvm.sitofp %{{.*}} : vector<16xi32> to vector<16xf32>
// V4:            llvm.intr.fma(%{{.*}}) : (vector<16xf32>, vector<16xf32>, vector<16xf32>)

// CHECK-LABEL: llvm.func @gemm_w4a16_g64_k576_n64_m1_v2(
// CHECK-LABEL: llvm.func @gemm_w8a8_int8_k576_n64_m1(
// VNNI:          llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
// VNNI-NOT:      pmaddw
// WORDS-COUNT-2: llvm.call_intrinsic "llvm.x86.avx512.pmaddw.d.512"
// WORDS-NOT:     vpdpbusd
