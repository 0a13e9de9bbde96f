//===- Splits.h - The pre-tokenizers of known models ------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_FRONTEND_TOKENIZER_SPLITS_H
#define QOPT_LIB_FRONTEND_TOKENIZER_SPLITS_H

#include "qopt/Runtime/Artifact/tokenizer.pb.h"

namespace qopt {

/// GPT-2, also what `ByteLevel` with `use_regex` splits by.
inline constexpr char gpt2Regex[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

inline constexpr char llama3Regex[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

inline void addRegexSplit(artifact::Tokenizer &tokenizer, std::string regex) {
  artifact::Tokenizer::Split *split = tokenizer.add_splits();
  split->set_kind(artifact::Tokenizer::Split::ISOLATED_REGEX);
  split->set_regex(std::move(regex));
}

inline void addDigitSplit(artifact::Tokenizer &tokenizer) {
  tokenizer.add_splits()->set_kind(artifact::Tokenizer::Split::INDIVIDUAL_DIGITS);
}

} // namespace qopt

#endif // QOPT_LIB_FRONTEND_TOKENIZER_SPLITS_H
