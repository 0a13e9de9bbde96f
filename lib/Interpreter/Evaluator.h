//===- Evaluator.h - One run of @forward -------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_INTERPRETER_EVALUATOR_H
#define QOPT_LIB_INTERPRETER_EVALUATOR_H

#include "Arithmetic.h"
#include "KVCache.h"
#include "WeightReader.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/Interpreter/Interpreter.h"

namespace qopt::interpreter {

llvm::Error error(const llvm::Twine &message);
std::string printShape(llvm::ArrayRef<int64_t> shape);
int64_t product(llvm::ArrayRef<int64_t> shape);

/// What values of a tensor of floats are rounded to.
Element elementOf(mlir::Value value);

/// Zeros of the same shape.
inline Array like(const Array &array) {
  return {array.shape, std::vector<double>(array.values.size())};
}

/// A value of the function: an array, of codes when `scales` holds their
/// per-token scales [rows].
struct Tensor {
  Array array;
  std::vector<float> scales;

  int64_t columns() const { return array.shape.back(); }
  int64_t rows() const;
};

/// Walks the operations of a function once, each operation in `Real`.
template <typename Real> class Evaluator {
public:
  /// `step` is null for a dense function.
  Evaluator(WeightReader &weights, KVCache &cache, const RaggedStep *step)
      : weights(weights), cache(cache), step(step) {}

  /// Gives the value of a block argument; fails unless it has the type's shape.
  llvm::Error bind(mlir::Value argument, Array array);

  llvm::Expected<std::vector<Array>> run(mlir::func::FuncOp function);

private:
  llvm::Error evaluate(mlir::Operation &op);
  llvm::Error visit(WeightOp op) { return llvm::Error::success(); } // read when used
  llvm::Error visit(EmbeddingOp op);
  llvm::Error visit(RMSNormOp op);
  llvm::Error visit(LinearOp op);
  llvm::Error visit(LogitsOp op);
  llvm::Error visit(RopeOp op);
  llvm::Error visit(AttentionOp op);
  llvm::Error visit(PagedAttentionOp op);
  llvm::Error visit(KVAppendOp op);
  llvm::Error visit(RopeAppendOp op);
  llvm::Error visit(SiluMulOp op);
  llvm::Error visit(AddOp op);
  llvm::Error visit(SliceOp op);
  llvm::Error visit(QuantizeOp op);
  llvm::Error visit(DequantizeOp op);

  /// The value of an operand; reads it when it is a weight.
  llvm::Expected<const Tensor *> get(mlir::Value value);
  /// The values of operands that must have the same shape.
  llvm::Expected<std::pair<const Tensor *, const Tensor *>> getPair(mlir::Value a, mlir::Value b);
  /// Defines a result, quantized per token when its type says so; fails when
  /// the shape is not the type's.
  llvm::Error set(mlir::Value result, Array array);

  /// x w^T [rows, N]: exact products and sums, rounded to Real once, then
  /// scaled when x is quantized.
  llvm::Expected<Array> multiply(const Tensor &x, mlir::Value weight);
  llvm::Expected<Array> rotate(mlir::Value input, mlir::Value positions, RopeAttr rope);
  llvm::Error append(const Tensor &key, const Tensor &value, KVCacheType type, int64_t layer);

  WeightReader &weights;
  KVCache &cache;
  const RaggedStep *step;
  /// Shared, so that a pointer outlives the growth of the map.
  llvm::DenseMap<mlir::Value, std::shared_ptr<const Tensor>> values;
};

extern template class Evaluator<float>;
extern template class Evaluator<double>;

} // namespace qopt::interpreter

#endif // QOPT_LIB_INTERPRETER_EVALUATOR_H
