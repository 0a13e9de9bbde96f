//===- DecomposeLinear.cpp - Gemm and activations as primitive operators --===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Decompose.h"

using namespace mlir;
using namespace qopt::onnx_graph;

using Results = std::optional<SmallVector<Value>>;

static Results decomposeGemm(NodeOp node, GraphBuilder &graph, ShapeOracle) {
  Value a = node.getInput(0), b = node.getInput(1), c = node.getInput(2);
  if (!a || !b || node.getInt("transA", 0) != 0 || node.getFloat("alpha", 1.0) != 1.0 ||
      (c && node.getFloat("beta", 1.0) != 1.0))
    return std::nullopt;
  if (node.getInt("transB", 0) != 0)
    b = graph.node("Transpose", b, graph.attr("perm", {1, 0}));
  Value y = graph.node("MatMul", {a, b});
  return SmallVector<Value>{c ? graph.node("Add", {y, c}) : y};
}

static Results decomposeFusedMatMul(NodeOp node, GraphBuilder &graph, ShapeOracle shapeOf) {
  Value a = node.getInput(0), b = node.getInput(1);
  if (!a || !b || node.getInt("transA", 0) != 0 || node.getInt("transBatchA", 0) != 0 ||
      node.getInt("transBatchB", 0) != 0)
    return std::nullopt;
  if (node.getInt("transB", 0) != 0) {
    std::optional<Shape> shape = shapeOf(b);
    if (!shape || shape->size() < 2)
      return std::nullopt;
    SmallVector<int64_t> perm;
    for (size_t i = 0; i < shape->size(); ++i)
      perm.push_back(i);
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    b = graph.node("Transpose", b, graph.attr("perm", perm));
  }
  Value y = graph.node("MatMul", {a, b});
  double alpha = node.getFloat("alpha", 1.0);
  if (alpha != 1.0)
    y = graph.node("Mul", {y, graph.castLike(graph.real(alpha), y)});
  return SmallVector<Value>{y};
}

/// x * sigmoid(alpha x) with alpha = 1.
static Results decomposeSwish(NodeOp node, GraphBuilder &graph, ShapeOracle) {
  Value x = node.getInput(0);
  double missing = node.is("Swish") ? 1.0 : 1.702; // the default of QuickGelu
  if (!x || node.getFloat("alpha", missing) != 1.0)
    return std::nullopt;
  return SmallVector<Value>{graph.node("Mul", {x, graph.node("Sigmoid", x)})};
}

Decomposition qopt::onnx_graph::findLinearDecomposition(NodeOp node) {
  if (node.is("Gemm"))
    return decomposeGemm;
  if (node.is("com.microsoft", "FusedMatMul"))
    return decomposeFusedMatMul;
  if (node.is("Swish") || node.is("com.microsoft", "QuickGelu"))
    return decomposeSwish;
  return nullptr;
}
