//===- Parser.h - The parser of chat templates ---------------- -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CHATTEMPLATE_PARSER_H
#define QOPT_RUNTIME_CHATTEMPLATE_PARSER_H

#include "Ast.h"

namespace qopt::chat {

/// Parses a template into its statements. Errors name the construct and its
/// line:column: bad syntax, a tag, filter, test, function or method outside of
/// the subset, arguments that a builtin doesn't take, nesting beyond
/// maxNesting.
Result<Block> parseTemplate(std::string_view source);

} // namespace qopt::chat

#endif // QOPT_RUNTIME_CHATTEMPLATE_PARSER_H
