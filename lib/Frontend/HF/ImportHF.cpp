//===- ImportHF.cpp - A model from a Hugging Face folder ------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/HF/HFFolder.h"
#include "qopt/Frontend/LlamaTensors.h"
#include "qopt/Frontend/ModelFiles.h"
#include "qopt/Frontend/SourceHash.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"

using namespace llvm;
using namespace qopt;
namespace path = llvm::sys::path;

static std::string hubCache() {
  if (std::optional<std::string> cache = sys::Process::GetEnv("HF_HUB_CACHE"))
    return *cache;
  if (std::optional<std::string> home = sys::Process::GetEnv("HF_HOME"))
    return *home + "/hub";
  SmallString<128> home;
  path::home_directory(home);
  path::append(home, ".cache", "huggingface", "hub");
  return std::string(home);
}

std::optional<std::string> qopt::findHFFolder(StringRef folderOrName) {
  if (sys::fs::is_directory(folderOrName))
    return folderOrName.str();
  auto [org, model] = folderOrName.split('/');
  if (org.empty() || model.empty() || model.contains('/') || org.starts_with("."))
    return std::nullopt;
  SmallString<256> root(hubCache());
  path::append(root, "models--" + org + "--" + model);
  Expected<std::optional<std::string>> main = readOptionalFile(root, "refs/main", 256);
  if (!main) {
    consumeError(main.takeError());
    return std::nullopt;
  }
  if (!*main)
    return std::nullopt;
  StringRef revision = StringRef(**main).trim();
  if (revision.empty() || !all_of(revision, isAlnum))
    return std::nullopt;
  path::append(root, "snapshots", revision);
  if (!sys::fs::is_directory(root))
    return std::nullopt;
  return std::string(root);
}

Expected<HFConfigFile> qopt::readHFConfig(StringRef folder) {
  Expected<std::optional<std::string>> text = readOptionalFile(folder, "config.json", 16 << 20);
  if (!text)
    return text.takeError();
  if (!*text)
    return createStringError(folder + ": expected a config.json");
  Expected<HFConfig> config = parseHFConfig(**text, folder.str() + "/config.json");
  if (!config)
    return config.takeError();
  return HFConfigFile{std::move(*config), std::move(**text)};
}

/// A tied checkpoint may hold the table a second time, as lm_head; equal to it.
static Error dropTiedHead(const LlamaConfig &config, WeightStore &weights) {
  const WeightTensor *head = weights.find("lm_head.weight");
  const WeightTensor *table = weights.find("model.embed_tokens.weight");
  if (!config.tiedEmbeddings || !head || !table || head->shape() != table->shape())
    return Error::success(); // a wrong shape is reported with all the others
  Expected<bool> equal = haveEqualValues(*head, *table);
  if (!equal)
    return equal.takeError();
  if (!*equal)
    return createStringError("tensor 'lm_head.weight' differs from 'model.embed_tokens.weight', "
                             "but tie_word_embeddings is true");
  weights.erase("lm_head.weight");
  return Error::success();
}

Expected<ImportedModel> qopt::importHF(StringRef folderOrName, mlir::MLIRContext &context) {
  std::optional<std::string> folder = findHFFolder(folderOrName);
  if (!folder)
    return createStringError(folderOrName +
                             ": neither a folder nor a model in the local hub cache");
  Expected<HFConfigFile> file = readHFConfig(*folder);
  if (!file)
    return file.takeError();
  ImportedModel model;
  model.config = file->config.llama;
  model.notes = file->config.notes;
  model.sourceKind = "hf";
  model.name = file->config.name.empty() ? "llama" : file->config.name;
  if (*folder != folderOrName)
    model.name = folderOrName.str();
  if (Error error = readHFWeights(*folder, model.weights))
    return error;
  if (Error error = dropTiedHead(model.config, model.weights))
    return inContext(*folder, std::move(error));
  if (!file->config.dtype)
    if (const WeightTensor *table = model.weights.find("model.embed_tokens.weight"))
      model.config.type = table->type();
  if (Error error = readHFTexts(*folder, file->config, model))
    return error;
  auto module = buildLlamaModule(model.config, model.weights, context);
  if (!module)
    return inContext(*folder, module.takeError());
  model.module = std::move(*module);
  model.sourceHash = hashSource(file->text, model.weights);
  return model;
}
