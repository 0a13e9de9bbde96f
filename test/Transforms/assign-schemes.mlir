// RUN: qopt-opt %s --qopt-assign-schemes=format=fp32 | FileCheck %s --check-prefixes=CHECK,NATIVE,FP32
// RUN: qopt-opt %s --qopt-assign-schemes=format=bf16 | FileCheck %s --check-prefixes=CHECK,NATIVE,BF16
// RUN: qopt-opt %s --qopt-assign-schemes=format=w8a8-int8 | FileCheck %s --check-prefixes=CHECK,NATIVE,INT8
// RUN: qopt-opt %s --qopt-assign-schemes=format=w8a8-fp8 | FileCheck %s --check-prefixes=CHECK,NATIVE,FP8
// RUN: qopt-opt %s --qopt-assign-schemes=format=w4a16 | FileCheck %s --check-prefixes=CHECK,NATIVE,W4
// RUN: qopt-opt %s --qopt-assign-schemes="format=w4a16 group-size=32 asymmetric=true" | FileCheck %s --check-prefixes=CHECK,NATIVE,W4A
// RUN: qopt-opt %s --qopt-assign-schemes="format=w4a16 lm-head=8bit" | FileCheck %s --check-prefixes=CHECK,HEAD8
// RUN: qopt-opt %s --qopt-assign-schemes="format=w8a8-fp8 lm-head=8bit" | FileCheck %s --check-prefixes=CHECK,HEADFP8
// RUN: qopt-opt %s --qopt-assign-schemes=format=keep | FileCheck %s --check-prefixes=CHECK,NATIVE,KEEP

// CHECK-LABEL: func @forward
// FP32-SAME: kv_heads = 1, head_dim = 64, page_tokens = 64, type = f32>
// BF16-SAME: kv_heads = 1, head_dim = 64, page_tokens = 64, type = bf16>
// CHECK-SAME: -> tensor<?x128xf32>
func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch,
    %cache: !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 64, page_tokens = 64, type = f32>) -> tensor<?x128xf32> {
  // FP32: %[[TABLE:.*]] = qopt.weight @embed stored {{.*}} : tensor<128x64xf32>
  // BF16: %[[TABLE:.*]] = qopt.weight @embed stored {{.*}} : tensor<128x64xbf16>
  // INT8: %[[TABLE:.*]] = qopt.weight @embed stored {{.*}} : tensor<128x64xbf16>
  // KEEP: %[[TABLE:.*]] = qopt.weight @embed stored {{.*}} : tensor<128x64x!qopt.q<i8, group = 32, scale = f16>>
  %table = qopt.weight @embed stored !qopt.q<i8, group = 32, scale = f16> : tensor<128x64xf32>
  // FP32: qopt.embedding {{.*}} -> tensor<?x64xf32>
  // BF16: qopt.embedding {{.*}} -> tensor<?x64xbf16>
  %x = qopt.embedding %tokens, %table : (tensor<?xi32>, tensor<128x64xf32>) -> tensor<?x64xf32>
  // FP32: qopt.weight @a stored {{.*}} : tensor<64x64xf32>
  // INT8: qopt.weight @a stored {{.*}} : tensor<64x64x!qopt.q<i8, per_channel, scale = bf16>>
  // FP8: qopt.weight @a stored {{.*}} : tensor<64x64x!qopt.q<f8E4M3FN, per_channel, scale = bf16>>
  // W4: qopt.weight @a stored {{.*}} {qopt.note = "group size 64: 128 does not divide K = 64, 64 does"} : tensor<64x64x!qopt.q<i4, group = 64, scale = bf16>>
  // W4A: qopt.weight @a stored {{[^{]*}} : tensor<64x64x!qopt.q<ui4, group = 32, scale = bf16, min = bf16>>
  // KEEP: qopt.weight @a stored {{.*}} : tensor<64x64x!qopt.q<ui4, group = 32, scale = f16, min = f16>>
  %a = qopt.weight @a stored !qopt.q<ui4, group = 32, scale = f16, min = f16> : tensor<64x64xf32>
  // BF16: qopt.weight @b : tensor<64x64xbf16>
  // KEEP: qopt.weight @b : tensor<64x64xbf16>
  %b = qopt.weight @b : tensor<64x64xf32>
  // CHECK: qopt.weight @bias : tensor<64x[[T:f32|bf16]]>
  %bias = qopt.weight @bias : tensor<64xf32>
  // INT8: %[[Q:.*]] = qopt.quantize %{{.*}} : (tensor<?x64xbf16>) -> tensor<?x64x!qopt.q<i8, per_token, scale = f32>>
  // INT8-NEXT: qopt.linear %[[Q]], %{{.*}} bias(%{{.*}}) : {{.*}} -> tensor<?x64xbf16>
  // INT8-NEXT: qopt.linear %[[Q]], %{{.*}} : {{.*}} -> tensor<?x64xbf16>
  // FP8: qopt.quantize %{{.*}} : (tensor<?x64xbf16>) -> tensor<?x64x!qopt.q<f8E4M3FN, per_token, scale = f32>>
  // W4-NOT: qopt.quantize
  %0 = qopt.linear %x, %a bias(%bias) : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %1 = qopt.linear %x, %b : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %2 = qopt.add %0, %1 : tensor<?x64xf32>
  // The head has codes of its own; the embedding's table stays.
  // HEAD8: %[[W:.*]] = qopt.weight @embed stored {{.*}} : tensor<128x64x!qopt.q<i8, per_channel, scale = bf16>>
  // HEAD8: %[[Q:.*]] = qopt.quantize {{.*}} -> tensor<?x64x!qopt.q<i8, per_token, scale = f32>>
  // HEADFP8: %[[W:.*]] = qopt.weight @embed stored {{.*}} : tensor<128x64x!qopt.q<f8E4M3FN, per_channel, scale = bf16>>
  // HEADFP8: %[[Q:.*]] = qopt.quantize {{.*}} -> tensor<?x64x!qopt.q<f8E4M3FN, per_token, scale = f32>>
  // HEAD8-NEXT: qopt.logits %[[Q]], %[[W]] batch{{.*}} -> tensor<?x128xf32>
  // HEADFP8-NEXT: qopt.logits %[[Q]], %[[W]] batch{{.*}} -> tensor<?x128xf32>
  // NATIVE: qopt.logits {{.*}} -> tensor<?x128xf32>
  %l = qopt.logits %2, %table batch(%batch) : (tensor<?x64xf32>, tensor<128x64xf32>, !qopt.batch) -> tensor<?x128xf32>
  return %l : tensor<?x128xf32>
}
