//===- GGUFConfig.h - A Llama configuration from metadata --------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_FRONTEND_GGUF_GGUFCONFIG_H
#define QOPT_LIB_FRONTEND_GGUF_GGUFCONFIG_H

#include "qopt/Frontend/GGUF/GGUFFile.h"
#include "qopt/Frontend/Import.h"

namespace qopt {

/// The configuration that the metadata of a file of architecture llama, and the
/// presence and shapes of its tensors, give. What changes the mathematics and
/// isn't supported is an error; a key of the architecture that is not known
/// becomes a note.
llvm::Expected<LlamaConfig> readGGUFConfig(const GGUFFile &file, std::vector<std::string> &notes);

/// Frequencies are divided by the file's tensor rope_freqs.weight: the llama3
/// scaling of these factors where there is one, else the resulting table.
llvm::Error applyRopeFactors(llvm::ArrayRef<float> factors, LlamaConfig &config);

/// Fills the tokenizer, the chat template and the generation defaults.
llvm::Error readGGUFTexts(const GGUFFile &file, ImportedModel &model);

} // namespace qopt

#endif // QOPT_LIB_FRONTEND_GGUF_GGUFCONFIG_H
