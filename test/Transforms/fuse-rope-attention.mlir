// RUN: qopt-opt %s --kernel-fuse-rope-attention | FileCheck %s

!cache = !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
!q = memref<?x64xbf16>
!k = memref<?x32xbf16>
!t = memref<?x16xf32>

// The rotated query has no buffer any more; the schedule stays, and says more.
// CHECK-LABEL: kernel.plan @decode
// CHECK: %[[Q:.*]] = kernel.alloc : memref<?x64xbf16>
// CHECK-NEXT: %[[K:.*]] = kernel.alloc : memref<?x32xbf16>
// CHECK-NEXT: %[[V:.*]] = kernel.alloc : memref<?x32xbf16>
// CHECK-NEXT: %[[T:.*]] = kernel.alloc : memref<?x16xf32>
// CHECK-NEXT: %[[Y:.*]] = kernel.alloc : memref<?x64xbf16>
// CHECK-NEXT: kernel.attention ins(%[[Q]], %{{.*}}, %{{.*}}) rope_append(%[[K]], %[[V]], %[[T]]) outs(%[[Y]])
// CHECK-SAME: layer = 1 : i64
// CHECK-SAME: schedule = #kernel.schedule<{splits = 2 : i64}, reason = "two; rope and cache write in the same launch, {{[^"]*}}", rejected = ["one"]>
// CHECK-NOT: kernel.rope_append
kernel.plan @decode kind = decode max_tokens = 4 max_logit_rows = 4 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %q = kernel.alloc : !q
  %k = kernel.alloc : !k
  %v = kernel.alloc : !k
  %t = kernel.alloc : !t
  %r = kernel.alloc : !q
  kernel.rope_append ins(%q, %k, %v, %t, %cache, %batch) outs(%r) {layer = 1 : i64}
    : (!q, !k, !k, !t, !cache, !qopt.batch, !q) -> ()
  %y = kernel.alloc : !q
  kernel.attention ins(%r, %cache, %batch) outs(%y)
    {layer = 1 : i64, num_heads = 4 : i64, scale = 0.25 : f64,
     schedule = #kernel.schedule<{splits = 2 : i64}, reason = "two", rejected = ["one"]>}
    : (!q, !cache, !qopt.batch, !q) -> ()
}

// Rows of one sequence see each other's keys.
// CHECK-LABEL: kernel.plan @negative_mixed
// CHECK: kernel.rope_append
// CHECK-NEXT: kernel.attention ins(%{{.*}}, %{{.*}}, %{{.*}}) outs(
kernel.plan @negative_mixed max_tokens = 4 max_logit_rows = 4 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %q = kernel.alloc : !q
  %k = kernel.alloc : !k
  %t = kernel.alloc : !t
  %r = kernel.alloc : !q
  %y = kernel.alloc : !q
  kernel.rope_append ins(%q, %k, %k, %t, %cache, %batch) outs(%r) {layer = 0 : i64}
    : (!q, !k, !k, !t, !cache, !qopt.batch, !q) -> ()
  kernel.attention ins(%r, %cache, %batch) outs(%y) {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64}
    : (!q, !cache, !qopt.batch, !q) -> ()
}

// The rotated query has another use; it is of another layer; nothing rotates it.
// CHECK-LABEL: kernel.plan @negative_others
// CHECK-NOT: rope_append(
kernel.plan @negative_others kind = decode max_tokens = 4 max_logit_rows = 4 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %q = kernel.alloc : !q
  %k = kernel.alloc : !k
  %t = kernel.alloc : !t
  %r = kernel.alloc : !q
  %s = kernel.alloc : !q
  %y = kernel.alloc : !q
  kernel.rope_append ins(%q, %k, %k, %t, %cache, %batch) outs(%r) {layer = 0 : i64}
    : (!q, !k, !k, !t, !cache, !qopt.batch, !q) -> ()
  kernel.attention ins(%r, %cache, %batch) outs(%y) {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64}
    : (!q, !cache, !qopt.batch, !q) -> ()
  kernel.rope ins(%r, %t) outs(%q) : (!q, !t, !q) -> ()
  kernel.rope_append ins(%q, %k, %k, %t, %cache, %batch) outs(%s) {layer = 0 : i64}
    : (!q, !k, !k, !t, !cache, !qopt.batch, !q) -> ()
  kernel.attention ins(%s, %cache, %batch) outs(%y) {layer = 1 : i64, num_heads = 4 : i64, scale = 0.25 : f64}
    : (!q, !cache, !qopt.batch, !q) -> ()
  kernel.attention ins(%y, %cache, %batch) outs(%q) {layer = 1 : i64, num_heads = 4 : i64, scale = 0.25 : f64}
    : (!q, !cache, !qopt.batch, !q) -> ()
}
