// RUN: qopt-opt %s --qopt-page-kv=page-tokens=32 | FileCheck %s

#rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>

// CHECK-LABEL: func @forward
// CHECK-SAME: (%[[TOKENS:.*]]: tensor<?xi32> {qopt.name = "tokens"}, %[[BATCH:.*]]: !qopt.batch {qopt.name = "batch"},
// CHECK-SAME: %[[CACHE:.*]]: !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 32, type = f32> {qopt.name = "cache"}) -> tensor<?x32xf32>
func.func @forward(%ids: tensor<?x?xi64>, %mask: tensor<?x?xi64>, %positions: tensor<?x?xi64>,
                   %pk0: tensor<?x2x?x16xf32>, %pv0: tensor<?x2x?x16xf32>,
                   %pk1: tensor<?x2x?x16xf32>, %pv1: tensor<?x2x?x16xf32>)
    -> (tensor<?x?x32xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>) {
  // CHECK: %[[TABLE:.*]] = qopt.weight @embed : tensor<32x32xf32>
  %table = qopt.weight @embed : tensor<32x32xf32>
  // CHECK: %[[X:.*]] = qopt.embedding %[[TOKENS]], %[[TABLE]] : (tensor<?xi32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  %x = qopt.embedding %ids, %table : (tensor<?x?xi64>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  // CHECK: %[[R:.*]] = qopt.rope %[[X]], %[[BATCH]] {{.*}} : (tensor<?x32xf32>, !qopt.batch) -> tensor<?x32xf32>
  %r = qopt.rope %x, %positions {rope = #rope} : (tensor<?x?x32xf32>, tensor<?x?xi64>) -> tensor<?x?x32xf32>
  // CHECK: qopt.kv_append %[[R]], %[[X]], %[[CACHE]], %[[BATCH]] {layer = 0 : i64}
  // CHECK: %[[Y:.*]] = qopt.paged_attention %[[R]], %[[CACHE]], %[[BATCH]] {layer = 0 : i64, num_heads = 2 : i64, scale = 2.500000e-01 : f64}
  %y0, %ck0, %cv0 = qopt.attention %r, %r, %x, %mask, %pk0, %pv0 {num_heads = 2 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64}
    : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    -> (tensor<?x?x32xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  // CHECK: qopt.kv_append %[[Y]], %[[Y]], %[[CACHE]], %[[BATCH]] {layer = 1 : i64}
  // CHECK: qopt.paged_attention %[[Y]], {{.*}} {layer = 1 : i64
  %y1, %ck1, %cv1 = qopt.attention %y0, %y0, %y0, %mask, %pk1, %pv1 {num_heads = 2 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64}
    : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    -> (tensor<?x?x32xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  // CHECK: qopt.add %{{.*}}, %{{.*}} : tensor<?x32xf32>
  %z = qopt.add %x, %y1 : tensor<?x?x32xf32>
  // CHECK: %[[L:.*]] = qopt.logits %{{.*}}, %[[TABLE]] batch(%[[BATCH]]) : (tensor<?x32xf32>, tensor<32x32xf32>, !qopt.batch) -> tensor<?x32xf32>
  %l = qopt.logits %z, %table : (tensor<?x?x32xf32>, tensor<32x32xf32>) -> tensor<?x?x32xf32>
  // CHECK: return %[[L]] : tensor<?x32xf32>
  return %l, %ck0, %cv0, %ck1, %cv1
    : tensor<?x?x32xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>
}
