//===- Activations.cpp - Per-token quantization ---------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Quantization/Activations.h"
#include "qopt/Quantization/RoundToNearest.h"
#include <cassert>
#include <cmath>

using namespace qopt;

float qopt::quantizeToken(Storage storage, const float *values, int64_t columns, uint8_t *codes) {
  assert((storage == Storage::int8 || storage == Storage::e4m3) && "not a storage of activations");
  float absmax = 0.0f;
  for (int64_t k = 0; k < columns; ++k) {
    float magnitude = std::fabs(values[k]);
    // The negation lets a NaN in, and the second test keeps it there.
    if (!(magnitude <= absmax) && !std::isnan(absmax))
      absmax = magnitude;
  }
  float scale = absmax / levels(storage);
  if (scale == 0.0f)
    scale = 1.0f;
  // No integer is the code of a NaN.
  bool isNan = std::isnan(scale) && storage == Storage::int8;
  for (int64_t k = 0; k < columns; ++k)
    codes[k] = isNan ? 0 : roundToCode(storage, values[k] / scale);
  return scale;
}
