//===- InitAll.h - Registration of every dialect and pass -------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_INITALL_H
#define QOPT_INITALL_H

#include "mlir/IR/DialectRegistry.h"

namespace qopt {

/// The project's dialects, and those upstream that its modules use.
void registerDialects(mlir::DialectRegistry &registry);

/// The project's passes and pipelines.
void registerPasses();

} // namespace qopt

#endif // QOPT_INITALL_H
