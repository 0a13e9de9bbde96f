//===- AttentionMatch.h - An attention and its parts ------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CONVERSION_ONNXTOQOPT_ATTENTIONMATCH_H
#define QOPT_LIB_CONVERSION_ONNXTOQOPT_ATTENTIONMATCH_H

#include "Raiser.h"

namespace qopt::onnx_graph {

struct Raiser::AttentionMatch {
  mlir::Value sink; ///< the attention's result, [batch, seq, heads * size]
  NodeOp last;      ///< where failures are reported
  llvm::SetVector<mlir::Operation *> nodes;
  NodeOp softmax, scores, mix;                      ///< scores = q k^T, mix = softmax(scores) v
  llvm::SmallVector<mlir::Value> additive, allowed; ///< masks
  mlir::Value query, key, value;                    ///< of the graph, raised as linear layers
  mlir::BlockArgument pastKey, pastValue;           ///< null without a past
  mlir::Value presentKey, presentValue;             ///< [batch, KV heads, past + seq, size]
  mlir::Value rotatedKey;                           ///< [batch, KV heads, seq, size]
  int64_t heads = 0, kvHeads = 0, size = 0;
  std::vector<double> frequencies; ///< exact, as the graph has them
  RopeConfig rope;
  double scale = 0.0;
};

} // namespace qopt::onnx_graph

#endif // QOPT_LIB_CONVERSION_ONNXTOQOPT_ATTENTIONMATCH_H
