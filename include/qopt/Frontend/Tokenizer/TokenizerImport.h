//===- TokenizerImport.h - Tokenizers from their sources --------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Turns the vocabularies that models come with into the one form that the
/// runtime executes. Byte-level BPE only. Whatever would change the tokens and
/// isn't supported is an error that names it; what is returned has passed
/// Tokenizer::create().
///
///   artifact::Tokenizer tokenizer;
///   if (Status status = tokenizerFromJson(json, configJson, tokenizer); !status)
///     return report(file + ": " + status.message());
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_TOKENIZER_TOKENIZERIMPORT_H
#define QOPT_FRONTEND_TOKENIZER_TOKENIZERIMPORT_H

#include "qopt/Runtime/Artifact/tokenizer.pb.h"
#include "qopt/Runtime/Status.h"
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

/// From Hugging Face's tokenizer.json and the tokenizer_config.json beside it
/// (empty: there is none), which gives the BOS, EOS and padding tokens and may
/// declare further added tokens. As in transformers, whether BOS and EOS are
/// put around a text is what the post-processor of tokenizer.json says.
Status tokenizerFromJson(std::string_view tokenizerJson, std::string_view tokenizerConfigJson,
                         artifact::Tokenizer &out);

/// The keys tokenizer.ggml.* of a GGUF file.
struct GGUFVocabulary {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;      ///< token_type, as many as tokens; empty: all are normal
  std::vector<std::string> merges; ///< "left right"
  std::string model;               ///< gpt2
  std::string pre;                 ///< smollm, llama-bpe, gpt-2, ...; empty: default
  std::optional<uint32_t> bos, eos, unk, pad;
  std::optional<bool> addBos, addEos; ///< absent: what the pre-tokenizer implies
};

/// From a GGUF file. `unk` has no part in byte-level BPE and is only checked.
Status tokenizerFromGGUF(const GGUFVocabulary &vocabulary, artifact::Tokenizer &out);

/// From the tokenizer.model of Meta's Llama-3 checkpoints: a line
/// "base64(token) rank" for each token. The \p specials follow the highest rank
/// in order; `<|begin_of_text|>` and `<|end_of_text|>` among them become BOS,
/// which is put before a text, and EOS.
Status tokenizerFromTiktoken(std::string_view text, const std::vector<std::string> &specials,
                             artifact::Tokenizer &out);

/// The 256 special tokens of Llama-3.1 in order.
std::vector<std::string> llama3SpecialTokens();

} // namespace qopt

#endif // QOPT_FRONTEND_TOKENIZER_TOKENIZERIMPORT_H
