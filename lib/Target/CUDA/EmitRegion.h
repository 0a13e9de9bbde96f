//===- EmitRegion.h - Scalar regions as CUDA C++ ----------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_CUDA_EMITREGION_H
#define QOPT_LIB_TARGET_CUDA_EMITREGION_H

#include "mlir/IR/Block.h"
#include "llvm/Support/raw_ostream.h"
#include <string>

namespace qopt {

/// A finite float32 as CUDA C++, exactly: 0x1.8p+0f.
std::string floatLiteral(float value);

/// Writes `block` as `__device__ static float apply(float ...)` with these parameter
/// names. A narrow value is the float32 that it stands for: what rounds is written
/// as a rounding, but for the last one to the output's type, which the store does.
/// An operation that has no text is an error on it.
mlir::LogicalResult emitApply(llvm::raw_ostream &os, mlir::Block &block,
                              llvm::ArrayRef<std::string> parameters);

} // namespace qopt

#endif // QOPT_LIB_TARGET_CUDA_EMITREGION_H
