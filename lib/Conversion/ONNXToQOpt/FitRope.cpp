//===- FitRope.cpp - What rotary frequencies come from --------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FitRope.h"
#include <cstdio>
#include <cstdlib>

using namespace qopt;
using Scaling = RopeConfig::Scaling;

/// `value` in `digits` decimal digits.
static double inDigits(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*e", digits - 1, value);
  return std::strtod(text, nullptr);
}

static bool matches(const std::vector<double> &frequencies, const RopeConfig &config,
                    double tolerance) {
  std::vector<float> expected = ropeFrequencies(2 * frequencies.size(), config);
  for (size_t i = 0; i < frequencies.size(); ++i)
    if (!(std::fabs(frequencies[i] - expected[i]) <= tolerance * std::fabs(frequencies[i])))
      return false;
  return true;
}

/// Low and high factors leave the interpolation as it is when they and the
/// original context grow alike: only low = 1, high = 4 of the Llama-3 models is
/// tried. The context follows from a frequency between the two bounds, or else
/// is the first usual one that fits.
static bool fitLlama3(const std::vector<double> &frequencies, RopeConfig &config,
                      double tolerance) {
  config.scaling = Scaling::llama3;
  config.lowFreqFactor = 1.0;
  config.highFreqFactor = 4.0;
  size_t n = frequencies.size();
  auto base = [&](size_t i) {
    return std::pow(config.theta, -static_cast<double>(i) / static_cast<double>(n));
  };
  for (int digits = 1; digits <= 4; ++digits) {
    config.factor = inDigits(base(n - 1) / frequencies[n - 1], digits);
    if (!(config.factor > 1.0))
      continue;
    for (size_t i = 0; i < n; ++i) {
      double smooth =
          (frequencies[i] / base(i) - 1.0 / config.factor) / (1.0 - 1.0 / config.factor);
      if (smooth < 0.01 || smooth > 0.99)
        continue;
      double context = (3.0 * smooth + 1.0) * 2.0 * std::numbers::pi / base(i);
      // As a power of two, as it is written, where that will do.
      for (double original : {std::exp2(std::round(std::log2(context))), context}) {
        config.originalContext = std::llround(original);
        if (config.originalContext > 0 && matches(frequencies, config, tolerance))
          return true;
      }
    }
    for (int64_t context : {8192, 4096, 2048, 16384, 32768, 1024, 512, 256, 131072}) {
      config.originalContext = context;
      if (matches(frequencies, config, tolerance))
        return true;
    }
  }
  return false;
}

RopeConfig qopt::fitRope(const std::vector<double> &frequencies, double tolerance) {
  size_t n = frequencies.size();
  RopeConfig config;
  // Theta by the first two frequencies, which llama3 leaves alone and linear
  // divides alike; in as few digits as will do.
  double ratio = n > 1 && frequencies[1] != 0.0 ? frequencies[0] / frequencies[1] : 0.0;
  double exact = std::pow(ratio, static_cast<double>(n));
  for (int digits = 1; digits <= 9 && std::isfinite(exact) && exact > 0.0; ++digits) {
    config.theta = inDigits(exact, digits);
    config.scaling = Scaling::none;
    if (matches(frequencies, config, tolerance))
      return config;
    if (std::fabs(frequencies[0] - 1.0) > tolerance) {
      config.scaling = Scaling::linear;
      for (int factorDigits = 1; factorDigits <= 4; ++factorDigits) {
        config.factor = inDigits(1.0 / frequencies[0], factorDigits);
        if (matches(frequencies, config, tolerance))
          return config;
      }
    } else if (fitLlama3(frequencies, config, tolerance)) {
      return config;
    }
  }
  RopeConfig table;
  table.scaling = Scaling::table;
  table.table.assign(frequencies.begin(), frequencies.end());
  return table;
}
