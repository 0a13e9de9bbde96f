//===- WideVectors.h - Loops for more than one vector width -----*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_QUANTIZATION_WIDEVECTORS_H
#define QOPT_LIB_QUANTIZATION_WIDEVECTORS_H

/// Compiles a function for wider vectors too; the processor chooses. The bits are
/// the same: the order of sums is written out, and nothing is contracted
/// (-ffp-contract=off).
#if defined(__x86_64__) && defined(__linux__)
#define QOPT_WIDE_VECTORS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define QOPT_WIDE_VECTORS
#endif

/// A part of such a function, compiled as it is.
#define QOPT_ALWAYS_INLINE [[gnu::always_inline]] static inline

#endif // QOPT_LIB_QUANTIZATION_WIDEVECTORS_H
