//===- DecomposeRotary.cpp - RotaryEmbedding as primitive operators -------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Decompose.h"

using namespace mlir;
using namespace qopt::onnx_graph;

using Results = std::optional<SmallVector<Value>>;

/// With x = [a, b] along the last axis, [a cos - b sin, b cos + a sin]. x is
/// [batch, heads, seq, size]; cos and sin broadcast to [batch, heads, seq, size / 2].
static Value rotate(GraphBuilder &graph, Value x, Value cos, Value sin) {
  auto halves = NodeOp::create(graph.builder, graph.loc,
                               SmallVector<Type>(2, UnknownType::get(graph.builder.getContext())),
                               "Split", x, {graph.attr("axis", -1), graph.attr("num_outputs", 2)});
  Value a = halves.getResult(0), b = halves.getResult(1);
  Value first = graph.node("Sub", {graph.node("Mul", {a, cos}), graph.node("Mul", {b, sin})});
  Value second = graph.node("Add", {graph.node("Mul", {b, cos}), graph.node("Mul", {a, sin})});
  return graph.node("Concat", {first, second}, graph.attr("axis", -1));
}

static Results decomposeRotary(NodeOp node, GraphBuilder &graph, ShapeOracle shapeOf) {
  // ai.onnx: x, cos, sin[, positions]; com.microsoft: x, positions, cos, sin.
  bool microsoft = node.getDomain().has_value();
  Value x = node.getInput(0);
  Value positions = node.getInput(microsoft ? 1 : 3);
  Value cos = node.getInput(microsoft ? 2 : 1), sin = node.getInput(microsoft ? 3 : 2);
  if (!x || !cos || !sin || node.getInt("interleaved", 0) != 0 ||
      node.getInt("is_packed_batching", 0) != 0 || node.getFloat("scale", 1.0) != 1.0)
    return std::nullopt;
  std::optional<Shape> shape = shapeOf(x), table = shapeOf(cos);
  if (!shape || !table || table->empty() || (microsoft && !positions))
    return std::nullopt;
  int64_t size = 2 * table->back(), rotated = node.getInt("rotary_embedding_dim", 0);
  if (rotated != 0 && rotated != size)
    return std::nullopt;
  if (positions) { // rows of tables [positions, size / 2]
    std::optional<Shape> rows = shapeOf(positions);
    if (!rows || rows->size() != 2 || table->size() != 2)
      return std::nullopt;
    cos = graph.node("Gather", {cos, positions}, graph.attr("axis", 0));
    sin = graph.node("Gather", {sin, positions}, graph.attr("axis", 0));
  } else if (table->size() != 3) {
    return std::nullopt;
  }
  cos = graph.castLike(graph.node("Unsqueeze", {cos, graph.integers({1})}), x);
  sin = graph.castLike(graph.node("Unsqueeze", {sin, graph.integers({1})}), x);
  if (shape->size() == 4) {
    if (shape->back() != size)
      return std::nullopt;
    return SmallVector<Value>{rotate(graph, x, cos, sin)};
  }
  if (shape->size() != 3 || size == 0 || shape->back() % size != 0)
    return std::nullopt;
  if (int64_t heads = node.getInt("num_heads", 0); heads != 0 && shape->back() != heads * size)
    return std::nullopt; // part of each head is rotated
  // [batch, seq, heads * size] there and back.
  NamedAttribute swap = graph.attr("perm", {0, 2, 1, 3});
  Value heads = graph.node("Reshape", {x, graph.integers({0, 0, -1, size})});
  Value y = rotate(graph, graph.node("Transpose", heads, swap), cos, sin);
  y = graph.node("Reshape", {graph.node("Transpose", y, swap), graph.integers({0, 0, -1})});
  return SmallVector<Value>{y};
}

Decomposition qopt::onnx_graph::findRotaryDecomposition(NodeOp node) {
  if (node.is("RotaryEmbedding") || node.is("com.microsoft", "RotaryEmbedding"))
    return decomposeRotary;
  return nullptr;
}
