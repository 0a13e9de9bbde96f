//===- Text.h - UTF-8 text as Python sees it --------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Code-point operations on UTF-8 strings with the meaning that Python's str
/// gives them. Every function accepts any bytes; malformed ones count as one
/// code point each (callers validate their input first).
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CHATTEMPLATE_TEXT_H
#define QOPT_RUNTIME_CHATTEMPLATE_TEXT_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qopt::chat {

/// One code point and the bytes it takes; `length` is 0 at the end only.
struct CodePoint {
  uint32_t value = 0;
  size_t length = 0;
};

CodePoint decodeAt(std::string_view text, size_t offset);
void appendUtf8(std::string &out, uint32_t codePoint);
bool isValidUtf8(std::string_view text);

/// Number of code points.
size_t countCodePoints(std::string_view text);
/// Byte offsets of the code points, and the total size as the last element.
std::vector<size_t> codePointOffsets(std::string_view text);

/// Python's str.isspace() for one code point.
bool isSpace(uint32_t codePoint);
/// Python's str.isprintable() for one code point.
bool isPrintable(uint32_t codePoint);

std::string_view stripLeft(std::string_view text);
std::string_view stripRight(std::string_view text);
inline std::string_view strip(std::string_view text) {
  return stripLeft(stripRight(text));
}
/// The same for the code points of \p chars in place of white space.
std::string_view stripLeft(std::string_view text, std::string_view chars);
std::string_view stripRight(std::string_view text, std::string_view chars);

/// str.find() in bytes from \p from, linear in the text; npos if absent.
size_t findText(std::string_view text, std::string_view needle,
                size_t from = 0);

/// Letter case. Returns false, leaving \p out unfinished, where the result
/// needs Unicode's special casing (sharp s, final sigma, ligatures).
bool toUpper(std::string_view text, std::string &out);
bool toLower(std::string_view text, std::string &out);
/// str.title(), and str.capitalize() for the first letter alone.
bool toTitle(std::string_view text, std::string &out);
bool toCapitalized(std::string_view text, std::string &out);

} // namespace qopt::chat

#endif // QOPT_RUNTIME_CHATTEMPLATE_TEXT_H
