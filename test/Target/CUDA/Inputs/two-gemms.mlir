!w = !kernel.packed<tensor<4224x4224xbf16>, #kernel.layout<swizzled>>
!fp8 = !kernel.packed<tensor<4224x4224x!qopt.q<f8E4M3FN, per_channel, scale = bf16>>, #kernel.layout<swizzled>>

kernel.plan @step max_tokens = 16 max_logit_rows = 16 {
  %w = kernel.weight @w : !w
  %v = kernel.weight @v : !fp8
  %x = kernel.alloc : memref<?x4224xbf16>
  %y = kernel.alloc : memref<?x4224xbf16>
  kernel.gemm ins(%x, %w) outs(%y) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (memref<?x4224xbf16>, !w, memref<?x4224xbf16>) -> ()
  %c = kernel.alloc : memref<?x4224xf8E4M3FN>
  %s = kernel.alloc : memref<?xf32>
  kernel.gemm ins(%c scales %s, %v) outs(%y) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (memref<?x4224xf8E4M3FN>, memref<?xf32>, !fp8, memref<?x4224xbf16>) -> ()
}
