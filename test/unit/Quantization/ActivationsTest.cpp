//===- ActivationsTest.cpp - Per-token quantization -----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Quantization/Activations.h"
#include "qopt/Quantization/RoundToNearest.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace qopt;

namespace {

std::vector<float> randomToken(unsigned seed, int64_t columns) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.3f, 2.0f);
  std::vector<float> values(columns);
  for (float &value : values)
    value = normal(random);
  return values;
}

TEST(Activations, Int8EqualsDoubleArithmetic) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::vector<float> x = randomToken(seed, 333);
    std::vector<uint8_t> codes(x.size(), 0xaa);
    float scale = quantizeToken(Storage::int8, x.data(), 333, codes.data());
    double absmax = 0;
    for (float value : x)
      absmax = std::max<double>(absmax, std::fabs(value));
    ASSERT_EQ(scale, static_cast<float>(absmax / 127.5));
    for (size_t k = 0; k < x.size(); ++k) {
      double quotient = static_cast<float>(static_cast<double>(x[k]) / scale);
      ASSERT_EQ(static_cast<int8_t>(codes[k]),
                std::clamp(std::nearbyint(quotient), -128.0, 127.0));
    }
  }
}

TEST(Activations, SameAsAWeightRow) {
  std::vector<float> x = randomToken(9, 320);
  for (Storage storage : {Storage::int8, Storage::e4m3}) {
    Scheme scheme{storage, 0, ScaleType::f32};
    std::vector<uint8_t> codes(x.size());
    float scale = quantizeToken(scheme.storage, x.data(), 320, codes.data());
    QuantizedRows rows;
    ASSERT_TRUE(quantizeRows(scheme, x.data(), 1, 320, rows).isOk());
    EXPECT_EQ(scale, rows.scales[0]);
    EXPECT_EQ(codes, rows.codes);
  }
}

TEST(Activations, ZeroTokenHasScaleOne) {
  std::vector<float> x(5, 0.0f);
  std::vector<uint8_t> codes(5, 0xaa);
  EXPECT_EQ(quantizeToken(Storage::int8, x.data(), 5, codes.data()), 1.0f);
  EXPECT_EQ(codes, std::vector<uint8_t>(5, 0));
}

TEST(Activations, NaNShowsInTheScale) {
  for (size_t at : {0, 2, 4}) {
    std::vector<float> x = {1.0f, -3.0f, 2.0f, 0.0f, 9.0f};
    x[at] = std::nanf("");
    std::vector<uint8_t> codes(5);
    EXPECT_TRUE(std::isnan(quantizeToken(Storage::int8, x.data(), 5, codes.data())));
    EXPECT_TRUE(std::isnan(quantizeToken(Storage::e4m3, x.data(), 5, codes.data())));
  }
}

} // namespace
