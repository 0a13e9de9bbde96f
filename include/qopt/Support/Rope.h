//===- Rope.h - Rotary frequencies -------------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_ROPE_H
#define QOPT_SUPPORT_ROPE_H

#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

namespace qopt {

/// Rotary embedding of head_dim / 2 frequencies f[i] = theta^(-2i/head_dim),
/// rescaled as `scaling` says. Halves are rotated against each other
/// (rotate_half of the reference implementation), not neighbours.
struct RopeConfig {
  enum class Scaling { none, linear, llama3, table };
  double theta = 10000.0;
  Scaling scaling = Scaling::none;
  double factor = 1.0;          ///< linear, llama3
  double lowFreqFactor = 1.0;   ///< llama3
  double highFreqFactor = 4.0;  ///< llama3
  int64_t originalContext = 8192; ///< llama3, tokens
  std::vector<float> table;     ///< table: explicit frequencies, head_dim / 2
};

/// The frequencies [headDim / 2] in radians a token. Everybody takes them from
/// here. The operations are those of the reference PyTorch model, each rounded
/// to float32 (a quotient with a scalar above is a product with the reciprocal
/// there): equal to its table but for a unit in the last place of a power now
/// and then. A power is computed in double, so that it does not depend on the C
/// library's powf.
inline std::vector<float> ropeFrequencies(int64_t headDim, const RopeConfig &config) {
  using Scaling = RopeConfig::Scaling;
  if (config.scaling == Scaling::table)
    return config.table;
  std::vector<float> frequencies(headDim / 2);
  float factor = static_cast<float>(config.factor);
  float original = static_cast<float>(config.originalContext);
  float longest = static_cast<float>(config.originalContext / config.lowFreqFactor);
  float shortest = static_cast<float>(config.originalContext / config.highFreqFactor);
  for (int64_t i = 0; i < headDim / 2; ++i) {
    float exponent = static_cast<float>(2 * i) / static_cast<float>(headDim);
    float f = 1.0f / static_cast<float>(std::pow(config.theta, static_cast<double>(exponent)));
    if (config.scaling == Scaling::linear)
      f = f / factor;
    if (config.scaling == Scaling::llama3) {
      float wavelength = (1.0f / f) * static_cast<float>(2.0 * std::numbers::pi);
      if (wavelength > longest) {
        f = f / factor;
      } else if (wavelength >= shortest) {
        float span = static_cast<float>(config.highFreqFactor - config.lowFreqFactor);
        float smooth =
            ((1.0f / wavelength) * original - static_cast<float>(config.lowFreqFactor)) / span;
        float slow = (1.0f - smooth) * f / factor;
        float fast = smooth * f;
        f = slow + fast;
      }
    }
    frequencies[i] = f;
  }
  return frequencies;
}

} // namespace qopt

#endif // QOPT_SUPPORT_ROPE_H
