//===- DecomposeAttention.cpp - Attention as primitive operators ----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Decompose.h"
#include <cmath>

using namespace mlir;
using namespace qopt::onnx_graph;

using Results = std::optional<SmallVector<Value>>;

namespace {

// Far below any score, and finite, so that a row that sees nothing has no NaN.
constexpr double hidden = -3.0e38;

/// Queries [B, H, S, D], keys and values [B, Hkv, T, D].
struct Operands {
  Value query, key, value;
  Value mask;    ///< boolean or additive, broadcast to [B, H, S, T]; may be null
  bool isCausal; ///< aligned to the last key
  double scale;
  int64_t heads, kvHeads, size;
};

} // namespace

/// Repeats each of Hkv heads H / Hkv times: [B, Hkv, T, D] to [B, H, T, D].
static Value repeatHeads(GraphBuilder &graph, Value x, const Operands &op) {
  if (op.heads == op.kvHeads)
    return x;
  Value y = graph.node("Unsqueeze", {x, graph.integers({2})});
  y = graph.node("Tile", {y, graph.integers({1, 1, op.heads / op.kvHeads, 1, 1})});
  return graph.node("Reshape", {y, graph.integers({0, op.heads, -1, op.size})});
}

/// [S, T]: query i sees keys up to T - S + i.
static Value causalMask(GraphBuilder &graph, Value query, Value key) {
  Value zero = graph.integer(0), one = graph.integer(1);
  auto length = [&](Value x) {
    return graph.node("Squeeze", {graph.dim(x, 2), graph.integers({0})});
  };
  Value s = length(query), t = length(key);
  Value columns = graph.node("Range", {zero, t, one});
  Value rows = graph.node("Add", {graph.node("Range", {zero, s, one}), graph.node("Sub", {t, s})});
  return graph.node("LessOrEqual", {columns, graph.node("Unsqueeze", {rows, graph.integers({1})})});
}

static Value attend(GraphBuilder &graph, const Operands &op, ShapeOracle shapeOf) {
  Value key = repeatHeads(graph, op.key, op), value = repeatHeads(graph, op.value, op);
  Value transposed = graph.node("Transpose", key, graph.attr("perm", {0, 1, 3, 2}));
  Value scores = graph.node("MatMul", {op.query, transposed});
  scores = graph.node("Mul", {scores, graph.castLike(graph.real(op.scale), scores)});
  auto hide = [&](Value seen) {
    return graph.node("Where", {seen, scores, graph.castLike(graph.real(hidden), scores)});
  };
  if (op.mask)
    scores = shapeOf.isBoolean(op.mask) ? hide(op.mask) : graph.node("Add", {scores, op.mask});
  if (op.isCausal)
    scores = hide(causalMask(graph, op.query, op.key));
  return graph.node("MatMul", {graph.node("Softmax", scores, graph.attr("axis", -1)), value});
}

/// [batch, seq, heads * size] to [batch, heads, seq, size].
static Value splitHeads(GraphBuilder &graph, Value x, int64_t heads, int64_t size) {
  Value y = graph.node("Reshape", {x, graph.integers({0, 0, heads, size})});
  return graph.node("Transpose", y, graph.attr("perm", {0, 2, 1, 3}));
}

static Value mergeHeads(GraphBuilder &graph, Value x) {
  Value y = graph.node("Transpose", x, graph.attr("perm", {0, 2, 1, 3}));
  return graph.node("Reshape", {y, graph.integers({0, 0, -1})});
}

/// Splits heads where operands have three dimensions, and finds the sizes.
static bool bringToHeads(GraphBuilder &graph, Operands &op, int64_t heads, int64_t kvHeads,
                         ShapeOracle shapeOf) {
  std::optional<Shape> q = shapeOf(op.query), k = shapeOf(op.key), v = shapeOf(op.value);
  if (!q || !k || !v || k->size() != v->size() || q->size() != k->size() || k->back() != v->back())
    return false;
  op.heads = heads;
  op.kvHeads = kvHeads;
  if (q->size() == 4) {
    op.heads = (*q)[1];
    op.kvHeads = (*k)[1];
    op.size = q->back();
  } else if (q->size() == 3 && heads > 0 && kvHeads > 0) {
    op.size = q->back() / heads;
    op.query = splitHeads(graph, op.query, heads, op.size);
    op.key = splitHeads(graph, op.key, kvHeads, op.size);
    op.value = splitHeads(graph, op.value, kvHeads, op.size);
  }
  return op.kvHeads > 0 && op.size > 0 && op.heads % op.kvHeads == 0;
}

/// What both operators do once heads are split: keys and values follow a past,
/// operands `firstPast` and the next, and are results too. `rank` is the query's.
static Results attendWithPast(NodeOp node, GraphBuilder &graph, Operands &op, unsigned firstPast,
                              size_t rank, ShapeOracle shapeOf) {
  if (Value past = node.getInput(firstPast))
    op.key = graph.node("Concat", {past, op.key}, graph.attr("axis", 2));
  if (Value past = node.getInput(firstPast + 1))
    op.value = graph.node("Concat", {past, op.value}, graph.attr("axis", 2));
  op.scale = node.getFloat("scale", 0.0);
  if (op.scale == 0.0)
    op.scale = 1.0 / std::sqrt(static_cast<double>(op.size));
  Value y = attend(graph, op, shapeOf);
  SmallVector<Value> results{rank == 3 ? mergeHeads(graph, y) : y, op.key, op.value};
  results.resize(node.getNumResults());
  return results;
}

/// ai.onnx, 23 and 24: query, key, value, mask, past key, past value, lengths.
static Results decomposeAttention(NodeOp node, GraphBuilder &graph, ShapeOracle shapeOf) {
  Operands op{node.getInput(0), node.getInput(1), node.getInput(2), node.getInput(3),
              node.getInt("is_causal", 0) != 0};
  if (!op.query || !op.key || !op.value || node.getInput(6) ||
      node.getFloat("softcap", 0.0) != 0.0 || node.getInt("left_window_size", -1) != -1 ||
      node.getInt("right_window_size", -1) != -1)
    return std::nullopt;
  if (node.getNumResults() > 3 && !node.getResult(3).use_empty())
    return std::nullopt;
  std::optional<Shape> shape = shapeOf(op.query);
  if (!bringToHeads(graph, op, node.getInt("q_num_heads", 0), node.getInt("kv_num_heads", 0),
                    shapeOf))
    return std::nullopt;
  return attendWithPast(node, graph, op, /*firstPast=*/4, shape->size(), shapeOf);
}

/// com.microsoft: query, key, value, bias, key padding mask, attention bias[, past
/// key, past value]; queries [B, S, H * D].
static Results decomposeMultiHeadAttention(NodeOp node, GraphBuilder &graph, ShapeOracle shapeOf) {
  Operands op{node.getInput(0), node.getInput(1), node.getInput(2), node.getInput(5),
              node.getInt("unidirectional", 0) != 0};
  if (!op.query || !op.key || !op.value || node.getInput(3) || node.getInput(4))
    return std::nullopt;
  for (unsigned i = 8; i < node.getInputs().size(); ++i)
    if (node.getInput(i))
      return std::nullopt;
  int64_t heads = node.getInt("num_heads", 0);
  std::optional<Shape> shape = shapeOf(op.query);
  if (!shape || shape->size() != 3 || !bringToHeads(graph, op, heads, heads, shapeOf))
    return std::nullopt;
  return attendWithPast(node, graph, op, /*firstPast=*/6, shape->size(), shapeOf);
}

Decomposition qopt::onnx_graph::findAttentionDecomposition(NodeOp node) {
  if (node.is("Attention"))
    return decomposeAttention;
  if (node.is("com.microsoft", "MultiHeadAttention"))
    return decomposeMultiHeadAttention;
  return nullptr;
}
