//===- PlanModel.h - A model's scheduled plans ------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_PLANMODEL_H
#define QOPT_LIB_DRIVER_PLANMODEL_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "qopt/Driver/Compile.h"
#include <memory>

namespace qopt {

/// What `--emit kernel` prints.
struct PlannedModel {
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

/// The stages of a compile up to scheduled plans with memory.
llvm::Expected<PlannedModel> planModel(const CompileOptions &options, Progress &progress);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_PLANMODEL_H
