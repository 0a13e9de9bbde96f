//===- DecomposeNorm.cpp - RMSNorm operators as primitive ones ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Decompose.h"

using namespace mlir;
using namespace qopt::onnx_graph;

using Results = std::optional<SmallVector<Value>>;

/// y = x / sqrt(mean(x^2) + eps) * weight, the part before the weight in float32.
static Value rmsNorm(GraphBuilder &graph, Value x, Value weight, double eps) {
  Value wide = graph.cast(x, graph.builder.getF32Type());
  Value square = graph.node("Mul", {wide, wide});
  Value mean = graph.node("ReduceMean", {square, graph.integers({-1})}, graph.attr("keepdims", 1));
  Value sum = graph.node("Add", {mean, graph.real(eps)});
  Value inverse = graph.node("Rsqrt", sum, {}, "qopt");
  Value normalised = graph.castLike(graph.node("Mul", {wide, inverse}), x);
  return graph.node("Mul", {normalised, weight});
}

static bool isLastAxis(NodeOp node, ShapeOracle shapeOf) {
  int64_t axis = node.getInt("axis", -1);
  if (axis == -1)
    return true;
  std::optional<Shape> shape = shapeOf(node.getInput(0));
  return shape && axis == static_cast<int64_t>(shape->size()) - 1;
}

static Results decomposeRMSNorm(NodeOp node, GraphBuilder &graph, ShapeOracle shapeOf) {
  Value x = node.getInput(0), weight = node.getInput(1);
  if (!x || !weight || !isLastAxis(node, shapeOf))
    return std::nullopt;
  SmallVector<Value> results(node.getNumResults());
  results[0] = rmsNorm(graph, x, weight, node.getFloat("epsilon", 1e-5));
  return results;
}

/// com.microsoft: x, skip, weight[, bias]; results y, mean, inverse deviation, the sum.
/// Its default epsilon is not that of the norm alone.
static Results decomposeSkipRMSNorm(NodeOp node, GraphBuilder &graph, ShapeOracle) {
  Value x = node.getInput(0), skip = node.getInput(1), weight = node.getInput(2);
  if (!x || !skip || !weight)
    return std::nullopt;
  Value sum = graph.node("Add", {x, skip});
  if (Value bias = node.getInput(3))
    sum = graph.node("Add", {sum, bias});
  SmallVector<Value> results(node.getNumResults());
  results[0] = rmsNorm(graph, sum, weight, node.getFloat("epsilon", 1e-12));
  if (results.size() > 3)
    results[3] = sum;
  return results;
}

Decomposition qopt::onnx_graph::findNormDecomposition(NodeOp node) {
  if (node.is("RMSNormalization") || node.is("SimplifiedLayerNormalization") ||
      node.is("com.microsoft", "SimplifiedLayerNormalization"))
    return decomposeRMSNorm;
  if (node.is("com.microsoft", "SkipSimplifiedLayerNormalization"))
    return decomposeSkipRMSNorm;
  return nullptr;
}
