// RUN: qopt-opt %s --convert-qopt-to-kernel | FileCheck %s

// The rows that are wanted are gathered, then quantized.
// CHECK-LABEL: kernel.plan @step
// CHECK-NOT: kernel.quantize
// CHECK: kernel.gather ins(%{{.*}}, %{{.*}}) outs(%[[ROWS:.*]]) :
// CHECK: %[[CODES:.*]] = kernel.alloc rows = logit_rows : memref<?x64xi8>
// CHECK: %[[SCALES:.*]] = kernel.alloc rows = logit_rows : memref<?xf32>
// CHECK: kernel.quantize ins(%[[ROWS]]) outs(%[[CODES]], %[[SCALES]])
// CHECK: kernel.gemm ins(%[[CODES]] scales %[[SCALES]], %{{.*}}) outs(%{{.*}}) rows = logit_rows epilogue
func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>) -> tensor<?x32xf32> {
  %table = qopt.weight @embed {kernel.layout = #kernel.layout<row_major>} : tensor<32x64xbf16>
  %head = qopt.weight @embed {kernel.layout = #kernel.layout<swizzled>} : tensor<32x64x!qopt.q<i8, per_channel, scale = bf16>>
  %x = qopt.embedding %tokens, %table : (tensor<?xi32>, tensor<32x64xbf16>) -> tensor<?x64xbf16>
  %q = qopt.quantize %x : (tensor<?x64xbf16>) -> tensor<?x64x!qopt.q<i8, per_token, scale = f32>>
  %l = qopt.logits %q, %head batch(%batch) : (tensor<?x64x!qopt.q<i8, per_token, scale = f32>>, tensor<32x64x!qopt.q<i8, per_channel, scale = bf16>>, !qopt.batch) -> tensor<?x32xf32>
  return %l : tensor<?x32xf32>
}
