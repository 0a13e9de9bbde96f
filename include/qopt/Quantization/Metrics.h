//===- Metrics.h - How far quantized values are off --------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_QUANTIZATION_METRICS_H
#define QOPT_QUANTIZATION_METRICS_H

#include <cmath>
#include <cstdint>
#include <limits>

namespace qopt {

/// Energies of a signal and of its error, summed in double; rows of a streamed
/// tensor are added in turn.
struct ErrorEnergy {
  double signal = 0.0; ///< sum of reference^2
  double error = 0.0;  ///< sum of (value - reference)^2

  template <typename A, typename B> void add(const A *reference, const B *values, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      double r = reference[i], d = static_cast<double>(values[i]) - r;
      signal += r * r;
      error += d * d;
    }
  }

  /// The same for floats, faster: in sums side by side, whose order depends on
  /// the count alone.
  void add(const float *reference, const float *values, int64_t count);

  void add(const ErrorEnergy &other) {
    signal += other.signal;
    error += other.error;
  }

  /// |value - reference| / |reference|, Frobenius; 0 when both are 0.
  double relative() const {
    if (error == 0.0)
      return 0.0;
    return signal == 0.0 ? std::numeric_limits<double>::infinity() : std::sqrt(error / signal);
  }

  /// Signal to quantization noise ratio in dB; infinite without error.
  double sqnr() const {
    if (error == 0.0)
      return std::numeric_limits<double>::infinity();
    return 10.0 * std::log10(signal / error);
  }
};

} // namespace qopt

#endif // QOPT_QUANTIZATION_METRICS_H
