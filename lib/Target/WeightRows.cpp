//===- WeightRows.cpp - Rows of a weight as its type stores them ----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WeightRows.h"
#include "qopt/Dialect/QOpt/IR/PlainTypes.h"
#include "qopt/Support/Float.h"
#include "llvm/Support/Endian.h"

using namespace mlir;
using namespace qopt;

void qopt::writeScale(Type type, float value, char *to) {
  if (type.isF32())
    return llvm::support::endian::write32le(to, llvm::bit_cast<uint32_t>(value));
  llvm::support::endian::write16le(to, type.isBF16() ? floatToBf16(value) : floatToF16(value));
}

llvm::Expected<WeightRows> WeightRows::create(RankedTensorType type,
                                              ArrayRef<const WeightTensor *> sources, bool keep) {
  WeightRows result;
  result.type = type;
  result.quantized = dyn_cast<QuantizedType>(type.getElementType());
  result.k = type.getDimSize(1);
  result.keep = keep;
  result.sources.assign(sources.begin(), sources.end());
  if (result.quantized)
    result.groups = result.quantized.isGrouped() ? result.k / result.quantized.getGroupSize() : 1;
  int64_t rows = 0;
  for (const WeightTensor *source : sources) {
    if (source->rowSize() != result.k)
      return llvm::createStringError("tensor '" + source->name() + "' has rows of " +
                                     Twine(source->rowSize()) + " elements, expected " +
                                     Twine(result.k));
    rows += source->rows();
  }
  if (rows != type.getDimSize(0))
    return llvm::createStringError("tensor '" + (sources.empty() ? "" : sources.front()->name()) +
                                   "' and what goes with it have " + Twine(rows) +
                                   " rows, expected " + Twine(type.getDimSize(0)));
  return result;
}

llvm::Error WeightRows::read(int64_t first, int64_t count, StoredRows &rows,
                             ErrorEnergy &energy) const {
  rows = {};
  for (const WeightTensor *source : sources) {
    if (count == 0)
      break;
    if (first >= source->rows()) {
      first -= source->rows();
      continue;
    }
    int64_t ofSource = std::min(count, source->rows() - first);
    if (llvm::Error error = append(*source, first, ofSource, rows, energy))
      return error;
    first = 0;
    count -= ofSource;
  }
  return llvm::Error::success();
}

bool WeightRows::isKept(const WeightTensor &source) const {
  std::optional<GroupQuantization> stored = source.groupQuantization();
  if (!keep || !quantized || !stored || stored->scaleType == qopt::FloatType::f32)
    return false;
  auto matches = [&](Type type) {
    return stored->scaleType == qopt::FloatType::bf16 ? type.isBF16() : type.isF16();
  };
  return quantized.getStorage().isInteger(stored->bits) && quantized.isGrouped() &&
         stored->groupSize == quantized.getGroupSize() &&
         stored->affine == quantized.isAffine() && matches(quantized.getScale()) &&
         (!quantized.isAffine() || matches(quantized.getMin()));
}

llvm::Error WeightRows::append(const WeightTensor &source, int64_t first, int64_t count,
                               StoredRows &rows, ErrorEnergy &energy) const {
  if (isKept(source))
    return appendKept(source, first, count, rows);
  std::vector<float> values(count * k);
  if (llvm::Error error = source.readRows(first, count, values.data()))
    return error;
  if (!quantized) {
    for (float value : values)
      rows.bf16.push_back(floatToBf16(value));
    return llvm::Error::success();
  }
  if (source.type() != qopt::FloatType::bf16)
    roundToBf16(values);
  Scheme scheme = schemeOf(quantized);
  std::vector<float> decoded(k);
  QuantizedRows one;
  for (int64_t row = 0; row < count; ++row) { // each in the first caches
    const float *from = values.data() + row * k;
    if (Status status = quantizeRows(scheme, from, 1, k, one); !status)
      return llvm::createStringError("tensor '" + source.name() + "', counted from row " +
                                     Twine(first + row) + ": " + status.message());
    dequantizeRows(scheme, one, 1, k, decoded.data());
    energy.add(from, decoded.data(), k);
    llvm::append_range(rows.codes, one.codes);
    llvm::append_range(rows.scales, one.scales);
    llvm::append_range(rows.minima, one.minima);
  }
  return llvm::Error::success();
}

/// Scales and minima through float32, which holds each bf16 and f16.
llvm::Error WeightRows::appendKept(const WeightTensor &source, int64_t first, int64_t count,
                                   StoredRows &rows) const {
  size_t codes = rows.codes.size();
  rows.codes.resize(codes + count * k);
  std::vector<uint16_t> scales(count * groups), minima(quantized.isAffine() ? scales.size() : 0);
  if (llvm::Error error =
          source.readGroups(first, count, rows.codes.data() + codes, scales.data(),
                            quantized.isAffine() ? minima.data() : nullptr))
    return error;
  auto widen = [&](ArrayRef<uint16_t> bits, std::vector<float> &to) {
    for (uint16_t value : bits)
      to.push_back(quantized.getScale().isBF16() ? bf16ToFloat(value) : f16ToFloat(value));
  };
  widen(scales, rows.scales);
  widen(minima, rows.minima);
  return llvm::Error::success();
}
