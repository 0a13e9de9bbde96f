// RUN: qopt-opt %s --kernel-add-workspaces=max-context=130 --kernel-plan-memory | FileCheck %s
// RUN: not qopt-opt %s --kernel-add-workspaces=max-context=0 2>&1 | FileCheck %s --check-prefix=CONTEXT
// CONTEXT: error: max-context is 0, expected 1 or more

!cache = !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
!q = memref<?x64xbf16>

// Three pages of four heads of 18 floats; one ticket buffer for all layers, in the
// state, and partial results that share the arena.
// CHECK-LABEL: kernel.plan @splits kind = decode max_tokens = 4 max_logit_rows = 4 arena_bytes = {{[0-9]+}} {
// CHECK-NEXT: %[[T:.*]] = kernel.alloc persistent {offset = 0 : i64} : memref<?x2xi32>
// CHECK: %[[P:.*]] = kernel.alloc {offset = [[AT:[0-9]+]] : i64} : memref<?x216xf32>
// CHECK-NEXT: kernel.attention {{.*}} workspaces(%[[P]], %[[T]]) {{.*}}layer = 0
// CHECK: %[[Q:.*]] = kernel.alloc {offset = [[AT]] : i64} : memref<?x216xf32>
// CHECK-NEXT: kernel.attention {{.*}} workspaces(%[[Q]], %[[T]]) {{.*}}layer = 1
kernel.plan @splits kind = decode max_tokens = 4 max_logit_rows = 4 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %q = kernel.alloc : !q
  %a = kernel.alloc : !q
  kernel.attention ins(%q, %cache, %batch) outs(%a)
    {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64, schedule = #kernel.schedule<{splits = 2 : i64}, reason = "two">}
    : (!q, !cache, !qopt.batch, !q) -> ()
  kernel.attention ins(%a, %cache, %batch) outs(%q)
    {layer = 1 : i64, num_heads = 4 : i64, scale = 0.25 : f64, schedule = #kernel.schedule<{splits = 2 : i64}, reason = "two">}
    : (!q, !cache, !qopt.batch, !q) -> ()
}

// One split merges in the block; query tiles have none.
// CHECK-LABEL: kernel.plan @one kind = decode
// CHECK-NOT: workspaces(
kernel.plan @one kind = decode max_tokens = 4 max_logit_rows = 4 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %q = kernel.alloc : !q
  kernel.attention ins(%q, %cache, %batch) outs(%q)
    {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64, schedule = #kernel.schedule<{splits = 1 : i64}, reason = "one">}
    : (!q, !cache, !qopt.batch, !q) -> ()
  kernel.attention ins(%q, %cache, %batch) outs(%q)
    {layer = 1 : i64, num_heads = 4 : i64, scale = 0.25 : f64, schedule = #kernel.schedule<{warps = 4 : i64}, reason = "tiles">}
    : (!q, !cache, !qopt.batch, !q) -> ()
}
