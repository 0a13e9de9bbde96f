// RUN: qopt-opt %s --qopt-fuse-silu-quantize | FileCheck %s

!x = tensor<?x96xbf16>
!q = tensor<?x96x!qopt.q<f8E4M3FN, per_token, scale = f32>>

// CHECK-LABEL: func @silu_mul_f8
// CHECK-SAME: (%[[G:.*]]: tensor<?x96xbf16>, %[[U:.*]]: tensor<?x96xbf16>)
func.func @silu_mul_f8(%g: !x, %u: !x) -> !q {
  // CHECK-NEXT: %[[Q:.*]] = qopt.silu_mul %[[G]], %[[U]] : {{.*}} -> tensor<?x96x!qopt.q<f8E4M3FN, per_token, scale = f32>>
  // CHECK-NEXT: return %[[Q]]
  %y = qopt.silu_mul %g, %u : (!x, !x) -> !x
  %q = qopt.quantize %y : (!x) -> !q
  return %q : !q
}

// CHECK-LABEL: func @negative_not_a_silu_mul
// CHECK: qopt.quantize
func.func @negative_not_a_silu_mul(%x: !x) -> !q {
  %q = qopt.quantize %x : (!x) -> !q
  return %q : !q
}

// CHECK-LABEL: func @negative_other_use
// CHECK: qopt.silu_mul {{.*}} -> tensor<?x96xbf16>
// CHECK: qopt.quantize
func.func @negative_other_use(%g: !x, %u: !x) -> (!q, !x) {
  %y = qopt.silu_mul %g, %u : (!x, !x) -> !x
  %q = qopt.quantize %y : (!x) -> !q
  return %q, %y : !q, !x
}
