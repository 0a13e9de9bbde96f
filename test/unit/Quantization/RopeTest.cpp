//===- RopeTest.cpp - Rotary frequencies ----------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Support/Rope.h"
#include <bit>
#include <gtest/gtest.h>

using namespace qopt;

namespace {

struct Case {
  int64_t headDim;
  double theta;
  RopeConfig::Scaling scaling;
  double factor;
  int64_t original;
  std::vector<float> frequencies;
};

TEST(Rope, EqualsTheReferenceTables) {
  const Case cases[] = {
#include "RopeReference.inc"
  };
  for (const Case &c : cases) {
    RopeConfig config;
    config.theta = c.theta;
    config.scaling = c.scaling;
    config.factor = c.factor;
    config.originalContext = c.original;
    EXPECT_EQ(ropeFrequencies(c.headDim, config), c.frequencies) << c.headDim;
  }
}

TEST(Rope, WithinAFewUnitsOfTheExactOnes) {
  for (int64_t headDim : {32, 80, 128}) {
    RopeConfig config;
    config.theta = 1e6;
    config.scaling = RopeConfig::Scaling::llama3;
    config.factor = 8.0;
    std::vector<float> frequencies = ropeFrequencies(headDim, config);
    for (int64_t i = 0; i < headDim / 2; ++i) {
      double f = std::pow(1e6, -2.0 * i / headDim), w = 2 * std::numbers::pi / f;
      double s = (8192 / w - 1.0) / 3.0;
      double expected = w < 2048 ? f : w > 8192 ? f / 8 : (1 - s) * f / 8 + s * f;
      EXPECT_NEAR(frequencies[i], expected, expected * 0x1p-20);
    }
  }
}

TEST(Rope, TableIsTakenAsItIs) {
  RopeConfig config;
  config.scaling = RopeConfig::Scaling::table;
  config.table = {1.0f, 0.25f};
  EXPECT_EQ(ropeFrequencies(4, config), config.table);
}

} // namespace
