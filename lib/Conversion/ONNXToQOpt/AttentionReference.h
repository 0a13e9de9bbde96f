//===- AttentionReference.h - Rope and attention by definition --*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CONVERSION_ONNXTOQOPT_ATTENTIONREFERENCE_H
#define QOPT_LIB_CONVERSION_ONNXTOQOPT_ATTENTIONREFERENCE_H

#include "GraphInputs.h"

namespace qopt::onnx_graph {

/// qopt.rope and qopt.attention as QOptOps.td defines them, in double. Queries
/// are [batch, seq, heads * size], keys and values [batch, seq, kvHeads * size],
/// pasts [batch, kvHeads, past, size], masks [batch, past + seq].
struct AttentionReference {
  int64_t heads, kvHeads, size;
  std::vector<float> frequencies; ///< [size / 2]
  double scale;

  /// [batch, heads, seq, past + seq], nothing hidden.
  std::vector<double> scores(StepShape step, llvm::ArrayRef<int64_t> positions,
                             const std::vector<double> &query, const std::vector<double> &key,
                             llvm::ArrayRef<double> pastKey) const;

  /// [batch, seq, heads * size]
  std::vector<double> attend(StepShape step, llvm::ArrayRef<int64_t> positions,
                             llvm::ArrayRef<int64_t> mask, const std::vector<double> &query,
                             const std::vector<double> &key, const std::vector<double> &value,
                             llvm::ArrayRef<double> pastKey,
                             llvm::ArrayRef<double> pastValue) const;

private:
  void rotate(std::vector<double> &rows, llvm::ArrayRef<int64_t> positions, int64_t numHeads) const;
};

} // namespace qopt::onnx_graph

#endif // QOPT_LIB_CONVERSION_ONNXTOQOPT_ATTENTIONREFERENCE_H
