//===- HFConfig.h - Hugging Face config.json ---------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_HF_HFCONFIG_H
#define QOPT_FRONTEND_HF_HFCONFIG_H

#include "qopt/Frontend/LlamaConfig.h"
#include <vector>

namespace qopt {

struct HFConfig {
  LlamaConfig llama;
  std::optional<FloatType> dtype; ///< `dtype` or `torch_dtype`, where given
  std::vector<uint32_t> eosIds;
  std::string name; ///< last part of `_name_or_path`; empty: not given
  std::vector<std::string> notes;
};

/// Reads the config.json of a model whose mathematics is Llama's: architecture
/// LlamaForCausalLM, or MistralForCausalLM without a sliding window. A value
/// that changes the mathematics and isn't supported is an error; a key that is
/// not known becomes a note. `what` names the file.
llvm::Expected<HFConfig> parseHFConfig(llvm::StringRef text, llvm::StringRef what);

} // namespace qopt

#endif // QOPT_FRONTEND_HF_HFCONFIG_H
