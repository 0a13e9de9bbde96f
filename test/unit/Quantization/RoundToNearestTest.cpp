//===- RoundToNearestTest.cpp - Codes against double arithmetic -----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Quantization/RoundToNearest.h"
#include "qopt/Quantization/Metrics.h"
#include "qopt/Support/Float.h"
#include <algorithm>
#include <bit>
#include <gtest/gtest.h>
#include <limits>
#include <random>

using namespace qopt;

namespace {

constexpr int64_t rows = 37, columns = 256;

/// Asymmetric values of many magnitudes: each row has its own scale and mean.
std::vector<float> randomRows(unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(rows * columns);
  for (int64_t row = 0; row < rows; ++row) {
    float magnitude = std::exp2(static_cast<float>(row % 23) - 14.0f), mean = normal(random);
    for (int64_t k = 0; k < columns; ++k)
      values[row * columns + k] = magnitude * (normal(random) + 0.5f * mean);
  }
  return values;
}

std::vector<Scheme> schemes() {
  return {Scheme::w8a8Fp8(),
          Scheme::w8a8Int8(),
          Scheme::w4a16(128),
          Scheme::w4a16(64),
          Scheme::w4a16(32),
          Scheme::w4a16(64, /*affine=*/true),
          {Storage::int4, 32, ScaleType::f16},
          {Storage::uint4, 32, ScaleType::f16},
          {Storage::int8, 32, ScaleType::f16},
          {Storage::int8, 0, ScaleType::bf16},
          {Storage::e4m3, 128, ScaleType::f32}};
}

/// What float32 gives, by way of double: for one +, - or / of two floats,
/// rounding the double result to float is the correctly rounded float result.
float narrow(double value) { return static_cast<float>(value); }

double low(Storage storage) {
  return storage == Storage::int4 ? -8 : storage == Storage::uint4 ? 0 : -128;
}
double high(Storage storage) {
  return storage == Storage::int4 ? 7 : storage == Storage::uint4 ? 15 : 127;
}

/// The nearest e4m3 value by search through all of them, ties to the even code.
double nearestE4m3(double value) {
  double best = 0, bestDistance = std::numeric_limits<double>::infinity();
  for (int code = 0; code < 0x7f; ++code) {
    double distance = std::fabs(std::fabs(value) - e4m3ToFloat(code));
    if (distance < bestDistance || (distance == bestDistance && code % 2 == 0)) {
      best = e4m3ToFloat(code);
      bestDistance = distance;
    }
  }
  return std::copysign(best, value);
}

bool dividesInBf16(const Scheme &scheme) {
  return scheme.storage == Storage::int4 && scheme.scaleType == ScaleType::bf16;
}

TEST(RoundToNearest, ScalesAndCodesEqualDoubleArithmetic) {
  std::vector<float> w = randomRows(1);
  for (const Scheme &scheme : schemes()) {
    QuantizedRows q;
    ASSERT_TRUE(quantizeRows(scheme, w.data(), rows, columns, q).isOk());
    int64_t size = scheme.groupElements(columns), groups = rows * scheme.groupsPerRow(columns);
    ASSERT_EQ(static_cast<int64_t>(q.scales.size()), groups);
    ASSERT_EQ(static_cast<int64_t>(q.minima.size()), scheme.isAffine() ? groups : 0);
    for (int64_t g = 0; g < groups; ++g) {
      const float *group = w.data() + g * size;
      double least = 0, most = 0;
      for (int64_t k = 0; k < size; ++k) {
        least = std::min<double>(least, group[k]);
        most = std::max<double>(most, group[k]);
      }
      double span = scheme.isAffine() ? narrow(most - least) : std::max(most, -least);
      ASSERT_EQ(q.scales[g], roundTo(scheme.scaleType, narrow(span / levels(scheme.storage))));
      double minimum = 0;
      if (scheme.isAffine()) {
        ASSERT_EQ(q.minima[g], roundTo(scheme.scaleType, narrow(least)));
        minimum = q.minima[g];
      }
      for (int64_t k = 0; k < size; ++k) {
        double quotient = narrow(narrow(group[k] - minimum) / static_cast<double>(q.scales[g]));
        if (dividesInBf16(scheme))
          quotient = roundToBf16(static_cast<float>(quotient));
        double expected = scheme.storage == Storage::e4m3
                              ? nearestE4m3(quotient)
                              : std::clamp(std::nearbyint(quotient), low(scheme.storage),
                                           high(scheme.storage));
        ASSERT_EQ(codeValue(scheme.storage, q.codes[g * size + k]), expected)
            << "quotient " << quotient;
      }
    }
  }
}

// Two bytes of a float's bits, and the ties between them: all that rounding looks at.
TEST(RoundToNearest, CodesOfAllMagnitudesEqualTheScalarOnes) {
  for (Storage storage : {Storage::int4, Storage::uint4, Storage::int8, Storage::e4m3}) {
    // A scale of 1, so that quotients are the values.
    float limit = levels(storage);
    std::vector<float> w = {limit};
    for (uint32_t bits = 0; bits < 0x10000; ++bits)
      for (uint32_t low : {0u, 1u, 0x8000u, 0xffffu}) {
        float value = std::bit_cast<float>(bits << 16 | low);
        if (std::fabs(value) <= limit && (storage != Storage::uint4 || value >= 0))
          w.push_back(value);
      }
    QuantizedRows q;
    auto columnCount = static_cast<int64_t>(w.size());
    ASSERT_TRUE(quantizeRows({storage, 0, ScaleType::f32}, w.data(), 1, columnCount, q).isOk());
    ASSERT_EQ(q.scales[0], 1.0f);
    for (size_t k = 0; k < w.size(); ++k)
      ASSERT_EQ(q.codes[k], roundToCode(storage, w[k])) << w[k];
  }
}

TEST(RoundToNearest, ErrorIsAtMostHalfAScaleWithinTheRange) {
  std::vector<float> w = randomRows(2);
  for (const Scheme &scheme : schemes()) {
    if (scheme.storage == Storage::e4m3)
      continue;
    QuantizedRows q;
    ASSERT_TRUE(quantizeRows(scheme, w.data(), rows, columns, q).isOk());
    std::vector<float> dq(w.size());
    dequantizeRows(scheme, q, rows, columns, dq.data());
    int64_t size = scheme.groupElements(columns);
    for (size_t i = 0; i < w.size(); ++i) {
      double scale = q.scales[i / size], minimum = scheme.isAffine() ? q.minima[i / size] : 0.0f;
      // Float32 rounding of quotient and product: 2^-23 of the largest code.
      double slack = scale * levels(scheme.storage) * 0x1p-22;
      if (dividesInBf16(scheme)) // half a unit of a quotient between 4 and 8
        slack += scale * 0x1p-6;
      double top = minimum + scale * (high(scheme.storage) + 0.5);
      double bottom = minimum + scale * (low(scheme.storage) - 0.5);
      double error = std::fabs(static_cast<double>(w[i]) - dq[i]);
      if (w[i] >= bottom && w[i] <= top) {
        ASSERT_LE(error, scale / 2 + slack);
      }
      // What the rounding of scale and minimum to their type may add: half a unit
      // of each, of which f16's is 2^-25 at least.
      double relative = scheme.scaleType == ScaleType::f32   ? 0x1p-24
                        : scheme.scaleType == ScaleType::f16 ? 0x1p-11
                                                             : 0x1p-8;
      double unit = scale * relative;
      if (scheme.scaleType == ScaleType::f16)
        unit = std::max(unit, 0x1p-25);
      ASSERT_LE(error, scale / 2 + 2 * levels(scheme.storage) * unit + slack);
    }
  }
}

TEST(RoundToNearest, E4m3ErrorIsRelative) {
  std::vector<float> w = randomRows(3), dq(w.size());
  Scheme scheme = Scheme::w8a8Fp8();
  QuantizedRows q;
  ASSERT_TRUE(quantizeRows(scheme, w.data(), rows, columns, q).isOk());
  dequantizeRows(scheme, q, rows, columns, dq.data());
  for (size_t i = 0; i < w.size(); ++i) {
    double scale = q.scales[i / columns], magnitude = std::fabs(static_cast<double>(w[i]));
    // Half a unit: 2^-4 of normal values, 2^-10 scales of subnormal ones.
    ASSERT_LE(std::fabs(w[i] - static_cast<double>(dq[i])),
              std::max(magnitude * 0x1p-4, scale * 0x1p-10) * (1 + 0x1p-20));
  }
}

TEST(RoundToNearest, DequantizeIsExact) {
  std::vector<float> w = randomRows(4), dq(w.size());
  for (const Scheme &scheme : schemes()) {
    QuantizedRows q;
    ASSERT_TRUE(quantizeRows(scheme, w.data(), rows, columns, q).isOk());
    dequantizeRows(scheme, q, rows, columns, dq.data());
    int64_t size = scheme.groupElements(columns);
    for (size_t i = 0; i < w.size(); ++i) {
      double product = static_cast<double>(q.scales[i / size]) *
                       static_cast<double>(codeValue(scheme.storage, q.codes[i]));
      double expected = scheme.isAffine()
                            ? static_cast<double>(narrow(product)) + q.minima[i / size]
                            : product;
      ASSERT_EQ(dq[i], narrow(expected));
      if (scheme.storage == Storage::int4) {
        ASSERT_EQ(dq[i], product) << "not exact";
      }
    }
  }
}

TEST(RoundToNearest, RequantizingGivesTheSameCodes) {
  // A group that uses the whole of its code range is a fixed point.
  std::vector<float> w(32);
  for (int k = 0; k < 32; ++k)
    w[k] = 0.25f * static_cast<float>(k % 16 - 8);
  w[0] = -1.875f; // = -7.5 * 0.25: absmax / 7.5 is 0.25
  w[16] = -1.875f;
  QuantizedRows q;
  ASSERT_TRUE(quantizeRows(Scheme::w4a16(32), w.data(), 1, 32, q).isOk());
  EXPECT_EQ(q.scales[0], 0.25f);
  for (int k = 1; k < 16; ++k)
    EXPECT_EQ(static_cast<int8_t>(q.codes[k]), k - 8);
  EXPECT_EQ(static_cast<int8_t>(q.codes[0]), -8) << "-7.5 goes to the even neighbour";
}

TEST(RoundToNearest, PositiveExtremeSaturates) {
  std::vector<float> w(32, 0.0f);
  w[3] = 7.5f;
  w[4] = -2.5f;
  w[5] = 3.5f;
  QuantizedRows q;
  ASSERT_TRUE(quantizeRows(Scheme::w4a16(32), w.data(), 1, 32, q).isOk());
  EXPECT_EQ(q.scales[0], 1.0f);
  EXPECT_EQ(static_cast<int8_t>(q.codes[3]), 7);
  EXPECT_EQ(static_cast<int8_t>(q.codes[4]), -2);
  EXPECT_EQ(static_cast<int8_t>(q.codes[5]), 4);
}

TEST(RoundToNearest, ZeroRowsStayZero) {
  std::vector<float> w(64, 0.0f), dq(64, 1.0f);
  w[1] = -0.0f;
  for (Scheme scheme : schemes()) {
    scheme.groupSize = scheme.groupSize ? 32 : 0;
    QuantizedRows q;
    ASSERT_TRUE(quantizeRows(scheme, w.data(), 1, 64, q).isOk());
    EXPECT_EQ(q.scales[0], 1.0f);
    dequantizeRows(scheme, q, 1, 64, dq.data());
    for (float value : dq)
      EXPECT_EQ(value, 0.0f);
  }
}

TEST(RoundToNearest, ValuesBelowTheScaleTypeBecomeZero) {
  std::vector<float> w(32, 1e-9f), dq(32, 1.0f);
  Scheme scheme{Storage::int4, 32, ScaleType::f16};
  QuantizedRows q;
  ASSERT_TRUE(quantizeRows(scheme, w.data(), 1, 32, q).isOk());
  EXPECT_EQ(q.scales[0], 1.0f);
  dequantizeRows(scheme, q, 1, 32, dq.data());
  EXPECT_EQ(dq[5], 0.0f);
}

TEST(RoundToNearest, ConstantAffineGroupIsRepresentable) {
  for (float constant : {0.75f, -0.75f}) {
    std::vector<float> w(32, constant), dq(32);
    QuantizedRows q;
    Scheme scheme{Storage::uint4, 32, ScaleType::f32};
    ASSERT_TRUE(quantizeRows(scheme, w.data(), 1, 32, q).isOk());
    dequantizeRows(scheme, q, 1, 32, dq.data());
    EXPECT_NEAR(dq[0], constant, 1e-6);
    EXPECT_EQ(q.minima[0], std::min(constant, 0.0f));
  }
}

TEST(RoundToNearest, RowsAreIndependentOfHowTheyAreStreamed) {
  std::vector<float> w = randomRows(5);
  for (const Scheme &scheme : schemes()) {
    QuantizedRows whole, part;
    ASSERT_TRUE(quantizeRows(scheme, w.data(), rows, columns, whole).isOk());
    for (int64_t row = 0; row < rows; ++row) {
      ASSERT_TRUE(quantizeRows(scheme, w.data() + row * columns, 1, columns, part).isOk());
      ASSERT_TRUE(std::equal(part.codes.begin(), part.codes.end(),
                             whole.codes.begin() + row * columns));
    }
  }
}

TEST(RoundToNearest, NegativeBadValuesAreErrors) {
  std::vector<float> w(96, 1.0f);
  QuantizedRows q;
  w[32 + 7] = std::nanf("");
  EXPECT_EQ(quantizeRows(Scheme::w4a16(32), w.data(), 3, 32, q).message(),
            "row 1, column 7 holds nan, expected a finite value");
  w[32 + 7] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(quantizeRows(Scheme::w8a8Int8(), w.data(), 3, 32, q).message(),
            "row 1, column 7 holds inf, expected a finite value");
  w[32 + 7] = 1e6f;
  EXPECT_EQ(quantizeRows({Storage::int4, 32, ScaleType::f16}, w.data(), 3, 32, q).message(),
            "the scale of the group at row 1, column 0 overflows its type");
  EXPECT_EQ(quantizeRows(Scheme::w4a16(64), w.data(), 3, 32, q).message(),
            "group size 64 does not divide K = 32");
}

TEST(RoundToNearest, MoreBitsAndSmallerGroupsGiveMoreSignal) {
  std::vector<float> w = randomRows(6), dq(w.size());
  auto sqnr = [&](const Scheme &scheme) {
    QuantizedRows q;
    EXPECT_TRUE(quantizeRows(scheme, w.data(), rows, columns, q).isOk());
    dequantizeRows(scheme, q, rows, columns, dq.data());
    ErrorEnergy energy;
    energy.add(w.data(), dq.data(), static_cast<int64_t>(w.size()));
    return energy.sqnr();
  };
  EXPECT_GT(sqnr(Scheme::w8a8Int8()), 38.0);
  EXPECT_GT(sqnr(Scheme::w8a8Fp8()), 30.0);
  EXPECT_GT(sqnr(Scheme::w4a16(32)), sqnr(Scheme::w4a16(128)));
  EXPECT_GT(sqnr(Scheme::w4a16(32, true)), sqnr(Scheme::w4a16(32)));
}

} // namespace
