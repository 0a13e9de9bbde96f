//===- MatchAttention.cpp - Where an attention is in a graph --------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttentionMatch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx_graph;

namespace {

/// The data that `value` is computed from: raised values and inputs, and the
/// operators on the way.
struct Slice {
  llvm::SetVector<Operation *> nodes;
  llvm::SetVector<Value> sources;
};

} // namespace

/// `data` are the values that depend on tokens, `raised` those of them where a
/// slice ends.
static Slice sliceOf(Value value, const llvm::DenseSet<Value> &data,
                     const llvm::DenseMap<Value, Value> &raised) {
  Slice slice;
  llvm::SetVector<Value> seen;
  seen.insert(value);
  for (size_t i = 0; i < seen.size(); ++i) {
    Value next = seen[i];
    if (!data.contains(next))
      continue;
    if (raised.contains(next) || isa<BlockArgument>(next)) {
      slice.sources.insert(next);
      continue;
    }
    slice.nodes.insert(next.getDefiningOp());
    for (Value operand : next.getDefiningOp()->getOperands())
      seen.insert(operand);
  }
  return slice;
}

/// From the softmax's operand down to the product of queries and keys; masks are
/// what is added, or chosen by, on the way.
bool Raiser::matchMasks(AttentionMatch &match) {
  Value at = match.softmax.getInput(0);
  while (true) {
    auto node = at.getDefiningOp<NodeOp>();
    if (!node || raised.contains(at))
      return fail(match.last, "the softmax is not of products of queries and keys");
    if (node.is("MatMul")) {
      match.scores = node;
      return true;
    }
    SmallVector<Value> scores, others;
    for (Value operand : node.getInputs())
      (isData(operand) ? scores : others).push_back(operand);
    if (scores.empty() || (scores.size() > 1 && !node.is("CastLike")))
      return fail(node, "expected scores to be scaled and masked only");
    auto isScalar = [&](Value factor) {
      return llvm::all_of(shapeAt(0, factor), [](int64_t dim) { return dim == 1; });
    };
    bool isView = node.is("Cast") || node.is("CastLike") || node.is("Reshape") ||
                  node.is("Unsqueeze") || node.is("Squeeze");
    if (node.is("Where") && node.getInput(1) == scores.front()) {
      // The hidden score may be a converted constant.
      std::optional<double> hidden = constantReal(peel(node.getInput(2)));
      if (!hidden || *hidden > -1e4)
        return fail(node, "expected hidden scores to become very negative");
      match.allowed.push_back(node.getInput(0));
    } else if (node.is("Add")) {
      match.additive.push_back(others.front());
    } else if (!isView && !(node.is("Mul") && isScalar(others.front()))) {
      return fail(node, "expected scores to be scaled and masked only");
    }
    at = scores.front();
  }
}

/// x of Where(IsNaN(x), c, x): a row that sees nothing, of which no result is
/// wanted, is all that the guard changes.
static Value unguarded(Value value) {
  auto choice = value.getDefiningOp<NodeOp>();
  if (!choice || !choice.is("Where"))
    return value;
  auto isNaN = choice.getInput(0).getDefiningOp<NodeOp>();
  bool guards = isNaN && isNaN.is("IsNaN") && isNaN.getInput(0) == choice.getInput(2);
  return guards ? choice.getInput(2) : value;
}

bool Raiser::matchAttention(AttentionMatch &match) {
  match.nodes = sliceOf(match.sink, data, raised).nodes;
  for (Operation *op : match.nodes) {
    auto node = cast<NodeOp>(op);
    if (!node.is("Softmax"))
      continue;
    if (match.softmax)
      return fail(node, "there is a second softmax between two linear layers");
    match.softmax = node;
  }
  if (!match.softmax) {
    if (!reasons.contains(match.last)) // or else that is the better one
      fail(match.last, "its operand is neither understood nor an attention");
    return false;
  }
  int64_t rank = shapeAt(0, match.softmax.getInput(0)).size();
  int64_t axis = match.softmax.getInt("axis", -1);
  if (axis != -1 && axis != rank - 1)
    return fail(match.softmax, "expected a softmax over the last axis");
  if (!matchMasks(match))
    return false;

  // softmax(scores) v: the product that the softmax, perhaps converted, goes to.
  for (Operation *op : match.nodes) {
    auto node = cast<NodeOp>(op);
    if (node.is("MatMul") && peel(unguarded(peel(node.getInput(0)))) == match.softmax.getResult(0))
      match.mix = node;
  }
  if (!match.mix)
    return fail(match.softmax, "expected a product of the softmax and the values");

  Slice query = sliceOf(match.scores.getInput(0), data, raised);
  Slice key = sliceOf(match.scores.getInput(1), data, raised);
  Slice value = sliceOf(match.mix.getInput(1), data, raised);
  auto split = [&](const Slice &slice, Value &linear, BlockArgument &past) {
    for (Value from : slice.sources) {
      auto argument = dyn_cast<BlockArgument>(from);
      if (argument ? bool(past) : bool(linear))
        return false;
      if (argument)
        past = argument;
      else
        linear = from;
    }
    return linear && raised.lookup(linear).getDefiningOp<LinearOp>();
  };
  BlockArgument none;
  if (!split(query, match.query, none) || none)
    return fail(match.scores, "the queries are not one linear layer's result");
  if (!split(key, match.key, match.pastKey))
    return fail(match.scores, "the keys are not one linear layer's result and a past");
  if (!split(value, match.value, match.pastValue))
    return fail(match.mix, "the values are not one linear layer's result and a past");
  if (bool(match.pastKey) != bool(match.pastValue) || bool(match.pastKey) == inputs.pasts.empty())
    return fail(match.last, "the attention has keys or values without a past");

  match.size = shapeAt(0, match.scores.getInput(0)).back();
  match.kvHeads = match.size ? widthOf(look(match.key)) / match.size : 0;
  match.heads = match.size ? widthOf(look(match.query)) / match.size : 0;
  constexpr int64_t mostSize = 4096;
  if (match.size > mostSize)
    return fail(
        match.last,
        llvm::formatv("heads have {0} elements, expected at most {1}", match.size, mostSize).str());
  if (match.kvHeads == 0 || match.heads % match.kvHeads != 0 || match.size % 2 != 0 ||
      look(match.key).getType() != look(match.value).getType() ||
      match.heads * match.size != widthOf(look(match.query)) ||
      match.kvHeads * match.size != widthOf(look(match.key)))
    return fail(match.last,
                llvm::formatv("expected queries, keys and values of whole heads of an even size, "
                              "found {0}, {1} and {2} for heads of {3}",
                              widthOf(look(match.query)), widthOf(look(match.key)),
                              widthOf(look(match.value)), match.size)
                    .str());
  if (match.pastKey && (inputs.kvHeads() != match.kvHeads || inputs.headSize() != match.size))
    return fail(match.last,
                llvm::formatv("the past has {0} heads of {1}, the keys {2} of {3}",
                              inputs.kvHeads(), inputs.headSize(), match.kvHeads, match.size)
                    .str());
  return findRotatedKey(match);
}

/// The present is Concat(past, new) along the tokens; without a past it is the
/// last value in the layout of one.
bool Raiser::findRotatedKey(AttentionMatch &match) {
  auto concatOf = [&](BlockArgument past) -> NodeOp {
    for (Operation *user : past.getUsers()) {
      auto node = dyn_cast<NodeOp>(user);
      int64_t axis = node && node.is("Concat") ? node.getInt("axis", 0) : 0;
      if ((axis == 2 || axis == -2) && node.getInputs().size() == 2 && node.getInput(0) == past &&
          match.nodes.contains(node))
        return node;
    }
    return {};
  };
  if (match.pastKey) {
    NodeOp keys = concatOf(match.pastKey), values = concatOf(match.pastValue);
    if (!keys || !values)
      return fail(match.last, "expected the present to be the past followed by the new keys and "
                              "values, along axis 2");
    match.presentKey = keys.getResult(0);
    match.presentValue = values.getResult(0);
    match.rotatedKey = keys.getInput(1);
    return true;
  }
  auto lastInLayout = [&](NodeOp product, Value linear) {
    Value found;
    Slice slice = sliceOf(product.getInput(1), data, raised);
    for (NodeOp node : source.getOps<NodeOp>()) {
      if (!slice.nodes.contains(node))
        continue;
      bool fits = true;
      for (unsigned step = 0; step < steps.size(); ++step) {
        Shape rows = shapeAt(step, linear), shape = shapeAt(step, node.getResult(0));
        fits &= rows.size() == 3 && shape == Shape{rows[0], match.kvHeads, rows[1], match.size};
      }
      if (fits)
        found = node.getResult(0);
    }
    return found;
  };
  match.presentKey = match.rotatedKey = lastInLayout(match.scores, match.key);
  match.presentValue = lastInLayout(match.mix, match.value);
  if (!match.rotatedKey || !match.presentValue)
    return fail(match.last, "keys and values are at no point [batch, KV heads, seq, head size]");
  return true;
}
