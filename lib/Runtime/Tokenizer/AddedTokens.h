//===- AddedTokens.h - Tokens matched verbatim in the text ------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_TOKENIZER_ADDEDTOKENS_H
#define QOPT_LIB_RUNTIME_TOKENIZER_ADDEDTOKENS_H

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace qopt {

/// A set of added tokens and the scan that finds them: leftmost first, the
/// longest of those that start at a place, none overlapping. The rules are
/// those of `AddedVocabulary` in Hugging Face's tokenizers.
class AddedTokens {
public:
  struct Token {
    int32_t id;
    bool special, lstrip, rstrip, singleWord;
  };
  /// Bytes [begin, end) of the scanned text: a token, or with id -1 text.
  struct Segment {
    int32_t id;
    size_t begin, end;
  };

  /// \p content is not empty. False when it was added before.
  bool add(std::string_view content, Token token);
  bool empty() const { return tokens_.empty(); }

  /// Appends the segments of \p text (valid UTF-8) to \p out in order. Special
  /// tokens are passed over as text without \p parseSpecial.
  void split(std::string_view text, bool parseSpecial, std::vector<Segment> &out) const;

private:
  /// A node of the trie of contents.
  struct Node {
    std::vector<std::pair<uint8_t, uint32_t>> children; ///< sorted by byte
    int32_t token = -1;                                 ///< index in tokens_
  };
  uint32_t child(uint32_t node, uint8_t byte) const;

  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::array<uint32_t, 256> starts_ = {}; ///< the root's children, 0: none
  std::vector<Token> tokens_;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TOKENIZER_ADDEDTOKENS_H
