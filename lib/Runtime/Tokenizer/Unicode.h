//===- Unicode.h - UTF-8 and character classes ------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// UTF-8 decoding and the character classes of the reference implementation,
/// which do not depend on the Unicode version of the system's libraries
/// (Unicode 14 or later).
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_TOKENIZER_UNICODE_H
#define QOPT_LIB_RUNTIME_TOKENIZER_UNICODE_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qopt::unicode {

/// One step through UTF-8 text.
struct Step {
  enum class Kind {
    character, ///< codePoint is valid
    invalid,   ///< a maximal run of bytes that can't become a character
    truncated  ///< the text ends inside of a character
  };
  Kind kind;
  uint32_t codePoint; ///< of a character
  size_t length;      ///< bytes, at least 1
};

/// Decodes at \p at, which is inside of \p text.
Step step(std::string_view text, size_t at);

/// The start of the last character of \p text, which is valid and not empty.
size_t lastCharacter(std::string_view text);

/// The offset of the first byte that doesn't belong to valid UTF-8, or none.
std::optional<size_t> firstInvalid(std::string_view text);

/// Appends \p bytes to \p out with U+FFFD for each maximal invalid run. Returns
/// the count of bytes at the end that are the start of a character; they are
/// not appended.
size_t appendLossy(std::string_view bytes, std::string &out);

constexpr std::string_view replacement = "\xEF\xBF\xBD"; // U+FFFD

/// The property White_Space.
bool isWhiteSpace(uint32_t codePoint);

/// The general categories Nd, Nl and No.
bool isNumber(uint32_t codePoint);

/// `\w` of UTS #18: Alphabetic, M, Nd, Pc and Join_Control.
bool isWord(uint32_t codePoint);

/// A text for a regex engine of Unicode 14 or later to see in place of \p text
/// (valid UTF-8): same offsets; each character that engines classify differently
/// has become an old one of the category that the reference sees. None when
/// \p text can stay as it is.
std::optional<std::string> withStandIns(std::string_view text);

/// \p text (valid UTF-8) in Normalization Form C; none when it is ASCII, which is
/// unchanged. The reference orders combining marks by Unicode 9: a sequence of
/// several marks, one of them younger, may differ from it.
std::optional<std::string> toNFC(std::string_view text);

} // namespace qopt::unicode

#endif // QOPT_LIB_RUNTIME_TOKENIZER_UNICODE_H
