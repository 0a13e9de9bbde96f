//===- Activations.h - Per-token quantization --------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The reference of `qopt.quantize`: what every target's kernel computes, bit
/// for bit. For each token (row), in float32:
///
///   scale = max|x| / 127.5 (int8) or max|x| / 448 (e4m3); 1 where max|x| is 0
///   code  = round(x / scale), half to even, saturated
///
/// Both are divisions, not multiplications by a reciprocal. A NaN gives a NaN
/// scale and is not an error: activations are checked nowhere.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_QUANTIZATION_ACTIVATIONS_H
#define QOPT_QUANTIZATION_ACTIVATIONS_H

#include "qopt/Quantization/Scheme.h"

namespace qopt {

/// Quantizes `values` [columns] of one token to `codes` [columns] of int8 or
/// e4m3 storage, and returns the scale.
float quantizeToken(Storage storage, const float *values, int64_t columns, uint8_t *codes);

} // namespace qopt

#endif // QOPT_QUANTIZATION_ACTIVATIONS_H
