//===- VerifyLaunch.h - Whether a launch does its work ----------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TRANSFORMS_VERIFYLAUNCH_H
#define QOPT_LIB_TRANSFORMS_VERIFYLAUNCH_H

#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include "qopt/Target/Target.h"

namespace qopt {

/// The buffer that `operand` is, or is a slice of; null for weights and inputs.
kernel::AllocOp allocOf(mlir::Value operand);

/// Bytes of a buffer with the most rows that a step of `plan` has.
int64_t bufferBytes(kernel::AllocOp alloc, kernel::PlanOp plan);

/// The operands that `op` writes.
mlir::SmallVector<mlir::Value> writtenBy(mlir::Operation *op);

/// Checks what one launch says of itself: rows, grid, tensor maps.
class LaunchChecker {
public:
  explicit LaunchChecker(const Target &target) : target(target) {}

  /// Reports on `op` what is wrong with it.
  mlir::LogicalResult check(mlir::Operation *op, kernel::PlanOp plan) const;

private:
  mlir::LogicalResult checkRows(mlir::Operation *op) const;
  mlir::LogicalResult checkUnits(mlir::Operation *op, const LaunchUnits &units) const;
  mlir::LogicalResult checkGrid(mlir::Operation *op, const GridForm &grid, kernel::PlanOp plan) const;
  mlir::LogicalResult checkMap(mlir::Operation *op, const LaunchMap &map, kernel::PlanOp plan) const;

  const Target &target;
};

} // namespace qopt

#endif // QOPT_LIB_TRANSFORMS_VERIFYLAUNCH_H
