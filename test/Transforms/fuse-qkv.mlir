// RUN: qopt-opt %s --qopt-fuse-qkv | FileCheck %s

#rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>
!cache = !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
!x = tensor<?x64xbf16>
!k = tensor<?x32xbf16>
!wk = tensor<32x64xbf16>

// CHECK-LABEL: func @qkv_bf16_rope
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xbf16>,
func.func @qkv_bf16_rope(%x: !x, %cache: !cache, %batch: !qopt.batch) -> !x {
  // CHECK: %[[W:.*]] = qopt.weight @q, @k, @v : tensor<128x64xbf16>
  // CHECK: %[[B:.*]] = qopt.weight @bq, @bk, @bv : tensor<128xbf16>
  // CHECK: %[[QKV:.*]] = qopt.linear %[[X]], %[[W]] bias(%[[B]]) : {{.*}} -> tensor<?x128xbf16>
  // CHECK-DAG: %[[Q:.*]] = qopt.slice %[[QKV]] {offset = 0 : i64} : (tensor<?x128xbf16>) -> tensor<?x64xbf16>
  // CHECK-DAG: %[[K:.*]] = qopt.slice %[[QKV]] {offset = 64 : i64} : (tensor<?x128xbf16>) -> tensor<?x32xbf16>
  // CHECK-DAG: %[[V:.*]] = qopt.slice %[[QKV]] {offset = 96 : i64} : (tensor<?x128xbf16>) -> tensor<?x32xbf16>
  // CHECK-DAG: %[[QR:.*]] = qopt.rope %[[Q]]
  // CHECK-DAG: %[[KR:.*]] = qopt.rope %[[K]]
  // CHECK: qopt.kv_append %[[KR]], %[[V]]
  // CHECK: qopt.paged_attention %[[QR]]
  %wq = qopt.weight @q : tensor<64x64xbf16>
  %wk = qopt.weight @k : !wk
  %wv = qopt.weight @v : !wk
  %bq = qopt.weight @bq : tensor<64xbf16>
  %bk = qopt.weight @bk : tensor<32xbf16>
  %bv = qopt.weight @bv : tensor<32xbf16>
  %q = qopt.linear %x, %wq bias(%bq) : (!x, tensor<64x64xbf16>, tensor<64xbf16>) -> !x
  %k = qopt.linear %x, %wk bias(%bk) : (!x, !wk, tensor<32xbf16>) -> !k
  %v = qopt.linear %x, %wv bias(%bv) : (!x, !wk, tensor<32xbf16>) -> !k
  %qr = qopt.rope %q, %batch {rope = #rope} : (!x, !qopt.batch) -> !x
  %kr = qopt.rope %k, %batch {rope = #rope} : (!k, !qopt.batch) -> !k
  qopt.kv_append %kr, %v, %cache, %batch {layer = 0 : i64} : (!k, !k, !cache, !qopt.batch) -> ()
  %y = qopt.paged_attention %qr, %cache, %batch {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64}
    : (!x, !cache, !qopt.batch) -> !x
  return %y : !x
}

// CHECK-LABEL: func @negative_no_append
// CHECK-NOT: qopt.slice
func.func @negative_no_append(%x: !x, %cache: !cache, %batch: !qopt.batch) -> !x {
  %wq = qopt.weight @q : tensor<64x64xbf16>
  %wk = qopt.weight @k : !wk
  %q = qopt.linear %x, %wq : (!x, tensor<64x64xbf16>) -> !x
  %k = qopt.linear %x, %wk : (!x, !wk) -> !k
  qopt.kv_append %k, %k, %cache, %batch {layer = 1 : i64} : (!k, !k, !cache, !qopt.batch) -> ()
  %y = qopt.paged_attention %q, %cache, %batch {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64}
    : (!x, !cache, !qopt.batch) -> !x
  return %y : !x
}

// CHECK-LABEL: func @negative_not_linear
// CHECK-NOT: qopt.slice
func.func @negative_not_linear(%x: !x, %v: !k, %cache: !cache, %batch: !qopt.batch) -> !x {
  %wq = qopt.weight @q : tensor<64x64xbf16>
  %wk = qopt.weight @k : !wk
  %q = qopt.linear %x, %wq : (!x, tensor<64x64xbf16>) -> !x
  %k = qopt.linear %x, %wk : (!x, !wk) -> !k
  qopt.kv_append %k, %v, %cache, %batch {layer = 0 : i64} : (!k, !k, !cache, !qopt.batch) -> ()
  %y = qopt.paged_attention %q, %cache, %batch {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64}
    : (!x, !cache, !qopt.batch) -> !x
  return %y : !x
}

// The reasons of the merge itself are in fuse-gate-up.mlir.
// CHECK-LABEL: func @negative_key_is_value
// CHECK-NOT: qopt.slice
func.func @negative_key_is_value(%x: !x, %cache: !cache, %batch: !qopt.batch) -> !x {
  %wq = qopt.weight @q : tensor<64x64xbf16>
  %wk = qopt.weight @k : !wk
  %q = qopt.linear %x, %wq : (!x, tensor<64x64xbf16>) -> !x
  %k = qopt.linear %x, %wk : (!x, !wk) -> !k
  qopt.kv_append %k, %k, %cache, %batch {layer = 0 : i64} : (!k, !k, !cache, !qopt.batch) -> ()
  %y = qopt.paged_attention %q, %cache, %batch {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64}
    : (!x, !cache, !qopt.batch) -> !x
  return %y : !x
}
