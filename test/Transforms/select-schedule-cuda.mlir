// RUN: qopt-opt %s --kernel-select-schedule=target=cuda:sm_90a | FileCheck %s
// RUN: qopt-opt %s --kernel-select-schedule="target=cuda:sm_90a buckets=8" | FileCheck %s --check-prefix=GIVEN
// RUN: not qopt-opt %s --kernel-select-schedule=target=cuda:sm_75 2>&1 | FileCheck %s --check-prefix=TARGET
// TARGET: error: unknown target 'cuda:sm_75', expected cuda:sm_90a or one of cuda:sm_80, cuda:sm_86, cuda:sm_89

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 64, page_tokens = 64, type = bf16>
!w = !kernel.packed<tensor<4224x4224xbf16>, #kernel.layout<swizzled>>
!fp8 = !kernel.packed<tensor<4224x4224x!qopt.q<f8E4M3FN, per_channel, scale = bf16>>, #kernel.layout<swizzled>>

// Few tokens: products of warps, small blocks on every multiprocessor. e4m3 has
// products of warpgroups alone.
// CHECK-LABEL: kernel.plan @step_decode_1 kind = decode max_tokens = 1 max_logit_rows = 1 {
// CHECK: kernel.attention {{.*}}splits = 8 : i64, stages = 3 : i64, warps = 4 : i64}, reason = "16 blocks: 1 rows, 2 KV heads, 8 splits of the pages"
// CHECK: kernel.gemm {{.*}}wgmma = 0 : i64}, reason = "mma.sync: {{.*}} us, {{.*}} of memory, products {{.*}}leave room for the next kernel's weights", rejected = ["wgmma, {{.*}}"
// CHECK: kernel.gemm {{.*}}wgmma = 1 : i64}, reason = "wgmma: {{.*}}
// CHECK: kernel.plan @step_decode_256 kind = decode max_tokens = 256
// CHECK: kernel.attention {{.*}}splits = 1 : i64{{.*}}rejected = ["splits = 2: rows and heads fill the multiprocessors
// CHECK: kernel.plan @step_16 max_tokens = 16 max_logit_rows = 16 query_tile = 16 {
// CHECK: kernel.attention {{.*}}{stages = {{[0-9]+}} : i64, warps = {{[0-9]+}} : i64}, reason = "query tiles: 16 tokens of a sequence by 2 heads share each page"
// CHECK: kernel.plan @step_256 max_tokens = 256 max_logit_rows = 256 query_tile = 64 {
// Many tokens: products of warpgroups.
// CHECK: kernel.plan @step_1024 max_tokens = 1024 max_logit_rows = 256 query_tile = 64 {
// CHECK: kernel.gemm {{.*}}wgmma = 1 : i64}, reason = "wgmma: {{[^"]*}}", rejected = ["mma.sync, {{.*}}"
// CHECK-NOT: kernel.plan

// A given count gets a plan of each kind.
// GIVEN: kernel.plan @step_decode_8 kind = decode max_tokens = 8
// GIVEN: kernel.plan @step_8 max_tokens = 8
// GIVEN: kernel.plan @step_1024 max_tokens = 1024
// GIVEN-NOT: kernel.plan
kernel.plan @step max_tokens = 1024 max_logit_rows = 256 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %w = kernel.weight @w : !w
  %v = kernel.weight @v : !fp8
  %q = kernel.alloc : memref<?x256xbf16>
  kernel.attention ins(%q, %cache, %batch) outs(%q) {layer = 0 : i64, num_heads = 4 : i64, scale = 0.125 : f64}
    : (memref<?x256xbf16>, !cache, !qopt.batch, memref<?x256xbf16>) -> ()
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
