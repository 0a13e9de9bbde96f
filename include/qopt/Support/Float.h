//===- Float.h - bf16, f16 and e4m3 conversions -------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Conversions between float and the narrow formats, all rounding half to even.
/// Narrow values travel as their bits.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_FLOAT_H
#define QOPT_SUPPORT_FLOAT_H

#include <bit>
#include <cmath>
#include <cstdint>
#include <span>

namespace qopt {

inline float bf16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/// Rounds half to even; a NaN stays a (quiet) NaN.
inline uint16_t floatToBf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline float roundToBf16(float value) { return bf16ToFloat(floatToBf16(value)); }

/// The same for each of \p values, in place.
inline void roundToBf16(std::span<float> values) {
  for (float &value : values)
    value = roundToBf16(value);
}

inline float f16ToFloat(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  uint32_t exponent = (bits >> 10) & 0x1fu;
  uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0x1f)
    return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

/// Rounds half to even; overflow gives infinity.
inline uint16_t floatToF16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return sign | 0x7e00u;
  if (magnitude >= 0x477ff000u) // rounds to 2^16 or more
    return sign | 0x7c00u;
  if (magnitude < 0x38800000u) { // below 2^-14: a multiple of 2^-24
    float scaled = std::bit_cast<float>(magnitude) * 0x1p24f;
    return sign | static_cast<uint16_t>(std::nearbyint(scaled));
  }
  uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return sign | static_cast<uint16_t>((rounded - 0x38000000u) >> 13);
}

/// OCP e4m3 (no infinity, NaN = 0x7f): bias 7, largest 448.
inline float e4m3ToFloat(uint8_t bits) {
  uint32_t magnitude = bits & 0x7fu;
  if (magnitude == 0x7fu)
    return std::bit_cast<float>(0x7fc00000u | (static_cast<uint32_t>(bits & 0x80u) << 24));
  float value = std::bit_cast<float>(magnitude << 20) * 0x1p120f;
  return bits & 0x80u ? -value : value;
}

/// Rounds half to even and saturates at +-448; a NaN gives 0x7f.
inline uint8_t floatToE4m3(float value) {
  uint8_t sign = std::signbit(value) ? 0x80u : 0u;
  float magnitude = std::fabs(value);
  if (!(magnitude == magnitude))
    return sign | 0x7fu;
  if (magnitude >= 448.0f)
    return sign | 0x7eu;
  if (magnitude < 0x1p-6f) // subnormal: a multiple of 2^-9
    return sign | static_cast<uint8_t>(std::nearbyint(magnitude * 0x1p9f));
  uint32_t bits = std::bit_cast<uint32_t>(magnitude);
  uint32_t rounded = bits + 0x7ffffu + ((bits >> 20) & 1u);
  uint32_t code = (rounded >> 20) - (120u << 3);
  return sign | static_cast<uint8_t>(code > 0x7eu ? 0x7eu : code);
}

} // namespace qopt

#endif // QOPT_SUPPORT_FLOAT_H
