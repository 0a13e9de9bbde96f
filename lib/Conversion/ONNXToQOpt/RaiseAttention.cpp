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

#include "AttentionMatch.h"
#include "AttentionReference.h"
#include "FitRope.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx_graph;

/// Operands of a step for which an attention is evaluated.
struct Raiser::Sample {
  StepShape step;
  std::vector<int64_t> positions, mask;
  std::vector<double> query, key, value, pastKey, pastValue;
};

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
    Shape shape = rowsShape(value, sample.step).value_or(Shape{batch, seq, widthOf(look(value))});
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

/// Random operands and no padding, with a past where the graph has one; positions
/// follow it.
Raiser::Sample Raiser::drawSample(const AttentionMatch &match, StepShape step) {
  if (!match.pastKey)
    step.past = 0;
  auto [batch, seq, past] = step;
  Numbers numbers(batch * 100 + seq * 10 + past);
  int64_t total = past + seq, width = match.kvHeads * match.size;
  Sample sample{step, {}, std::vector<int64_t>(batch * total, 1), {}, {}, {}, {}, {}};
  for (int64_t i = 0; i < batch * seq; ++i)
    sample.positions.push_back(past + i % seq);
  sample.query = numbers.take(batch * seq * match.heads * match.size);
  sample.key = numbers.take(batch * seq * width);
  sample.value = numbers.take(batch * seq * width);
  sample.pastKey = numbers.take(batch * past * width);
  sample.pastValue = numbers.take(batch * past * width);
  return sample;
}

/// y = x rotated by position * f: of x = (1, .., 1, 0, .., 0) the halves of y are
/// the cosines and the sines. Gives the angles [positions, size / 2] of the first
/// head against those of the first position.
llvm::Expected<std::vector<double>> Raiser::rotationAngles(const AttentionMatch &match,
                                                           ArrayRef<int64_t> positions) {
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
                                   ", expected " + shapeText({1, match.kvHeads, seq, match.size}));
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
  Sample sample = drawSample(match, {1, 1, 3});
  Evaluator evaluator = exactEvaluator();
  bindSample(evaluator, match, sample);
  llvm::Expected<TensorPtr> scores = evaluator.evaluate(match.softmax.getInput(0));
  if (!scores)
    return fail(match.softmax, llvm::toString(scores.takeError()));
  AttentionReference reference{match.heads, match.kvHeads, match.size,
                               ropeFrequencies(match.size, match.rope), 1.0};
  std::vector<double> products =
      reference.scores(sample.step, sample.positions, sample.query, sample.key, sample.pastKey);
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

/// Without positions among its inputs a graph counts tokens from the start of the
/// row, or, with padding on the left, from the first that is one.
bool Raiser::verifyAttention(const AttentionMatch &match) {
  if (evaluateAttention(match, /*countsMask=*/false)) {
    result.countsMask = false;
    return true;
  }
  if (inputs.positions || !inputs.mask || !evaluateAttention(match, /*countsMask=*/true))
    return false;
  reasons.erase(match.last);
  result.countsMask = true;
  return true;
}

/// On random operands, the whole against its definition.
bool Raiser::evaluateAttention(const AttentionMatch &match, bool countsMask) {
  double bound = type.isF32() ? 1e-4 : 2e-2;
  AttentionReference reference{match.heads, match.kvHeads, match.size,
                               ropeFrequencies(match.size, match.rope), match.scale};
  for (StepShape step : {StepShape{2, 3, 5}, StepShape{2, 1, 7}, StepShape{3, 4, 0}}) {
    Sample sample = drawSample(match, step);
    auto [batch, seq, past] = sample.step;
    int64_t total = past + seq;
    if (inputs.mask && total > 1)
      sample.mask[(batch - 1) * total] = 0;     // the last row is padded by one
    for (int64_t i = 0; i < batch * seq; ++i) { // rows far apart, where positions are given
      bool padded = countsMask && sample.mask[i / seq * total] == 0;
      sample.positions[i] += (inputs.positions ? i / seq * 61 : 0) - padded;
    }
    Evaluator evaluator = exactEvaluator();
    bindSample(evaluator, match, sample);
    llvm::Expected<TensorPtr> found = evaluator.evaluate(match.sink);
    if (!found)
      return fail(match.last, llvm::toString(found.takeError()));
    std::vector<double> expected =
        reference.attend(sample.step, sample.positions, sample.mask, sample.query, sample.key,
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
  Location loc = match.softmax->getLoc();
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
  std::pair masks(match.additive, match.allowed);
  if (!llvm::is_contained(provedMasks, masks)) {
    if (llvm::Error error = proveMask(match.additive, match.allowed))
      return fail(match.softmax, llvm::toString(std::move(error)));
    provedMasks.push_back(std::move(masks));
  }
  if (!fitRotation(match) || !fitScale(match) || !verifyAttention(match))
    return false;
  buildAttention(match);
  return true;
}
