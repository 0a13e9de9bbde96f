//===- Canonicalize.h - One spelling of each thing --------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CONVERSION_ONNXTOQOPT_CANONICALIZE_H
#define QOPT_LIB_CONVERSION_ONNXTOQOPT_CANONICALIZE_H

#include "mlir/IR/PatternMatch.h"

namespace qopt::onnx_graph {

void populateCanonicalizePatterns(mlir::RewritePatternSet &patterns);

} // namespace qopt::onnx_graph

#endif // QOPT_LIB_CONVERSION_ONNXTOQOPT_CANONICALIZE_H
