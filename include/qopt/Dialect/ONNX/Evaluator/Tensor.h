//===- Tensor.h - Host tensors of the evaluator -----------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_ONNX_EVALUATOR_TENSOR_H
#define QOPT_DIALECT_ONNX_EVALUATOR_TENSOR_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "qopt/Frontend/Text.h"
#include "qopt/Frontend/Weights.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <vector>

namespace qopt::onnx_graph {

using Shape = llvm::SmallVector<int64_t, 4>;

/// A row-major array on the host. Floating values, whatever their type, are
/// doubles that hold a value of that type; integers and booleans are int64. A
/// tensor may have a shape and no values (`!known()`). A weight, or a part of one,
/// stays where it is until rows of it are wanted.
struct Tensor {
  mlir::Type type; ///< of the elements
  Shape shape;
  std::vector<double> reals; ///< when type is floating
  std::vector<int64_t> ints; ///< when type is an integer
  bool hasValues = true;
  const WeightTensor *weight = nullptr; ///< the values, when not null
  bool weightTransposed = false;        ///< the tensor is part of the weight's transpose
  int64_t weightRowOffset = 0;          ///< its first row, after transposing
  int64_t weightColumnOffset = 0;       ///< its first column, after transposing

  bool known() const { return hasValues; }
  bool isReal() const { return mlir::isa<mlir::FloatType>(type); }
  int64_t rank() const { return shape.size(); }
  int64_t size() const;
};

using TensorPtr = std::shared_ptr<const Tensor>;

/// The product of the dimensions; fails on a negative one and above `most`.
llvm::Expected<int64_t> elementCount(llvm::ArrayRef<int64_t> shape, int64_t most = int64_t(1)
                                                                                   << 23);

/// Whether there are at most 64 dimensions, none negative, and the product of
/// those that are not 0 is at most 2^40.
bool isPlausible(llvm::ArrayRef<int64_t> shape);

/// `value` rounded to a value of `type`.
double roundTo(mlir::Type type, double value);

/// `value` wrapped to the width of `type`, as a conversion in C does; a boolean is
/// whether it is not 0.
int64_t wrapTo(mlir::IntegerType type, int64_t value);

Tensor makeUnknown(mlir::Type type, llvm::ArrayRef<int64_t> shape);
Tensor makeReals(mlir::Type type, llvm::ArrayRef<int64_t> shape, std::vector<double> values);
Tensor makeInts(mlir::Type type, llvm::ArrayRef<int64_t> shape, std::vector<int64_t> values);

/// The values of dense elements; fails on an element type that is neither
/// floating nor an integer of at most 64 bits.
llvm::Expected<Tensor> fromElements(mlir::ElementsAttr elements);

/// Dense elements of a tensor with values.
mlir::DenseElementsAttr toElements(const Tensor &tensor);

/// Reads a tensor that is part of a weight, one row of the weight at a time: gives
/// row i of the tensor, or its column i when the weight is transposed.
llvm::Error forEachWeightRow(const Tensor &tensor,
                             llvm::function_ref<void(int64_t i, llvm::ArrayRef<float> row)> body);

/// A weight's values, read in whole: `tensor` itself when it is no weight.
llvm::Expected<TensorPtr> materialize(TensorPtr tensor);

using qopt::shapeText;

} // namespace qopt::onnx_graph

#endif // QOPT_DIALECT_ONNX_EVALUATOR_TENSOR_H
