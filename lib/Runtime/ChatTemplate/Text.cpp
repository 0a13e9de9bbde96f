//===- Text.cpp - UTF-8 text as Python sees it ----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Text.h"
#include <algorithm>
#include <cstdlib>
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
  utf8proc_ssize_t length =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t *>(text.data()) + offset,
                       static_cast<utf8proc_ssize_t>(text.size() - offset), &value);
  if (length <= 0)
    return {lead, 1};
  return {static_cast<uint32_t>(value), static_cast<size_t>(length)};
}

void appendUtf8(std::string &out, uint32_t codePoint) {
  utf8proc_uint8_t bytes[4];
  utf8proc_ssize_t length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(codePoint), bytes);
  out.append(reinterpret_cast<const char *>(bytes), static_cast<size_t>(length));
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
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
         c == 0x205f || c == 0x3000;
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
  while (i > 0 && end - i < 4 && (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80)
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

std::string_view stripLeft(std::string_view text) { return stripLeftIf(text, isSpace); }
std::string_view stripRight(std::string_view text) { return stripRightIf(text, isSpace); }
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
  const void *hit = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  if (!hit)
    return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char *>(hit) - text.data());
}

locale_t plainLocale() {
  static const locale_t plain = newlocale(LC_ALL_MASK, "C", nullptr);
  return plain;
}

double parseDecimal(const std::string &digits) {
  return strtod_l(digits.c_str(), nullptr, plainLocale());
}

size_t findLastText(std::string_view text, std::string_view needle) {
  // Reversed, so that the search is linear here too.
  std::string backwards(text.rbegin(), text.rend()), wanted(needle.rbegin(), needle.rend());
  size_t at = findText(backwards, wanted);
  return at == std::string_view::npos ? at : text.size() - at - needle.size();
}

std::vector<std::string_view> splitText(std::string_view text, std::string_view separator,
                                        size_t most, bool fromRight) {
  std::vector<size_t> hits;
  if (!fromRight) {
    for (size_t at = 0; hits.size() < most; at += separator.size()) {
      at = findText(text, separator, at);
      if (at == std::string_view::npos)
        break;
      hits.push_back(at);
    }
  } else {
    std::string backwards(text.rbegin(), text.rend());
    std::string wanted(separator.rbegin(), separator.rend());
    for (size_t at = 0; hits.size() < most; at += separator.size()) {
      at = findText(backwards, wanted, at);
      if (at == std::string_view::npos)
        break;
      hits.push_back(text.size() - at - separator.size());
    }
    std::reverse(hits.begin(), hits.end());
  }
  std::vector<std::string_view> parts;
  size_t start = 0;
  for (size_t hit : hits) {
    parts.push_back(text.substr(start, hit - start));
    start = hit + separator.size();
  }
  parts.push_back(text.substr(start));
  return parts;
}

std::vector<std::string_view> splitWords(std::string_view text, size_t most, bool fromRight) {
  std::vector<std::string_view> words;
  auto notSpace = [](uint32_t c) { return !isSpace(c); };
  while (true) {
    text = fromRight ? stripRight(text) : stripLeft(text);
    if (text.empty())
      break;
    std::string_view rest = words.size() == most ? std::string_view()
                            : fromRight          ? stripRightIf(text, notSpace)
                                                 : stripLeftIf(text, notSpace);
    size_t length = text.size() - rest.size();
    words.push_back(fromRight ? text.substr(rest.size()) : text.substr(0, length));
    text = rest;
  }
  if (fromRight)
    std::reverse(words.begin(), words.end());
  return words;
}

std::vector<std::string_view> splitLines(std::string_view text, bool keepEnds) {
  std::vector<std::string_view> lines;
  size_t start = 0;
  for (size_t i = 0; i < text.size();) {
    CodePoint c = decodeAt(text, i);
    bool ends = (c.value >= 0x0a && c.value <= 0x0d) || (c.value >= 0x1c && c.value <= 0x1e) ||
                c.value == 0x85 || c.value == 0x2028 || c.value == 0x2029;
    size_t end = i + c.length;
    if (c.value == '\r' && end < text.size() && text[end] == '\n')
      ++end;
    if (ends) {
      lines.push_back(text.substr(start, (keepEnds ? end : i) - start));
      start = end;
    }
    i = end;
  }
  if (start < text.size())
    lines.push_back(text.substr(start));
  return lines;
}

} // namespace qopt::chat
