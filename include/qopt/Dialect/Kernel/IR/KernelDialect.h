//===- KernelDialect.h - The kernel dialect ----------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_KERNEL_IR_KERNELDIALECT_H
#define QOPT_DIALECT_KERNEL_IR_KERNELDIALECT_H

#include "mlir/IR/SymbolTable.h"
#include "qopt/Dialect/QOpt/IR/QOptDialect.h"

#include "qopt/Dialect/Kernel/IR/KernelDialect.h.inc"
#include "qopt/Dialect/Kernel/IR/KernelEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "qopt/Dialect/Kernel/IR/KernelAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "qopt/Dialect/Kernel/IR/KernelTypes.h.inc"

#define GET_OP_CLASSES
#include "qopt/Dialect/Kernel/IR/KernelOps.h.inc"

namespace qopt::kernel {
/// Whether `op` becomes a function of the target: all but values and terminators.
bool isLaunch(mlir::Operation *op);

/// What the rows of a launch are: those of its buffers; tokens where it has none.
Rows rowsOf(mlir::Operation *launch);

/// The most rows that a launch of `plan` has.
int64_t maxRowsOf(mlir::Operation *launch, PlanOp plan);
} // namespace qopt::kernel

#endif // QOPT_DIALECT_KERNEL_IR_KERNELDIALECT_H
