//===- MergeLinears.h - Linear layers of one input as one -------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_LIB_TRANSFORMS_MERGELINEARS_H
#define QOPT_LIB_TRANSFORMS_MERGELINEARS_H

#include "mlir/IR/PatternMatch.h"
#include "qopt/Dialect/QOpt/IR/QOptDialect.h"

namespace qopt {

/// Replaces linear layers that read the same input by one layer whose weight is
/// their weights' concatenation, and their results by its slices:
/// [x a^T, x b^T] = x [a; b]^T. Fails, naming the reason on `anchor`, when
/// inputs, element types or biases differ, or when a layer has a residual.
mlir::LogicalResult mergeLinears(mlir::PatternRewriter &rewriter, mlir::Operation *anchor,
                                 llvm::ArrayRef<LinearOp> linears);

} // namespace qopt

#endif // QOPT_LIB_TRANSFORMS_MERGELINEARS_H
