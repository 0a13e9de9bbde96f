//===- ElementConversions.h - Narrow floats to float32 and back -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The conversions of Support/Float.h as vector code. bf16, f16 and e4m3 travel
/// as integers of their width: LLVM would call library functions for them where
/// the target has no instruction.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_CPU_ELEMENTCONVERSIONS_H
#define QOPT_LIB_TARGET_CPU_ELEMENTCONVERSIONS_H

#include "KernelBuilder.h"

namespace qopt {

/// Whether a buffer of this element type can be read (f32, bf16, f16, e4m3) or
/// written (f32, bf16) as float32.
bool isReadable(Type element);
bool isWritable(Type element);

/// The type in which an element travels: i16 for bf16.
Type storageType(Type element);

/// `bits` (scalars or vectors of storageType) to float32, exactly.
Value toF32(KernelBuilder &b, Type element, Value bits);

/// float32 to the bits of bf16, half to even, NaN kept; f32 as it is.
Value roundFromF32(KernelBuilder &b, Type element, Value value);

/// Rounds to `element` and back.
Value roundThrough(KernelBuilder &b, Type element, Value value);

/// `lanes` elements at `pointer` as float32, and back with rounding.
Value loadF32(KernelBuilder &b, Type element, Value pointer, int64_t lanes);
void storeF32(KernelBuilder &b, Type element, Value value, Value pointer);

/// The codes (i8) of quotients x / scale: `roundToCode` of RoundToNearest.h.
Value toCodeI8(KernelBuilder &b, Value quotient);
Value toCodeE4M3(KernelBuilder &b, Value quotient);

} // namespace qopt

#endif // QOPT_LIB_TARGET_CPU_ELEMENTCONVERSIONS_H
