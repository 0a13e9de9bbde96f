//===- Pipelines.h - The stages of a compile --------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The stages between an imported module and a plan. `qopt-opt` has them as
/// pipelines of the same names, and every pass alone.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_TRANSFORMS_PIPELINES_H
#define QOPT_TRANSFORMS_PIPELINES_H

#include "mlir/Pass/PassManager.h"
#include <string>
#include <vector>

namespace qopt {

struct PipelineOptions {
  std::string format = "bf16"; ///< of qopt-assign-schemes
  int64_t groupSize = 0;       ///< w4a16; 0 chooses
  bool asymmetric = false;     ///< w4a16
  std::string lmHead = "native"; ///< of qopt-assign-schemes
  std::string target = "cpu:x86-64-v4";
  int64_t maxTokens = 512;           ///< tokens of the largest step
  int64_t maxLogitRows = 128;        ///< of them, those whose logits can be asked for
  std::vector<int64_t> buckets = {}; ///< token counts with a plan of their own; empty: the target's
  std::string schedule = {}; ///< a table of measured schedules
  std::vector<std::string> disabledFusions = {}; ///< qkv, gate-up, ..., rope-attention
};

/// The names that `--disable-fusion` takes, in the order in which they run.
const std::vector<std::string> &fusionNames();

/// `qopt-lower-model`: dense module to ragged, quantized, fused, packed.
/// Fails on an unknown fusion name.
mlir::LogicalResult buildModelPipeline(mlir::OpPassManager &manager, const PipelineOptions &options,
                                       std::string &error);

/// `qopt-lower-kernel`: ragged module to scheduled plans with memory.
void buildKernelPipeline(mlir::OpPassManager &manager, const PipelineOptions &options);

/// Makes both pipelines available by name.
void registerPipelines();

} // namespace qopt

#endif // QOPT_TRANSFORMS_PIPELINES_H
