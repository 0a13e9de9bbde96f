// RUN: qopt-opt %s --qopt-fuse-residual | FileCheck %s

!x = tensor<?x64xbf16>
!w = tensor<64x64xbf16>

// CHECK-LABEL: func @residual_bf16
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xbf16>, %[[W:.*]]: tensor<64x64xbf16>, %[[R:.*]]: tensor<?x64xbf16>)
func.func @residual_bf16(%x: !x, %w: !w, %r: !x) -> !x {
  // CHECK-NEXT: %[[Y:.*]] = qopt.linear %[[X]], %[[W]] residual(%[[R]])
  // CHECK-NEXT: return %[[Y]]
  %y = qopt.linear %x, %w : (!x, !w) -> !x
  %z = qopt.add %r, %y : !x
  return %z : !x
}

// CHECK-LABEL: func @residual_bf16_bias_and_other_order
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xbf16>, %[[W:.*]]: tensor<64x64xbf16>, %[[B:.*]]: tensor<64xbf16>, %[[R:.*]]: tensor<?x64xbf16>)
func.func @residual_bf16_bias_and_other_order(%x: !x, %w: !w, %b: tensor<64xbf16>, %r: !x) -> !x {
  // CHECK-NEXT: qopt.linear %[[X]], %[[W]] bias(%[[B]]) residual(%[[R]])
  // CHECK-NEXT: return
  %y = qopt.linear %x, %w bias(%b) : (!x, !w, tensor<64xbf16>) -> !x
  %z = qopt.add %y, %r : !x
  return %z : !x
}

// The second layer has another use, the first can still take the sum.
// CHECK-LABEL: func @residual_bf16_first_of_two
func.func @residual_bf16_first_of_two(%x: !x, %w: !w) -> (!x, !x) {
  // CHECK-NEXT: %[[B:.*]] = qopt.linear %{{.*}}, %{{.*}} : (
  // CHECK-NEXT: %[[Z:.*]] = qopt.linear %{{.*}}, %{{.*}} residual(%[[B]])
  // CHECK-NEXT: return %[[Z]], %[[B]]
  %a = qopt.linear %x, %w : (!x, !w) -> !x
  %b = qopt.linear %x, %w : (!x, !w) -> !x
  %z = qopt.add %a, %b : !x
  return %z, %b : !x, !x
}

// CHECK-LABEL: func @negative_no_linear
// CHECK: qopt.add
func.func @negative_no_linear(%x: !x, %r: !x) -> !x {
  %z = qopt.add %x, %r : !x
  return %z : !x
}

// CHECK-LABEL: func @negative_other_use
// CHECK: qopt.add
func.func @negative_other_use(%x: !x, %w: !w, %r: !x) -> (!x, !x) {
  %y = qopt.linear %x, %w : (!x, !w) -> !x
  %z = qopt.add %r, %y : !x
  return %z, %y : !x, !x
}

// CHECK-LABEL: func @negative_second_residual
// CHECK: qopt.add
func.func @negative_second_residual(%x: !x, %w: !w, %r: !x) -> !x {
  %y = qopt.linear %x, %w residual(%x) : (!x, !w, !x) -> !x
  %z = qopt.add %r, %y : !x
  return %z : !x
}
