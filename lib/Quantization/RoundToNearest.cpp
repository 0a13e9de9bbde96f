//===- RoundToNearest.cpp - Weights to codes and back ---------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Quantization/RoundToNearest.h"
#include "WideVectors.h"
#include "qopt/Support/Float.h"
#include <algorithm>
#include <bit>
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

//===----------------------------------------------------------------------===//
// Loops over a group
//===----------------------------------------------------------------------===//

QOPT_WIDE_VECTORS
static bool allFinite(const float *values, int64_t count) {
  uint32_t bad = 0;
  for (int64_t k = 0; k < count; ++k)
    bad |= (std::bit_cast<uint32_t>(values[k]) & 0x7f800000u) == 0x7f800000u ? 1u : 0u;
  return bad == 0;
}

namespace {

/// The least and the largest of some values and 0.
struct Range {
  float low, high;
};

/// One group's scale and minimum in their types.
struct GroupScale {
  float scale, minimum;
};

} // namespace

QOPT_ALWAYS_INLINE Range rangeOf(const float *values, int64_t count) {
  constexpr int64_t lanes = 16;
  float low[lanes] = {}, high[lanes] = {};
  int64_t whole = count - count % lanes;
  for (int64_t k = 0; k < whole; k += lanes)
    for (int64_t i = 0; i < lanes; ++i) {
      float value = values[k + i];
      low[i] = value < low[i] ? value : low[i];
      high[i] = value > high[i] ? value : high[i];
    }
  for (int64_t k = whole; k < count; ++k) {
    low[k - whole] = std::min(low[k - whole], values[k]);
    high[k - whole] = std::max(high[k - whole], values[k]);
  }
  for (int64_t half = lanes / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half; ++i) {
      low[i] = std::min(low[i], low[i + half]);
      high[i] = std::max(high[i], high[i + half]);
    }
  return {low[0], high[0]};
}

/// What floatToE4m3() gives for a finite value, without a branch.
QOPT_ALWAYS_INLINE uint8_t finiteToE4m3(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  float magnitude = std::bit_cast<float>(bits & 0x7fffffffu);
  magnitude = magnitude < 448.0f ? magnitude : 448.0f;
  uint32_t wide = std::bit_cast<uint32_t>(magnitude);
  uint32_t normal = ((wide + 0x7ffffu + ((wide >> 20) & 1u)) >> 20) - (120u << 3);
  // Below 2^-6 a multiple of 2^-9, the unit in the last place of this sum.
  uint32_t subnormal = std::bit_cast<uint32_t>(magnitude + 0x1p14f) & 0xffu;
  uint32_t code = magnitude < 0x1p-6f ? subnormal : normal;
  return static_cast<uint8_t>(code | (bits >> 24 & 0x80u));
}

/// What roundToBf16() gives for a finite value, without a branch.
QOPT_ALWAYS_INLINE float finiteToBf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u);
}

template <Storage storage> QOPT_ALWAYS_INLINE uint8_t finiteToCode(float quotient) {
  if constexpr (storage == Storage::e4m3)
    return finiteToE4m3(quotient);
  constexpr float low = storage == Storage::int4    ? -8.0f
                        : storage == Storage::uint4 ? 0.0f
                                                    : -128.0f;
  constexpr float high = storage == Storage::int4    ? 7.0f
                         : storage == Storage::uint4 ? 15.0f
                                                     : 127.0f;
  quotient = quotient > low ? quotient : low;
  quotient = quotient < high ? quotient : high;
  // roundHalfEven(), whose integer is the sum's last byte in two's complement.
  return static_cast<uint8_t>(std::bit_cast<uint32_t>(quotient + 0x1.8p23f));
}

QOPT_ALWAYS_INLINE GroupScale findScale(Scheme scheme, const float *values, int64_t count) {
  auto [low, high] = rangeOf(values, count);
  float span = scheme.isAffine() ? high - low : std::max(high, -low);
  float scale = roundTo(scheme.scaleType, span / levels(scheme.storage));
  if (scale == 0.0f)
    return {1.0f, 0.0f};
  return {scale, scheme.isAffine() ? roundTo(scheme.scaleType, low) : 0.0f};
}

/// Quantizes groups of `size` elements until one has a scale that is not finite,
/// and gives how many there were before.
template <Storage storage>
QOPT_ALWAYS_INLINE int64_t quantizeAs(ScaleType scaleType, const float *values, int64_t groups,
                                      int64_t size, uint8_t *codes, float *scales, float *minima) {
  for (int64_t group = 0; group < groups; ++group, values += size, codes += size) {
    auto [scale, minimum] = findScale({storage, size, scaleType}, values, size);
    if (!std::isfinite(scale) || !std::isfinite(minimum))
      return group;
    scales[group] = scale;
    if (storage == Storage::uint4)
      minima[group] = minimum;
    // A scale of 1 that stands for 0: nothing here rounds to a code but 0.
    bool isBf16 = storage == Storage::int4 && scaleType == ScaleType::bf16;
    for (int64_t k = 0; k < size; ++k) {
      float quotient = (values[k] - minimum) / scale;
      codes[k] = finiteToCode<storage>(isBf16 ? finiteToBf16(quotient) : quotient);
    }
  }
  return groups;
}

QOPT_WIDE_VECTORS
static int64_t quantizeGroups(const Scheme &scheme, const float *values, int64_t groups,
                              int64_t size, uint8_t *codes, float *scales, float *minima) {
  ScaleType type = scheme.scaleType;
  switch (scheme.storage) {
  case Storage::int4:
    return quantizeAs<Storage::int4>(type, values, groups, size, codes, scales, minima);
  case Storage::uint4:
    return quantizeAs<Storage::uint4>(type, values, groups, size, codes, scales, minima);
  case Storage::int8:
    return quantizeAs<Storage::int8>(type, values, groups, size, codes, scales, minima);
  case Storage::e4m3:
    return quantizeAs<Storage::e4m3>(type, values, groups, size, codes, scales, minima);
  }
  return 0;
}

template <Storage storage>
QOPT_ALWAYS_INLINE void dequantizeAs(const uint8_t *codes, int64_t count, GroupScale group,
                                     float *values) {
  for (int64_t k = 0; k < count; ++k) {
    float code = storage == Storage::e4m3    ? e4m3ToFloat(codes[k])
                 : storage == Storage::uint4 ? static_cast<float>(codes[k])
                                             : static_cast<float>(static_cast<int8_t>(codes[k]));
    values[k] = storage == Storage::uint4 ? group.scale * code + group.minimum : group.scale * code;
  }
}

QOPT_WIDE_VECTORS
static void dequantizeGroup(Storage storage, const uint8_t *codes, int64_t count, GroupScale group,
                            float *values) {
  switch (storage) {
  case Storage::int4:
  case Storage::int8:
    return dequantizeAs<Storage::int8>(codes, count, group, values);
  case Storage::uint4:
    return dequantizeAs<Storage::uint4>(codes, count, group, values);
  case Storage::e4m3:
    return dequantizeAs<Storage::e4m3>(codes, count, group, values);
  }
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

static std::string place(int64_t row, int64_t column) {
  return "row " + std::to_string(row) + ", column " + std::to_string(column);
}

static Status notFinite(const float *values, int64_t row, int64_t columns) {
  if (allFinite(values, columns))
    return Status::ok();
  int64_t k = 0;
  while (std::isfinite(values[k]))
    ++k;
  return Status::invalid(place(row, k) + " holds " + (std::isnan(values[k]) ? "nan" : "inf") +
                         ", expected a finite value");
}

Status qopt::quantizeRows(const Scheme &scheme, const float *values, int64_t rows, int64_t columns,
                          QuantizedRows &result) {
  if (Status status = scheme.check(columns); !status)
    return status;
  int64_t size = scheme.groupElements(columns), groups = scheme.groupsPerRow(columns);
  result.codes.resize(rows * columns);
  result.scales.resize(rows * groups);
  result.minima.resize(scheme.isAffine() ? rows * groups : 0);
  for (int64_t row = 0; row < rows; ++row) {
    if (Status status = notFinite(values + row * columns, row, columns); !status)
      return status;
    int64_t done =
        quantizeGroups(scheme, values + row * columns, groups, size,
                       result.codes.data() + row * columns, result.scales.data() + row * groups,
                       scheme.isAffine() ? result.minima.data() + row * groups : nullptr);
    if (done < groups)
      return Status::invalid("the scale of the group at " + place(row, done * size) +
                             " overflows its type");
  }
  return Status::ok();
}

void qopt::dequantizeRows(const Scheme &scheme, const QuantizedRows &quantized, int64_t rows,
                          int64_t columns, float *values) {
  int64_t size = scheme.groupElements(columns), groups = scheme.groupsPerRow(columns);
  for (int64_t index = 0; index < rows * groups; ++index) {
    GroupScale group = {quantized.scales[index],
                        scheme.isAffine() ? quantized.minima[index] : 0.0f};
    dequantizeGroup(scheme.storage, quantized.codes.data() + index * size, size, group,
                    values + index * size);
  }
}
