// RUN: qopt-opt %s | qopt-opt | FileCheck %s

// CHECK-LABEL: module attributes {onnx_graph.opset = 18 : i64}
module attributes {onnx_graph.opset = 18 : i64} {

// CHECK-LABEL: func.func @node
func.func @node(%x: tensor<?x4xf32>) -> !onnx_graph.unknown {
  // CHECK: onnx_graph.node "Transpose"(%{{.*}}) {perm = [0, 1]} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %t = onnx_graph.node "Transpose"(%x) {perm = [0, 1]} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: onnx_graph.node "Sigmoid"(%{{.*}}) : (tensor<?x4xf32>) -> !onnx_graph.unknown
  %s = onnx_graph.node "Sigmoid"(%t) : (tensor<?x4xf32>) -> !onnx_graph.unknown
  return %s : !onnx_graph.unknown
}

// CHECK-LABEL: func.func @node_domain
func.func @node_domain(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK: %[[NONE:.*]] = onnx_graph.absent
  %none = onnx_graph.absent
  // CHECK: %{{.*}}:2 = onnx_graph.node "Fused" in "com.microsoft"(%{{.*}}, %[[NONE]]) {epsilon = 2.500000e-01 : f32}
  // CHECK-SAME: : (tensor<?x4xf32>, none) -> (tensor<?x4xf32>, !onnx_graph.unknown)
  %y:2 = onnx_graph.node "Fused" in "com.microsoft"(%x, %none) {epsilon = 0.25 : f32}
    : (tensor<?x4xf32>, none) -> (tensor<?x4xf32>, !onnx_graph.unknown)
  return %y#0 : tensor<?x4xf32>
}

// CHECK-LABEL: func.func @node_bodies
func.func @node_bodies(%c: tensor<i1>, %x: tensor<?xf32>) -> tensor<?xf32> {
  // CHECK: onnx_graph.node "If"(%{{.*}}) bodies ["then_branch", "else_branch"] {
  // CHECK: onnx_graph.node "Neg"
  // CHECK: onnx_graph.yield %{{.*}} : tensor<?xf32>
  // CHECK: }, {
  // CHECK: onnx_graph.yield %{{.*}} : tensor<?xf32>
  %y = onnx_graph.node "If"(%c) bodies ["then_branch", "else_branch"] {
    %n = onnx_graph.node "Neg"(%x) : (tensor<?xf32>) -> tensor<?xf32>
    onnx_graph.yield %n : tensor<?xf32>
  }, {
    onnx_graph.yield %x : tensor<?xf32>
  } : (tensor<i1>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func.func @initializer
func.func @initializer() {
  // CHECK: onnx_graph.initializer "w" : tensor<128x32xf16>
  %w = onnx_graph.initializer "w" : tensor<128x32xf16>
  // CHECK: onnx_graph.initializer "w" transposed : tensor<32x128xf16>
  %t = onnx_graph.initializer "w" transposed : tensor<32x128xf16>
  // CHECK: onnx_graph.initializer "w" transposed rows 8 : tensor<16x128xf16>
  %r = onnx_graph.initializer "w" transposed rows 8 : tensor<16x128xf16>
  // CHECK: onnx_graph.initializer "c" value dense<2> : tensor<i64> : tensor<i64>
  %c = onnx_graph.initializer "c" value dense<2> : tensor<i64> : tensor<i64>
  return
}

}
