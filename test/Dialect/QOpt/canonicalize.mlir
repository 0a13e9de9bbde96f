// RUN: qopt-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: func @slice_bf16_every_column
// CHECK-SAME: (%[[X:.*]]: tensor<?x96xbf16>)
func.func @slice_bf16_every_column(%x: tensor<?x96xbf16>) -> tensor<?x96xbf16> {
  // CHECK-NEXT: return %[[X]]
  %y = qopt.slice %x {offset = 0 : i64} : (tensor<?x96xbf16>) -> tensor<?x96xbf16>
  return %y : tensor<?x96xbf16>
}

// CHECK-LABEL: func @slice_bf16_of_slice
// CHECK-SAME: (%[[X:.*]]: tensor<?x96xbf16>)
func.func @slice_bf16_of_slice(%x: tensor<?x96xbf16>) -> tensor<?x16xbf16> {
  // CHECK-NEXT: %[[Y:.*]] = qopt.slice %[[X]] {offset = 40 : i64} : (tensor<?x96xbf16>) -> tensor<?x16xbf16>
  // CHECK-NEXT: return %[[Y]]
  %0 = qopt.slice %x {offset = 32 : i64} : (tensor<?x96xbf16>) -> tensor<?x64xbf16>
  %1 = qopt.slice %0 {offset = 8 : i64} : (tensor<?x64xbf16>) -> tensor<?x16xbf16>
  return %1 : tensor<?x16xbf16>
}

// CHECK-LABEL: func @negative_slice_of_some_columns
func.func @negative_slice_of_some_columns(%x: tensor<?x96xbf16>) -> tensor<?x64xbf16> {
  // CHECK: qopt.slice %{{.*}} {offset = 32 : i64}
  %y = qopt.slice %x {offset = 32 : i64} : (tensor<?x96xbf16>) -> tensor<?x64xbf16>
  return %y : tensor<?x64xbf16>
}

// CHECK-LABEL: func @dead_weight
func.func @dead_weight() {
  // CHECK-NEXT: return
  %w = qopt.weight @w : tensor<4x4xf32>
  return
}
