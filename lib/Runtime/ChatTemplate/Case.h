//===- Case.h - Letter case and character classes ------------- -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What str.upper(), str.isalpha() and their like give in Python, by the
/// Unicode data of utf8proc.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CHATTEMPLATE_CASE_H
#define QOPT_RUNTIME_CHATTEMPLATE_CASE_H

#include <string>
#include <string_view>

namespace qopt::chat {

/// Append the text in another case. The title cases return false, leaving \p out
/// unfinished, where that of a letter is several code points (ligatures).
bool toUpper(std::string_view text, std::string &out);
bool toLower(std::string_view text, std::string &out);
/// str.title(), and str.capitalize() for the first letter alone.
bool toTitle(std::string_view text, std::string &out);
bool toCapitalized(std::string_view text, std::string &out);

/// str.isupper() and its like: false for an empty text.
bool isUpper(std::string_view text);
bool isLower(std::string_view text);
bool isAlphabetic(std::string_view text);
bool isAlphanumeric(std::string_view text);
bool isDigits(std::string_view text);
bool isWhiteSpace(std::string_view text);

} // namespace qopt::chat

#endif // QOPT_RUNTIME_CHATTEMPLATE_CASE_H
