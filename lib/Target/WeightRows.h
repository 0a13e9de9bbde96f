//===- WeightRows.h - Rows of a weight as its type stores them --*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_WEIGHTROWS_H
#define QOPT_LIB_TARGET_WEIGHTROWS_H

#include "qopt/Dialect/QOpt/IR/QOptDialect.h"
#include "qopt/Frontend/Weights.h"
#include "qopt/Quantization/Metrics.h"
#include "qopt/Quantization/RoundToNearest.h"
#include "qopt/Quantization/Scheme.h"

namespace qopt {

/// Some rows of a weight [N, K].
struct StoredRows {
  std::vector<uint16_t> bf16;  ///< [count, K] where the weight is plain
  std::vector<uint8_t> codes;  ///< [count, K], one a byte: signed, or unsigned if affine
  std::vector<float> scales;   ///< [count, K / group]
  std::vector<float> minima;   ///< the same, if affine
};

/// The rows of `sources` one after another as a weight of type bf16 or
/// `!qopt.q`: quantized, or kept bit for bit where the source stores just that
/// type and `keep` is set. Reads on any threads.
class WeightRows {
public:
  static llvm::Expected<WeightRows> create(mlir::RankedTensorType type,
                                           llvm::ArrayRef<const WeightTensor *> sources, bool keep);

  /// Rows [first, first + count); adds what quantizing costs to `energy`.
  llvm::Error read(int64_t first, int64_t count, StoredRows &rows, ErrorEnergy &energy) const;

private:
  /// Rows of one source.
  llvm::Error append(const WeightTensor &source, int64_t first, int64_t count, StoredRows &rows,
                     ErrorEnergy &energy) const;
  llvm::Error appendKept(const WeightTensor &source, int64_t first, int64_t count,
                         StoredRows &rows) const;
  bool isKept(const WeightTensor &source) const;

  mlir::RankedTensorType type;
  QuantizedType quantized; // null: plain
  int64_t k = 0, groups = 0;
  llvm::SmallVector<const WeightTensor *> sources;
  bool keep = false;
};

/// The bits of a scale in its type: bf16, f16 or f32.
void writeScale(mlir::Type type, float value, char *to);

} // namespace qopt

#endif // QOPT_LIB_TARGET_WEIGHTROWS_H
