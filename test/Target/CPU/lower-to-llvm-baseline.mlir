// RUN: qopt-opt %s -kernel-lower-to-llvm="target=cpu:x86-64-v3" | FileCheck %s --check-prefixes=CHECK,V3
// RUN: qopt-opt %s -kernel-lower-to-llvm="target=cpu:x86-64-v2" | FileCheck %s --check-prefixes=CHECK,V2

!x = memref<?x64xbf16>
!y = memref<?x32xf32>
!w4 = !kernel.packed<tensor<32x64x!qopt.q<i4, group = 64, scale = f16>>, #kernel.layout<tiled, tile_n = 16, k_pack = 8>>
!w8 = !kernel.packed<tensor<32x64x!qopt.q<i8, per_channel, scale = f32>>, #kernel.layout<tiled, tile_n = 16, k_pack = 4>>

kernel.plan @step max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : !x
  %c = kernel.alloc : memref<?x64xi8>
  %s = kernel.alloc : memref<?xf32>
  %w4 = kernel.weight @a : !w4
  %w8 = kernel.weight @b : !w8
  %y = kernel.alloc : !y
  kernel.gemm ins(%x, %w4) outs(%y) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (!x, !w4, !y) -> ()
  kernel.gemm ins(%c scales %s, %w8) outs(%y) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xi8>, memref<?xf32>, !w8, !y) -> ()
  kernel.elementwise ins(%y) outs(%y) body {
  ^bb0(%a: f32):
    %0 = math.exp %a : f32
    kernel.yield %0 : f32
  } : (!y, !y) -> ()
}

// Without an instruction for it a multiply-add rounds twice; nothing calls a library.
// CHECK-LABEL: llvm.func @gemm_w4a16_g64_k64_n32_m1(
// V3:            llvm.intr.fma(%{{.*}}) : (vector<8xf32>, vector<8xf32>, vector<8xf32>)
// V3:            llvm.fpext %{{.*}} : vector<8xf16> to vector<8xf32>
// V2-NOT:        llvm.intr.fma
// V2-NOT:        xf16>
// CHECK-LABEL: llvm.func @gemm_w8a8_int8_k64_n32_m1(
// V3:            llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// V2:            llvm.call_intrinsic "llvm.x86.sse2.pmadd.wd"
// CHECK-LABEL: llvm.func @elementwise_k32(
// CHECK-NOT:     llvm.intr.exp
// CHECK-NOT:     llvm.call @
