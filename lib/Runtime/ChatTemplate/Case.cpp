//===- Case.cpp - Letter case and character classes -----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Case.h"
#include "Text.h"
#include <algorithm>
#include <iterator>
#include <utf8proc.h>
#include <vector>

namespace qopt::chat {

namespace {

struct Range {
  uint32_t first, last;
};

template <size_t n> bool inRanges(const Range (&ranges)[n], uint32_t c) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [&](Range range) { return c >= range.first && c <= range.last; });
}

/// Other_Lowercase and Other_Uppercase of Unicode's PropList.
constexpr Range otherLower[] = {
    {0xaa, 0xaa},       {0xba, 0xba},       {0x2b0, 0x2b8},     {0x2c0, 0x2c1},    {0x2e0, 0x2e4},
    {0x345, 0x345},     {0x37a, 0x37a},     {0x1d2c, 0x1d6a},   {0x1d78, 0x1d78},  {0x1d9b, 0x1dbf},
    {0x2071, 0x2071},   {0x207f, 0x207f},   {0x2090, 0x209c},   {0x2170, 0x217f},  {0x24d0, 0x24e9},
    {0x2c7c, 0x2c7d},   {0xa69c, 0xa69d},   {0xa770, 0xa770},   {0xa7f8, 0xa7f9},  {0xab5c, 0xab5f},
    {0x10780, 0x10780}, {0x10783, 0x10785}, {0x10787, 0x107b0}, {0x107b2, 0x107ba}};
constexpr Range otherUpper[] = {
    {0x2160, 0x216f}, {0x24b6, 0x24cf}, {0x1f130, 0x1f149}, {0x1f150, 0x1f169}, {0x1f170, 0x1f189}};
/// Characters with Numeric_Type Digit that are no decimals.
constexpr Range otherDigits[] = {
    {0xb2, 0xb3},       {0xb9, 0xb9},       {0x1369, 0x1371},   {0x19da, 0x19da},
    {0x2070, 0x2070},   {0x2074, 0x2079},   {0x2080, 0x2089},   {0x2460, 0x2468},
    {0x2474, 0x247c},   {0x2488, 0x2490},   {0x24ea, 0x24ea},   {0x24f5, 0x24fd},
    {0x24ff, 0x24ff},   {0x2776, 0x277e},   {0x2780, 0x2788},   {0x278a, 0x2792},
    {0x10a40, 0x10a43}, {0x10e60, 0x10e68}, {0x11052, 0x1105a}, {0x1f100, 0x1f10a}};
/// Case_Ignorable by Word_Break: what may stand inside of a word.
constexpr Range innerPunctuation[] = {
    {'\'', '\''},     {'.', '.'},       {':', ':'},       {0xb7, 0xb7},
    {0x387, 0x387},   {0x55f, 0x55f},   {0x5f4, 0x5f4},   {0x2018, 0x2019},
    {0x2024, 0x2024}, {0x2027, 0x2027}, {0xfe13, 0xfe13}, {0xfe52, 0xfe52},
    {0xfe55, 0xfe55}, {0xff07, 0xff07}, {0xff0e, 0xff0e}, {0xff1a, 0xff1a}};

utf8proc_category_t category(uint32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}
bool isLowerLetter(uint32_t c) {
  return category(c) == UTF8PROC_CATEGORY_LL || inRanges(otherLower, c);
}
bool isUpperLetter(uint32_t c) {
  return category(c) == UTF8PROC_CATEGORY_LU || inRanges(otherUpper, c);
}
bool isCased(uint32_t c) {
  return isLowerLetter(c) || isUpperLetter(c) || category(c) == UTF8PROC_CATEGORY_LT;
}
bool isLetter(uint32_t c) {
  return category(c) >= UTF8PROC_CATEGORY_LU && category(c) <= UTF8PROC_CATEGORY_LO;
}
bool isCaseIgnorable(uint32_t c) {
  switch (category(c)) {
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_ME:
  case UTF8PROC_CATEGORY_CF:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_SK:
    return true;
  default:
    return inRanges(innerPunctuation, c);
  }
}

/// Code points whose upper or title case may be more than one.
bool mayExpand(uint32_t c) {
  constexpr Range ranges[] = {{0xdf, 0xdf},     {0x149, 0x149},   {0x1f0, 0x1f0},
                              {0x390, 0x390},   {0x3b0, 0x3b0},   {0x587, 0x587},
                              {0x1e96, 0x1e9a}, {0x1f50, 0x1ffc}, {0xfb00, 0xfb17}};
  return inRanges(ranges, c);
}

std::vector<uint32_t> decodeAll(std::string_view text) {
  std::vector<uint32_t> points;
  for (size_t i = 0; i < text.size();) {
    CodePoint c = decodeAt(text, i);
    points.push_back(c.value);
    i += c.length;
  }
  return points;
}

/// The upper case of an expanding letter is that of each letter of its full
/// case folding: sharp s folds to ss.
void appendUpper(std::string &out, uint32_t c) {
  utf8proc_int32_t folded[4] = {static_cast<utf8proc_int32_t>(c)};
  utf8proc_ssize_t count = 1;
  int boundary = 0;
  if (c >= 0x80 && mayExpand(c))
    count = utf8proc_decompose_char(folded[0], folded, 4, UTF8PROC_CASEFOLD, &boundary);
  for (utf8proc_ssize_t i = 0; i < count && i < 4; ++i)
    appendUtf8(out, static_cast<uint32_t>(utf8proc_toupper(folded[i])));
}

bool appendTitle(std::string &out, uint32_t c) {
  if (c == 0xdf) {
    out += "Ss";
    return true;
  }
  std::string upper;
  appendUpper(upper, c);
  auto title = static_cast<uint32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c)));
  if (countCodePoints(upper) > 1 && title == c && category(c) != UTF8PROC_CATEGORY_LT)
    return false;
  appendUtf8(out, title);
  return true;
}

/// A capital sigma ends a word as U+03C2 (Unicode's Final_Sigma).
bool isFinalSigma(const std::vector<uint32_t> &text, size_t at) {
  size_t before = at, after = at + 1;
  while (before > 0 && isCaseIgnorable(text[before - 1]))
    --before;
  if (before == 0 || !isCased(text[before - 1]))
    return false;
  while (after < text.size() && isCaseIgnorable(text[after]))
    ++after;
  return after == text.size() || !isCased(text[after]);
}

void appendLower(std::string &out, const std::vector<uint32_t> &text, size_t at) {
  uint32_t c = text[at];
  if (c == 0x130) {
    out += "i\u0307";
    return;
  }
  if (c == 0x3a3)
    return appendUtf8(out, isFinalSigma(text, at) ? 0x3c2 : 0x3c3);
  appendUtf8(out, static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

template <typename Predicate> bool every(std::string_view text, Predicate holds) {
  for (size_t i = 0; i < text.size();) {
    CodePoint c = decodeAt(text, i);
    if (!holds(c.value))
      return false;
    i += c.length;
  }
  return !text.empty();
}

} // namespace

bool toUpper(std::string_view text, std::string &out) {
  for (uint32_t c : decodeAll(text))
    appendUpper(out, c);
  return true;
}

bool toLower(std::string_view text, std::string &out) {
  std::vector<uint32_t> points = decodeAll(text);
  for (size_t i = 0; i < points.size(); ++i)
    appendLower(out, points, i);
  return true;
}

bool toTitle(std::string_view text, std::string &out) {
  std::vector<uint32_t> points = decodeAll(text);
  bool afterCased = false;
  for (size_t i = 0; i < points.size(); ++i) {
    if (afterCased)
      appendLower(out, points, i);
    else if (!appendTitle(out, points[i]))
      return false;
    afterCased = isCased(points[i]);
  }
  return true;
}

bool toCapitalized(std::string_view text, std::string &out) {
  std::vector<uint32_t> points = decodeAll(text);
  for (size_t i = 0; i < points.size(); ++i) {
    if (i)
      appendLower(out, points, i);
    else if (!appendTitle(out, points[i]))
      return false;
  }
  return true;
}

bool isUpper(std::string_view text) {
  bool cased = false;
  return every(text,
               [&](uint32_t c) {
                 cased |= isUpperLetter(c);
                 return !isLowerLetter(c) && category(c) != UTF8PROC_CATEGORY_LT;
               }) &&
         cased;
}

bool isLower(std::string_view text) {
  bool cased = false;
  return every(text,
               [&](uint32_t c) {
                 cased |= isLowerLetter(c);
                 return !isUpperLetter(c) && category(c) != UTF8PROC_CATEGORY_LT;
               }) &&
         cased;
}

bool isAlphabetic(std::string_view text) { return every(text, isLetter); }

bool isAlphanumeric(std::string_view text) {
  return every(text, [](uint32_t c) {
    return isLetter(c) ||
           (category(c) >= UTF8PROC_CATEGORY_ND && category(c) <= UTF8PROC_CATEGORY_NO);
  });
}

bool isDigits(std::string_view text) {
  return every(text, [](uint32_t c) {
    return category(c) == UTF8PROC_CATEGORY_ND || inRanges(otherDigits, c);
  });
}

bool isWhiteSpace(std::string_view text) { return every(text, isSpace); }

} // namespace qopt::chat
