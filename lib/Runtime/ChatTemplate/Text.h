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
#include <locale.h>
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
inline std::string_view strip(std::string_view text) { return stripLeft(stripRight(text)); }
/// The same for the code points of \p chars in place of white space.
std::string_view stripLeft(std::string_view text, std::string_view chars);
std::string_view stripRight(std::string_view text, std::string_view chars);

/// str.find() in bytes from \p from, linear in the text; npos if absent.
size_t findText(std::string_view text, std::string_view needle, size_t from = 0);

/// The nearest double to a decimal number, in any locale; infinity beyond range.
double parseDecimal(const std::string &digits);
/// The C locale, whatever the program has set.
locale_t plainLocale();

/// str.rfind() in bytes.
size_t findLastText(std::string_view text, std::string_view needle);

/// str.split(), str.rsplit() at a separator that is not empty, at most \p most
/// times.
std::vector<std::string_view> splitText(std::string_view text, std::string_view separator,
                                        size_t most, bool fromRight);
/// The same at runs of white space.
std::vector<std::string_view> splitWords(std::string_view text, size_t most, bool fromRight);
std::vector<std::string_view> splitLines(std::string_view text, bool keepEnds);

} // namespace qopt::chat

#endif // QOPT_RUNTIME_CHATTEMPLATE_TEXT_H
