// RUN: qopt-opt %s --kernel-select-schedule="target=cuda:sm_80 buckets=1,256" | FileCheck %s
// RUN: qopt-opt %s --kernel-select-schedule="target=cuda:sm_86 buckets=1,256" | FileCheck %s
// RUN: not qopt-opt %s --kernel-select-schedule="target=cuda:sm_80 schedule=none.json" 2>&1 | FileCheck %s --check-prefix=TABLE
// TABLE: error: target 'cuda:sm_80' takes no schedule table

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 64, page_tokens = 64, type = bf16>
!w = !kernel.packed<tensor<4224x4224xbf16>, #kernel.layout<swizzled>>
!g = !kernel.packed<tensor<4224x4224x!qopt.q<i4, group = 128, scale = bf16>>, #kernel.layout<fragment>>

// Few tokens: warps of eight tokens; there are no splits of pages.
// CHECK-LABEL: kernel.plan @step_decode_1 kind = decode
// CHECK: kernel.attention {{.*}}portable = 1 : i64, splits = 1 : i64, stages = 2 : i64, warps = 4 : i64}, reason = "2 blocks: 1 rows, 2 KV heads; 4 warps have pages of their own", rejected = ["splits = 2: needs clusters of blocks, which sm_80 lacks"]
// CHECK: kernel.gemm {{.*}}portable = 1 : i64, {{.*}}tile_t = 8 : i64, warp_n = 16 : i64, warp_t = 8 : i64}, reason = "{{[0-9]+}} warps of 16 x 8: {{.*}} us on an A100, {{.*}} blocks, {{.*}} of memory, products {{.*}}", rejected = ["tile_n = {{.*}}"]
// CHECK: kernel.gemm {{.*}}portable = 1 : i64, {{.*}}tile_t = 8 : i64
// Many tokens: warps share what they read.
// CHECK-LABEL: kernel.plan @step_1024
// CHECK: kernel.attention {{.*}}{portable = 1 : i64, stages = 4 : i64, warps = 4 : i64}, reason = "query tiles: 1 blocks of 128 rows, of 64 tokens by 2 heads"
// CHECK: kernel.gemm {{.*}}tile_t = {{64|128}} : i64
// CHECK: kernel.gemm {{.*}}tile_t = {{64|128}} : i64
kernel.plan @step max_tokens = 1024 max_logit_rows = 256 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %w = kernel.weight @w : !w
  %v = kernel.weight @v : !g
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
  kernel.gemm ins(%y, %v) outs(%x) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (memref<?x4224xbf16>, !g, memref<?x4224xbf16>) -> ()
}
