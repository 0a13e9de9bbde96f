//===- RaiseONNX.h - A normalised ONNX graph as a model ---------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CONVERSION_ONNXTOQOPT_RAISEONNX_H
#define QOPT_CONVERSION_ONNXTOQOPT_RAISEONNX_H

#include "mlir/IR/BuiltinOps.h"
#include "qopt/Dialect/QOpt/IR/QOptDialect.h"
#include "qopt/Frontend/Weights.h"
#include "qopt/Support/Rope.h"
#include <string>
#include <vector>

namespace qopt {

/// Where a weight of the raised module comes from.
struct WeightOrigin {
  std::string name;        ///< canonical, `model.layers.0.self_attn.q_proj.weight`
  std::string initializer; ///< the file's name
  bool transposed;         ///< the weight is the initializer's transpose
  int64_t rowOffset;       ///< its first row, after transposing
  int64_t rows;

  bool operator==(const WeightOrigin &) const = default;
};

struct RaisedONNX {
  std::vector<WeightOrigin> weights; ///< each canonical name once
  /// A graph without position_ids counts the tokens of the mask, not all columns.
  bool countsMask = false;
  std::vector<unsigned> pasts; ///< arguments of `@main`, in the order of `@forward`'s pasts
};

/// The attribute that says what `rope` does.
RopeAttr ropeAttr(mlir::MLIRContext *context, int64_t headDim, const RopeConfig &rope);

/// Replaces `@main` of a normalised graph by a dense `@forward` (what
/// qopt-raise-onnx does). Reports all that is not understood on its nodes. Where
/// cosines and sines are large tables their data is in `initializers`.
mlir::LogicalResult raiseONNX(mlir::ModuleOp module, RaisedONNX &raised,
                              const WeightStore *initializers = nullptr);

} // namespace qopt

#endif // QOPT_CONVERSION_ONNXTOQOPT_RAISEONNX_H
