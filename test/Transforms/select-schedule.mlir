// RUN: qopt-opt %s --kernel-select-schedule=target=cpu:x86-64-v4 | FileCheck %s --check-prefixes=CHECK,DEFAULT
// RUN: qopt-opt %s --kernel-select-schedule="target=cpu:x86-64-v3 buckets=16,4,16" | FileCheck %s --check-prefixes=CHECK,GIVEN
// RUN: not qopt-opt %s --kernel-select-schedule=target=gpu 2>&1 | FileCheck %s --check-prefix=TARGET
// RUN: not qopt-opt %s --kernel-select-schedule=buckets=33 2>&1 | FileCheck %s --check-prefix=LARGE
// RUN: not qopt-opt %s --kernel-select-schedule=buckets=0 2>&1 | FileCheck %s --check-prefix=ZERO
// TARGET: error: unknown target 'gpu'
// LARGE: error: bucket of 33 tokens, expected 1 to 32
// ZERO: error: bucket of 0 tokens, expected 1 to 32

!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>

// The largest step keeps its own plan; default buckets beyond it are left out.
// CHECK-NOT: kernel.plan @step max
// DEFAULT: kernel.plan @step_1 max_tokens = 1 max_logit_rows = 1 {
// DEFAULT: kernel.gemm {{.*}}schedule = #kernel.schedule<{{[{].*}}tile_m = 1 : i64{{.*[}]}}, reason = "{{.+}}"
// DEFAULT: kernel.plan @step_8 max_tokens = 8 max_logit_rows = 8 {
// DEFAULT-NOT: kernel.plan @step_64
// GIVEN: kernel.plan @step_4 max_tokens = 4 max_logit_rows = 4 {
// GIVEN: kernel.gemm {{.*}}schedule = #kernel.schedule<{{[{].*}}tile_m = 4 : i64
// GIVEN: kernel.plan @step_16 max_tokens = 16 max_logit_rows = 10 {
// CHECK: kernel.plan @step_32 max_tokens = 32 max_logit_rows = 10 {
// CHECK: kernel.gemm {{.*}}schedule = #kernel.schedule<{{.*}}, reason = "{{.+}}", rejected = ["tile_m = {{.+}}"]>
kernel.plan @step max_tokens = 32 max_logit_rows = 10 {
  %w = kernel.weight @w : !w
  %x = kernel.alloc : memref<?x64xbf16>
  %y = kernel.alloc : memref<?x64xf32>
  kernel.gemm ins(%x, %w) outs(%y) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, !w, memref<?x64xf32>) -> ()
}

// A launch over logit rows is cut for as many as the plan has.
// CHECK: kernel.plan @logits_32 max_tokens = 32 max_logit_rows = 3 {
// CHECK: kernel.gemm {{.*}}rows = logit_rows {{.*}}tile_m = 3 : i64
kernel.plan @logits max_tokens = 32 max_logit_rows = 3 {
  %w = kernel.weight @w : !w
  %x = kernel.alloc rows = logit_rows : memref<?x64xbf16>
  %y = kernel.alloc rows = logit_rows : memref<?x64xf32>
  kernel.gemm ins(%x, %w) outs(%y) rows = logit_rows epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, !w, memref<?x64xf32>) -> ()
}
