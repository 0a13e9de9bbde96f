//===- Scheme.h - How a weight is quantized ----------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A scheme says how the rows of a weight [N, K] become codes and scales:
/// `value = scale * code`, or `scale * code + minimum` for uint4. Plain C++,
/// without LLVM, so that it can be used alone.
///
///   Scheme scheme = Scheme::w4a16(chooseGroupSize(576).size);
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_QUANTIZATION_SCHEME_H
#define QOPT_QUANTIZATION_SCHEME_H

#include "qopt/Runtime/Status.h"
#include <cstdint>
#include <string>

namespace qopt {

/// What a code is. Every code travels in one byte: the signed ones in two's
/// complement, e4m3 as its bits.
enum class Storage {
  int4,  ///< [-8, 7], symmetric
  uint4, ///< [0, 15], with a minimum (affine)
  int8,  ///< [-128, 127], symmetric
  e4m3,  ///< OCP e4m3, symmetric, largest 448
};

/// The type whose values scales and minima are.
enum class ScaleType { f32, bf16, f16 };

struct Scheme {
  Storage storage = Storage::int8;
  int64_t groupSize = 0; ///< elements along K that share a scale; 0: the row
  ScaleType scaleType = ScaleType::f32;

  static Scheme w8a8Fp8() { return {Storage::e4m3, 0, ScaleType::bf16}; }
  static Scheme w8a8Int8() { return {Storage::int8, 0, ScaleType::bf16}; }
  static Scheme w4a16(int64_t groupSize, bool affine = false) {
    return {affine ? Storage::uint4 : Storage::int4, groupSize, ScaleType::bf16};
  }

  bool isAffine() const { return storage == Storage::uint4; }
  /// Elements that share a scale in a row of `columns`.
  int64_t groupElements(int64_t columns) const { return groupSize > 0 ? groupSize : columns; }
  int64_t groupsPerRow(int64_t columns) const { return columns / groupElements(columns); }
  /// Whether rows of `columns` elements fall into whole groups.
  Status check(int64_t columns) const;

  bool operator==(const Scheme &) const = default;
};

/// absmax / levels is the scale of a symmetric scheme: half the span of the
/// codes (7.5, 127.5), or 448 for e4m3; uint4 has 15 steps.
float levels(Storage storage);

/// The value of a code before scaling.
float codeValue(Storage storage, uint8_t code);

/// The nearest value of the type, half to even.
float roundTo(ScaleType type, float value);

/// The group size of w4a16 for rows of K elements: 128, or else the larger of
/// 64 and 32 that divides K; 0 when none does.
struct GroupChoice {
  int64_t size;
  std::string reason; ///< e.g. "128 does not divide K = 576, 64 does"
};
GroupChoice chooseGroupSize(int64_t columns);

} // namespace qopt

#endif // QOPT_QUANTIZATION_SCHEME_H
