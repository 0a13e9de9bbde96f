//===- Ceilings.h - What the cores could do at most -------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_LIB_BENCH_CEILINGS_H
#define QOPT_LIB_BENCH_CEILINGS_H

#include "qopt/Bench/Bench.h"
#include <cstdint>

namespace qopt {

/// The instructions that code may use.
struct Instructions {
  bool fma = false, avx512 = false, vnni = false;
};

/// Measures, on \p threads threads bound as a device binds them: the fastest of a
/// few ways to read a buffer twice as large as the last-level cache, and multiply-adds
/// in registers. One to two seconds.
Ceilings measureCeilings(unsigned threads, const Instructions &instructions);

} // namespace qopt

#endif // QOPT_LIB_BENCH_CEILINGS_H
