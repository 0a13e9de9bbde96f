//===- Tokenizer.h - Text to tokens and back --------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Byte-level BPE (GPT-2, Llama-3, SmolLM2): the token ids that Hugging Face's
/// `tokenizers` gives for the same vocabulary, on every Unicode plane.
///
///   Result<Tokenizer> tokenizer = Tokenizer::create(artifact.tokenizer());
///   if (!tokenizer)
///     return report(tokenizer.status().message());
///   Result<std::vector<int32_t>> ids = tokenizer->encode("Hello");
///
///   StreamingDetokenizer stream(*tokenizer);
///   for (int32_t id : generated)
///     write(stream.push(id)); // whole characters only
///   write(stream.flush());
///
/// A tokenizer is immutable: it is cheap to copy and may be used from any
/// number of threads at once. A StreamingDetokenizer belongs to one sequence.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_TOKENIZER_H
#define QOPT_RUNTIME_TOKENIZER_H

#include "qopt/Runtime/Status.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {
namespace artifact {
class Tokenizer;
}

class Tokenizer {
public:
  static constexpr int32_t maxVocabularySize = 1 << 21;

  /// Checks \p source, which is not trusted: every id, merge, regex and added
  /// token. The error names the entry that is wrong.
  static Result<Tokenizer> create(const artifact::Tokenizer &source);

  /// The token ids of \p text (UTF-8, at most 1 GiB). With \p addSpecialTokens
  /// the tokenizer's BOS and EOS are put around it where it has them; without
  /// \p parseSpecial the spelling of a special token in the text is plain text.
  /// Invalid UTF-8 is an error that gives its byte offset.
  Result<std::vector<int32_t>> encode(std::string_view text, bool addSpecialTokens = true,
                                      bool parseSpecial = true) const;

  /// The text of \p ids. Each maximal run of bytes that starts but doesn't
  /// complete a character becomes one U+FFFD. Ids outside of the vocabulary
  /// give nothing, nor do special tokens with \p skipSpecial.
  std::string decode(std::span<const int32_t> ids, bool skipSpecial = false) const;

  /// Ids are 0 .. vocabularySize() - 1; some may be unused.
  int32_t vocabularySize() const;

  /// The bytes of a token, not always whole characters; empty for an unused id
  /// and one outside of the vocabulary. They live as long as the tokenizer.
  std::string_view token(int32_t id) const;

  /// The token with exactly these bytes; an added token before others.
  std::optional<int32_t> tokenId(std::string_view bytes) const;

  /// True for tokens that a decoder may hide (BOS, end of turn, ...).
  bool isSpecial(int32_t id) const;

  std::optional<int32_t> bosId() const;
  std::optional<int32_t> eosId() const;
  std::optional<int32_t> padId() const;

private:
  struct Impl;
  explicit Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

  std::shared_ptr<const Impl> impl_;
};

/// Decodes one sequence token by token. The concatenation of what push() and
/// the final flush() return equals Tokenizer::decode() of all the ids.
class StreamingDetokenizer {
public:
  explicit StreamingDetokenizer(Tokenizer tokenizer, bool skipSpecial = false)
      : tokenizer_(std::move(tokenizer)), skipSpecial_(skipSpecial) {}

  /// The text that \p id completes; empty while a character is unfinished.
  std::string push(int32_t id);

  /// What is left at the end of the sequence: U+FFFD for an unfinished
  /// character. The detokenizer is as new afterwards.
  std::string flush();

private:
  Tokenizer tokenizer_;
  bool skipSpecial_;
  std::string pending_; ///< at most 3 bytes: the start of a character
};

} // namespace qopt

#endif // QOPT_RUNTIME_TOKENIZER_H
