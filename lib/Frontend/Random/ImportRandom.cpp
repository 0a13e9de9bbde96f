//===- ImportRandom.cpp - A model with drawn weights ----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/HF/HFFolder.h"
#include "qopt/Frontend/LlamaTensors.h"
#include "qopt/Frontend/ModelFiles.h"
#include "qopt/Frontend/Random/RandomTensor.h"
#include "qopt/Frontend/Random/ReadyConfigs.h"
#include "qopt/Frontend/SourceHash.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace qopt;

/// Matrices and biases as models are initialised for training; norms near 1.
static void drawWeights(const LlamaConfig &config, uint64_t seed, WeightStore &weights) {
  for (const LlamaTensor &tensor : llamaTensors(config)) {
    bool isNorm = StringRef(tensor.name).ends_with("norm.weight");
    weights.insert(std::make_unique<RandomTensor>(tensor.name, tensor.shape, seed,
                                                  isNorm ? 1.0f : 0.0f, isNorm ? 0.1f : 0.02f));
  }
}

/// Fills all but the weights and the module. Gives the text of the configuration.
static Expected<std::string> readConfig(StringRef source, ImportedModel &model) {
  model.name = "llama";
  if (std::optional<LlamaConfig> ready = findReadyConfig(source)) {
    model.config = *ready;
    model.name = source.str();
    model.notes.push_back("no vocabulary: the artifact takes and gives tokens only");
    return source.str();
  }
  HFConfigFile file;
  std::optional<std::string> folder = findHFFolder(source);
  if (folder) {
    Expected<HFConfigFile> inFolder = readHFConfig(*folder);
    if (!inFolder)
      return inFolder.takeError();
    file = std::move(*inFolder);
    if (Error error = readHFTexts(*folder, file.config, model))
      return error;
  } else {
    Expected<std::unique_ptr<MemoryBuffer>> text = openModelFile(source, 16 << 20);
    if (!text)
      return text.takeError();
    Expected<HFConfig> config = parseHFConfig((*text)->getBuffer(), source);
    if (!config)
      return config.takeError();
    file = {std::move(*config), (*text)->getBuffer().str()};
    for (uint32_t id : file.config.eosIds)
      model.generation.add_eos_ids(id);
  }
  model.config = file.config.llama;
  append_range(model.notes, file.config.notes);
  if (!file.config.name.empty())
    model.name = file.config.name;
  return file.text;
}

Expected<ImportedModel> qopt::importRandom(StringRef source, uint64_t seed,
                                           mlir::MLIRContext &context) {
  ImportedModel model;
  Expected<std::string> text = readConfig(source, model);
  if (!text)
    return text.takeError();
  model.sourceKind = "random";
  drawWeights(model.config, seed, model.weights);
  auto module = buildLlamaModule(model.config, model.weights, context);
  if (!module)
    return inContext(source, module.takeError());
  model.module = std::move(*module);
  model.notes.push_back(formatv("random weights, seed {0}", seed));
  model.sourceHash = hashSource(formatv("{0}\nseed {1}", *text, seed).str(), model.weights);
  return model;
}
