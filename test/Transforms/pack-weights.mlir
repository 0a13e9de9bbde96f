// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-pack-weights{target=cpu:x86-64-v4}))' | FileCheck %s --check-prefixes=CHECK,V4
// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-pack-weights{target=cpu:x86-64-v3}))' | FileCheck %s --check-prefixes=CHECK,V3
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-pack-weights{target=cpu:6502}))' 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: error: unknown target 'cpu:6502'

// CHECK-LABEL: func @pack
func.func @pack() {
  // V4: qopt.weight @f32 {kernel.layout = #kernel.layout<tiled, tile_n = 32, k_pack = 1>}
  // V3: qopt.weight @f32 {kernel.layout = #kernel.layout<tiled, tile_n = 16, k_pack = 1>}
  %0 = qopt.weight @f32 : tensor<64x64xf32>
  // CHECK: qopt.weight @bf16 {kernel.layout = #kernel.layout<tiled, tile_n = {{.*}}, k_pack = 2>}
  %1 = qopt.weight @bf16 : tensor<64x64xbf16>
  // CHECK: qopt.weight @i8 {kernel.layout = #kernel.layout<tiled, tile_n = {{.*}}, k_pack = 4>}
  %2 = qopt.weight @i8 : tensor<64x64x!qopt.q<i8, per_channel, scale = f32>>
  // CHECK: qopt.weight @f8 {kernel.layout = #kernel.layout<tiled, tile_n = {{.*}}, k_pack = 4>}
  %3 = qopt.weight @f8 : tensor<64x64x!qopt.q<f8E4M3FN, per_channel, scale = f32>>
  // CHECK: qopt.weight @i4 {kernel.layout = #kernel.layout<tiled, tile_n = {{.*}}, k_pack = 8>}
  %4 = qopt.weight @i4 : tensor<64x64x!qopt.q<i4, group = 32, scale = bf16>>
  // CHECK: qopt.weight @ui4 {kernel.layout = #kernel.layout<tiled, tile_n = {{.*}}, k_pack = 8>}
  %5 = qopt.weight @ui4 : tensor<64x64x!qopt.q<ui4, group = 32, scale = f16, min = f16>>
  // CHECK: qopt.weight @norm : tensor<64xbf16>
  %6 = qopt.weight @norm : tensor<64xbf16>
  return
}
