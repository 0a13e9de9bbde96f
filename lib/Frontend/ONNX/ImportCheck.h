//===- ImportCheck.h - A graph against the module raised from it -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_FRONTEND_ONNX_IMPORTCHECK_H
#define QOPT_LIB_FRONTEND_ONNX_IMPORTCHECK_H

#include "qopt/Conversion/ONNXToQOpt/RaiseONNX.h"
#include "qopt/Frontend/Import.h"

namespace qopt {

/// Runs the normalised graph and the `@forward` raised from it on the same tokens,
/// two rows with a past, one of them padded on the left, and gives the relative
/// error of the logits. Fails above 1e-4 in float32, 2e-2 in narrower
/// types.
llvm::Expected<double> checkImport(mlir::ModuleOp graph, const RaisedONNX &raised,
                                   const WeightStore &initializers, const ImportedModel &model);

} // namespace qopt

#endif // QOPT_LIB_FRONTEND_ONNX_IMPORTCHECK_H
