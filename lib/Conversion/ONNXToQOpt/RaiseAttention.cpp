//===- RaiseAttention.cpp - Rotary embedding and attention ----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What lies between the linear layers q, k, v and the operand of the one after
// them is an attention when it contains one softmax of products of q and k,
// hidden by a mask that is causal and padding, and when as a whole it computes
// what qopt.rope and qopt.attention are defined to, on random operands. Its
// frequencies and scale are read off its values. So every layout, every way of
// repeating heads and every spelling of the rotation is one pattern.
//
//===----------------------------------------------------------------------===//

#include "AttentionReference.h"
#include "FitRope.h"
#include "Raiser.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx_graph;

struct Raiser::AttentionMatch {
  Value sink;   ///< the attention's result, [batch, seq, heads * size]
  NodeOp last;  ///< where failures are reported
  llvm::SetVector<Operation *> nodes;
  NodeOp softmax, scores, mix; ///< scores = q k^T, mix = softmax(scores) v
  SmallVector<Value> additive, allowed; ///< masks
  Value query, key, value;     ///< of the graph, raised as linear layers
  BlockArgument pastKey, pastValue; ///< null without a past
  Value presentKey, presentValue;   ///< [batch, KV heads, past + seq, size]; null if not formed
  Value rotatedKey;                 ///< [batch, KV heads, seq, size]
  int64_t heads = 0, kvHeads = 0, size = 0;
  std::vector<double> frequencies; ///< exact, as the graph has them
  RopeConfig rope;
  double scale = 0.0;
};

/// Operands of a step for which an attention is evaluated.
struct Raiser::Sample {
  StepShape step;
  std::vector<int64_t> positions, mask;
  std::vector<double> query, key, value, pastKey, pastValue;
};

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

namespace {

/// The data that `value` is computed from: raised values and inputs, and the
/// operators on the way.
struct Slice {
  llvm::SetVector<Operation *> nodes;
  llvm::SetVector<Value> sources;
};

} // namespace

static Slice sliceOf(Value value, llvm::function_ref<bool(Value)> isData,
                     llvm::function_ref<bool(Value)> isSource) {
  Slice slice;
  llvm::SetVector<Value> seen;
  seen.insert(value);
  for (size_t i = 0; i < seen.size(); ++i) {
    Value next = seen[i];
    if (!isData(next))
      continue;
    if (isSource(next) || isa<BlockArgument>(next)) {
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
    Value data, other;
    for (Value operand : node.getInputs())
      if (isData(operand))
        data = data ? Value() : operand;
      else
        other = operand;
    if (node.is("MatMul")) {
      match.scores = node;
      return true;
    }
    if (node.is("Add") && data) {
      match.additive.push_back(other);
    } else if (node.is("Where") && data && node.getInput(1) == data) {
      // The hidden score may be a converted constant.
      std::optional<double> hidden = constantReal(peel(node.getInput(2)));
      if (!hidden || *hidden > -1e4)
        return fail(node, "expected hidden scores to become very negative");
      match.allowed.push_back(node.getInput(0));
    } else if (!node.is("Mul") && !node.is("Cast") && !node.is("CastLike") &&
               !node.is("Reshape") && !node.is("Unsqueeze") && !node.is("Squeeze")) {
      return fail(node, "expected scores to be scaled and masked only");
    }
    if (!data)
      return fail(node, "expected scores to be scaled and masked only");
    at = data;
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
  auto data = [&](Value value) { return isData(value); };
  auto source = [&](Value value) { return raised.contains(value); };
  match.nodes = sliceOf(match.sink, data, source).nodes;
  for (Operation *op : match.nodes) {
    auto node = cast<NodeOp>(op);
    if (!node.is("Softmax"))
      continue;
    if (match.softmax)
      return fail(node, "there is a second softmax between two linear layers");
    match.softmax = node;
  }
  if (!match.softmax)
    return fail(match.last, "its operand is neither understood nor an attention");
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

  Slice query = sliceOf(match.scores.getInput(0), data, source);
  Slice key = sliceOf(match.scores.getInput(1), data, source);
  Slice value = sliceOf(match.mix.getInput(1), data, source);
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
  if (bool(match.pastKey) != bool(match.pastValue) ||
      bool(match.pastKey) == inputs.pasts.empty())
    return fail(match.last, "the attention has keys or values without a past");

  match.size = shapeAt(0, match.scores.getInput(0)).back();
  match.kvHeads = match.size ? widthOf(look(match.key)) / match.size : 0;
  match.heads = match.size ? widthOf(look(match.query)) / match.size : 0;
  if (match.kvHeads == 0 || match.heads % match.kvHeads != 0 || match.size % 2 != 0 ||
      look(match.key).getType() != look(match.value).getType() ||
      match.heads * match.size != widthOf(look(match.query)) ||
      match.kvHeads * match.size != widthOf(look(match.key)))
    return fail(match.last,
                llvm::formatv("heads of {0} do not divide queries of {1} and keys of {2}",
                              match.size, widthOf(look(match.query)), widthOf(look(match.key)))
                    .str());
  if (match.pastKey && (inputs.kvHeads() != match.kvHeads || inputs.headSize() != match.size))
    return fail(match.last, llvm::formatv("the past has {0} heads of {1}, the keys {2} of {3}",
                                          inputs.kvHeads(), inputs.headSize(), match.kvHeads,
                                          match.size)
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
    Slice slice = sliceOf(
        product.getInput(1), [&](Value value) { return isData(value); },
        [&](Value value) { return raised.contains(value); });
    for (NodeOp node : source.getOps<NodeOp>()) {
      if (!slice.nodes.contains(node))
        continue;
      bool fits = true;
      for (unsigned step = 0; step < steps.size(); ++step) {
        Shape rows = shapeAt(step, linear), shape = shapeAt(step, node.getResult(0));
        fits &= rows.size() == 3 &&
                shape == Shape{rows[0], match.kvHeads, rows[1], match.size};
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

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Evaluator Raiser::exactEvaluator() const {
  EvaluatorOptions options;
  options.round = false;
  options.weights = initializers;
  return Evaluator(options);
}

void Raiser::bindSample(Evaluator &evaluator, const AttentionMatch &match, const Sample &sample) {
  auto [batch, seq, past] = sample.step;
  inputs.bind(evaluator, sample.step);
  auto integers = [&](BlockArgument argument, int64_t width, const std::vector<int64_t> &values) {
    if (argument)
      evaluator.bind(argument, makeInts(cast<ShapedType>(argument.getType()).getElementType(),
                                        {batch, width}, values));
  };
  integers(inputs.positions, seq, sample.positions);
  integers(inputs.mask, past + seq, sample.mask);
  Type wide = builder.getF64Type();
  auto rows = [&](Value value, const std::vector<double> &values) {
    // The shape that the graph's value has for this step: [batch, seq, width] or flat.
    Shape shape{batch, seq, widthOf(look(value))};
    if (shapeAt(0, value).size() == 2)
      shape = {batch * seq, widthOf(look(value))};
    evaluator.bind(value, makeReals(wide, shape, values));
  };
  rows(match.query, sample.query);
  rows(match.key, sample.key);
  rows(match.value, sample.value);
  Shape pastShape{batch, match.kvHeads, past, match.size};
  if (match.pastKey) {
    evaluator.bind(match.pastKey, makeReals(wide, pastShape, sample.pastKey));
    evaluator.bind(match.pastValue, makeReals(wide, pastShape, sample.pastValue));
  }
}

namespace {

/// Reproducible numbers in [-1, 1).
class Numbers {
public:
  explicit Numbers(uint64_t seed) : state(seed * 2654435761u + 88172645463325252u) {}
  double next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<double>(state >> 11) * 0x1p-52 - 1.0;
  }
  std::vector<double> take(int64_t count) {
    std::vector<double> values(count);
    for (double &value : values)
      value = next();
    return values;
  }

private:
  uint64_t state;
};

} // namespace

/// y = x rotated by position * f: of x = (1, .., 1, 0, .., 0) the halves of y are
/// the cosines and the sines. Gives the angles [positions, size / 2] of the first
/// head against those of the first position.
llvm::Expected<std::vector<double>>
Raiser::rotationAngles(const AttentionMatch &match, ArrayRef<int64_t> positions) {
  int64_t half = match.size / 2, width = match.kvHeads * match.size;
  int64_t seq = positions.size(), past = match.pastKey ? 1 : 0;
  Sample sample{{1, seq, past}, {positions.begin(), positions.end()}, {}, {}, {}, {}, {}, {}};
  sample.mask.assign(past + seq, 1);
  sample.query.assign(seq * match.heads * match.size, 0.0);
  sample.value.assign(seq * width, 0.0);
  for (int64_t i = 0; i < seq * width; ++i)
    sample.key.push_back(i % match.size < half ? 1.0 : 0.0);
  sample.pastKey.assign(past * width, 0.0);
  sample.pastValue = sample.pastKey;
  Evaluator evaluator = exactEvaluator();
  bindSample(evaluator, match, sample);
  llvm::Expected<TensorPtr> rotated = evaluator.evaluate(match.rotatedKey);
  if (!rotated)
    return rotated.takeError();
  if (!(*rotated)->known())
    return llvm::createStringError(
        "the rotation of its keys depends on more than keys and positions");
  if ((*rotated)->shape != Shape{1, match.kvHeads, seq, match.size})
    return llvm::createStringError("new keys have shape " + shapeText((*rotated)->shape) +
                                   ", expected " +
                                   shapeText({1, match.kvHeads, seq, match.size}));
  std::vector<double> angles;
  for (int64_t row = 0; row < seq; ++row)
    for (int64_t i = 0; i < half; ++i) {
      const double *y = (*rotated)->reals.data() + row * match.size + i;
      angles.push_back(std::atan2(y[half], y[0]) - (row ? angles[i] : 0.0));
    }
  return angles;
}

/// The frequency is an angle over its position. The farther the position the finer,
/// and each tells how many turns lie in the next.
bool Raiser::fitRotation(AttentionMatch &match) {
  SmallVector<int64_t> positions{0, 1, 4, 16, 64, 256, 1024, 4096};
  if (!inputs.positions)
    positions = {0, 1}; // they follow from the past, one after the other
  llvm::Expected<std::vector<double>> angles = rotationAngles(match, positions);
  while (!angles && positions.size() > 2) { // a table may end before
    llvm::consumeError(angles.takeError());
    positions.pop_back();
    angles = rotationAngles(match, positions);
  }
  if (!angles)
    return fail(match.last, llvm::toString(angles.takeError()));
  constexpr double turn = 2.0 * std::numbers::pi;
  int64_t half = match.size / 2;
  for (int64_t i = 0; i < half; ++i) {
    double frequency = 0.0;
    for (size_t row = 1; row < positions.size(); ++row) {
      double angle = (*angles)[row * half + i];
      angle += turn * std::round((frequency * positions[row] - angle) / turn);
      frequency = angle / positions[row];
    }
    match.frequencies.push_back(frequency);
  }
  match.rope = fitRope(match.frequencies, type.isF32() ? 2e-6 : 4e-3);
  return true;
}

/// The scale is the ratio of the softmax's operand to q k^T where nothing is hidden.
bool Raiser::fitScale(AttentionMatch &match) {
  Numbers numbers(7);
  int64_t width = match.kvHeads * match.size, past = match.pastKey ? 3 : 0;
  Sample sample{{1, 1, past}, {past}, std::vector<int64_t>(past + 1, 1), {}, {}, {}, {}, {}};
  sample.query = numbers.take(match.heads * match.size);
  sample.key = numbers.take(width);
  sample.value = numbers.take(width);
  sample.pastKey = numbers.take(past * width);
  sample.pastValue = numbers.take(past * width);
  Evaluator evaluator = exactEvaluator();
  bindSample(evaluator, match, sample);
  llvm::Expected<TensorPtr> scores = evaluator.evaluate(match.softmax.getInput(0));
  if (!scores)
    return fail(match.softmax, llvm::toString(scores.takeError()));
  AttentionReference reference{match.heads, match.kvHeads, match.size,
                               ropeFrequencies(match.size, match.rope), 1.0};
  std::vector<double> products = reference.scores({1, 1, past}, sample.positions, sample.query,
                                                  sample.key, sample.pastKey);
  if (products.size() != (*scores)->reals.size())
    return fail(match.softmax, "the scores have shape " + shapeText((*scores)->shape) +
                                   ", expected one for each head, query and key");
  double both = 0.0, square = 0.0;
  for (size_t i = 0; i < products.size(); ++i) {
    both += products[i] * (*scores)->reals[i];
    square += products[i] * products[i];
  }
  match.scale = both / square;
  double usual = 1.0 / std::sqrt(static_cast<double>(match.size));
  if (std::fabs(match.scale / usual - 1.0) < (type.isF32() ? 1e-5 : 4e-3))
    match.scale = usual;
  return true;
}

/// On random operands, the whole against its definition.
bool Raiser::verifyAttention(const AttentionMatch &match) {
  double bound = type.isF32() ? 1e-4 : 2e-2;
  AttentionReference reference{match.heads, match.kvHeads, match.size,
                               ropeFrequencies(match.size, match.rope), match.scale};
  for (StepShape step : {StepShape{2, 3, 5}, StepShape{2, 1, 7}, StepShape{3, 4, 0}}) {
    if (!match.pastKey)
      step.past = 0;
    auto [batch, seq, past] = step;
    Numbers numbers(batch * 100 + seq * 10 + past);
    int64_t total = past + seq, width = match.kvHeads * match.size;
    Sample sample{step, {}, std::vector<int64_t>(batch * total, 1), {}, {}, {}, {}, {}};
    if (inputs.mask && total > 1)
      sample.mask[(batch - 1) * total] = 0; // the last row is padded by one
    for (int64_t i = 0; i < batch * seq; ++i) // rows far apart, where positions are given
      sample.positions.push_back(past + i % seq + (inputs.positions ? i / seq * 61 : 0));
    sample.query = numbers.take(batch * seq * match.heads * match.size);
    sample.key = numbers.take(batch * seq * width);
    sample.value = numbers.take(batch * seq * width);
    sample.pastKey = numbers.take(batch * past * width);
    sample.pastValue = numbers.take(batch * past * width);
    Evaluator evaluator = exactEvaluator();
    bindSample(evaluator, match, sample);
    llvm::Expected<TensorPtr> found = evaluator.evaluate(match.sink);
    if (!found)
      return fail(match.last, llvm::toString(found.takeError()));
    std::vector<double> expected =
        reference.attend(step, sample.positions, sample.mask, sample.query, sample.key,
                         sample.value, sample.pastKey, sample.pastValue);
    if ((*found)->reals.size() != expected.size())
      return fail(match.last, "the attention's result has shape " + shapeText((*found)->shape) +
                                  ", expected " +
                                  shapeText({batch, seq, match.heads * match.size}));
    double error = 0.0, norm = 0.0;
    int64_t rowWidth = match.heads * match.size;
    for (int64_t row = 0; row < batch * seq; ++row) {
      if (!sample.mask[row / seq * total + past + row % seq])
        continue;
      for (int64_t i = row * rowWidth; i < (row + 1) * rowWidth; ++i) {
        double difference = (*found)->reals[i] - expected[i];
        error += difference * difference;
        norm += expected[i] * expected[i];
      }
    }
    if (!(error <= bound * bound * norm))
      return fail(match.last,
                  llvm::formatv("it has a softmax, but is not rotary embedding by position and "
                                "causal attention of {0} heads on {1}: relative error {2:e2}",
                                match.heads, match.kvHeads, std::sqrt(error / norm))
                      .str());
  }
  return true;
}

//===----------------------------------------------------------------------===//
// The operations
//===----------------------------------------------------------------------===//

void Raiser::buildAttention(const AttentionMatch &match) {
  RopeAttr rope = ropeAttr(builder.getContext(), match.size, match.rope);
  Location loc = NodeOp(match.softmax).getLoc();
  Value positions = target.getArgument(2);
  Value query = look(match.query), key = look(match.key), value = look(match.value);
  query = RopeOp::create(builder, loc, query.getType(), query, positions, rope);
  key = RopeOp::create(builder, loc, key.getType(), key, positions, rope);
  auto cache = RankedTensorType::get(
      {ShapedType::kDynamic, match.kvHeads, ShapedType::kDynamic, match.size}, type);
  Value pastKey = target.front().addArgument(cache, target.getLoc());
  Value pastValue = target.front().addArgument(cache, target.getLoc());
  auto attention = AttentionOp::create(
      builder, loc, TypeRange{query.getType(), cache, cache}, query, key, value,
      target.getArgument(1), pastKey, pastValue, builder.getI64IntegerAttr(match.heads),
      builder.getI64IntegerAttr(match.kvHeads), builder.getF64FloatAttr(match.scale));
  layers.push_back(attention);
  if (match.pastKey)
    result.pasts.insert(result.pasts.end(),
                        {match.pastKey.getArgNumber(), match.pastValue.getArgNumber()});
  presents[match.presentKey] = attention.getPresentKey();
  presents[match.presentValue] = attention.getPresentValue();
  raised[match.sink] = attention.getResult();
  for (Operation *op : match.nodes)
    reasons.erase(op);
}

bool Raiser::raiseAttention(Value sink) {
  AttentionMatch match;
  match.sink = sink;
  match.last = sink.getDefiningOp<NodeOp>();
  if (!match.last || !isData(sink) || !matchAttention(match))
    return false;
  // Layers share their mask; what is proved once is.
  SmallVector<Value> masks(match.additive);
  masks.append(match.allowed);
  if (llvm::any_of(masks, [&](Value mask) { return !llvm::is_contained(provedMasks, mask); }) ||
      masks.empty()) {
    if (llvm::Error error = proveMask(inputs, match.additive, match.allowed))
      return fail(match.softmax, llvm::toString(std::move(error)));
    provedMasks.append(masks);
  }
  if (!fitRotation(match) || !fitScale(match) || !verifyAttention(match))
    return false;
  buildAttention(match);
  return true;
}
