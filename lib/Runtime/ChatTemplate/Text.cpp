//===- Text.cpp - UTF-8 text as Python sees it ----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Text.h"
#include <cstring>
#include <utf8proc.h>

namespace qopt::chat {

CodePoint decodeAt(std::string_view text, size_t offset) {
  if (offset >= text.size())
    return {};
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char lead = byte(offset);
  if (lead < 0x80)
    return {lead, 1};
  utf8proc_int32_t value = 0;
  utf8proc_ssize_t length = utf8proc_iterate(
      reinterpret_cast<const utf8proc_uint8_t *>(text.data()) + offset,
      static_cast<utf8proc_ssize_t>(text.size() - offset), &value);
  if (length <= 0)
    return {lead, 1};
  return {static_cast<uint32_t>(value), static_cast<size_t>(length)};
}

void appendUtf8(std::string &out, uint32_t codePoint) {
  utf8proc_uint8_t bytes[4];
  utf8proc_ssize_t length =
      utf8proc_encode_char(static_cast<utf8proc_int32_t>(codePoint), bytes);
  out.append(reinterpret_cast<const char *>(bytes),
             static_cast<size_t>(length));
}

bool isValidUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    CodePoint c = decodeAt(text, i);
    if (c.length == 1 && static_cast<unsigned char>(text[i]) >= 0x80)
      return false;
    i += c.length;
  }
  return true;
}

size_t countCodePoints(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); i += decodeAt(text, i).length)
    ++count;
  return count;
}

std::vector<size_t> codePointOffsets(std::string_view text) {
  std::vector<size_t> offsets;
  offsets.reserve(text.size() + 1);
  for (size_t i = 0; i < text.size(); i += decodeAt(text, i).length)
    offsets.push_back(i);
  offsets.push_back(text.size());
  return offsets;
}

bool isSpace(uint32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 ||
         c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

bool isPrintable(uint32_t c) {
  if (c == ' ')
    return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
  case UTF8PROC_CATEGORY_CN:
  case UTF8PROC_CATEGORY_CC:
  case UTF8PROC_CATEGORY_CF:
  case UTF8PROC_CATEGORY_CS:
  case UTF8PROC_CATEGORY_CO:
  case UTF8PROC_CATEGORY_ZS:
  case UTF8PROC_CATEGORY_ZL:
  case UTF8PROC_CATEGORY_ZP:
    return false;
  default:
    return true;
  }
}

/// The first byte of the last code point of text[0, end).
static size_t previousCodePoint(std::string_view text, size_t end) {
  size_t i = end - 1;
  while (i > 0 && end - i < 4 &&
         (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80)
    --i;
  return decodeAt(text, i).length == end - i ? i : end - 1;
}

template <typename Predicate>
static std::string_view stripLeftIf(std::string_view text, Predicate drop) {
  size_t i = 0;
  while (i < text.size()) {
    CodePoint c = decodeAt(text, i);
    if (!drop(c.value))
      break;
    i += c.length;
  }
  return text.substr(i);
}

template <typename Predicate>
static std::string_view stripRightIf(std::string_view text, Predicate drop) {
  size_t end = text.size();
  while (end > 0) {
    size_t start = previousCodePoint(text, end);
    if (!drop(decodeAt(text, start).value))
      break;
    end = start;
  }
  return text.substr(0, end);
}

static std::vector<uint32_t> decodeAll(std::string_view text) {
  std::vector<uint32_t> points;
  for (size_t i = 0; i < text.size();) {
    CodePoint c = decodeAt(text, i);
    points.push_back(c.value);
    i += c.length;
  }
  return points;
}

/// A predicate over a small set of code points.
static auto memberOf(const std::vector<uint32_t> &set) {
  return [&set](uint32_t c) {
    for (uint32_t member : set)
      if (member == c)
        return true;
    return false;
  };
}

std::string_view stripLeft(std::string_view text) {
  return stripLeftIf(text, isSpace);
}
std::string_view stripRight(std::string_view text) {
  return stripRightIf(text, isSpace);
}
std::string_view stripLeft(std::string_view text, std::string_view chars) {
  std::vector<uint32_t> set = decodeAll(chars);
  return stripLeftIf(text, memberOf(set));
}
std::string_view stripRight(std::string_view text, std::string_view chars) {
  std::vector<uint32_t> set = decodeAll(chars);
  return stripRightIf(text, memberOf(set));
}

size_t findText(std::string_view text, std::string_view needle, size_t from) {
  if (from > text.size() || needle.size() > text.size() - from)
    return std::string_view::npos;
  if (needle.empty())
    return from;
  // memmem is linear; std::string_view::find is quadratic on hostile text.
  const void *hit = memmem(text.data() + from, text.size() - from,
                           needle.data(), needle.size());
  if (!hit)
    return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char *>(hit) - text.data());
}

/// Code points whose upper or title case is more than one code point, and the
/// two whose lower case is special (U+0130) or depends on context (U+03A3).
static bool hasSpecialCasing(uint32_t c) {
  switch (c) {
  case 0x00df: case 0x0130: case 0x0149: case 0x01f0: case 0x0390:
  case 0x03a3: case 0x03b0: case 0x0587:
    return true;
  default:
    return (c >= 0x1e96 && c <= 0x1e9e) || (c >= 0x1f50 && c <= 0x1ffc) ||
           (c >= 0xfb00 && c <= 0xfb17);
  }
}

static bool isCased(uint32_t c) {
  auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
         category == UTF8PROC_CATEGORY_LT;
}

enum class Case { upper, lower, title };

static bool appendCased(std::string &out, uint32_t c, Case wanted) {
  if (c >= 0x80 && hasSpecialCasing(c))
    return false;
  auto value = static_cast<utf8proc_int32_t>(c);
  switch (wanted) {
  case Case::upper:
    value = utf8proc_toupper(value);
    break;
  case Case::lower:
    value = utf8proc_tolower(value);
    break;
  case Case::title:
    value = utf8proc_totitle(value);
    break;
  }
  appendUtf8(out, static_cast<uint32_t>(value));
  return true;
}

bool toUpper(std::string_view text, std::string &out) {
  for (uint32_t c : decodeAll(text))
    if (!appendCased(out, c, Case::upper))
      return false;
  return true;
}

bool toLower(std::string_view text, std::string &out) {
  for (uint32_t c : decodeAll(text))
    if (!appendCased(out, c, Case::lower))
      return false;
  return true;
}

bool toTitle(std::string_view text, std::string &out) {
  bool afterCased = false;
  for (uint32_t c : decodeAll(text)) {
    if (!appendCased(out, c, afterCased ? Case::lower : Case::title))
      return false;
    afterCased = isCased(c);
  }
  return true;
}

bool toCapitalized(std::string_view text, std::string &out) {
  bool first = true;
  for (uint32_t c : decodeAll(text)) {
    if (!appendCased(out, c, first ? Case::title : Case::lower))
      return false;
    first = false;
  }
  return true;
}

} // namespace qopt::chat
