//===- GraphInputs.h - The roles of a graph's inputs ------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CONVERSION_ONNXTOQOPT_GRAPHINPUTS_H
#define QOPT_LIB_CONVERSION_ONNXTOQOPT_GRAPHINPUTS_H

#include "qopt/Dialect/ONNX/Evaluator/Evaluator.h"

namespace qopt::onnx_graph {

/// A concrete size of a step: tokens [batch, seq] after `past` ones.
struct StepShape {
  int64_t batch, seq, past;
};

/// The inputs of a decoder by role, named as all exporters name them or found by
/// their types and uses.
struct GraphInputs {
  mlir::BlockArgument ids;       ///< integers [batch, seq]
  mlir::BlockArgument mask;      ///< integers or booleans [batch, past + seq]; may be null
  mlir::BlockArgument positions; ///< integers [batch, seq]; may be null
  llvm::SmallVector<mlir::BlockArgument> pasts; ///< [batch, KV heads, past, head size]

  /// Fails on an input that has no role.
  static llvm::Expected<GraphInputs> find(mlir::func::FuncOp func);

  /// Binds every input: tokens 0, a mask of ones, positions that follow the past,
  /// pasts without values. A graph without pasts is given none.
  void bind(Evaluator &evaluator, StepShape step) const;

  int64_t kvHeads() const { return pastDim(1); }
  int64_t headSize() const { return pastDim(3); }

private:
  int64_t pastDim(unsigned axis) const;
};

} // namespace qopt::onnx_graph

#endif // QOPT_LIB_CONVERSION_ONNXTOQOPT_GRAPHINPUTS_H
