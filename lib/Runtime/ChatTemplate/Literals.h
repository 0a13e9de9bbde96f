//===- Literals.h - Numbers and strings in a template's tags -- -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CHATTEMPLATE_LITERALS_H
#define QOPT_RUNTIME_CHATTEMPLATE_LITERALS_H

#include "Lexer.h"

namespace qopt::chat {

/// Why a literal can't be read, and where.
struct LiteralError {
  size_t offset = 0;
  std::string message;
};

/// Reads the number at \p offset, which is moved behind it.
bool scanNumber(std::string_view source, size_t &offset, Token &token, LiteralError &error);

/// Reads the string whose quote is at \p offset, with Python's escapes, and
/// moves \p offset behind it.
bool scanString(std::string_view source, size_t &offset, Token &token, LiteralError &error);

} // namespace qopt::chat

#endif // QOPT_RUNTIME_CHATTEMPLATE_LITERALS_H
