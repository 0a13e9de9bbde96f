//===- Kernels.h - Primitive operators on host tensors ----------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DIALECT_ONNX_EVALUATOR_KERNELS_H
#define QOPT_LIB_DIALECT_ONNX_EVALUATOR_KERNELS_H

#include "qopt/Dialect/ONNX/Evaluator/Evaluator.h"
#include "llvm/Support/FormatVariadic.h"

namespace qopt::onnx_graph {

using Inputs = llvm::ArrayRef<TensorPtr>;
using Outputs = llvm::Expected<llvm::SmallVector<Tensor>>;
using Kernel = Outputs (*)(NodeOp node, Inputs inputs);

/// Null when the operator is not of the group.
Kernel findElementwiseKernel(NodeOp node);
Kernel findMovementKernel(NodeOp node);
Kernel findGatherKernel(NodeOp node);
Kernel findGenerateKernel(NodeOp node);
Kernel findReductionKernel(NodeOp node);

template <typename... Args> llvm::Error invalid(const char *format, Args &&...args) {
  return llvm::createStringError(llvm::formatv(format, std::forward<Args>(args)...));
}

// Integer arithmetic wraps, as unsigned arithmetic does.
inline int64_t wrapAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
inline int64_t wrapSub(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
inline int64_t wrapMul(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

inline Outputs single(Tensor tensor) {
  llvm::SmallVector<Tensor> outputs;
  outputs.push_back(std::move(tensor));
  return outputs;
}

/// The number of elements of a result. Fails above 2^23, unless one operand has as
/// many.
llvm::Expected<int64_t> resultCount(llvm::ArrayRef<int64_t> shape, Inputs inputs);

/// The common shape under NumPy's broadcasting rules.
llvm::Expected<Shape> broadcastShapes(llvm::ArrayRef<llvm::ArrayRef<int64_t>> shapes);

/// For each element of `shape`, in order, the flat index of the element of
/// `operand` that is broadcast to it.
std::vector<int64_t> broadcastIndices(llvm::ArrayRef<int64_t> operand,
                                      llvm::ArrayRef<int64_t> shape);

/// The same for the elements of `shape` at `indices`.
std::vector<int64_t> broadcastIndices(llvm::ArrayRef<int64_t> operand,
                                      llvm::ArrayRef<int64_t> shape,
                                      llvm::ArrayRef<int64_t> indices);

/// Of a row-major array.
llvm::SmallVector<int64_t> stridesOf(llvm::ArrayRef<int64_t> shape);

/// Calls `body` with the coordinates of each element of `shape`, in order.
void forEachElement(llvm::ArrayRef<int64_t> shape,
                    llvm::function_ref<void(llvm::ArrayRef<int64_t>)> body);

/// The elements at `indices`, as a tensor of `shape`; without values where
/// `input` has none.
Tensor gatherFlat(const Tensor &input, llvm::ArrayRef<int64_t> shape,
                  llvm::ArrayRef<int64_t> indices);

/// The number of elements of a Range of known integers.
llvm::Expected<int64_t> rangeCount(Inputs bounds);

/// `axis` counted from the front; fails when it is not in [-rank, rank).
llvm::Expected<int64_t> normalizeAxis(int64_t axis, int64_t rank);

/// The integers of operand `index`, or of the attribute `name` where the opset
/// has one instead; nothing when both are left out.
llvm::Expected<std::optional<llvm::SmallVector<int64_t>>>
integersOf(NodeOp node, Inputs inputs, unsigned index, llvm::StringRef name);

} // namespace qopt::onnx_graph

#endif // QOPT_LIB_DIALECT_ONNX_EVALUATOR_KERNELS_H
