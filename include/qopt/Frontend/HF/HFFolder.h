//===- HFFolder.h - Files of a Hugging Face folder ---------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_HF_HFFOLDER_H
#define QOPT_FRONTEND_HF_HFFOLDER_H

#include "qopt/Frontend/HF/HFConfig.h"
#include "qopt/Frontend/Import.h"

namespace qopt {

/// A folder as it is; a name "org/model" as the snapshot of its main branch in
/// the local hub cache ($HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub).
/// Nothing when there is neither.
std::optional<std::string> findHFFolder(llvm::StringRef folderOrName);

struct HFConfigFile {
  HFConfig config;
  std::string text;
};
/// Reads the folder's config.json.
llvm::Expected<HFConfigFile> readHFConfig(llvm::StringRef folder);

/// Maps the folder's model.safetensors, or the shards that its index names.
/// Rotary frequency buffers of old checkpoints are left out.
llvm::Error readHFWeights(llvm::StringRef folder, WeightStore &weights);

/// Fills the tokenizer, the chat template and the generation defaults from
/// tokenizer.json, tokenizer_config.json, special_tokens_map.json,
/// chat_template.jinja and generation_config.json, each where it is there.
llvm::Error readHFTexts(llvm::StringRef folder, const HFConfig &config, ImportedModel &model);

} // namespace qopt

#endif // QOPT_FRONTEND_HF_HFFOLDER_H
