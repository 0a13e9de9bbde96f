// RUN: qopt-opt %s --qopt-canonical-order --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func @order_f32_by_data_flow
func.func @order_f32_by_data_flow(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-NEXT: %[[A:.*]] = qopt.weight @a
  // CHECK-NEXT: %[[Y:.*]] = qopt.linear %{{.*}}, %[[A]]
  // CHECK-NEXT: %[[B:.*]] = qopt.weight @b
  // CHECK-NEXT: qopt.linear %[[Y]], %[[B]]
  // CHECK-NEXT: return
  %b = qopt.weight @b : tensor<4x4xf32>
  %a = qopt.weight @a : tensor<4x4xf32>
  %0 = qopt.linear %x, %a : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %1 = qopt.linear %0, %b : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// CHECK-LABEL: func @order_f32_equal_weights
func.func @order_f32_equal_weights(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-NEXT: %[[A:.*]] = qopt.weight @a
  // CHECK-NEXT: %[[Y:.*]] = qopt.linear %{{.*}}, %[[A]]
  // CHECK-NEXT: qopt.linear %[[Y]], %[[A]]
  // CHECK-NEXT: return
  %a = qopt.weight @a : tensor<4x4xf32>
  %0 = qopt.linear %x, %a : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %b = qopt.weight @a : tensor<4x4xf32>
  %1 = qopt.linear %0, %b : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// What the source stores belongs to a weight.
// CHECK-LABEL: func @order_f32_stored_differs
func.func @order_f32_stored_differs(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // CHECK-COUNT-2: qopt.weight @a
  %a = qopt.weight @a stored !qopt.q<i4, group = 32, scale = f16> : tensor<32x32xf32>
  %0 = qopt.linear %x, %a : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  %b = qopt.weight @a : tensor<32x32xf32>
  %1 = qopt.linear %0, %b : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  return %1 : tensor<?x32xf32>
}

// CHECK-LABEL: func @order_f32_dead
func.func @order_f32_dead(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-NEXT: return
  %a = qopt.weight @a : tensor<4x4xf32>
  %0 = qopt.linear %x, %a : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  return %x : tensor<?x4xf32>
}

// CHECK-LABEL: func private @order_declaration
func.func private @order_declaration()

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, page_tokens = 64, type = f32>

func.func @negative_side_effects(%k: tensor<?x4xf32>, %cache: !cache, %batch: !qopt.batch) {
  // expected-error @+1 {{expected an operation without side effects}}
  qopt.kv_append %k, %k, %cache, %batch {layer = 0 : i64}
    : (tensor<?x4xf32>, tensor<?x4xf32>, !cache, !qopt.batch) -> ()
  return
}

// -----

func.func @negative_regions(%c: i1, %x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{expected an operation without regions}}
  %y = scf.if %c -> tensor<?x4xf32> {
    scf.yield %x : tensor<?x4xf32>
  } else {
    scf.yield %x : tensor<?x4xf32>
  }
  return %y : tensor<?x4xf32>
}

// -----

// expected-error @+1 {{expected a body of one block}}
func.func @negative_two_blocks() {
  llvm.br ^bb1
^bb1:
  return
}
