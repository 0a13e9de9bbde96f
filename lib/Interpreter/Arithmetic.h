//===- Arithmetic.h - The arithmetic of the reference interpreter *- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The formulas of QOptOps.td on plain arrays of double. `Real` is the type of
/// every single operation: float rounds as the descriptions say, double is the
/// float64 mode. Sums are accumulated in double and rounded to Real once, so
/// that no result depends on an order of summation.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_INTERPRETER_ARITHMETIC_H
#define QOPT_LIB_INTERPRETER_ARITHMETIC_H

#include "qopt/Support/Float.h"
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace qopt::interpreter {

/// What a value of a tensor is rounded to.
enum class Element { f32, f16, bf16, other };

/// `value` as an element; in float64 mode nothing is rounded.
template <typename Real> double roundTo(Element element, Real value) {
  if constexpr (std::is_same_v<Real, double>)
    return value;
  switch (element) {
  case Element::f16:
    return f16ToFloat(floatToF16(static_cast<float>(value)));
  case Element::bf16:
    return roundToBf16(static_cast<float>(value));
  case Element::f32:
  case Element::other:
    return value;
  }
  return value;
}

/// Eight partial sums, for speed: in double their order is of no account.
inline double dot(const double *a, const double *b, int64_t count) {
  constexpr int64_t lanes = 8;
  double sums[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (int64_t lane = 0; lane < lanes; ++lane)
      sums[lane] += a[i + lane] * b[i + lane];
  double sum = 0.0;
  for (; i < count; ++i)
    sum += a[i] * b[i];
  for (double partial : sums)
    sum += partial;
  return sum;
}

/// One row: y = round(x * rsqrt(mean(x^2) + eps)) * weight, rounded again.
template <typename Real>
void rmsNorm(const double *x, const double *weight, double eps, int64_t columns, Element element,
             double *y) {
  Real mean = static_cast<Real>(dot(x, x, columns)) / static_cast<Real>(columns);
  Real inverse = Real(1) / std::sqrt(mean + static_cast<Real>(eps));
  for (int64_t i = 0; i < columns; ++i) {
    double normalised = roundTo<Real>(element, static_cast<Real>(x[i]) * inverse);
    y[i] = roundTo<Real>(element, static_cast<Real>(normalised) * static_cast<Real>(weight[i]));
  }
}

/// One head at one position; `frequencies` [headDim / 2].
template <typename Real>
void rope(const double *x, double position, const std::vector<float> &frequencies, Element element,
          double *y) {
  int64_t half = frequencies.size();
  for (int64_t i = 0; i < half; ++i) {
    double angle = static_cast<Real>(position) * static_cast<Real>(frequencies[i]);
    Real c = static_cast<Real>(std::cos(angle)), s = static_cast<Real>(std::sin(angle));
    Real low = static_cast<Real>(x[i]), high = static_cast<Real>(x[i + half]);
    y[i] = roundTo<Real>(element, low * c - high * s);
    y[i + half] = roundTo<Real>(element, high * c + low * s);
  }
}

/// silu(gate) * up.
template <typename Real> double siluMul(double gate, double up, Element element) {
  Real g = static_cast<Real>(gate);
  Real silu = g / (Real(1) + static_cast<Real>(std::exp(-static_cast<double>(g))));
  return roundTo<Real>(element, silu * static_cast<Real>(up));
}

/// One query head over the keys and values that it sees, each [headDim]; zeros
/// when it sees none.
template <typename Real>
void attend(const double *query, const std::vector<const double *> &keys,
            const std::vector<const double *> &values, double scale, int64_t headDim,
            Element element, double *y) {
  std::vector<double> weights(keys.size()), sums(headDim);
  Real largest = -INFINITY;
  for (size_t j = 0; j < keys.size(); ++j) {
    Real score = static_cast<Real>(dot(query, keys[j], headDim)) * static_cast<Real>(scale);
    weights[j] = score;
    largest = std::fmax(largest, score);
  }
  double total = 0.0;
  for (size_t j = 0; j < keys.size(); ++j) {
    Real shifted = static_cast<Real>(weights[j]) - largest;
    weights[j] = static_cast<Real>(std::exp(static_cast<double>(shifted)));
    total += weights[j];
    for (int64_t i = 0; i < headDim; ++i)
      sums[i] += weights[j] * values[j][i];
  }
  for (int64_t i = 0; i < headDim; ++i)
    y[i] = keys.empty()
               ? 0.0
               : roundTo<Real>(element, static_cast<Real>(sums[i]) / static_cast<Real>(total));
}

} // namespace qopt::interpreter

#endif // QOPT_LIB_INTERPRETER_ARITHMETIC_H
