//===- RegexDialect.h - From Oniguruma's regexes to PCRE2's -----*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_FRONTEND_TOKENIZER_REGEXDIALECT_H
#define QOPT_LIB_FRONTEND_TOKENIZER_REGEXDIALECT_H

#include "qopt/Runtime/Status.h"
#include <string>
#include <string_view>

namespace qopt {

/// Turns a regex of tokenizer.json, which the reference reads with Oniguruma,
/// into one with the same matches in PCRE2 (UTF, UCP). What the two engines
/// read differently is an error that names the construct.
Result<std::string> translateRegex(std::string_view regex);

/// A regex that matches exactly \p text.
std::string escapeRegex(std::string_view text);

} // namespace qopt

#endif // QOPT_LIB_FRONTEND_TOKENIZER_REGEXDIALECT_H
