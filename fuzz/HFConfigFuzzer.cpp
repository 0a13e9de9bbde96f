//===- HFConfigFuzzer.cpp - Hostile configurations ------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The input is each of the JSON files of a Hugging Face folder at once: they read
// different keys. A configuration of a small model becomes a module.
//
//===----------------------------------------------------------------------===//

#include "AllocationBound.h"
#include "Folder.h"
#include "qopt/Frontend/HF/HFFolder.h"
#include "qopt/Frontend/LlamaTensors.h"
#include "qopt/Frontend/Random/RandomTensor.h"

using namespace qopt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::AllocationBound bound(size);
  static const fuzz::Folder folder;
  static const std::string path = folder.path("");
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  for (llvm::StringRef name : {"config.json", "generation_config.json", "tokenizer_config.json",
                               "special_tokens_map.json", "model.safetensors.index.json"})
    folder.write(name, text);

  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  ImportedModel model;
  HFConfig config;
  llvm::Expected<HFConfigFile> file = readHFConfig(path);
  if (file)
    config = file->config;
  else
    llvm::consumeError(file.takeError());
  llvm::consumeError(readHFTexts(path, config, model));
  llvm::consumeError(readHFWeights(path, model.weights));

  const LlamaConfig &llama = config.llama;
  if (llama.numLayers < 1 || llama.numLayers > 4)
    return 0;
  (void)ropeFrequencies(llama.headDim, llama.rope);
  WeightStore weights;
  for (const LlamaTensor &tensor : llamaTensors(llama))
    weights.insert(std::make_unique<RandomTensor>(tensor.name, tensor.shape, 1, 0.0f, 1.0f));
  auto module = buildLlamaModule(llama, weights, context);
  if (!module)
    std::abort(); // what was accepted is a model
  return 0;
}
