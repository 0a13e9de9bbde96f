//===- Forward.h - The function of a model -----------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_QOPT_IR_FORWARD_H
#define QOPT_DIALECT_QOPT_IR_FORWARD_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace qopt {

/// The function `@forward` of a model. Null, after an error on the module, when
/// it has none, or one whose body is not a single block.
mlir::func::FuncOp lookupForward(mlir::ModuleOp module);

} // namespace qopt

#endif // QOPT_DIALECT_QOPT_IR_FORWARD_H
