//===- BlockTensor.h - Tensors of GGUF blocks --------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_GGUF_BLOCKTENSOR_H
#define QOPT_FRONTEND_GGUF_BLOCKTENSOR_H

#include "qopt/Frontend/GGUF/GGUFFile.h"
#include "qopt/Frontend/Weights.h"

namespace qopt {

/// A tensor of a GGUF file under its canonical name. Q4_0, Q4_1 and Q8_0
/// matrices give their integers too.
class BlockTensor : public WeightTensor {
public:
  /// With `headDim` the rows are those of a query or key projection, which the
  /// format stores with each head's halves interleaved: row 2 i + j of a head is
  /// row j * headDim / 2 + i of the canonical tensor. 0: rows as they are.
  BlockTensor(std::string name, const GGUFTensor &source, int64_t headDim);

  llvm::Error readRows(int64_t first, int64_t count, float *out) const override;
  std::optional<GroupQuantization> groupQuantization() const override;
  llvm::Error readGroups(int64_t first, int64_t count, uint8_t *codes, uint16_t *scales,
                         uint16_t *minima) const override;

private:
  const uint8_t *storedRow(int64_t row) const;

  const BlockFormat &format;
  const uint8_t *data;
  int64_t rowBytes;
  int64_t headDim;
};

} // namespace qopt

#endif // QOPT_FRONTEND_GGUF_BLOCKTENSOR_H
