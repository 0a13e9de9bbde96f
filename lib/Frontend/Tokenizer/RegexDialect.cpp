//===- RegexDialect.cpp - From Oniguruma's regexes to PCRE2's -------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "RegexDialect.h"
#include "Vocabulary.h"
#include <algorithm>
#include <vector>

namespace qopt {
namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isAlphanumeric(char c) {
  return isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Reads a regex once, copying what means the same in both dialects.
class Translator {
public:
  explicit Translator(std::string_view regex) : regex_(regex) {}

  Result<std::string> run() {
    while (at_ < regex_.size()) {
      Status status = inClass_ ? readInClass() : readOutside();
      if (!status)
        return status;
    }
    return std::move(out_);
  }

private:
  bool next(std::string_view text) const { return regex_.substr(at_).starts_with(text); }
  void copy(size_t length) {
    out_ += regex_.substr(at_, length);
    at_ += length;
  }
  Status unsupported(std::string_view construct) const {
    return Status::invalid("regex " + quote(regex_) + " has unsupported " + quote(construct) +
                           " at offset " + std::to_string(at_));
  }

  Status readOutside();
  Status readInClass();
  Status readEscape();
  Status readGroup();
  Status readRepeat();

  std::string_view regex_;
  size_t at_ = 0;
  bool inClass_ = false;
  std::vector<bool> groups_; ///< of the open groups: does it ignore case?
  std::string out_;
};

Status Translator::readOutside() {
  switch (regex_[at_]) {
  case '\\':
    return readEscape();
  case '[': {
    size_t length = next("[^") ? 2 : 1;
    if (regex_.substr(at_ + length).starts_with(']'))
      return unsupported("empty class");
    inClass_ = true;
    copy(length);
    return Status::ok();
  }
  case '(':
    return readGroup();
  case ')':
    if (!groups_.empty())
      groups_.pop_back();
    copy(1);
    return Status::ok();
  case '{':
    return readRepeat();
  case '^':
  case '$': // of a line there, of the text here
    return unsupported(regex_.substr(at_, 1));
  default:
    break;
  }
  // Oniguruma lets a ligature match the letters that it folds to.
  if (!groups_.empty() && groups_.back()) {
    std::string pair(regex_.substr(at_, 2));
    for (char &c : pair)
      c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    for (std::string_view fold : {"ss", "ff", "fi", "fl", "st"})
      if (pair == fold)
        return unsupported("(?i:" + std::string(fold) + ")");
    if (static_cast<uint8_t>(regex_[at_]) >= 0x80)
      return unsupported("(?i:) of letters other than ASCII");
  }
  copy(1);
  return Status::ok();
}

Status Translator::readInClass() {
  if (next("\\"))
    return readEscape();
  if (next("[") || next("&&")) // nested classes and intersections
    return unsupported(regex_.substr(at_, next("[") ? 1 : 2));
  inClass_ = !next("]");
  copy(1);
  return Status::ok();
}

Status Translator::readEscape() {
  if (at_ + 1 == regex_.size())
    return unsupported("\\");
  char c = regex_[at_ + 1];
  if (c == 'p' || c == 'P') {
    static constexpr std::string_view categories[] = {
        "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",  "Nd",
        "Nl", "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm",
        "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Cn", "Co"};
    size_t close = regex_.find('}', at_);
    if (at_ + 2 == regex_.size() || regex_[at_ + 2] != '{' || close == std::string_view::npos)
      return unsupported(regex_.substr(at_, 2));
    std::string_view name = regex_.substr(at_ + 3, close - at_ - 3);
    name.remove_prefix(name.starts_with('^'));
    if (std::find(std::begin(categories), std::end(categories), name) == std::end(categories))
      return unsupported(regex_.substr(at_, close + 1 - at_));
    copy(close + 1 - at_);
    return Status::ok();
  }
  if (c == 'u') {
    std::string_view digits = regex_.substr(at_ + 2, 4);
    if (digits.size() != 4 ||
        digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos)
      return unsupported("\\u");
    out_ += "\\x{" + std::string(digits) + "}";
    at_ += 6;
    return Status::ok();
  }
  if (isAlphanumeric(c) && std::string_view("sSdDrntfx").find(c) == std::string_view::npos)
    return unsupported(regex_.substr(at_, 2));
  copy(2);
  return Status::ok();
}

Status Translator::readGroup() {
  bool ignoresCase = !groups_.empty() && groups_.back();
  // The groups that mean the same in both.
  static constexpr std::string_view openings[] = {"(?:",  "(?i:", "(?=", "(?!",
                                                  "(?<=", "(?<!", "(?>"};
  for (std::string_view opening : openings) {
    if (!next(opening))
      continue;
    groups_.push_back(ignoresCase || opening == "(?i:");
    copy(opening.size());
    return Status::ok();
  }
  if (next("(?") || next("(*"))
    return unsupported(regex_.substr(at_, 3));
  groups_.push_back(ignoresCase);
  copy(1);
  return Status::ok();
}

Status Translator::readRepeat() {
  size_t end = at_ + 1;
  while (end < regex_.size() && isDigit(regex_[end]))
    ++end;
  bool digits = end > at_ + 1;
  if (end < regex_.size() && regex_[end] == ',')
    ++end;
  while (end < regex_.size() && isDigit(regex_[end]))
    ++end;
  if (!digits || end == regex_.size() || regex_[end] != '}')
    return unsupported("{");
  ++end;
  if (end < regex_.size() && regex_[end] == '+') // possessive here, a second repeat there
    return unsupported("}+");
  copy(end - at_);
  return Status::ok();
}

} // namespace

Result<std::string> translateRegex(std::string_view regex) { return Translator(regex).run(); }

std::string escapeRegex(std::string_view text) {
  std::string regex;
  for (char c : text) {
    if (static_cast<uint8_t>(c) < 0x80 && !isAlphanumeric(c))
      regex += '\\';
    regex += c;
  }
  return regex;
}

} // namespace qopt
