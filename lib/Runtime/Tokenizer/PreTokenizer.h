//===- PreTokenizer.h - Splitting text into pieces --------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_TOKENIZER_PRETOKENIZER_H
#define QOPT_LIB_RUNTIME_TOKENIZER_PRETOKENIZER_H

#include "qopt/Runtime/Artifact/tokenizer.pb.h"
#include "qopt/Runtime/Status.h"
#include <memory>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;

namespace qopt {

/// Cuts text into the pieces that BPE never merges across.
class PreTokenizer {
public:
  /// A piece of the text: bytes [begin, end).
  struct Piece {
    size_t begin, end;
  };

  static Result<PreTokenizer> create(const artifact::Tokenizer &source);

  /// Replaces \p pieces by the pieces of \p text (valid UTF-8), none empty.
  Status split(std::string_view text, std::vector<Piece> &pieces) const;

private:
  struct FreeCode {
    void operator()(pcre2_real_code_8 *code) const;
  };
  /// No code: individual digits.
  using Step = std::unique_ptr<pcre2_real_code_8, FreeCode>;
  std::vector<Step> steps_;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TOKENIZER_PRETOKENIZER_H
