//===- GemmOperands.h - Packed words to operands of a product ---*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A word of a packed weight is what one channel holds for kPack consecutive
/// elements of K: 32 bits, a lane of a vector of channels. Here it becomes the
/// operands of multiply-adds.
///
/// int8 x int8 and bf16 x int4 are integer products. What remains is a float32
/// multiply-add, bf16 too: two fused
/// multiply-adds of 16 lanes a cycle are as many products as one vdpbf16ps has
/// where that runs every cycle, and twice as many on Sapphire Rapids, where it
/// takes two. And they keep subnormals, which vdpbf16ps flushes.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_CPU_GEMMOPERANDS_H
#define QOPT_LIB_TARGET_CPU_GEMMOPERANDS_H

#include "KernelBuilder.h"
#include "qopt/Target/CPU/Layout.h"

namespace qopt {

/// Whether kernels read weights of this element and layout.
bool hasOperands(const WeightImage &image);

/// Words of `lanes` channels at `pointer`.
Value loadWords(KernelBuilder &b, const WeightImage &image, Value pointer, int64_t lanes);

/// A power of two: operands of weights may be smaller by it, where that makes them
/// cheap, when activations are larger by it. Their products are the same numbers.
double operandScale(KernelBuilder &b, const WeightImage &image, Type activations);

/// Element `index` < kPack of every word as float32, exactly, without its scale and
/// divided by `scale`, which is 1 or, for 16 lanes, `operandScale`.
Value decodeWord(KernelBuilder &b, const WeightImage &image, Value words, int64_t index,
                 double scale = 1.0);

/// Elements 2 `index` and 2 `index` + 1 of every word of 4-bit codes, as int16 pairs in i32 lanes:
/// the codes as they are stored, from 0 to 15.
Value decodePairs(KernelBuilder &b, Value words, int64_t index);

/// acc (i32 lanes) += the sum of two products of int16 pairs (i32 lanes); exact.
Value dotShorts(KernelBuilder &b, Value acc, Value words, Value activations);

/// acc (i32 lanes) += the sum of four products of unsigned bytes (weights offset
/// by 128) in `words` and signed ones in `activations`, i32 lanes; exact.
Value dotBytes(KernelBuilder &b, Value acc, Value words, Value activations);

} // namespace qopt

#endif // QOPT_LIB_TARGET_CPU_GEMMOPERANDS_H
