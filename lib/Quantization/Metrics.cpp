//===- Metrics.cpp - How far quantized values are off ---------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Quantization/Metrics.h"
#include "WideVectors.h"

using namespace qopt;

/// The sum of value(i)^2, in sums side by side, so that none waits for the
/// addition before.
template <typename Value> QOPT_ALWAYS_INLINE double sumOfSquares(int64_t count, Value value) {
  constexpr int64_t lanes = 16;
  double sums[lanes] = {};
  int64_t whole = count - count % lanes;
  for (int64_t i = 0; i < whole; i += lanes)
    for (int64_t lane = 0; lane < lanes; ++lane)
      sums[lane] += value(i + lane) * value(i + lane);
  for (int64_t i = whole; i < count; ++i)
    sums[i - whole] += value(i) * value(i);
  double sum = 0.0;
  for (double part : sums)
    sum += part;
  return sum;
}

namespace {

struct Element {
  const float *values;
  [[gnu::always_inline]] double operator()(int64_t i) const { return values[i]; }
};

struct Difference {
  const float *values, *reference;
  [[gnu::always_inline]] double operator()(int64_t i) const {
    return static_cast<double>(values[i]) - reference[i];
  }
};

} // namespace

QOPT_WIDE_VECTORS
static double energyOf(const float *values, int64_t count) {
  return sumOfSquares(count, Element{values});
}

QOPT_WIDE_VECTORS
static double energyOfDifference(const float *values, const float *reference, int64_t count) {
  return sumOfSquares(count, Difference{values, reference});
}

void ErrorEnergy::add(const float *reference, const float *values, int64_t count) {
  signal += energyOf(reference, count);
  error += energyOfDifference(values, reference, count);
}
