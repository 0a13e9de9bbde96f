//===- FloatTest.cpp - Narrow formats against double arithmetic -----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Support/Float.h"
#include <gtest/gtest.h>
#include <limits>
#include <random>

using namespace qopt;

namespace {

/// A binary format by its numbers, decoded and rounded in double: the reference
/// that shares no bit trick with Float.h.
struct Format {
  int mantissaBits;
  int exponentBits;
  int bias;
  double largest;

  uint32_t count() const { return 1u << (mantissaBits + exponentBits); }

  /// The value of a magnitude code (finite ones only).
  double decode(uint32_t code) const {
    int exponent = static_cast<int>(code >> mantissaBits);
    double mantissa = code & ((1u << mantissaBits) - 1);
    if (exponent == 0)
      return std::ldexp(mantissa, 1 - bias - mantissaBits);
    return std::ldexp(mantissa + (1u << mantissaBits), exponent - bias - mantissaBits);
  }
};

constexpr Format bf16{7, 8, 127, 0x1.fep127};
constexpr Format f16{10, 5, 15, 65504.0};
constexpr Format e4m3{3, 4, 7, 448.0};

/// Checks a decoder on every code, and an encoder at every value, at every
/// midpoint of two neighbours, and at the floats next to the midpoint.
template <typename Decode, typename Encode>
void checkAll(const Format &format, Decode decode, Encode encode, uint32_t signBit) {
  for (uint32_t code = 0; code < format.count(); ++code) {
    double value = format.decode(code);
    if (value > format.largest)
      break;
    float exact = static_cast<float>(value);
    ASSERT_EQ(decode(code), exact) << code;
    ASSERT_EQ(decode(code | signBit), -exact) << code;
    ASSERT_EQ(std::signbit(decode(code | signBit)), true) << code;
    ASSERT_EQ(encode(exact), code);
    ASSERT_EQ(encode(-exact), code | signBit);
    double next = format.decode(code + 1);
    if (next > format.largest)
      break;
    double middle = (value + next) / 2;
    float tie = static_cast<float>(middle);
    if (static_cast<double>(tie) != middle) // below float's subnormals
      continue;
    uint32_t even = code % 2 == 0 ? code : code + 1;
    ASSERT_EQ(encode(tie), even) << "tie above " << code;
    ASSERT_EQ(encode(-tie), even | signBit) << "tie above " << code;
    float inf = std::numeric_limits<float>::infinity();
    ASSERT_EQ(encode(std::nextafter(tie, 0.0f)), code) << "below the tie above " << code;
    ASSERT_EQ(encode(std::nextafter(tie, inf)), code + 1) << "past the tie above " << code;
  }
}

TEST(Float, Bf16EveryCodeAndTie) {
  checkAll(bf16, [](uint32_t c) { return bf16ToFloat(c); },
           [](float v) { return static_cast<uint32_t>(floatToBf16(v)); }, 0x8000u);
}

TEST(Float, F16EveryCodeAndTie) {
  checkAll(f16, [](uint32_t c) { return f16ToFloat(c); },
           [](float v) { return static_cast<uint32_t>(floatToF16(v)); }, 0x8000u);
}

TEST(Float, E4m3EveryCodeAndTie) {
  checkAll(e4m3, [](uint32_t c) { return e4m3ToFloat(c); },
           [](float v) { return static_cast<uint32_t>(floatToE4m3(v)); }, 0x80u);
}

TEST(Float, All256E4m3CodesRoundTrip) {
  for (uint32_t code = 0; code < 256; ++code) {
    if ((code & 0x7fu) == 0x7fu) {
      EXPECT_TRUE(std::isnan(e4m3ToFloat(code)));
      continue;
    }
    EXPECT_EQ(floatToE4m3(e4m3ToFloat(code)), code);
  }
}

TEST(Float, OverflowAndNaN) {
  float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  float largest = std::numeric_limits<float>::max();
  EXPECT_EQ(floatToE4m3(448.1f), 0x7e);
  EXPECT_EQ(floatToE4m3(-1e30f), 0xfe);
  EXPECT_EQ(floatToE4m3(inf), 0x7e);
  EXPECT_EQ(floatToE4m3(nan) & 0x7f, 0x7f);
  EXPECT_EQ(floatToF16(65519.996f), 0x7bff);
  EXPECT_EQ(floatToF16(65520.0f), 0x7c00);
  EXPECT_EQ(floatToF16(-inf), 0xfc00);
  EXPECT_TRUE(std::isnan(f16ToFloat(floatToF16(nan))));
  EXPECT_EQ(floatToBf16(largest), 0x7f80);
  EXPECT_EQ(floatToBf16(-inf), 0xff80);
  EXPECT_TRUE(std::isnan(roundToBf16(nan)));
  EXPECT_TRUE(std::isnan(f16ToFloat(0x7c01)));
  EXPECT_EQ(f16ToFloat(0xfc00), -inf);
}

/// Random bit patterns round to the nearest of the two neighbours.
TEST(Float, RandomValuesGoToTheNearest) {
  std::mt19937 random(7);
  for (int i = 0; i < 1000000; ++i) {
    float value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isfinite(value) || std::fabs(value) > 3e38f)
      continue;
    float rounded = roundToBf16(value);
    uint16_t code = floatToBf16(value);
    double error = std::fabs(static_cast<double>(rounded) - value);
    double up = bf16ToFloat(code + 1), down = (code & 0x7fffu) ? bf16ToFloat(code - 1) : rounded;
    ASSERT_LE(error, std::fabs(up - value)) << value;
    if (code & 0x7fffu) {
      ASSERT_LE(error, std::fabs(down - value)) << value;
    }
  }
}

} // namespace
