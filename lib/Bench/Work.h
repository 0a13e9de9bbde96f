//===- Work.h - What a launch reads and computes ----------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_LIB_BENCH_WORK_H
#define QOPT_LIB_BENCH_WORK_H

#include "qopt/Bench/Bench.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"

namespace qopt {

/// A step of `batch` sequences that have `context` tokens and get `tokens` each.
struct StepShape {
  uint64_t batch, context, tokens;
  uint64_t logitRows; ///< of all sequences
  uint64_t rows() const { return batch * tokens; }
};

/// Weights and cache that \p launch reads at least once, and what it computes.
Work workOf(const artifact::Model &model, const artifact::Program &program,
            const artifact::Launch &launch, const StepShape &step);

/// Of the whole plan that the step takes; null where no plan holds it.
const artifact::Plan *planOf(const artifact::Program &program, const StepShape &step);
Work workOf(const artifact::Model &model, const artifact::Program &program, const StepShape &step);

} // namespace qopt

#endif // QOPT_LIB_BENCH_WORK_H
