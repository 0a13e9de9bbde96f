// RUN: qopt-opt %s --split-input-file --verify-diagnostics

func.func @negative_op_type(%x: tensor<f32>) {
  // expected-error @+1 {{has an empty operator name}}
  %y = onnx_graph.node ""(%x) : (tensor<f32>) -> tensor<f32>
  return
}

// -----

func.func @negative_domain(%x: tensor<f32>) {
  // expected-error @+1 {{has an empty domain, expected none for ai.onnx}}
  %y = onnx_graph.node "Neg" in ""(%x) : (tensor<f32>) -> tensor<f32>
  return
}

// -----

func.func @negative_body_names(%c: tensor<i1>) {
  // expected-error @+1 {{names 2 bodies, has 1}}
  onnx_graph.node "If"(%c) bodies ["then_branch", "else_branch"] {
    onnx_graph.yield
  } : (tensor<i1>) -> ()
  return
}

// -----

func.func @negative_body_arguments(%c: tensor<i1>) {
  // expected-error @+1 {{has a body with 1 arguments, expected none}}
  onnx_graph.node "If"(%c) bodies ["then_branch"] {
  ^bb0(%x: tensor<f32>):
    onnx_graph.yield
  } : (tensor<i1>) -> ()
  return
}

// -----

func.func @negative_body_end(%c: tensor<i1>, %x: tensor<f32>) {
  // expected-error @+1 {{has a body that does not end in onnx_graph.yield}}
  onnx_graph.node "If"(%c) bodies ["then_branch"] {
    %y = onnx_graph.node "Neg"(%x) : (tensor<f32>) -> tensor<f32>
  } : (tensor<i1>) -> ()
  return
}

// -----

func.func @negative_value_type() {
  // expected-error @+1 {{has a value of type 'tensor<2xf32>', expected 'tensor<3xf32>'}}
  %w = onnx_graph.initializer "w" value dense<1.0> : tensor<2xf32> : tensor<3xf32>
  return
}

// -----

func.func @negative_value_and_view() {
  // expected-error @+1 {{has a value and is a view of another tensor}}
  %w = onnx_graph.initializer "w" value dense<1.0> : tensor<2x2xf32> transposed : tensor<2x2xf32>
  return
}

// -----

func.func @negative_view_rank() {
  // expected-error @+1 {{is a view of rank 1, expected a matrix}}
  %w = onnx_graph.initializer "w" transposed : tensor<2xf32>
  return
}

// -----

func.func @negative_row_offset() {
  // expected-error @+1 {{starts at row -1}}
  %w = onnx_graph.initializer "w" rows -1 : tensor<2x2xf32>
  return
}
