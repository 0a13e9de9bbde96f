//===- Literals.cpp - Numbers and strings in a template's tags ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Literals.h"
#include "Text.h"
#include <charconv>
#include <cstdio>

namespace qopt::chat {

static bool isDigit(char c) { return c >= '0' && c <= '9'; }

static int digitValue(char c) {
  if (isDigit(c))
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/// Appends digits below \p base, with single underscores between them dropped.
static void takeDigits(std::string_view source, size_t &offset, int base, std::string &digits) {
  while (offset < source.size()) {
    size_t at = offset + (source[offset] == '_' && !digits.empty());
    if (at >= source.size() || digitValue(source[at]) >= base)
      return;
    digits += source[at];
    offset = at + 1;
  }
}

/// The base that `0x`, `0o` or `0b` before a digit says, else 10.
static int baseOf(std::string_view number) {
  if (number.size() < 3 || number[0] != '0')
    return 10;
  char kind = static_cast<char>(number[1] | 0x20);
  int base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 10;
  return digitValue(number[2]) < base ? base : 10;
}

/// Appends a fraction and an exponent if there are any.
static bool takeFraction(std::string_view source, size_t &offset, std::string &digits) {
  auto isDigitAt = [&](size_t i) { return i < source.size() && isDigit(source[i]); };
  bool real = false;
  if (offset < source.size() && source[offset] == '.' && isDigitAt(offset + 1)) {
    real = true;
    digits += source[offset++];
    takeDigits(source, offset, 10, digits);
  }
  if (offset >= source.size() || (source[offset] | 0x20) != 'e')
    return real;
  size_t sign =
      offset + 1 < source.size() && (source[offset + 1] == '+' || source[offset + 1] == '-');
  if (!isDigitAt(offset + 1 + sign))
    return real;
  digits.append(source.substr(offset, 1 + sign));
  offset += 1 + sign;
  takeDigits(source, offset, 10, digits);
  return true;
}

bool scanNumber(std::string_view source, size_t &offset, Token &token, LiteralError &error) {
  size_t start = offset;
  std::string digits;
  int base = baseOf(source.substr(start));
  if (base != 10)
    offset += 2;
  takeDigits(source, offset, base, digits);
  // In `x.1.2` the numbers are indices.
  bool afterDot = start > 0 && source[start - 1] == '.';
  if (base == 10 && !afterDot && takeFraction(source, offset, digits)) {
    token.kind = TokenKind::real;
    token.real = parseDecimal(digits);
    return true;
  }
  token.kind = TokenKind::integer;
  error.offset = start;
  const char *end = digits.data() + digits.size();
  if (std::from_chars(digits.data(), end, token.integer, base).ec != std::errc())
    error.message = "integer '" + digits + "' doesn't fit in 64 bits";
  else if (base == 10 && digits.size() > 1 && digits[0] == '0' && token.integer != 0)
    error.message = "integer '" + digits + "' has a leading zero";
  return error.message.empty();
}

/// `\x41`, `\u00e9` or `\U0001f600` of \p count digits, read from \p offset on.
static bool takeHexadecimal(std::string_view source, size_t &offset, int count, std::string &text,
                            std::string &error) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) {
    if (offset >= source.size() || digitValue(source[offset]) >= 16) {
      error = "the escape needs " + std::to_string(count) + " hexadecimal digits";
      return false;
    }
    value = value * 16 + static_cast<uint32_t>(digitValue(source[offset++]));
  }
  if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) {
    error = "the escape is not a Unicode character";
    return false;
  }
  appendUtf8(text, value);
  return true;
}

/// One escape, from behind its backslash on.
static bool takeEscape(std::string_view source, size_t &offset, std::string &text,
                       std::string &error) {
  static constexpr std::string_view plain = "\\'\"abfnrtv", meaning = "\\'\"\a\b\f\n\r\t\v";
  CodePoint c = decodeAt(source, offset);
  if (c.value >= 0x80) {
    // Python escapes such a character before it reads the escapes, which leaves
    // the backslash and the digits of the code point.
    char buffer[12];
    const char *form = c.value < 0x100 ? "\\x%02x" : c.value < 0x10000 ? "\\u%04x" : "\\U%08x";
    std::snprintf(buffer, sizeof buffer, form, c.value);
    text += buffer;
    offset += c.length;
    return true;
  }
  if (c.value >= '0' && c.value <= '7') {
    uint32_t value = 0;
    for (int i = 0; i < 3 && offset < source.size() && digitValue(source[offset]) < 8; ++i)
      value = value * 8 + static_cast<uint32_t>(digitValue(source[offset++]));
    appendUtf8(text, value);
    return true;
  }
  ++offset;
  char kind = static_cast<char>(c.value);
  if (size_t known = plain.find(kind); known != plain.npos) {
    text += meaning[known];
    return true;
  }
  switch (kind) {
  case '\n': // a line that goes on
    return true;
  case 'N':
    error = "the escape '\\N' is not supported";
    return false;
  case 'x':
    return takeHexadecimal(source, offset, 2, text, error);
  case 'u':
    return takeHexadecimal(source, offset, 4, text, error);
  case 'U':
    return takeHexadecimal(source, offset, 8, text, error);
  default: // no escape
    (text += '\\') += kind;
    return true;
  }
}

bool scanString(std::string_view source, size_t &offset, Token &token, LiteralError &error) {
  size_t start = offset;
  char quote = source[offset++];
  token.kind = TokenKind::string;
  while (offset < source.size()) {
    char c = source[offset++];
    if (c == quote)
      return true;
    if (c != '\\') {
      token.text += c;
      continue;
    }
    if (offset >= source.size())
      break;
    error.offset = offset - 1;
    if (!takeEscape(source, offset, token.text, error.message))
      return false;
  }
  error = {start, "the string is not closed"};
  return false;
}

} // namespace qopt::chat
