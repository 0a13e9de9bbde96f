//===- WeightReader.h - The rows behind a qopt.weight ------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Reads rows of a `qopt.weight` as its element type holds them: floats rounded
/// to the type, or codes with scales. Codes are the source's own where it
/// stores what the type says, and otherwise those of quantizeRows.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_INTERPRETER_WEIGHTREADER_H
#define QOPT_LIB_INTERPRETER_WEIGHTREADER_H

#include "qopt/Dialect/QOpt/IR/QOptDialect.h"
#include "qopt/Frontend/Weights.h"
#include "qopt/Quantization/RoundToNearest.h"
#include <algorithm>
#include <map>
#include <memory>
#include <tuple>

namespace qopt::interpreter {

/// Some rows of a weight, K columns each.
struct WeightRows {
  int64_t columns = 0;
  std::vector<float> values;    ///< [rows, K], when the element is a float
  std::optional<Scheme> scheme; ///< when it is quantized
  QuantizedRows quantized;

  bool isPerChannel() const { return scheme && scheme->groupSize == 0; }
  double channelScale(int64_t row) const { return quantized.scales[row]; }

  /// The values of a row, each operation in Real.
  template <typename Real> void decode(int64_t row, double *out) const {
    if (!scheme) {
      std::copy_n(values.data() + row * columns, columns, out);
      return;
    }
    decodeCodes(row, out);
    int64_t size = scheme->groupElements(columns), groups = scheme->groupsPerRow(columns);
    for (int64_t k = 0; k < columns; ++k) {
      int64_t group = row * groups + k / size;
      Real value = static_cast<Real>(quantized.scales[group]) * static_cast<Real>(out[k]);
      out[k] = scheme->isAffine() ? value + static_cast<Real>(quantized.minima[group]) : value;
    }
  }

  /// The codes of a row, unscaled. Only when quantized.
  void decodeCodes(int64_t row, double *out) const;
};

class WeightReader {
public:
  /// Keeps up to `cacheBytes` of rows that were read.
  WeightReader(const WeightStore &store, int64_t cacheBytes)
      : store(store), cacheLeft(cacheBytes) {}

  /// Rows [first, first + count) of the concatenation of the op's sources.
  llvm::Expected<std::shared_ptr<const WeightRows>> read(WeightOp op, int64_t first, int64_t count);

private:
  llvm::Error readSource(const WeightTensor &tensor, WeightOp op, int64_t first, int64_t count,
                         WeightRows &rows);

  const WeightStore &store;
  int64_t cacheLeft;
  /// By operation, first row and count; looked up, never iterated.
  std::map<std::tuple<mlir::Operation *, int64_t, int64_t>, std::shared_ptr<const WeightRows>>
      cache;
};

} // namespace qopt::interpreter

#endif // QOPT_LIB_INTERPRETER_WEIGHTREADER_H
