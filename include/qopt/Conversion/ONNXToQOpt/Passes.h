//===- Passes.h - From ONNX graphs to qopt ----------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CONVERSION_ONNXTOQOPT_PASSES_H
#define QOPT_CONVERSION_ONNXTOQOPT_PASSES_H

#include "mlir/Pass/Pass.h"
#include "qopt/Dialect/ONNX/IR/ONNXGraphDialect.h"
#include "qopt/Dialect/QOpt/IR/QOptDialect.h"

namespace qopt {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "qopt/Conversion/ONNXToQOpt/Passes.h.inc"

} // namespace qopt

#endif // QOPT_CONVERSION_ONNXTOQOPT_PASSES_H
