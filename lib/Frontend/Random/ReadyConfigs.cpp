//===- ReadyConfigs.cpp - Configurations known by name --------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/Random/ReadyConfigs.h"

using namespace llvm;
using namespace qopt;

namespace {
struct ReadyConfig {
  const char *name;
  int64_t hidden, intermediate, layers, heads, headDim;
  bool tied;
  double ropeFactor;
};
} // namespace

// Shapes: "The Llama 3 Herd of Models" (arXiv 2407.21783), table 3; for 1B its model card.
static const ReadyConfig readyConfigs[] = {
    {"llama-3.2-1b", 2048, 8192, 16, 32, 64, true, 32.0},
    {"llama-3.1-8b", 4096, 14336, 32, 32, 128, false, 8.0},
    {"llama-3.1-70b", 8192, 28672, 80, 64, 128, false, 8.0},
    {"llama-3.1-405b", 16384, 53248, 126, 128, 128, false, 8.0}};

std::optional<LlamaConfig> qopt::findReadyConfig(StringRef name) {
  for (const ReadyConfig &ready : readyConfigs) {
    if (name != ready.name)
      continue;
    LlamaConfig config;
    config.vocabSize = 128256;
    config.hiddenSize = ready.hidden;
    config.intermediateSize = ready.intermediate;
    config.numLayers = ready.layers;
    config.numHeads = ready.heads;
    config.numKVHeads = 8;
    config.headDim = ready.headDim;
    config.maxContext = 131072;
    config.rmsNormEps = 1e-5;
    config.tiedEmbeddings = ready.tied;
    config.type = FloatType::bf16;
    config.rope.theta = 500000.0;
    config.rope.scaling = RopeConfig::Scaling::llama3;
    config.rope.factor = ready.ropeFactor;
    return config;
  }
  return std::nullopt;
}

std::string qopt::readyConfigNames() {
  std::string names;
  for (const ReadyConfig &ready : readyConfigs)
    names += (names.empty() ? "" : ", ") + std::string(ready.name);
  return names;
}
