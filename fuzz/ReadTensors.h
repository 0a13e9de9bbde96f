//===- ReadTensors.h - Reading all that a model has -------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_FUZZ_READTENSORS_H
#define QOPT_FUZZ_READTENSORS_H

#include "qopt/Frontend/Weights.h"
#include <vector>

namespace qopt::fuzz {

/// Reads a small tensor in whole, row by row, by columns, and as integers.
inline void readTensor(const WeightTensor &tensor) {
  constexpr int64_t most = 1 << 16;
  int64_t rows = tensor.rows(), width = tensor.rowSize();
  if (rows > most || width > most || rows * width > most)
    return;
  std::vector<float> values(rows * width), row(width);
  llvm::consumeError(tensor.readRows(0, rows, values.data()));
  for (int64_t i = 0; i < rows; ++i)
    llvm::consumeError(tensor.readRows(i, 1, row.data()));
  if (tensor.shape().size() == 2)
    llvm::consumeError(tensor.readColumns(0, width, values.data()));
  if (std::optional<GroupQuantization> groups = tensor.groupQuantization()) {
    std::vector<uint8_t> codes(rows * width);
    std::vector<uint16_t> scales(rows * width / groups->groupSize), minima(scales.size());
    llvm::consumeError(tensor.readGroups(0, rows, codes.data(), scales.data(),
                                         groups->affine ? minima.data() : nullptr));
  }
}

inline void readTensors(const WeightStore &weights) {
  for (const auto &[name, tensor] : weights)
    readTensor(*tensor);
}

} // namespace qopt::fuzz

#endif // QOPT_FUZZ_READTENSORS_H
