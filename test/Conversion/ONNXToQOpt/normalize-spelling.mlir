// RUN: qopt-opt %s --qopt-normalize-onnx | FileCheck %s

!u = !onnx_graph.unknown

// CHECK-LABEL: func.func @pow_square_f32
func.func @pow_square_f32(%x: tensor<?x4xf32>) -> !u {
  %two = onnx_graph.initializer "two" value dense<2.0> : tensor<f32> : tensor<f32>
  // CHECK: onnx_graph.node "Mul"(%[[X:.*]], %[[X]])
  %y = onnx_graph.node "Pow"(%x, %two) : (tensor<?x4xf32>, tensor<f32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @pow_square_i64_exponent
func.func @pow_square_i64_exponent(%x: tensor<?x4xf32>) -> !u {
  %two = onnx_graph.node "Constant"() {value_int = 2 : i64} : () -> !u
  // CHECK: onnx_graph.node "Mul"(%[[X:.*]], %[[X]])
  %y = onnx_graph.node "Pow"(%x, %two) : (tensor<?x4xf32>, !u) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @pow_inverse_root
func.func @pow_inverse_root(%x: tensor<?x4xf32>) -> !u {
  %p = onnx_graph.initializer "p" value dense<-0.5> : tensor<f32> : tensor<f32>
  // CHECK: onnx_graph.node "Rsqrt" in "qopt"
  %y = onnx_graph.node "Pow"(%x, %p) : (tensor<?x4xf32>, tensor<f32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @negative_pow_cube
func.func @negative_pow_cube(%x: tensor<?x4xf32>) -> !u {
  %p = onnx_graph.initializer "p" value dense<3.0> : tensor<f32> : tensor<f32>
  // CHECK: onnx_graph.node "Pow"
  %y = onnx_graph.node "Pow"(%x, %p) : (tensor<?x4xf32>, tensor<f32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @negative_pow_variable
func.func @negative_pow_variable(%x: tensor<?x4xf32>, %p: tensor<f32>) -> !u {
  // CHECK: onnx_graph.node "Pow"
  %y = onnx_graph.node "Pow"(%x, %p) : (tensor<?x4xf32>, tensor<f32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @rsqrt_of_reciprocal
func.func @rsqrt_of_reciprocal(%x: tensor<?x4xf32>) -> !u {
  // CHECK: onnx_graph.node "Rsqrt" in "qopt"(%{{.*}}) : (tensor<?x4xf32>)
  // CHECK-NOT: "Reciprocal"
  %s = onnx_graph.node "Sqrt"(%x) : (tensor<?x4xf32>) -> !u
  %y = onnx_graph.node "Reciprocal"(%s) : (!u) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @rsqrt_of_division
func.func @rsqrt_of_division(%x: tensor<?x4xf32>, %a: tensor<?x4xf32>) -> (!u, !u) {
  %one = onnx_graph.initializer "one" value dense<1.0> : tensor<f32> : tensor<f32>
  %s = onnx_graph.node "Sqrt"(%x) : (tensor<?x4xf32>) -> !u
  // CHECK: %[[R:.*]] = onnx_graph.node "Rsqrt" in "qopt"
  %y = onnx_graph.node "Div"(%one, %s) : (tensor<f32>, !u) -> !u
  // CHECK: onnx_graph.node "Mul"(%{{.*}}, %{{.*}}) : (tensor<?x4xf32>, !onnx_graph.unknown)
  %z = onnx_graph.node "Div"(%a, %s) : (tensor<?x4xf32>, !u) -> !u
  return %y, %z : !u, !u
}

// CHECK-LABEL: func.func @negative_reciprocal_of_sum
func.func @negative_reciprocal_of_sum(%x: tensor<?x4xf32>) -> !u {
  // CHECK: onnx_graph.node "Reciprocal"
  %y = onnx_graph.node "Reciprocal"(%x) : (tensor<?x4xf32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @division_by_constant
func.func @division_by_constant(%x: tensor<?x4xf32>) -> !u {
  %c = onnx_graph.initializer "c" value dense<4.0> : tensor<f32> : tensor<f32>
  // CHECK: %[[C:.*]] = onnx_graph.node "Constant"() {value = dense<2.500000e-01> : tensor<f32>}
  // CHECK: onnx_graph.node "Mul"(%{{.*}}, %[[C]])
  %y = onnx_graph.node "Div"(%x, %c) : (tensor<?x4xf32>, tensor<f32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @negative_division_by_variable
func.func @negative_division_by_variable(%x: tensor<?x4xf32>, %c: tensor<f32>) -> !u {
  // CHECK: onnx_graph.node "Div"
  %y = onnx_graph.node "Div"(%x, %c) : (tensor<?x4xf32>, tensor<f32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @identities
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32>)
func.func @identities(%x: tensor<?x4xf32>) -> !u {
  // CHECK-NEXT: return %[[X]] : tensor<?x4xf32>
  %a = onnx_graph.node "Identity"(%x) : (tensor<?x4xf32>) -> !u
  %b:2 = onnx_graph.node "Dropout"(%a) : (!u) -> (!u, !u)
  %c = onnx_graph.node "Concat"(%b#0) {axis = 0} : (!u) -> !u
  %one = onnx_graph.initializer "one" value dense<1.0> : tensor<f32> : tensor<f32>
  %d = onnx_graph.node "Mul"(%c, %one) : (!u, tensor<f32>) -> !u
  return %d : !u
}

// CHECK-LABEL: func.func @negative_dropout_mask
func.func @negative_dropout_mask(%x: tensor<?x4xf32>) -> !u {
  // CHECK: onnx_graph.node "Dropout"
  %b:2 = onnx_graph.node "Dropout"(%x) : (tensor<?x4xf32>) -> (!u, !u)
  return %b#1 : !u
}

// CHECK-LABEL: func.func @negative_dropout_training
func.func @negative_dropout_training(%x: tensor<?x4xf32>, %ratio: tensor<f32>) -> !u {
  %on = onnx_graph.initializer "on" value dense<true> : tensor<i1> : tensor<i1>
  // CHECK: onnx_graph.node "Dropout"
  %b = onnx_graph.node "Dropout"(%x, %ratio, %on) : (tensor<?x4xf32>, tensor<f32>, tensor<i1>) -> !u
  return %b : !u
}

// CHECK-LABEL: func.func @negative_product_with_two
func.func @negative_product_with_two(%x: tensor<?x4xf32>) -> !u {
  %two = onnx_graph.initializer "two" value dense<2.0> : tensor<f32> : tensor<f32>
  // CHECK: onnx_graph.node "Mul"
  %d = onnx_graph.node "Mul"(%x, %two) : (tensor<?x4xf32>, tensor<f32>) -> !u
  return %d : !u
}

// CHECK-LABEL: func.func @negative_product_with_ones_that_broadcast
func.func @negative_product_with_ones_that_broadcast(%x: tensor<4xf32>) -> !u {
  %one = onnx_graph.initializer "one" value dense<1.0> : tensor<1x1xf32> : tensor<1x1xf32>
  // CHECK: onnx_graph.node "Mul"
  %d = onnx_graph.node "Mul"(%x, %one) : (tensor<4xf32>, tensor<1x1xf32>) -> !u
  return %d : !u
}

// CHECK-LABEL: func.func @transposed_weight
func.func @transposed_weight(%x: tensor<?x4xf32>) -> !u {
  %w = onnx_graph.initializer "w" : tensor<6x4xf32>
  // CHECK: onnx_graph.initializer "w" transposed : tensor<4x6xf32>
  // CHECK-NOT: "Transpose"
  %t = onnx_graph.node "Transpose"(%w) {perm = [1, 0]} : (tensor<6x4xf32>) -> !u
  %y = onnx_graph.node "MatMul"(%x, %t) : (tensor<?x4xf32>, !u) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @weight_transposed_twice
func.func @weight_transposed_twice(%x: tensor<?x6xf32>) -> !u {
  %w = onnx_graph.initializer "w" : tensor<6x4xf32>
  // CHECK: onnx_graph.initializer "w" : tensor<6x4xf32>
  %t = onnx_graph.node "Transpose"(%w) : (tensor<6x4xf32>) -> !u
  %s = onnx_graph.node "Transpose"(%t) {perm = [1, 0]} : (!u) -> !u
  %y = onnx_graph.node "MatMul"(%x, %s) : (tensor<?x6xf32>, !u) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @negative_transpose_of_rank_3
func.func @negative_transpose_of_rank_3() -> !u {
  %w = onnx_graph.initializer "w" : tensor<2x6x4xf32>
  // CHECK: onnx_graph.node "Transpose"
  %t = onnx_graph.node "Transpose"(%w) {perm = [0, 2, 1]} : (tensor<2x6x4xf32>) -> !u
  return %t : !u
}

// CHECK-LABEL: func.func @packed_linear
func.func @packed_linear(%x: tensor<?x?x4xf32>) -> (!u, !u) {
  %w = onnx_graph.initializer "qkv" : tensor<4x6xf32>
  %sizes = onnx_graph.initializer "sizes" value dense<[4, 2]> : tensor<2xi64> : tensor<2xi64>
  %y = onnx_graph.node "MatMul"(%x, %w) : (tensor<?x?x4xf32>, tensor<4x6xf32>) -> !u
  // CHECK: onnx_graph.initializer "qkv" transposed rows 0 : tensor<4x4xf32>
  // CHECK: onnx_graph.initializer "qkv" transposed rows 4 : tensor<2x4xf32>
  // CHECK-NOT: "Split"
  %p:2 = onnx_graph.node "Split"(%y, %sizes) {axis = -1} : (!u, tensor<2xi64>) -> (!u, !u)
  return %p#0, %p#1 : !u, !u
}

// CHECK-LABEL: func.func @negative_packed_other_axis
func.func @negative_packed_other_axis(%x: tensor<?x4x4xf32>) -> (!u, !u) {
  %w = onnx_graph.initializer "qkv" : tensor<4x6xf32>
  %y = onnx_graph.node "MatMul"(%x, %w) : (tensor<?x4x4xf32>, tensor<4x6xf32>) -> !u
  // CHECK: onnx_graph.node "Split"
  %p:2 = onnx_graph.node "Split"(%y) {axis = 1} : (!u) -> (!u, !u)
  return %p#0, %p#1 : !u, !u
}

// CHECK-LABEL: func.func @negative_packed_axis_of_rank_4
func.func @negative_packed_axis_of_rank_4(%x: tensor<?x?x6x4xf32>) -> (!u, !u) {
  %w = onnx_graph.initializer "qkv" : tensor<4x6xf32>
  %y = onnx_graph.node "MatMul"(%x, %w) : (tensor<?x?x6x4xf32>, tensor<4x6xf32>) -> tensor<?x?x6x6xf32>
  // CHECK: onnx_graph.node "Split"
  %p:2 = onnx_graph.node "Split"(%y) {axis = 2} : (tensor<?x?x6x6xf32>) -> (!u, !u)
  return %p#0, %p#1 : !u, !u
}

// CHECK-LABEL: func.func @negative_packed_sizes
func.func @negative_packed_sizes(%x: tensor<?x?x4xf32>, %sizes: tensor<2xi64>) -> (!u, !u) {
  %w = onnx_graph.initializer "qkv" : tensor<4x6xf32>
  %y = onnx_graph.node "MatMul"(%x, %w) : (tensor<?x?x4xf32>, tensor<4x6xf32>) -> !u
  // CHECK: onnx_graph.node "Split"
  %p:2 = onnx_graph.node "Split"(%y, %sizes) {axis = -1} : (!u, tensor<2xi64>) -> (!u, !u)
  return %p#0, %p#1 : !u, !u
}

// CHECK-LABEL: func.func @fold
func.func @fold() -> !u {
  %a = onnx_graph.initializer "a" value dense<[3, 4]> : tensor<2xi64> : tensor<2xi64>
  %i = onnx_graph.initializer "i" value dense<1> : tensor<i64> : tensor<i64>
  %g = onnx_graph.node "Gather"(%a, %i) {axis = 0} : (tensor<2xi64>, tensor<i64>) -> !u
  %d = onnx_graph.node "Add"(%g, %i) : (!u, tensor<i64>) -> !u
  // CHECK-NEXT: %[[C:.*]] = onnx_graph.node "Constant"() {value = dense<5> : tensor<i64>}
  // CHECK-NEXT: return %[[C]]
  return %d : !u
}

// CHECK-LABEL: func.func @fold_large_integers
func.func @fold_large_integers() -> (!u, !u) {
  %a = onnx_graph.initializer "a" value dense<9223372036854775807> : tensor<i64> : tensor<i64>
  %b = onnx_graph.initializer "b" value dense<2147483647> : tensor<i32> : tensor<i32>
  %one = onnx_graph.initializer "one" value dense<1> : tensor<i32> : tensor<i32>
  // CHECK: value = dense<-9223372036854775807> : tensor<i64>
  %n = onnx_graph.node "Neg"(%a) : (tensor<i64>) -> !u
  // CHECK: value = dense<-2147483648> : tensor<i64>
  %s = onnx_graph.node "Add"(%b, %one) : (tensor<i32>, tensor<i32>) -> !u
  %w = onnx_graph.node "Cast"(%s) {to = i64} : (!u) -> !u
  return %n, %w : !u, !u
}

// CHECK-LABEL: func.func @negative_fold_weight
func.func @negative_fold_weight() -> !u {
  %a = onnx_graph.initializer "a" value dense<1.0> : tensor<4xf32> : tensor<4xf32>
  // CHECK: onnx_graph.node "Neg"
  %y = onnx_graph.node "Neg"(%a) : (tensor<4xf32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @negative_fold_large
func.func @negative_fold_large() -> !u {
  %s = onnx_graph.initializer "s" value dense<[1000000, 1000000]> : tensor<2xi64> : tensor<2xi64>
  // CHECK: onnx_graph.node "ConstantOfShape"
  %y = onnx_graph.node "ConstantOfShape"(%s) : (tensor<2xi64>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @negative_fold_invalid
func.func @negative_fold_invalid() -> !u {
  %a = onnx_graph.initializer "a" value dense<[3, 4]> : tensor<2xi64> : tensor<2xi64>
  %i = onnx_graph.initializer "i" value dense<7> : tensor<i64> : tensor<i64>
  // CHECK: onnx_graph.node "Gather"
  %g = onnx_graph.node "Gather"(%a, %i) {axis = 0} : (tensor<2xi64>, tensor<i64>) -> !u
  return %g : !u
}

// CHECK-LABEL: func.func @if_constant
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32>)
func.func @if_constant(%x: tensor<?xf32>) -> tensor<?xf32> {
  %c = onnx_graph.initializer "c" value dense<false> : tensor<i1> : tensor<i1>
  // CHECK-NEXT: return %[[X]]
  %y = onnx_graph.node "If"(%c) bodies ["then_branch", "else_branch"] {
    %n = onnx_graph.node "Neg"(%x) : (tensor<?xf32>) -> tensor<?xf32>
    onnx_graph.yield %n : tensor<?xf32>
  }, {
    onnx_graph.yield %x : tensor<?xf32>
  } : (tensor<i1>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func.func @if_inside_if
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32>)
func.func @if_inside_if(%x: tensor<?xf32>) -> tensor<?xf32> {
  %c = onnx_graph.initializer "c" value dense<true> : tensor<i1> : tensor<i1>
  // CHECK-NEXT: return %[[X]]
  %y = onnx_graph.node "If"(%c) bodies ["then_branch", "else_branch"] {
    %z = onnx_graph.node "If"(%c) bodies ["then_branch", "else_branch"] {
      onnx_graph.yield %x : tensor<?xf32>
    }, {
      %n = onnx_graph.node "Neg"(%x) : (tensor<?xf32>) -> tensor<?xf32>
      onnx_graph.yield %n : tensor<?xf32>
    } : (tensor<i1>) -> tensor<?xf32>
    onnx_graph.yield %z : tensor<?xf32>
  }, {
    onnx_graph.yield %x : tensor<?xf32>
  } : (tensor<i1>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// The branch that reads a past is taken, and the input that chose it is dropped.
// CHECK-LABEL: func.func @if_use_cache_branch
// CHECK-SAME: (%[[P:.*]]: tensor<?x2x?x4xf32>)
func.func @if_use_cache_branch(%use_cache_branch: tensor<1xi1>, %p: tensor<?x2x?x4xf32>) -> !u {
  // CHECK-NEXT: %[[Y:.*]] = onnx_graph.node "Neg"(%[[P]])
  // CHECK-NEXT: return %[[Y]]
  %y = onnx_graph.node "If"(%use_cache_branch) bodies ["then_branch", "else_branch"] {
    %n = onnx_graph.node "Neg"(%p) : (tensor<?x2x?x4xf32>) -> !u
    onnx_graph.yield %n : !u
  }, {
    %c = onnx_graph.node "Constant"() {value_float = 1.0 : f32} : () -> !u
    onnx_graph.yield %c : !u
  } : (tensor<1xi1>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @negative_if_variable
func.func @negative_if_variable(%c: tensor<i1>, %x: tensor<?xf32>) -> !u {
  // CHECK: onnx_graph.node "If"
  %y = onnx_graph.node "If"(%c) bodies ["then_branch", "else_branch"] {
    onnx_graph.yield %x : tensor<?xf32>
  }, {
    onnx_graph.yield %x : tensor<?xf32>
  } : (tensor<i1>) -> !u
  return %y : !u
}
