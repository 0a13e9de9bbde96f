//===- TextStream.h - Tokens to text, up to a stop string -------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_GENERATOR_TEXTSTREAM_H
#define QOPT_RUNTIME_GENERATOR_TEXTSTREAM_H

#include "qopt/Runtime/Tokenizer.h"
#include <string>
#include <vector>

namespace qopt {

/// Decodes one sequence and looks for stop strings. Text that may be the start
/// of one is held back until it is decided.
class TextStream {
public:
  /// Empty stop strings are ignored.
  TextStream(Tokenizer tokenizer, bool skipSpecial, std::vector<std::string> stops);

  /// The text that is settled with \p token.
  std::string push(int32_t token);
  /// The rest, at the end of the sequence.
  std::string flush();

  /// A stop string was met; what it and later tokens say is dropped.
  bool stopped() const { return stopped_; }

private:
  std::string settle(const std::string &text, bool end);

  StreamingDetokenizer detokenizer_;
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

} // namespace qopt

#endif // QOPT_RUNTIME_GENERATOR_TEXTSTREAM_H
