//===- RoundToNearest.cpp - Weights to codes and back ---------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Quantization/RoundToNearest.h"
#include "qopt/Support/Float.h"
#include <algorithm>
#include <cmath>

using namespace qopt;

/// Half to even for |value| < 2^22: the sum's unit in the last place is 1.
static float roundHalfEven(float value) {
  constexpr float shift = 0x1.8p23f;
  return (value + shift) - shift;
}

static uint8_t clampedCode(float quotient, float low, float high) {
  float clamped = std::min(std::max(quotient, low), high);
  return static_cast<uint8_t>(static_cast<int8_t>(roundHalfEven(clamped)));
}

uint8_t qopt::roundToCode(Storage storage, float quotient) {
  switch (storage) {
  case Storage::int4:
    return clampedCode(quotient, -8.0f, 7.0f);
  case Storage::uint4:
    return clampedCode(quotient, 0.0f, 15.0f);
  case Storage::int8:
    return clampedCode(quotient, -128.0f, 127.0f);
  case Storage::e4m3:
    return floatToE4m3(quotient);
  }
  return 0;
}

static std::string place(int64_t row, int64_t column) {
  return "row " + std::to_string(row) + ", column " + std::to_string(column);
}

static Status notFinite(const float *values, int64_t row, int64_t columns) {
  for (int64_t k = 0; k < columns; ++k)
    if (!std::isfinite(values[k]))
      return Status::invalid(place(row, k) + " holds " +
                             (std::isnan(values[k]) ? "nan" : "inf") + ", expected a finite value");
  return Status::ok();
}

namespace {

/// One group's scale and minimum in their types.
struct GroupScale {
  float scale;
  float minimum;
};

} // namespace

static GroupScale findScale(const Scheme &scheme, const float *values, int64_t count) {
  float low = 0.0f, high = 0.0f;
  for (int64_t k = 0; k < count; ++k) {
    low = std::min(low, values[k]);
    high = std::max(high, values[k]);
  }
  float span = scheme.isAffine() ? high - low : std::max(high, -low);
  float scale = roundTo(scheme.scaleType, span / levels(scheme.storage));
  if (scale == 0.0f)
    return {1.0f, 0.0f};
  return {scale, scheme.isAffine() ? roundTo(scheme.scaleType, low) : 0.0f};
}

Status qopt::quantizeRows(const Scheme &scheme, const float *values, int64_t rows,
                          int64_t columns, QuantizedRows &result) {
  if (Status status = scheme.check(columns); !status)
    return status;
  int64_t size = scheme.groupElements(columns), groups = scheme.groupsPerRow(columns);
  result.codes.resize(rows * columns);
  result.scales.resize(rows * groups);
  result.minima.resize(scheme.isAffine() ? rows * groups : 0);
  for (int64_t row = 0; row < rows; ++row) {
    if (Status status = notFinite(values + row * columns, row, columns); !status)
      return status;
    for (int64_t group = 0; group < groups; ++group) {
      const float *w = values + row * columns + group * size;
      uint8_t *codes = result.codes.data() + row * columns + group * size;
      auto [scale, minimum] = findScale(scheme, w, size);
      if (!std::isfinite(scale) || !std::isfinite(minimum))
        return Status::invalid("the scale of the group at " + place(row, group * size) +
                               " overflows its type");
      result.scales[row * groups + group] = scale;
      if (scheme.isAffine())
        result.minima[row * groups + group] = minimum;
      // A scale of 1 that stands for 0: nothing here rounds to a code but 0.
      for (int64_t k = 0; k < size; ++k)
        codes[k] = roundToCode(scheme.storage, (w[k] - minimum) / scale);
    }
  }
  return Status::ok();
}

void qopt::dequantizeRows(const Scheme &scheme, const QuantizedRows &quantized, int64_t rows,
                          int64_t columns, float *values) {
  int64_t size = scheme.groupElements(columns), groups = scheme.groupsPerRow(columns);
  for (int64_t index = 0; index < rows * groups; ++index) {
    float scale = quantized.scales[index];
    const uint8_t *codes = quantized.codes.data() + index * size;
    float *out = values + index * size;
    for (int64_t k = 0; k < size; ++k)
      out[k] = scale * codeValue(scheme.storage, codes[k]);
    if (scheme.isAffine())
      for (int64_t k = 0; k < size; ++k)
        out[k] += quantized.minima[index];
  }
}
