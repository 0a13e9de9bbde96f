//===- ProveMask.cpp - That a mask is causal and padding ------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Raiser.h"
#include "llvm/Support/FormatVariadic.h"
#include <set>

using namespace mlir;
using namespace qopt::onnx_graph;

namespace {

struct MaskCase {
  StepShape step;
  int64_t firstQuery;                 ///< that is looked at, of seq
  std::vector<int64_t> attentionMask; ///< [batch, past + seq]
};

// Added to a score, anything below hides it: exp(-1e4) is 0 in every format.
constexpr double hides = -1.0e4;

// The longest window that is looked for: larger numbers bound any index.
constexpr int64_t mostTokens = 1 << 17;

/// What masks are made of.
struct MaskSlice {
  std::set<int64_t> constants; ///< a window or a length that was fixed at export is one
  llvm::SetVector<Value> rows; ///< raised values, whose shapes the masks depend on
};

/// `isRows` tells raised values, where the slice ends.
MaskSlice maskSliceOf(ArrayRef<Value> masks, llvm::function_ref<bool(Value)> isRows) {
  MaskSlice slice;
  llvm::SetVector<Value> seen(masks.begin(), masks.end());
  for (size_t i = 0; i < seen.size(); ++i) {
    if (isRows(seen[i])) {
      slice.rows.insert(seen[i]);
      continue;
    }
    if (ElementsAttr elements = constantElements(seen[i])) {
      llvm::Expected<Tensor> tensor = fromElements(elements);
      if (!tensor) {
        llvm::consumeError(tensor.takeError());
        continue;
      }
      for (int64_t value : tensor->ints)
        slice.constants.insert(value < 0 && value != INT64_MIN ? -value : value);
      for (double value : tensor->reals)
        if (std::fabs(value) < 1e9)
          slice.constants.insert(static_cast<int64_t>(std::fabs(value)));
    }
    if (Operation *op = seen[i].getDefiningOp())
      for (Value operand : op->getOperands())
        if (!isa<NoneType>(operand.getType()))
          seen.insert(operand);
  }
  return slice;
}

std::vector<MaskCase> maskCases(const GraphInputs &inputs, const std::set<int64_t> &constants) {
  std::vector<MaskCase> cases;
  auto add = [&](StepShape step, int64_t firstQuery, int64_t padding) {
    int64_t total = step.past + step.seq;
    std::vector<int64_t> mask(step.batch * total, 1);
    for (int64_t t = 0; t < padding; ++t) // on the left of the last row
      mask[(step.batch - 1) * total + t] = 0;
    cases.push_back({step, firstQuery, std::move(mask)});
  };
  bool hasPast = !inputs.pasts.empty();
  for (int64_t past : hasPast ? std::vector<int64_t>{0, 1, 5} : std::vector<int64_t>{0})
    for (int64_t seq : {1, 2, 5})
      for (int64_t padding : {0, 1, 3})
        if (padding < past + seq && (padding == 0 || inputs.mask))
          add({2, seq, past}, 0, padding);
  // Two queries beyond a window, or a fixed length, of that many tokens: the largest
  // shows all.
  auto end = constants.upper_bound(mostTokens);
  if (end != constants.begin() && *std::prev(end) > 6) {
    int64_t beyond = *std::prev(end) + 3;
    if (hasPast)
      add({1, 2, beyond}, 0, 0);
    else
      add({1, beyond + 2, 0}, beyond, 0);
  }
  return cases;
}

/// The flat index in a mask of this shape, which broadcasts to [batch, heads, seq,
/// total], of each (row, query, key) that the case looks at.
llvm::Expected<std::vector<int64_t>> alignMask(ArrayRef<int64_t> mask, const MaskCase &test) {
  StepShape step = test.step;
  int64_t total = step.past + step.seq;
  Shape shape(mask);
  // Of a mask for each head the first is proved; the attention is evaluated with all.
  while (shape.size() < 4)
    shape.insert(shape.begin(), 1);
  Shape target{step.batch, shape[1], step.seq, total};
  auto fits = [&](unsigned axis) { return shape[axis] == 1 || shape[axis] == target[axis]; };
  if (shape.size() != 4 || !fits(0) || !fits(2) || !fits(3))
    return llvm::createStringError(
        llvm::formatv("the mask has shape {0}, expected one that broadcasts to {1}",
                      shapeText(mask), shapeText({step.batch, 1, step.seq, total})));
  std::vector<int64_t> indices;
  int64_t strides[4] = {shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1};
  for (int64_t b = 0; b < step.batch; ++b)
    for (int64_t s = test.firstQuery; s < step.seq; ++s)
      for (int64_t t = 0; t < total; ++t)
        indices.push_back((shape[0] == 1 ? 0 : b * strides[0]) +
                          (shape[2] == 1 ? 0 : s * strides[2]) + (shape[3] == 1 ? 0 : t));
  return indices;
}

llvm::Error proveCase(Evaluator &evaluator, ArrayRef<Value> additive, ArrayRef<Value> allowed,
                      const MaskCase &test) {
  auto [batch, seq, past] = test.step;
  int64_t total = past + seq;
  std::vector<bool> seen(batch * (seq - test.firstQuery) * total, true);
  std::vector<double> added(seen.size(), 0.0);
  for (Value mask : llvm::concat<const Value>(additive, allowed)) {
    llvm::Expected<TensorPtr> whole = evaluator.evaluate(mask);
    if (!whole)
      return whole.takeError();
    llvm::Expected<std::vector<int64_t>> indices = alignMask((*whole)->shape, test);
    if (!indices)
      return indices.takeError();
    llvm::Expected<Tensor> values = evaluator.sample(mask, *indices);
    if (!values)
      return llvm::createStringError("the mask depends on more than masks, positions and shapes: " +
                                     llvm::toString(values.takeError()));
    for (size_t i = 0; i < seen.size(); ++i)
      if (values->isReal())
        added[i] += values->reals[i];
      else
        seen[i] = seen[i] && values->ints[i];
  }
  for (int64_t b = 0, i = 0; b < batch; ++b)
    for (int64_t s = test.firstQuery; s < seq; ++s)
      for (int64_t t = 0; t < total; ++t, ++i) {
        if (!test.attentionMask[b * total + past + s])
          continue; // no token
        bool expected = t <= past + s && test.attentionMask[b * total + t];
        bool found = seen[i] && added[i] > hides;
        if (found == expected && (!found || std::fabs(added[i]) < 1e-6))
          continue;
        return llvm::createStringError(llvm::formatv(
            "the mask is not causal and padding: with a past of {0}, {1} new tokens{2} query {3} "
            "{4} key {5}",
            past, seq, test.attentionMask[b * total] ? "" : " and padding on the left", s,
            found == expected ? "weights"
            : found           ? "sees"
                              : "does not see",
            t));
      }
  return llvm::Error::success();
}

} // namespace

llvm::Error Raiser::proveMask(ArrayRef<Value> additive, ArrayRef<Value> allowed) {
  SmallVector<Value> all(additive);
  all.append(allowed.begin(), allowed.end());
  MaskSlice slice = maskSliceOf(
      all, [&](Value value) { return raised.contains(value) && rowsShape(value, StepShape{}); });
  for (const MaskCase &test : maskCases(inputs, slice.constants)) {
    EvaluatorOptions options;
    options.maxElements = 1 << 23; // two rows of a long square mask are not worth the whole
    Evaluator evaluator(options);
    inputs.bind(evaluator, test.step);
    if (inputs.mask)
      evaluator.bind(inputs.mask, makeInts(cast<ShapedType>(inputs.mask.getType()).getElementType(),
                                           {test.step.batch, test.step.past + test.step.seq},
                                           test.attentionMask));
    for (Value rows : slice.rows)
      evaluator.bind(rows, makeUnknown(type, *rowsShape(rows, test.step)));
    if (llvm::Error error = proveCase(evaluator, additive, allowed, test))
      return error;
  }
  return llvm::Error::success();
}
