//===- Unicode.cpp - UTF-8 and character classes --------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Unicode.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <utf8proc.h>

namespace qopt::unicode {
namespace {

struct YoungRange {
  uint32_t first, last, standIn;
};
struct CodePointRange {
  uint32_t first, last;
};
#include "UnicodeTables.inc"

template <typename Range, size_t n>
const Range *find(const Range (&ranges)[n], uint32_t codePoint) {
  const Range *it = std::lower_bound(std::begin(ranges), std::end(ranges), codePoint,
                                     [](const Range &r, uint32_t c) { return r.last < c; });
  return it != std::end(ranges) && it->first <= codePoint ? it : nullptr;
}

utf8proc_category_t category(uint32_t codePoint) {
  const YoungRange *young = find(youngRanges, codePoint);
  return utf8proc_category(static_cast<utf8proc_int32_t>(young ? young->standIn : codePoint));
}

/// Skips ASCII, eight bytes at a time.
size_t skipASCII(std::string_view text, size_t at) {
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    if (word & 0x8080808080808080u)
      break;
  }
  while (at < text.size() && static_cast<uint8_t>(text[at]) < 0x80)
    ++at;
  return at;
}

} // namespace

// Table 3-7 of the Unicode standard: the well-formed byte sequences.
Step step(std::string_view text, size_t at) {
  uint8_t lead = text[at];
  if (lead < 0x80)
    return {Step::Kind::character, lead, 1};
  size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4)
    return {Step::Kind::invalid, 0, 1};
  uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  uint32_t codePoint = lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if (at + i == text.size())
      return {Step::Kind::truncated, 0, i};
    uint8_t byte = text[at + i];
    if (byte < low || byte > high)
      return {Step::Kind::invalid, 0, i};
    codePoint = codePoint << 6 | (byte & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {Step::Kind::character, codePoint, length};
}

size_t lastCharacter(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80)
    --at;
  return at;
}

std::optional<size_t> firstInvalid(std::string_view text) {
  for (size_t at = skipASCII(text, 0); at < text.size(); at = skipASCII(text, at)) {
    Step next = step(text, at);
    if (next.kind != Step::Kind::character)
      return at;
    at += next.length;
  }
  return std::nullopt;
}

size_t appendLossy(std::string_view bytes, std::string &out) {
  for (size_t at = 0; at < bytes.size();) {
    size_t ascii = skipASCII(bytes, at);
    out.append(bytes, at, ascii - at);
    if ((at = ascii) == bytes.size())
      break;
    Step next = step(bytes, at);
    if (next.kind == Step::Kind::truncated)
      return bytes.size() - at;
    out.append(next.kind == Step::Kind::character ? bytes.substr(at, next.length) : replacement);
    at += next.length;
  }
  return 0;
}

bool isWhiteSpace(uint32_t c) {
  return c == ' ' || (c >= 0x9 && c <= 0xD) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool isNumber(uint32_t codePoint) {
  if (codePoint < 0x80)
    return codePoint >= '0' && codePoint <= '9';
  utf8proc_category_t c = category(codePoint);
  return c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_NO ||
         find(youngNumbers, codePoint);
}

bool isWord(uint32_t codePoint) {
  switch (category(codePoint)) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_MC:
  case UTF8PROC_CATEGORY_ME:
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_PC:
    return true;
  default:
    break;
  }
  // Join_Control, and the Other_Alphabetic symbols: circled and squared letters.
  return codePoint == 0x200C || codePoint == 0x200D ||
         (codePoint >= 0x24B6 && codePoint <= 0x24E9) ||
         (codePoint >= 0x1F130 && codePoint <= 0x1F149) ||
         (codePoint >= 0x1F150 && codePoint <= 0x1F169) ||
         (codePoint >= 0x1F170 && codePoint <= 0x1F189);
}

std::optional<std::string> withStandIns(std::string_view text) {
  std::optional<std::string> copy;
  for (size_t at = skipASCII(text, 0); at < text.size(); at = skipASCII(text, at)) {
    Step next = step(text, at);
    if (const YoungRange *young = find(youngRanges, next.codePoint)) {
      if (!copy)
        copy.emplace(text);
      utf8proc_encode_char(static_cast<utf8proc_int32_t>(young->standIn),
                           reinterpret_cast<utf8proc_uint8_t *>(copy->data() + at));
    }
    at += next.length;
  }
  return copy;
}

std::optional<std::string> toNFC(std::string_view text) {
  if (skipASCII(text, 0) == text.size())
    return std::nullopt;
  utf8proc_uint8_t *result = nullptr;
  utf8proc_ssize_t length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &result,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  if (length < 0)
    return std::nullopt;
  return std::string(reinterpret_cast<char *>(result), static_cast<size_t>(length));
}

} // namespace qopt::unicode
