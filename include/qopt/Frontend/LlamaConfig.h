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
#include <cstdint>
#include <vector>

namespace qopt {

/// Rotary embedding of head_dim / 2 frequencies f[i] = theta^(-2i/head_dim),
/// rescaled as `scaling` says. Halves are rotated against each other
/// (rotate_half of the reference implementation), not neighbours.
struct RopeConfig {
  enum class Scaling { none, linear, llama3, table };
  double theta = 10000.0;
  Scaling scaling = Scaling::none;
  double factor = 1.0;          ///< linear, llama3
  double lowFreqFactor = 1.0;   ///< llama3
  double highFreqFactor = 4.0;  ///< llama3
  int64_t originalContext = 8192; ///< llama3, tokens
  std::vector<float> table;     ///< table: explicit frequencies, head_dim / 2
};

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
  bool attentionBias = false; ///< biases on q, k, v and o
  bool mlpBias = false;       ///< biases on gate, up and down
  bool tiedEmbeddings = false; ///< lm_head is model.embed_tokens.weight
  FloatType type = FloatType::bf16; ///< type of weights and activations as imported
  RopeConfig rope;
};

} // namespace qopt

#endif // QOPT_FRONTEND_LLAMACONFIG_H
