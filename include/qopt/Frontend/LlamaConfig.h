//===- LlamaConfig.h - The shape of a Llama model ----------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What fixes the mathematics of a Llama-3.1-architecture model; every frontend
/// fills one and the module is built from it.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_LLAMACONFIG_H
#define QOPT_FRONTEND_LLAMACONFIG_H

#include "qopt/Frontend/Weights.h"
#include "qopt/Support/Rope.h"
#include <cstdint>

namespace qopt {

struct LlamaConfig {
  int64_t vocabSize = 0;
  int64_t hiddenSize = 0;
  int64_t intermediateSize = 0;
  int64_t numLayers = 0;
  int64_t numHeads = 0;
  int64_t numKVHeads = 0;
  int64_t headDim = 0;
  int64_t maxContext = 0; ///< tokens; 0 when the source does not say
  double rmsNormEps = 1e-5;
  bool attentionBias = false;       ///< biases on q, k, v and o
  bool mlpBias = false;             ///< biases on gate, up and down
  bool tiedEmbeddings = false;      ///< lm_head is model.embed_tokens.weight
  FloatType type = FloatType::bf16; ///< type of weights and activations as imported
  RopeConfig rope;
};

} // namespace qopt

#endif // QOPT_FRONTEND_LLAMACONFIG_H
