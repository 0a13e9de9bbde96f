//===- MappedTensor.cpp - Tensors that view bytes -------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/MappedTensor.h"
#include "qopt/Support/Float.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>

using namespace llvm;
using namespace qopt;

static_assert(std::endian::native == std::endian::little, "files are little-endian");

template <typename Bits, typename Convert>
static void decode(const char *bytes, int64_t count, float *out, Convert convert) {
  for (int64_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, bytes + i * sizeof(Bits), sizeof(Bits));
    out[i] = convert(bits);
  }
}

static void decode(FloatType type, const char *bytes, int64_t count, float *out) {
  switch (type) {
  case FloatType::f32:
    std::memcpy(out, bytes, count * sizeof(float));
    return;
  case FloatType::f16:
    return decode<uint16_t>(bytes, count, out, f16ToFloat);
  case FloatType::bf16:
    return decode<uint16_t>(bytes, count, out, bf16ToFloat);
  }
}

Error MappedTensor::readRows(int64_t first, int64_t count, float *out) const {
  decode(type(), data + first * rowSize() * byteWidth(type()), count * rowSize(), out);
  return checkFinite(*this, first * rowSize(), ArrayRef(out, count * rowSize()));
}

Error MappedTensor::readColumns(int64_t first, int64_t count, float *out) const {
  // Tiles of 64 x 64, so that both sides stay in the first-level cache.
  constexpr int64_t tile = 64;
  float buffer[tile];
  int64_t width = rowSize(), bytes = byteWidth(type());
  for (int64_t row = 0; row < rows(); row += tile) {
    int64_t endRow = std::min(row + tile, rows());
    for (int64_t column = 0; column < count; column += tile) {
      int64_t numColumns = std::min(tile, count - column);
      for (int64_t r = row; r < endRow; ++r) {
        decode(type(), data + (r * width + first + column) * bytes, numColumns, buffer);
        if (Error error =
                checkFinite(*this, r * width + first + column, ArrayRef(buffer, numColumns)))
          return error;
        for (int64_t c = 0; c < numColumns; ++c)
          out[(column + c) * rows() + r] = buffer[c];
      }
    }
  }
  return Error::success();
}

Error qopt::checkFinite(const WeightTensor &tensor, int64_t firstElement, ArrayRef<float> values) {
  bool allFinite = true;
  for (float value : values)
    allFinite &= (std::bit_cast<uint32_t>(value) & 0x7f800000u) != 0x7f800000u;
  if (allFinite)
    return Error::success();
  size_t bad = 0;
  while (std::isfinite(values[bad]))
    ++bad;
  int64_t element = firstElement + static_cast<int64_t>(bad);
  return createStringError(
      formatv("tensor '{0}' holds {1} at row {2}, column {3}, expected finite numbers",
              tensor.name(), std::isnan(values[bad]) ? "NaN" : "infinity",
              element / tensor.rowSize(), element % tensor.rowSize()));
}

std::optional<int64_t> qopt::tensorBytes(ArrayRef<int64_t> shape, int64_t elementBytes) {
  // A dimension of 0 counts as 1 first, so that no product of some of the others
  // overflows either.
  int64_t bytes = elementBytes;
  for (int64_t dim : shape)
    if (dim < 0 || MulOverflow(bytes, std::max<int64_t>(dim, 1), bytes))
      return std::nullopt;
  return is_contained(shape, 0) ? 0 : bytes;
}
