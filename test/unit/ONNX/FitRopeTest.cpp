//===- FitRopeTest.cpp - Frequencies and what they come from --------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Conversion/ONNXToQOpt/FitRope.h"
#include <gtest/gtest.h>

using namespace qopt;
using Scaling = RopeConfig::Scaling;

namespace {

RopeConfig fitted(int64_t headDim, const RopeConfig &config, double noise = 0.0) {
  std::vector<float> table = ropeFrequencies(headDim, config);
  std::vector<double> frequencies(table.begin(), table.end());
  for (size_t i = 0; i < frequencies.size(); ++i)
    frequencies[i] *= 1.0 + (i % 2 ? noise : -noise);
  return fitRope(frequencies, noise > 0.0 ? 4e-3 : 2e-6);
}

TEST(FitRope, findsTheta) {
  for (int64_t headDim : {16, 64, 128})
    for (double theta : {10000.0, 100000.0, 500000.0, 1e6, 8000000.0}) {
      RopeConfig config;
      config.theta = theta;
      RopeConfig found = fitted(headDim, config);
      EXPECT_EQ(found.scaling, Scaling::none);
      EXPECT_EQ(found.theta, theta) << headDim;
    }
}

TEST(FitRope, findsLinear) {
  RopeConfig config;
  config.scaling = Scaling::linear;
  config.factor = 2.5;
  RopeConfig found = fitted(64, config);
  EXPECT_EQ(found.scaling, Scaling::linear);
  EXPECT_EQ(found.theta, 10000.0);
  EXPECT_EQ(found.factor, 2.5);
}

TEST(FitRope, findsLlama3) {
  for (int64_t headDim : {16, 64, 128})
    for (double factor : {8.0, 32.0}) {
      RopeConfig config;
      config.theta = 500000.0;
      config.scaling = Scaling::llama3;
      config.factor = factor;
      RopeConfig found = fitted(headDim, config);
      EXPECT_EQ(found.scaling, Scaling::llama3);
      EXPECT_EQ(found.theta, 500000.0);
      EXPECT_EQ(found.factor, factor);
      EXPECT_EQ(found.originalContext, 8192);
      EXPECT_EQ(found.lowFreqFactor, 1.0);
      EXPECT_EQ(found.highFreqFactor, 4.0);
    }
}

TEST(FitRope, toleratesNarrowTables) {
  RopeConfig config;
  config.theta = 500000.0;
  config.scaling = Scaling::llama3;
  config.factor = 8.0;
  RopeConfig found = fitted(16, config, 1e-5);
  EXPECT_EQ(found.scaling, Scaling::llama3);
  EXPECT_EQ(found.theta, 500000.0);
  EXPECT_EQ(found.factor, 8.0);
}

TEST(FitRope, keepsATableThatFollowsNoRule) {
  RopeConfig found = fitRope({1.0, 0.3, 0.2, 0.01}, 2e-6);
  EXPECT_EQ(found.scaling, Scaling::table);
  EXPECT_EQ(found.table, (std::vector<float>{1.0f, 0.3f, 0.2f, 0.01f}));
}

TEST(FitRope, keepsATableOfDegenerateValues) {
  EXPECT_EQ(fitRope({0.0, 0.0}, 2e-6).scaling, Scaling::table);
  EXPECT_EQ(fitRope({1.0, 0.0}, 2e-6).scaling, Scaling::table);
  EXPECT_EQ(fitRope({NAN, 1.0}, 2e-6).scaling, Scaling::table);
}

} // namespace
