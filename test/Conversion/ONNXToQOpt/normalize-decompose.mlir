// RUN: qopt-opt %s --qopt-normalize-onnx | FileCheck %s

!u = !onnx_graph.unknown

// CHECK-LABEL: func.func @rms_normalization_f16
func.func @rms_normalization_f16(%x: tensor<?x?x4xf16>, %w: tensor<4xf16>) -> !u {
  // CHECK: %[[F:.*]] = onnx_graph.node "Cast"(%[[X:.*]]) {to = f32}
  // CHECK: %[[S:.*]] = onnx_graph.node "Mul"(%[[F]], %[[F]])
  // CHECK: %[[M:.*]] = onnx_graph.node "ReduceMean"(%[[S]], %{{.*}}) {keepdims = 1 : i64}
  // CHECK: %[[A:.*]] = onnx_graph.node "Add"(%[[M]], %{{.*}})
  // CHECK: %[[R:.*]] = onnx_graph.node "Rsqrt" in "qopt"(%[[A]])
  // CHECK: %[[N:.*]] = onnx_graph.node "Mul"(%[[F]], %[[R]])
  // CHECK: %[[H:.*]] = onnx_graph.node "CastLike"(%[[N]], %[[X]])
  // CHECK: onnx_graph.node "Mul"(%[[H]], %{{.*}})
  %y = onnx_graph.node "RMSNormalization"(%x, %w) {axis = 2 : i64, epsilon = 1.0e-6 : f32}
    : (tensor<?x?x4xf16>, tensor<4xf16>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @negative_rms_normalization_axis
func.func @negative_rms_normalization_axis(%x: tensor<?x?x4xf32>, %w: tensor<4xf32>) -> !u {
  // CHECK: "RMSNormalization"
  %y = onnx_graph.node "RMSNormalization"(%x, %w) {axis = 1 : i64}
    : (tensor<?x?x4xf32>, tensor<4xf32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @skip_rms_normalization
func.func @skip_rms_normalization(%x: tensor<?x4xf32>, %r: tensor<?x4xf32>, %w: tensor<4xf32>) -> (!u, !u) {
  // CHECK: %[[S:.*]] = onnx_graph.node "Add"(%arg0, %arg1)
  // CHECK: %[[Y:.*]] = onnx_graph.node "Mul"(%{{.*}}, %arg2)
  // CHECK: return %[[Y]], %[[S]]
  %y:4 = onnx_graph.node "SkipSimplifiedLayerNormalization" in "com.microsoft"(%x, %r, %w) {epsilon = 1.0e-5 : f32}
    : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xf32>) -> (!u, !u, !u, !u)
  return %y#0, %y#3 : !u, !u
}

// The default is that of com.microsoft's normalisations with a skip.
// CHECK-LABEL: func.func @skip_rms_normalization_default_epsilon
func.func @skip_rms_normalization_default_epsilon(%x: tensor<?x4xf32>, %r: tensor<?x4xf32>, %w: tensor<4xf32>) -> !u {
  // CHECK: %[[E:.*]] = onnx_graph.node "Constant"() {value = dense<9.99999996E-13> : tensor<f32>}
  // CHECK: onnx_graph.node "Add"(%{{.*}}, %[[E]])
  %y = onnx_graph.node "SkipSimplifiedLayerNormalization" in "com.microsoft"(%x, %r, %w)
    : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xf32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @negative_skip_rms_normalization_mean
func.func @negative_skip_rms_normalization_mean(%x: tensor<?x4xf32>, %r: tensor<?x4xf32>, %w: tensor<4xf32>) -> !u {
  // CHECK: "SkipSimplifiedLayerNormalization"
  %y:4 = onnx_graph.node "SkipSimplifiedLayerNormalization" in "com.microsoft"(%x, %r, %w)
    : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xf32>) -> (!u, !u, !u, !u)
  return %y#1 : !u
}

// CHECK-LABEL: func.func @rotary_4d
func.func @rotary_4d(%x: tensor<?x2x?x8xf32>, %c: tensor<?x?x4xf32>, %s: tensor<?x?x4xf32>) -> !u {
  // CHECK-NOT: "RotaryEmbedding"
  // CHECK: onnx_graph.node "Split"
  // CHECK: onnx_graph.node "Sub"
  // CHECK: onnx_graph.node "Add"
  // CHECK: onnx_graph.node "Concat"
  %y = onnx_graph.node "RotaryEmbedding"(%x, %c, %s)
    : (tensor<?x2x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> !u
  return %y : !u
}

// com.microsoft has the positions second, and tables of all positions.
// CHECK-LABEL: func.func @rotary_3d_positions
func.func @rotary_3d_positions(%x: tensor<?x?x16xf32>, %p: tensor<?x?xi64>, %c: tensor<9x4xf32>, %s: tensor<9x4xf32>) -> !u {
  // CHECK: onnx_graph.node "Gather"(%arg2, %arg1)
  // CHECK: onnx_graph.node "Gather"(%arg3, %arg1)
  // CHECK: onnx_graph.node "Reshape"
  // CHECK: onnx_graph.node "Concat"
  // CHECK: onnx_graph.node "Reshape"
  %y = onnx_graph.node "RotaryEmbedding" in "com.microsoft"(%x, %p, %c, %s)
    : (tensor<?x?x16xf32>, tensor<?x?xi64>, tensor<9x4xf32>, tensor<9x4xf32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @negative_rotary_interleaved
func.func @negative_rotary_interleaved(%x: tensor<?x2x?x8xf32>, %c: tensor<?x?x4xf32>, %s: tensor<?x?x4xf32>) -> !u {
  // CHECK: "RotaryEmbedding"
  %y = onnx_graph.node "RotaryEmbedding"(%x, %c, %s) {interleaved = 1 : i64}
    : (tensor<?x2x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @negative_rotary_part_of_head
func.func @negative_rotary_part_of_head(%x: tensor<?x2x?x8xf32>, %c: tensor<?x?x2xf32>, %s: tensor<?x?x2xf32>) -> !u {
  // CHECK: "RotaryEmbedding"
  %y = onnx_graph.node "RotaryEmbedding"(%x, %c, %s) {rotary_embedding_dim = 4 : i64}
    : (tensor<?x2x?x8xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> !u
  return %y : !u
}

// Two heads of 8, of which 4 are rotated, are not four heads of 4.
// CHECK-LABEL: func.func @negative_rotary_3d_part_of_head
func.func @negative_rotary_3d_part_of_head(%x: tensor<?x?x16xf32>, %p: tensor<?x?xi64>, %c: tensor<9x2xf32>, %s: tensor<9x2xf32>) -> !u {
  // CHECK: "RotaryEmbedding"
  %y = onnx_graph.node "RotaryEmbedding" in "com.microsoft"(%x, %p, %c, %s) {num_heads = 2 : i64, rotary_embedding_dim = 4 : i64}
    : (tensor<?x?x16xf32>, tensor<?x?xi64>, tensor<9x2xf32>, tensor<9x2xf32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @attention_past_causal
func.func @attention_past_causal(%q: tensor<?x?x16xf32>, %k: tensor<?x?x8xf32>, %v: tensor<?x?x8xf32>, %m: tensor<?x1x?x?xi1>,
                                 %pk: tensor<?x1x?x8xf32>, %pv: tensor<?x1x?x8xf32>) -> (!u, !u, !u) {
  // CHECK-NOT: "Attention"
  // CHECK: %[[K:.*]] = onnx_graph.node "Concat"(%arg4, %{{.*}}) {axis = 2 : i64}
  // CHECK: %[[V:.*]] = onnx_graph.node "Concat"(%arg5, %{{.*}}) {axis = 2 : i64}
  // CHECK: onnx_graph.node "Tile"
  // CHECK: onnx_graph.node "MatMul"
  // CHECK: onnx_graph.node "Where"(%arg3
  // CHECK: %[[C:.*]] = onnx_graph.node "LessOrEqual"
  // CHECK: onnx_graph.node "Where"(%[[C]]
  // CHECK: onnx_graph.node "Softmax"
  // CHECK: return %{{.*}}, %[[K]], %[[V]]
  %y:3 = onnx_graph.node "Attention"(%q, %k, %v, %m, %pk, %pv) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 1 : i64}
    : (tensor<?x?x16xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x1x?x?xi1>, tensor<?x1x?x8xf32>, tensor<?x1x?x8xf32>) -> (!u, !u, !u)
  return %y#0, %y#1, %y#2 : !u, !u, !u
}

// CHECK-LABEL: func.func @negative_attention_softcap
func.func @negative_attention_softcap(%q: tensor<?x2x?x8xf32>) -> !u {
  // CHECK: "Attention"
  %y = onnx_graph.node "Attention"(%q, %q, %q) {softcap = 30.0 : f32}
    : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @multi_head_attention
func.func @multi_head_attention(%q: tensor<?x?x16xf32>, %b: tensor<?x1x?x?xf32>) -> !u {
  %none = onnx_graph.absent
  // CHECK-NOT: "MultiHeadAttention"
  // CHECK: onnx_graph.node "Add"(%{{.*}}, %arg1)
  // CHECK: onnx_graph.node "Softmax"
  %y = onnx_graph.node "MultiHeadAttention" in "com.microsoft"(%q, %q, %q, %none, %none, %b) {num_heads = 2 : i64}
    : (tensor<?x?x16xf32>, tensor<?x?x16xf32>, tensor<?x?x16xf32>, none, none, tensor<?x1x?x?xf32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @negative_multi_head_attention_padding
func.func @negative_multi_head_attention_padding(%q: tensor<?x?x16xf32>, %m: tensor<?xi32>) -> !u {
  %none = onnx_graph.absent
  // CHECK: "MultiHeadAttention"
  %y = onnx_graph.node "MultiHeadAttention" in "com.microsoft"(%q, %q, %q, %none, %m) {num_heads = 2 : i64}
    : (tensor<?x?x16xf32>, tensor<?x?x16xf32>, tensor<?x?x16xf32>, none, tensor<?xi32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @gemm
func.func @gemm(%x: tensor<?x4xf32>, %b: tensor<6xf32>) -> !u {
  %w = onnx_graph.initializer "w" : tensor<6x4xf32>
  // CHECK: %[[W:.*]] = onnx_graph.initializer "w" transposed : tensor<4x6xf32>
  // CHECK: %[[P:.*]] = onnx_graph.node "MatMul"(%arg0, %[[W]])
  // CHECK: onnx_graph.node "Add"(%[[P]], %arg1)
  %y = onnx_graph.node "Gemm"(%x, %w, %b) {transB = 1 : i64} : (tensor<?x4xf32>, tensor<6x4xf32>, tensor<6xf32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @negative_gemm_alpha
func.func @negative_gemm_alpha(%x: tensor<?x4xf32>, %w: tensor<4x6xf32>) -> !u {
  // CHECK: "Gemm"
  %y = onnx_graph.node "Gemm"(%x, %w) {alpha = 2.0 : f32} : (tensor<?x4xf32>, tensor<4x6xf32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @fused_matmul
func.func @fused_matmul(%x: tensor<?x?x4xf32>) -> !u {
  %w = onnx_graph.initializer "w" : tensor<6x4xf32>
  // CHECK: onnx_graph.initializer "w" transposed : tensor<4x6xf32>
  // CHECK: onnx_graph.node "MatMul"
  %y = onnx_graph.node "FusedMatMul" in "com.microsoft"(%x, %w) {transB = 1 : i64}
    : (tensor<?x?x4xf32>, tensor<6x4xf32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @quick_gelu_as_silu
func.func @quick_gelu_as_silu(%x: tensor<?x4xf32>) -> !u {
  // CHECK: %[[S:.*]] = onnx_graph.node "Sigmoid"(%arg0)
  // CHECK: onnx_graph.node "Mul"(%arg0, %[[S]])
  %y = onnx_graph.node "QuickGelu" in "com.microsoft"(%x) {alpha = 1.0 : f32} : (tensor<?x4xf32>) -> !u
  return %y : !u
}

// CHECK-LABEL: func.func @negative_quick_gelu
func.func @negative_quick_gelu(%x: tensor<?x4xf32>) -> !u {
  // CHECK: "QuickGelu"
  %y = onnx_graph.node "QuickGelu" in "com.microsoft"(%x) : (tensor<?x4xf32>) -> !u
  return %y : !u
}
