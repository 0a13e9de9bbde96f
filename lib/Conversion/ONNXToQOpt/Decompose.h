//===- Decompose.h - Fused operators as primitive ones ----------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CONVERSION_ONNXTOQOPT_DECOMPOSE_H
#define QOPT_LIB_CONVERSION_ONNXTOQOPT_DECOMPOSE_H

#include "GraphBuilder.h"
#include "qopt/Dialect/ONNX/Evaluator/Evaluator.h"

namespace qopt::onnx_graph {

/// What values are for one step, whatever the file declares.
class ShapeOracle {
public:
  explicit ShapeOracle(Evaluator &evaluator) : evaluator(evaluator) {}
  /// Nothing where the value can't be evaluated.
  std::optional<Shape> operator()(mlir::Value value) const {
    TensorPtr tensor = evaluate(value);
    return tensor ? std::optional<Shape>(tensor->shape) : std::nullopt;
  }
  bool isBoolean(mlir::Value value) const {
    TensorPtr tensor = evaluate(value);
    return tensor && tensor->type.isInteger(1);
  }

private:
  TensorPtr evaluate(mlir::Value value) const {
    llvm::Expected<TensorPtr> tensor = evaluator.evaluate(value);
    if (tensor)
      return *tensor;
    llvm::consumeError(tensor.takeError());
    return nullptr;
  }

  Evaluator &evaluator;
};

/// One decomposition: makes primitive nodes before `node` and gives the values
/// that replace its results (null for one that must have no uses), or nothing
/// where the node's form is not known.
using Decomposition = std::optional<llvm::SmallVector<mlir::Value>> (*)(NodeOp node,
                                                                        GraphBuilder &graph,
                                                                        ShapeOracle shapeOf);

/// Null when the operator is not of the group.
Decomposition findNormDecomposition(NodeOp node);
Decomposition findRotaryDecomposition(NodeOp node);
Decomposition findAttentionDecomposition(NodeOp node);
Decomposition findLinearDecomposition(NodeOp node);

} // namespace qopt::onnx_graph

#endif // QOPT_LIB_CONVERSION_ONNXTOQOPT_DECOMPOSE_H
