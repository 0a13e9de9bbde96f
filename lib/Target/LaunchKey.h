//===- LaunchKey.h - Which launches are the same kernel ---------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_LAUNCHKEY_H
#define QOPT_LIB_TARGET_LAUNCHKEY_H

#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include <string>

namespace qopt {

/// All that a launch's code depends on, as text: operand types, attributes and
/// regions, but not the weight, the layer or the reason of its schedule.
std::string launchKey(mlir::Operation *launch);

/// fp8, int8, bf16, ...
std::string elementName(mlir::Type type);

/// What a gemm multiplies: w4a16_g64, w8a8_fp8, bf16, ...
std::string formatName(kernel::GemmOp op);

} // namespace qopt

#endif // QOPT_LIB_TARGET_LAUNCHKEY_H
