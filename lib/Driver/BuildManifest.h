//===- BuildManifest.h - Plans as the artifact lists them -------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_BUILDMANIFEST_H
#define QOPT_DRIVER_BUILDMANIFEST_H

#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include "qopt/Target/Target.h"
#include <vector>

namespace qopt {

/// The weight operations whose images the artifact holds, one for each of the
/// program's weights, in order of first use.
using WeightImages = std::vector<kernel::WeightOp>;

/// Fills the program's cache, state, weights (without sections), kernels and plans
/// from the module's plans, smallest first. Fails on a launch without entry.
mlir::LogicalResult buildProgram(mlir::ModuleOp module, const Target &target,
                                  const CompiledCode &code, artifact::Program &program,
                                  WeightImages &weights);

} // namespace qopt

#endif // QOPT_DRIVER_BUILDMANIFEST_H
