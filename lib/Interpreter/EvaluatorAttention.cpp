//===- EvaluatorAttention.cpp - Positions, the cache and attention --------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluator.h"
#include "qopt/Dialect/QOpt/IR/PlainTypes.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::interpreter;

using llvm::Expected;

template <typename Real>
Expected<Array> Evaluator<Real>::rotate(Value input, Value positions, RopeAttr attr) {
  Expected<const Tensor *> x = get(input);
  if (!x)
    return x.takeError();
  std::vector<double> places;
  if (isa<BatchType>(positions.getType())) {
    places.assign(step->positions.begin(), step->positions.end());
  } else {
    Expected<const Tensor *> tensor = get(positions);
    if (!tensor)
      return tensor.takeError();
    places = (*tensor)->array.values;
  }
  int64_t headDim = attr.getHeadDim(), rows = (*x)->rows(), columns = (*x)->columns();
  // Positions [1, seq] hold for every row of the batch.
  if (places.empty() ? rows != 0 : rows % places.size() != 0)
    return error("found " + Twine(places.size()) + " positions for " + Twine(rows) + " tokens");
  if (columns % headDim != 0)
    return error("rows have " + Twine(columns) + " elements, expected heads of " + Twine(headDim));
  std::vector<float> frequencies = ropeFrequencies(headDim, ropeConfigOf(attr));
  Array y = like((*x)->array);
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t i = t * columns; i < (t + 1) * columns; i += headDim)
      rope<Real>((*x)->array.values.data() + i, places[t % places.size()], frequencies,
                 elementOf(input), y.values.data() + i);
  return y;
}

template <typename Real> llvm::Error Evaluator<Real>::visit(RopeOp op) {
  Expected<Array> y = rotate(op.getInput(), op.getPositions(), op.getRope());
  if (!y)
    return y.takeError();
  return set(op.getResult(), std::move(*y));
}

/// The present [B, heads, P + S, D]: the past, then the new rows [B, S, heads * D].
template <typename Real>
static Array concatenate(const Array &past, const Array &added, Element element) {
  int64_t heads = past.shape[1], before = past.shape[2], headDim = past.shape[3];
  int64_t seq = added.shape[1], width = heads * headDim;
  Array present;
  present.shape = {past.shape[0], heads, before + seq, headDim};
  present.values.reserve(product(present.shape));
  for (int64_t b = 0; b < past.shape[0]; ++b)
    for (int64_t h = 0; h < heads; ++h) {
      auto old = past.values.begin() + (b * heads + h) * before * headDim;
      present.values.insert(present.values.end(), old, old + before * headDim);
      for (int64_t s = 0; s < seq; ++s)
        for (int64_t i = 0; i < headDim; ++i)
          present.values.push_back(
              roundTo<Real>(element, added.values[(b * seq + s) * width + h * headDim + i]));
    }
  return present;
}

template <typename Real> llvm::Error Evaluator<Real>::visit(AttentionOp op) {
  const Array *operands[6];
  for (auto [operand, value] : llvm::zip(operands, op->getOperands())) {
    Expected<const Tensor *> tensor = get(value);
    if (!tensor)
      return tensor.takeError();
    operand = &(*tensor)->array;
  }
  auto [q, k, v, mask, pastKey, pastValue] = operands;
  int64_t heads = op.getNumHeads(), kvHeads = op.getNumKvHeads();
  int64_t batch = pastKey->shape[0], before = pastKey->shape[2], headDim = pastKey->shape[3];
  int64_t seq = q->shape.size() == 3 ? q->shape[1] : 0, total = before + seq;
  using Shape = llvm::SmallVector<int64_t, 4>;
  if (q->shape != Shape{batch, seq, heads * headDim} ||
      k->shape != Shape{batch, seq, kvHeads * headDim} || v->shape != k->shape ||
      mask->shape != Shape{batch, total} || pastValue->shape != pastKey->shape)
    return error("query " + printShape(q->shape) + ", key " + printShape(k->shape) + ", value " +
                 printShape(v->shape) + ", mask " + printShape(mask->shape) + ", past key " +
                 printShape(pastKey->shape) + " and past value " + printShape(pastValue->shape) +
                 " do not go together");
  Array keys = concatenate<Real>(*pastKey, *k, elementOf(op.getPresentKey()));
  Array values = concatenate<Real>(*pastValue, *v, elementOf(op.getPresentValue()));
  Array y = like(*q);
  std::vector<const double *> seenKeys, seenValues;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t s = 0; s < seq; ++s) {
        seenKeys.clear();
        seenValues.clear();
        int64_t base = (b * kvHeads + h / (heads / kvHeads)) * total;
        for (int64_t j = 0; j <= before + s; ++j) {
          if (mask->values[b * total + j] == 0)
            continue;
          seenKeys.push_back(keys.values.data() + (base + j) * headDim);
          seenValues.push_back(values.values.data() + (base + j) * headDim);
        }
        int64_t at = (b * seq + s) * heads * headDim + h * headDim;
        attend<Real>(q->values.data() + at, seenKeys, seenValues, op.getScale().convertToDouble(),
                     headDim, elementOf(op.getResult()), y.values.data() + at);
      }
  if (llvm::Error failed = set(op.getPresentKey(), std::move(keys)))
    return failed;
  if (llvm::Error failed = set(op.getPresentValue(), std::move(values)))
    return failed;
  return set(op.getResult(), std::move(y));
}

template <typename Real>
llvm::Error Evaluator<Real>::append(const Tensor &key, const Tensor &value, KVCacheType type,
                                    int64_t layer) {
  int64_t width = type.getKvHeads() * type.getHeadDim();
  for (const Tensor *tensor : {&key, &value})
    if (tensor->rows() != static_cast<int64_t>(step->tokens.size()) || tensor->columns() != width)
      return error("keys and values have shape " + printShape(tensor->array.shape) +
                   ", expected [" + Twine(step->tokens.size()) + ", " + Twine(width) + "]");
  Element element = type.getType().isF16()    ? Element::f16
                    : type.getType().isBF16() ? Element::bf16
                                              : Element::f32;
  auto write = [&](std::vector<std::vector<double>> &rows, size_t position, const double *x) {
    if (rows.size() <= position)
      rows.resize(position + 1);
    rows[position].clear();
    for (int64_t i = 0; i < width; ++i)
      rows[position].push_back(roundTo<Real>(element, x[i]));
  };
  for (auto [t, sequence, position] : llvm::enumerate(step->sequences, step->positions)) {
    KVRows &rows = cache[{sequence, layer}];
    if (position < 0 || position > static_cast<int64_t>(rows.keys.size()))
      return error("position " + Twine(position) + " of sequence " + Twine(sequence) +
                   " does not follow its " + Twine(rows.keys.size()) + " tokens");
    write(rows.keys, position, key.array.values.data() + t * width);
    write(rows.values, position, value.array.values.data() + t * width);
  }
  return llvm::Error::success();
}

template <typename Real> llvm::Error Evaluator<Real>::visit(KVAppendOp op) {
  auto operands = getPair(op.getKey(), op.getValue());
  if (!operands)
    return operands.takeError();
  return append(*operands->first, *operands->second, op.getCache().getType(), op.getLayer());
}

template <typename Real> llvm::Error Evaluator<Real>::visit(RopeAppendOp op) {
  Expected<Array> query = rotate(op.getQuery(), op.getBatch(), op.getRope());
  if (!query)
    return query.takeError();
  Expected<Array> key = rotate(op.getKey(), op.getBatch(), op.getRope());
  if (!key)
    return key.takeError();
  Expected<const Tensor *> value = get(op.getValue());
  if (!value)
    return value.takeError();
  if (llvm::Error failed =
          append({std::move(*key), {}}, **value, op.getCache().getType(), op.getLayer()))
    return failed;
  return set(op.getResult(), std::move(*query));
}

template <typename Real> llvm::Error Evaluator<Real>::visit(PagedAttentionOp op) {
  Expected<const Tensor *> q = get(op.getQuery());
  if (!q)
    return q.takeError();
  KVCacheType type = op.getCache().getType();
  int64_t heads = op.getNumHeads(), headDim = type.getHeadDim();
  int64_t width = heads * headDim, group = heads / type.getKvHeads();
  if ((*q)->rows() != static_cast<int64_t>(step->tokens.size()) || (*q)->columns() != width)
    return error("query has shape " + printShape((*q)->array.shape) + ", expected [" +
                 Twine(step->tokens.size()) + ", " + Twine(width) + "]");
  Array y = like((*q)->array);
  std::vector<const double *> keys, values;
  for (auto [t, sequence, position] : llvm::enumerate(step->sequences, step->positions)) {
    const KVRows &rows = cache[{sequence, op.getLayer()}];
    if (position < 0 || position >= static_cast<int64_t>(rows.keys.size()))
      return error("sequence " + Twine(sequence) + " has no key at position " + Twine(position));
    for (int64_t h = 0; h < heads; ++h) {
      keys.clear();
      values.clear();
      for (int64_t j = 0; j <= position; ++j) {
        keys.push_back(rows.keys[j].data() + h / group * headDim);
        values.push_back(rows.values[j].data() + h / group * headDim);
      }
      int64_t at = t * width + h * headDim;
      attend<Real>((*q)->array.values.data() + at, keys, values, op.getScale().convertToDouble(),
                   headDim, elementOf(op.getResult()), y.values.data() + at);
    }
  }
  return set(op.getResult(), std::move(y));
}

// The rest of the class is in Evaluator.cpp.
#define INSTANTIATE(Real)                                                                          \
  template Expected<Array> Evaluator<Real>::rotate(Value, Value, RopeAttr);                        \
  template llvm::Error Evaluator<Real>::append(const Tensor &, const Tensor &, KVCacheType,        \
                                               int64_t);                                           \
  template llvm::Error Evaluator<Real>::visit(RopeOp);                                             \
  template llvm::Error Evaluator<Real>::visit(AttentionOp);                                        \
  template llvm::Error Evaluator<Real>::visit(KVAppendOp);                                         \
  template llvm::Error Evaluator<Real>::visit(RopeAppendOp);                                       \
  template llvm::Error Evaluator<Real>::visit(PagedAttentionOp);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE
