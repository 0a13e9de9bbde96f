// RUN: qopt-opt %s --qopt-fuse-norm-quantize | FileCheck %s

!x = tensor<?x64xbf16>
!q = tensor<?x64x!qopt.q<i8, per_token, scale = f32>>

// CHECK-LABEL: func @norm_i8
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xbf16>, %[[W:.*]]: tensor<64xbf16>)
func.func @norm_i8(%x: !x, %w: tensor<64xbf16>) -> !q {
  // CHECK-NEXT: %[[Q:.*]] = qopt.rms_norm %[[X]], %[[W]] {eps = 1.000000e-05 : f64} : (tensor<?x64xbf16>, tensor<64xbf16>) -> tensor<?x64x!qopt.q<i8, per_token, scale = f32>>
  // CHECK-NEXT: return %[[Q]]
  %n = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64} : (!x, tensor<64xbf16>) -> !x
  %q = qopt.quantize %n : (!x) -> !q
  return %q : !q
}

// CHECK-LABEL: func @negative_not_a_norm
// CHECK: qopt.quantize
func.func @negative_not_a_norm(%x: !x) -> !q {
  %q = qopt.quantize %x : (!x) -> !q
  return %q : !q
}

// CHECK-LABEL: func @negative_other_use
// CHECK: qopt.rms_norm {{.*}} -> tensor<?x64xbf16>
// CHECK: qopt.quantize
func.func @negative_other_use(%x: !x, %w: tensor<64xbf16>) -> (!q, !x) {
  %n = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64} : (!x, tensor<64xbf16>) -> !x
  %q = qopt.quantize %n : (!x) -> !q
  return %q, %n : !q, !x
}

// Logits quantize the rows that are asked for.
// CHECK-LABEL: func @negative_logits
// CHECK: qopt.rms_norm {{.*}} -> tensor<?x64xbf16>
// CHECK: qopt.quantize
func.func @negative_logits(%x: !x, %w: tensor<64xbf16>, %h: tensor<32x64x!qopt.q<i8, per_channel, scale = bf16>>) -> tensor<?x32xf32> {
  %n = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64} : (!x, tensor<64xbf16>) -> !x
  %q = qopt.quantize %n : (!x) -> !q
  %l = qopt.logits %q, %h : (!q, tensor<32x64x!qopt.q<i8, per_channel, scale = bf16>>) -> tensor<?x32xf32>
  return %l : tensor<?x32xf32>
}
