// RUN: qopt-opt %s --qopt-fuse-gate-up | FileCheck %s

!w = tensor<96x64xbf16>
!x = tensor<?x64xbf16>
!y = tensor<?x96xbf16>

// CHECK-LABEL: func @gate_up_bf16
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xbf16>)
func.func @gate_up_bf16(%x: !x) -> !y {
  // CHECK: %[[W:.*]] = qopt.weight @gate, @up : tensor<192x64xbf16>
  // CHECK: %[[GU:.*]] = qopt.linear %[[X]], %[[W]] : {{.*}} -> tensor<?x192xbf16>
  // CHECK-DAG: %[[G:.*]] = qopt.slice %[[GU]] {offset = 0 : i64}
  // CHECK-DAG: %[[U:.*]] = qopt.slice %[[GU]] {offset = 96 : i64}
  // CHECK: qopt.silu_mul %[[G]], %[[U]]
  %wg = qopt.weight @gate : !w
  %wu = qopt.weight @up : !w
  %g = qopt.linear %x, %wg : (!x, !w) -> !y
  %u = qopt.linear %x, %wu : (!x, !w) -> !y
  %y = qopt.silu_mul %g, %u : (!y, !y) -> !y
  return %y : !y
}

// CHECK-LABEL: func @gate_up_i4_bias_and_attributes
func.func @gate_up_i4_bias_and_attributes(%x: !x) -> !y {
  // CHECK-DAG: qopt.weight @gate, @up stored !qopt.q<i4, group = 32, scale = f16> {qopt.note = "n"} : tensor<192x64x!qopt.q<i4, group = 32, scale = f16>>
  // CHECK-DAG: qopt.weight @bg, @bu : tensor<192xbf16>
  // CHECK: qopt.linear %{{.*}}, %{{.*}} bias(%{{.*}}) : {{.*}} -> tensor<?x192xbf16>
  // CHECK-NOT: qopt.linear
  %wg = qopt.weight @gate stored !qopt.q<i4, group = 32, scale = f16> {qopt.note = "n"} : tensor<96x64x!qopt.q<i4, group = 32, scale = f16>>
  %wu = qopt.weight @up stored !qopt.q<i4, group = 32, scale = f16> {qopt.note = "n"} : tensor<96x64x!qopt.q<i4, group = 32, scale = f16>>
  %bg = qopt.weight @bg : tensor<96xbf16>
  %bu = qopt.weight @bu : tensor<96xbf16>
  %g = qopt.linear %x, %wg bias(%bg) : (!x, tensor<96x64x!qopt.q<i4, group = 32, scale = f16>>, tensor<96xbf16>) -> !y
  %u = qopt.linear %x, %wu bias(%bu) : (!x, tensor<96x64x!qopt.q<i4, group = 32, scale = f16>>, tensor<96xbf16>) -> !y
  %y = qopt.silu_mul %g, %u : (!y, !y) -> !y
  return %y : !y
}

// What the sources stored differs: the merged weight claims neither.
// CHECK-LABEL: func @gate_up_bf16_stored_differs
func.func @gate_up_bf16_stored_differs(%x: !x) -> !y {
  // CHECK: qopt.weight @gate, @up : tensor<192x64xbf16>
  %wg = qopt.weight @gate stored !qopt.q<i4, group = 32, scale = f16> : !w
  %wu = qopt.weight @up : !w
  %g = qopt.linear %x, %wg : (!x, !w) -> !y
  %u = qopt.linear %x, %wu : (!x, !w) -> !y
  %y = qopt.silu_mul %g, %u : (!y, !y) -> !y
  return %y : !y
}

// CHECK-LABEL: func @negative_not_linear
// CHECK-NOT: qopt.slice
func.func @negative_not_linear(%x: !x, %u: !y) -> !y {
  %wg = qopt.weight @gate : !w
  %g = qopt.linear %x, %wg : (!x, !w) -> !y
  %y = qopt.silu_mul %g, %u : (!y, !y) -> !y
  return %y : !y
}

// CHECK-LABEL: func @negative_one_layer_twice
// CHECK-NOT: qopt.slice
func.func @negative_one_layer_twice(%x: !x) -> !y {
  %wg = qopt.weight @gate : !w
  %g = qopt.linear %x, %wg : (!x, !w) -> !y
  %y = qopt.silu_mul %g, %g : (!y, !y) -> !y
  return %y : !y
}

// CHECK-LABEL: func @negative_different_inputs
// CHECK-NOT: qopt.slice
func.func @negative_different_inputs(%x: !x, %z: !x) -> !y {
  %wg = qopt.weight @gate : !w
  %wu = qopt.weight @up : !w
  %g = qopt.linear %x, %wg : (!x, !w) -> !y
  %u = qopt.linear %z, %wu : (!x, !w) -> !y
  %y = qopt.silu_mul %g, %u : (!y, !y) -> !y
  return %y : !y
}

// CHECK-LABEL: func @negative_residual
// CHECK-NOT: qopt.slice
func.func @negative_residual(%x: !x, %r: !y) -> !y {
  %wg = qopt.weight @gate : !w
  %wu = qopt.weight @up : !w
  %g = qopt.linear %x, %wg : (!x, !w) -> !y
  %u = qopt.linear %x, %wu residual(%r) : (!x, !w, !y) -> !y
  %y = qopt.silu_mul %g, %u : (!y, !y) -> !y
  return %y : !y
}

// CHECK-LABEL: func @negative_unnamed_weight
// CHECK-NOT: qopt.slice
func.func @negative_unnamed_weight(%x: !x, %wu: !w) -> !y {
  %wg = qopt.weight @gate : !w
  %g = qopt.linear %x, %wg : (!x, !w) -> !y
  %u = qopt.linear %x, %wu : (!x, !w) -> !y
  %y = qopt.silu_mul %g, %u : (!y, !y) -> !y
  return %y : !y
}

// CHECK-LABEL: func @negative_element_types
// CHECK-NOT: qopt.slice
func.func @negative_element_types(%x: !x) -> !y {
  %wg = qopt.weight @gate : !w
  %wu = qopt.weight @up : tensor<96x64x!qopt.q<i4, group = 32, scale = f16>>
  %g = qopt.linear %x, %wg : (!x, !w) -> !y
  %u = qopt.linear %x, %wu : (!x, tensor<96x64x!qopt.q<i4, group = 32, scale = f16>>) -> !y
  %y = qopt.silu_mul %g, %u : (!y, !y) -> !y
  return %y : !y
}

// CHECK-LABEL: func @negative_biases
// CHECK-NOT: qopt.slice
func.func @negative_biases(%x: !x) -> !y {
  %wg = qopt.weight @gate : !w
  %wu = qopt.weight @up : !w
  %bu = qopt.weight @bu : tensor<96xbf16>
  %g = qopt.linear %x, %wg : (!x, !w) -> !y
  %u = qopt.linear %x, %wu bias(%bu) : (!x, !w, tensor<96xbf16>) -> !y
  %y = qopt.silu_mul %g, %u : (!y, !y) -> !y
  return %y : !y
}

// CHECK-LABEL: func @negative_bias_types
// CHECK-NOT: qopt.slice
func.func @negative_bias_types(%x: !x) -> !y {
  %wg = qopt.weight @gate : !w
  %wu = qopt.weight @up : !w
  %bg = qopt.weight @bg : tensor<96xf32>
  %bu = qopt.weight @bu : tensor<96xbf16>
  %g = qopt.linear %x, %wg bias(%bg) : (!x, !w, tensor<96xf32>) -> !y
  %u = qopt.linear %x, %wu bias(%bu) : (!x, !w, tensor<96xbf16>) -> !y
  %y = qopt.silu_mul %g, %u : (!y, !y) -> !y
  return %y : !y
}

// CHECK-LABEL: func @negative_unnamed_bias
// CHECK-NOT: qopt.slice
func.func @negative_unnamed_bias(%x: !x, %b: tensor<96xbf16>) -> !y {
  %wg = qopt.weight @gate : !w
  %wu = qopt.weight @up : !w
  %g = qopt.linear %x, %wg bias(%b) : (!x, !w, tensor<96xbf16>) -> !y
  %u = qopt.linear %x, %wu bias(%b) : (!x, !w, tensor<96xbf16>) -> !y
  %y = qopt.silu_mul %g, %u : (!y, !y) -> !y
  return %y : !y
}

// CHECK-LABEL: func @negative_blocks
// CHECK-NOT: qopt.slice
func.func @negative_blocks(%x: !x) -> !y {
  %wg = qopt.weight @gate : !w
  %g = qopt.linear %x, %wg : (!x, !w) -> !y
  llvm.br ^bb1
^bb1:
  %wu = qopt.weight @up : !w
  %u = qopt.linear %x, %wu : (!x, !w) -> !y
  %y = qopt.silu_mul %g, %u : (!y, !y) -> !y
  return %y : !y
}
