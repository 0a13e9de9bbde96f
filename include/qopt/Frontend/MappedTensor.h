//===- MappedTensor.h - Tensors that view bytes ------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_MAPPEDTENSOR_H
#define QOPT_FRONTEND_MAPPEDTENSOR_H

#include "qopt/Frontend/Weights.h"

namespace qopt {

inline int64_t byteWidth(FloatType type) { return type == FloatType::f32 ? 4 : 2; }

/// Elements of `type`, row-major and little-endian, at any alignment in memory
/// that the weight store owns; the bytes of the whole shape must be there.
class MappedTensor : public WeightTensor {
public:
  MappedTensor(std::string name, llvm::ArrayRef<int64_t> shape, FloatType type, const char *data)
      : WeightTensor(std::move(name), shape, type), data(data) {}

  llvm::Error readRows(int64_t first, int64_t count, float *out) const override;
  llvm::Error readColumns(int64_t first, int64_t count, float *out) const override;

private:
  const char *data;
};

/// Fails on NaN or Inf among `values`, consecutive elements of `tensor` from
/// `firstElement` on, and names the tensor, the row and the column.
llvm::Error checkFinite(const WeightTensor &tensor, int64_t firstElement,
                        llvm::ArrayRef<float> values);

/// The bytes of a tensor of this shape, or nothing where a dimension is negative
/// or the product of those that are not 0 does not fit into 63 bits.
std::optional<int64_t> tensorBytes(llvm::ArrayRef<int64_t> shape, int64_t elementBytes);

} // namespace qopt

#endif // QOPT_FRONTEND_MAPPEDTENSOR_H
