//===- RoundToNearest.h - Weights to codes and back --------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Round-to-nearest quantization of rows, and its inverse. Rows are independent,
/// so that a weight can be streamed in any pieces. Every step is one float32
/// operation, half to even:
///
/// - symmetric: `scale = max|w| / levels`, rounded to the scale's type;
///   `code = round(w / scale)`, clamped to the storage; of int4 codes with bf16
///   scales the quotient is rounded to bf16 first, as the tools do that quantize
///   in the model's type;
/// - affine (uint4): `low = min(min w, 0)`, `high = max(max w, 0)`,
///   `scale = (high - low) / 15` and `minimum = low`, both rounded to the scale's
///   type; `code = round((w - minimum) / scale)`, clamped to [0, 15]. That zero
///   is in the range bounds |minimum| by 15 scales, and with it what rounding
///   the minimum costs;
/// - codes refer to the rounded scale, the one that is stored. A scale that is
///   0 (a group of zeros, or of values too small for the type) becomes 1, with
///   codes and minimum 0.
///
///   QuantizedRows rows;
///   if (Status status = quantizeRows(scheme, w, n, k, rows); !status)
///     return status; // "row 3, column 7 holds nan"
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_QUANTIZATION_ROUNDTONEAREST_H
#define QOPT_QUANTIZATION_ROUNDTONEAREST_H

#include "qopt/Quantization/Scheme.h"
#include <vector>

namespace qopt {

/// Rows of a quantized weight, row-major. G = scheme.groupsPerRow(K).
struct QuantizedRows {
  std::vector<uint8_t> codes; ///< [rows, K], one code a byte
  std::vector<float> scales;  ///< [rows, G], values of the scheme's scale type
  std::vector<float> minima;  ///< [rows, G], empty unless affine
};

/// Quantizes `values` [rows, columns]. Fails when groups do not divide the
/// columns, on NaN and Inf, and on a scale that overflows its type; names row
/// and column, which the caller puts behind the tensor's name.
Status quantizeRows(const Scheme &scheme, const float *values, int64_t rows, int64_t columns,
                    QuantizedRows &result);

/// `scale * code` (then `+ minimum`) in float32, to `values` [rows, columns].
/// Exact for int4 with bf16 or f16 scales.
void dequantizeRows(const Scheme &scheme, const QuantizedRows &quantized, int64_t rows,
                    int64_t columns, float *values);

/// The code of one quotient: rounded half to even, saturated.
uint8_t roundToCode(Storage storage, float quotient);

} // namespace qopt

#endif // QOPT_QUANTIZATION_ROUNDTONEAREST_H
