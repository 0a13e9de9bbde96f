//===- Evaluator.h - Running an ONNX graph on the host ----------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Evaluates values of an onnx_graph function, whole graphs or slices of one,
/// over the primitive operators that qopt-normalize-onnx leaves. It folds
/// constants, proves what masks and positions mean, tells layouts apart, and
/// checks imports.
///
///   Evaluator evaluator(options);
///   evaluator.bind(argument, makeInts(i64, {2, 3}, ids));
///   llvm::Expected<TensorPtr> logits = evaluator.evaluate(result);
///
/// A slice stops at values that are bound. A value bound without values gives
/// shapes only.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_ONNX_EVALUATOR_EVALUATOR_H
#define QOPT_DIALECT_ONNX_EVALUATOR_EVALUATOR_H

#include "qopt/Dialect/ONNX/Evaluator/Tensor.h"
#include "qopt/Dialect/ONNX/IR/ONNXGraphDialect.h"
#include "llvm/ADT/DenseMap.h"

namespace qopt::onnx_graph {

struct EvaluatorOptions {
  /// Round every result to its type; otherwise floating results stay doubles.
  bool round = true;
  /// The bytes of large initializers, by name; without them they have no values.
  const WeightStore *weights = nullptr;
  /// Fail when the values that are kept take more memory than this.
  int64_t maxBytes = int64_t(1) << 30;
  /// Results of more elements get a shape and no values.
  int64_t maxElements = INT64_MAX;
};

/// For who asks for shapes alone: the values that shapes are made of are small.
inline EvaluatorOptions shapeOptions() {
  EvaluatorOptions options;
  options.maxBytes = int64_t(16) << 20;
  options.maxElements = 1 << 16;
  return options;
}

class Evaluator {
public:
  explicit Evaluator(EvaluatorOptions options = {}) : options(options) {}

  void bind(mlir::Value value, Tensor tensor) {
    values[value] = std::make_shared<Tensor>(std::move(tensor));
  }

  /// The value's tensor; what it needs is evaluated once. Fails on an operator
  /// that is not a primitive, on shapes that don't fit, and names the node.
  llvm::Expected<TensorPtr> evaluate(mlir::Value value);

  /// The elements at flat `indices` of the value, also where it is larger than
  /// maxElements but made of smaller ones by at most `depth` elementwise operators,
  /// broadcasts and views. Fails where elements are not known.
  llvm::Expected<Tensor> sample(mlir::Value value, llvm::ArrayRef<int64_t> indices,
                                unsigned depth = 12);

private:
  using Results = llvm::Expected<llvm::SmallVector<Tensor>>;
  Results evaluateRounded(NodeOp node, llvm::ArrayRef<TensorPtr> inputs) const;
  /// Without values where a result has more than maxElements.
  Results evaluateKept(NodeOp node, llvm::ArrayRef<TensorPtr> inputs) const;
  llvm::Error evaluateOp(mlir::Operation *op);

  EvaluatorOptions options;
  llvm::DenseMap<mlir::Value, TensorPtr> values;
  int64_t bytes = 0; ///< of the values that were evaluated
};

/// The results of one node on its operands' tensors (null where an operand is
/// left out). Fails on shapes beyond any model, so that no product of dimensions
/// overflows, and on a result of more than 2^23 elements that is larger than every
/// operand.
llvm::Expected<llvm::SmallVector<Tensor>> evaluateNode(NodeOp node,
                                                       llvm::ArrayRef<TensorPtr> inputs);

/// The same without values wherever shapes can be told without them.
llvm::Expected<llvm::SmallVector<Tensor>> evaluateShapes(NodeOp node,
                                                         llvm::ArrayRef<TensorPtr> inputs);

/// Whether evaluateNode knows the operator.
bool isPrimitive(NodeOp node);

} // namespace qopt::onnx_graph

#endif // QOPT_DIALECT_ONNX_EVALUATOR_EVALUATOR_H
