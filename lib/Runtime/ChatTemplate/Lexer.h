//===- Lexer.h - Tokens of a chat template -------------------- -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Splits a template into text and the tokens of its tags, with white space
/// control (`-`, `+`), trim_blocks and lstrip_blocks already applied, as
/// Jinja2's lexer does. `{% raw %}` becomes text, comments disappear.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CHATTEMPLATE_LEXER_H
#define QOPT_RUNTIME_CHATTEMPLATE_LEXER_H

#include "qopt/Runtime/Status.h"
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qopt::chat {

/// Where something is in the template; both count from 1, columns in code
/// points.
struct Position {
  uint32_t line = 1;
  uint32_t column = 1;
};

/// An error at a position: "chat template:3:14: message".
Status errorAt(Position at, std::string_view message);
/// 'name', for messages.
std::string quoted(std::string_view name);

enum class TokenKind {
  data,        ///< text outside of tags
  outputBegin, ///< {{
  outputEnd,   ///< }}
  tagBegin,    ///< {%
  tagEnd,      ///< %}
  name,
  string,
  integer,
  real,
  op, ///< an operator or a bracket, in `text`
  end ///< the end of the template
};

struct Token {
  TokenKind kind = TokenKind::end;
  Position at;
  /// The text, name, operator, or the string without quotes and escapes.
  std::string text;
  int64_t integer = 0;
  double real = 0;
};

/// The tokens of \p source, the last of kind `end`.
Result<std::vector<Token>> tokenize(std::string_view source);

} // namespace qopt::chat

#endif // QOPT_RUNTIME_CHATTEMPLATE_LEXER_H
