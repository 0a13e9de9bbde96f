//===- Vocabulary.h - Tokens and merges in the byte-level spelling -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_FRONTEND_TOKENIZER_VOCABULARY_H
#define QOPT_LIB_FRONTEND_TOKENIZER_VOCABULARY_H

#include "qopt/Runtime/Artifact/tokenizer.pb.h"
#include "qopt/Runtime/Status.h"
#include "qopt/Runtime/Tokenizer.h"
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace qopt {

/// Text that may hold anything, quoted and shortened for an error.
std::string quote(std::string_view text);

/// Fills the vocabulary of an artifact::Tokenizer from tokens in GPT-2's
/// spelling, where each byte is one printable character (`Ġ` is a space).
class Vocabulary {
public:
  /// Ids are below maxIds(\p tokens).
  Vocabulary(artifact::Tokenizer &out, uint64_t tokens) : out_(out), maxIds_(maxIds(tokens)) {}

  /// How many ids a file of \p tokens tokens may use: real ones leave few ids out, while a
  /// few bytes could ask for millions of empty tokens.
  static uint64_t maxIds(uint64_t tokens) {
    return std::min<uint64_t>(2 * tokens + 65536, Tokenizer::maxVocabularySize);
  }

  /// A token of the model. A spelling with a character that stands for no byte
  /// is kept verbatim; such a token is only decoded. Fails when \p id is too
  /// large or taken.
  Status addToken(const std::string &spelling, uint64_t id);

  /// The next merge: both parts and their concatenation must be tokens.
  Status addMerge(const std::string &left, const std::string &right);

  /// The merge "left right".
  Status addMerge(std::string_view merge);

  /// A token that is matched verbatim. `added.id` is free, or that of the token
  /// with this spelling. It decodes to its text; the reference instead decodes
  /// one of Latin-1 letters as if it were spelled in bytes, to U+FFFD.
  Status addAddedToken(const std::string &content, const artifact::Tokenizer::AddedToken &added);

  /// The id of a token by its spelling.
  std::optional<uint32_t> find(const std::string &spelling) const;

  bool isAdded(const std::string &content) const { return added_.count(content) != 0; }

  /// Whether each of the 256 bytes is a token.
  bool hasAllBytes() const;

private:
  /// Stores \p bytes; fails when \p id is too large.
  Status store(std::string bytes, uint64_t id);

  artifact::Tokenizer &out_;
  uint64_t maxIds_;
  std::unordered_map<std::string, uint32_t> ids_;   ///< by spelling
  std::unordered_map<std::string, uint32_t> added_; ///< by content
};

} // namespace qopt

#endif // QOPT_LIB_FRONTEND_TOKENIZER_VOCABULARY_H
