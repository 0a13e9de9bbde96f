//===- WeightReader.cpp - The rows behind a qopt.weight -------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluator.h"
#include "qopt/Dialect/QOpt/IR/PlainTypes.h"
#include "qopt/Support/Float.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::interpreter;

void WeightRows::decodeCodes(int64_t row, double *out) const {
  const uint8_t *codes = quantized.codes.data() + row * columns;
  for (int64_t k = 0; k < columns; ++k)
    out[k] = codeValue(scheme->storage, codes[k]);
}

static bool isSame(const GroupQuantization &stored, const Scheme &scheme) {
  int bits = scheme.storage == Storage::int8 ? 8 : 4;
  ScaleType scale = stored.scaleType == qopt::FloatType::f32    ? ScaleType::f32
                    : stored.scaleType == qopt::FloatType::bf16 ? ScaleType::bf16
                                                                : ScaleType::f16;
  return scheme.storage != Storage::e4m3 && stored.bits == bits &&
         stored.groupSize == scheme.groupSize && stored.affine == scheme.isAffine() &&
         scale == scheme.scaleType;
}

static std::vector<float> widen(const std::vector<uint16_t> &bits, ScaleType type) {
  std::vector<float> values(bits.size());
  for (size_t i = 0; i < bits.size(); ++i)
    values[i] = type == ScaleType::bf16 ? bf16ToFloat(bits[i]) : f16ToFloat(bits[i]);
  return values;
}

/// The source's own integers, bit for bit.
static llvm::Error readStored(const WeightTensor &tensor, const Scheme &scheme, int64_t first,
                              int64_t count, QuantizedRows &rows) {
  int64_t columns = tensor.rowSize(), groups = scheme.groupsPerRow(columns);
  std::vector<uint16_t> scales(count * groups), minima(scheme.isAffine() ? count * groups : 0);
  rows.codes.resize(count * columns);
  if (llvm::Error failed = tensor.readGroups(first, count, rows.codes.data(), scales.data(),
                                             scheme.isAffine() ? minima.data() : nullptr))
    return failed;
  rows.scales = widen(scales, scheme.scaleType);
  rows.minima = widen(minima, scheme.scaleType);
  return llvm::Error::success();
}

llvm::Error WeightReader::readSource(const WeightTensor &tensor, WeightOp op, int64_t first,
                                     int64_t count, WeightRows &rows) {
  Type element = cast<RankedTensorType>(op.getType()).getElementType();
  std::optional<GroupQuantization> stored = tensor.groupQuantization();
  QuantizedRows part;
  // Scales are read as 16 bits: no source has groups with wider ones.
  if (rows.scheme && stored && isSame(*stored, *rows.scheme) && op.getStored() == element &&
      rows.scheme->scaleType != ScaleType::f32) {
    if (llvm::Error failed = readStored(tensor, *rows.scheme, first, count, part))
      return failed;
  } else {
    std::vector<float> values(count * rows.columns);
    if (llvm::Error failed = tensor.readRows(first, count, values.data()))
      return failed;
    if (!rows.scheme) {
      for (float &value : values)
        value = element.isBF16()  ? roundToBf16(value)
                : element.isF16() ? f16ToFloat(floatToF16(value))
                                  : value;
      llvm::append_range(rows.values, values);
      return llvm::Error::success();
    }
    roundToBf16(values);
    if (Status status = quantizeRows(*rows.scheme, values.data(), count, rows.columns, part);
        !status)
      return error("tensor '" + tensor.name() + "', in the rows from " + Twine(first) + ": " +
                   status.message());
  }
  llvm::append_range(rows.quantized.codes, part.codes);
  llvm::append_range(rows.quantized.scales, part.scales);
  llvm::append_range(rows.quantized.minima, part.minima);
  return llvm::Error::success();
}

llvm::Expected<std::shared_ptr<const WeightRows>> WeightReader::read(WeightOp op, int64_t first,
                                                                     int64_t count) {
  auto key = std::make_tuple(op.getOperation(), first, count);
  if (auto found = cache.find(key); found != cache.end())
    return found->second;

  auto type = cast<RankedTensorType>(op.getType());
  auto rows = std::make_shared<WeightRows>();
  rows->columns = 1;
  for (int64_t dim : type.getShape().drop_front())
    rows->columns *= dim;
  if (auto quantized = dyn_cast<QuantizedType>(type.getElementType()))
    rows->scheme = schemeOf(quantized);

  int64_t start = 0, end = first + count;
  for (auto source : op.getSources().getAsRange<FlatSymbolRefAttr>()) {
    const WeightTensor *tensor = store.find(source.getValue());
    if (!tensor)
      return error("weight '" + source.getValue() + "' is not among the model's tensors");
    if (tensor->shape().size() != type.getShape().size() ||
        tensor->shape().drop_front() != type.getShape().drop_front())
      return error("tensor '" + tensor->name() + "' has shape " + printShape(tensor->shape()) +
                   ", expected rows of " + printShape(type.getShape()));
    int64_t low = std::max(first, start), high = std::min(end, start + tensor->rows());
    if (low < high)
      if (llvm::Error failed = readSource(*tensor, op, low - start, high - low, *rows))
        return failed;
    start += tensor->rows();
  }
  if (start != type.getDimSize(0))
    return error("the tensors of '" + cast<FlatSymbolRefAttr>(op.getSources()[0]).getValue() +
                 "' have " + Twine(start) + " rows, expected " + Twine(type.getDimSize(0)));

  int64_t bytes = rows->values.size() * sizeof(float) + rows->quantized.codes.size() +
                  (rows->quantized.scales.size() + rows->quantized.minima.size()) * sizeof(float);
  if (bytes <= cacheLeft) {
    cacheLeft -= bytes;
    cache.emplace(key, rows);
  }
  return rows;
}
