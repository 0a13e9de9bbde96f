//===- MathApproximations.h - exp, sin and cos without a libm ---*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_LIB_TARGET_CPU_MATHAPPROXIMATIONS_H
#define QOPT_LIB_TARGET_CPU_MATHAPPROXIMATIONS_H

#include "KernelBuilder.h"

namespace qopt {

/// e^x of float32 within 2 units in the last place; 0 from x = -104 down,
/// infinity above 88.73, NaN of NaN.
Value emitExp(KernelBuilder &b, Value x);

/// e^x of float32 x <= 0 within 2 units in the last place; 0 below x = -87, a weight
/// that no sum beside 1 notices: subnormal results would stop the processor for
/// a hundred cycles each.
Value emitSoftmaxExp(KernelBuilder &b, Value x);

struct SinCos {
  Value sin, cos;
};
/// Sine and cosine of float32 angles in [0, 2^20], each within 2^-24 of the
/// exact one (half of that is the rounding to float32).
SinCos emitSinCos(KernelBuilder &b, Value angle);

} // namespace qopt

#endif // QOPT_LIB_TARGET_CPU_MATHAPPROXIMATIONS_H
