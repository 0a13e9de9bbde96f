// RUN: qopt-opt %s --qopt-fuse-rope-append | FileCheck %s

#rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>
#other = #qopt.rope<head_dim = 16, theta = 5.0e5 : f64, scaling = none>
!cache = !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
!q = tensor<?x64xbf16>
!k = tensor<?x32xbf16>

// CHECK-LABEL: func @rope_append_bf16
// CHECK-SAME: (%[[Q:.*]]: tensor<?x64xbf16>, %[[K:.*]]: tensor<?x32xbf16>, %[[V:.*]]: tensor<?x32xbf16>, %[[C:.*]]: !qopt.kv_cache<{{.*}}>, %[[B:.*]]: !qopt.batch)
func.func @rope_append_bf16(%q: !q, %k: !k, %v: !k, %cache: !cache, %batch: !qopt.batch) -> !q {
  // CHECK-NEXT: %[[R:.*]] = qopt.rope_append %[[Q]], %[[K]], %[[V]], %[[C]], %[[B]] {layer = 1 : i64, rope = #qopt.rope<head_dim = 16, theta = 1.000000e+04 : f64, scaling = none>}
  // CHECK-NEXT: qopt.paged_attention %[[R]], %[[C]], %[[B]] {layer = 1 : i64
  // CHECK-NEXT: return
  %qr = qopt.rope %q, %batch {rope = #rope} : (!q, !qopt.batch) -> !q
  %kr = qopt.rope %k, %batch {rope = #rope} : (!k, !qopt.batch) -> !k
  qopt.kv_append %kr, %v, %cache, %batch {layer = 1 : i64} : (!k, !k, !cache, !qopt.batch) -> ()
  %y = qopt.paged_attention %qr, %cache, %batch {layer = 1 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (!q, !cache, !qopt.batch) -> !q
  return %y : !q
}

// CHECK-LABEL: func @negative_key_without_rope
// CHECK: qopt.kv_append
func.func @negative_key_without_rope(%q: !q, %k: !k, %v: !k, %cache: !cache, %batch: !qopt.batch) -> !q {
  %qr = qopt.rope %q, %batch {rope = #rope} : (!q, !qopt.batch) -> !q
  qopt.kv_append %k, %v, %cache, %batch {layer = 0 : i64} : (!k, !k, !cache, !qopt.batch) -> ()
  %y = qopt.paged_attention %qr, %cache, %batch {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (!q, !cache, !qopt.batch) -> !q
  return %y : !q
}

// CHECK-LABEL: func @negative_key_has_other_use
// CHECK: qopt.kv_append
func.func @negative_key_has_other_use(%q: !q, %k: !k, %v: !k, %cache: !cache, %batch: !qopt.batch) -> (!q, !k) {
  %qr = qopt.rope %q, %batch {rope = #rope} : (!q, !qopt.batch) -> !q
  %kr = qopt.rope %k, %batch {rope = #rope} : (!k, !qopt.batch) -> !k
  qopt.kv_append %kr, %v, %cache, %batch {layer = 0 : i64} : (!k, !k, !cache, !qopt.batch) -> ()
  %y = qopt.paged_attention %qr, %cache, %batch {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (!q, !cache, !qopt.batch) -> !q
  return %y, %kr : !q, !k
}

// CHECK-LABEL: func @negative_no_attention
// CHECK: qopt.kv_append
func.func @negative_no_attention(%k: !k, %v: !k, %cache: !cache, %batch: !qopt.batch) {
  %kr = qopt.rope %k, %batch {rope = #rope} : (!k, !qopt.batch) -> !k
  qopt.kv_append %kr, %v, %cache, %batch {layer = 0 : i64} : (!k, !k, !cache, !qopt.batch) -> ()
  return
}

// CHECK-LABEL: func @negative_different_ropes
// CHECK: qopt.kv_append
func.func @negative_different_ropes(%q: !q, %k: !k, %v: !k, %cache: !cache, %batch: !qopt.batch) -> !q {
  %qr = qopt.rope %q, %batch {rope = #other} : (!q, !qopt.batch) -> !q
  %kr = qopt.rope %k, %batch {rope = #rope} : (!k, !qopt.batch) -> !k
  qopt.kv_append %kr, %v, %cache, %batch {layer = 0 : i64} : (!k, !k, !cache, !qopt.batch) -> ()
  %y = qopt.paged_attention %qr, %cache, %batch {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (!q, !cache, !qopt.batch) -> !q
  return %y : !q
}

// CHECK-LABEL: func @negative_positions
// CHECK: qopt.kv_append
func.func @negative_positions(%q: !q, %k: !k, %v: !k, %p: tensor<?xi32>, %cache: !cache, %batch: !qopt.batch) -> !q {
  %qr = qopt.rope %q, %p {rope = #rope} : (!q, tensor<?xi32>) -> !q
  %kr = qopt.rope %k, %p {rope = #rope} : (!k, tensor<?xi32>) -> !k
  qopt.kv_append %kr, %v, %cache, %batch {layer = 0 : i64} : (!k, !k, !cache, !qopt.batch) -> ()
  %y = qopt.paged_attention %qr, %cache, %batch {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (!q, !cache, !qopt.batch) -> !q
  return %y : !q
}

// CHECK-LABEL: func @negative_query_after_append
// CHECK: qopt.kv_append
func.func @negative_query_after_append(%q: !q, %k: !k, %v: !k, %cache: !cache, %batch: !qopt.batch) -> !q {
  %kr = qopt.rope %k, %batch {rope = #rope} : (!k, !qopt.batch) -> !k
  qopt.kv_append %kr, %v, %cache, %batch {layer = 0 : i64} : (!k, !k, !cache, !qopt.batch) -> ()
  %q2 = qopt.add %q, %q : !q
  %qr = qopt.rope %q2, %batch {rope = #rope} : (!q, !qopt.batch) -> !q
  %y = qopt.paged_attention %qr, %cache, %batch {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (!q, !cache, !qopt.batch) -> !q
  return %y : !q
}

// CHECK-LABEL: func @negative_query_used_before_append
// CHECK: qopt.kv_append
func.func @negative_query_used_before_append(%q: !q, %k: !k, %v: !k, %cache: !cache, %batch: !qopt.batch) -> (!q, !q) {
  %qr = qopt.rope %q, %batch {rope = #rope} : (!q, !qopt.batch) -> !q
  %z = qopt.add %qr, %qr : !q
  %kr = qopt.rope %k, %batch {rope = #rope} : (!k, !qopt.batch) -> !k
  qopt.kv_append %kr, %v, %cache, %batch {layer = 0 : i64} : (!k, !k, !cache, !qopt.batch) -> ()
  %y = qopt.paged_attention %qr, %cache, %batch {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (!q, !cache, !qopt.batch) -> !q
  return %y, %z : !q, !q
}

// CHECK-LABEL: func @negative_blocks
// CHECK: qopt.kv_append
func.func @negative_blocks(%q: !q, %k: !k, %v: !k, %cache: !cache, %batch: !qopt.batch) -> !q {
  %qr = qopt.rope %q, %batch {rope = #rope} : (!q, !qopt.batch) -> !q
  %kr = qopt.rope %k, %batch {rope = #rope} : (!k, !qopt.batch) -> !k
  qopt.kv_append %kr, %v, %cache, %batch {layer = 0 : i64} : (!k, !k, !cache, !qopt.batch) -> ()
  llvm.br ^bb1
^bb1:
  %y = qopt.paged_attention %qr, %cache, %batch {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (!q, !cache, !qopt.batch) -> !q
  return %y : !q
}
