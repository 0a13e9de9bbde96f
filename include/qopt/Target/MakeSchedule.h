//===- MakeSchedule.h - A schedule with its reason -----------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TARGET_MAKESCHEDULE_H
#define QOPT_TARGET_MAKESCHEDULE_H

#include "qopt/Dialect/Kernel/IR/KernelDialect.h"

namespace qopt {

/// A schedule of `params`, with what was chosen against.
kernel::ScheduleAttr makeSchedule(mlir::MLIRContext *context,
                                  llvm::ArrayRef<std::pair<llvm::StringRef, int64_t>> params,
                                  const llvm::Twine &reason, llvm::ArrayRef<std::string> rejected);

} // namespace qopt

#endif // QOPT_TARGET_MAKESCHEDULE_H
