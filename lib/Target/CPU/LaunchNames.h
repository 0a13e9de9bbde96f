//===- LaunchNames.h - Which launches are the same kernel -------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_LIB_TARGET_CPU_LAUNCHNAMES_H
#define QOPT_LIB_TARGET_CPU_LAUNCHNAMES_H

#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include <string>

namespace qopt {

/// A readable name: gemm_w4a16_g64_k576_n960_m4. Different keys may share one.
std::string launchName(mlir::Operation *launch);

} // namespace qopt

#endif // QOPT_LIB_TARGET_CPU_LAUNCHNAMES_H
