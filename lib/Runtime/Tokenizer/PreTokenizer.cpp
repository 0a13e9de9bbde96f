//===- PreTokenizer.cpp - Splitting text into pieces ----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#define PCRE2_CODE_UNIT_WIDTH 8
#include "PreTokenizer.h"
#include "Unicode.h"
#include <pcre2.h>

namespace qopt {
namespace {

using Piece = PreTokenizer::Piece;

constexpr int maxSplits = 16;
constexpr size_t maxRegexBytes = 16384;

std::string errorText(int code) {
  PCRE2_UCHAR text[160];
  pcre2_get_error_message(code, text, sizeof(text));
  return reinterpret_cast<char *>(text);
}

Result<pcre2_code *> compile(const std::string &regex) {
  if (regex.size() > maxRegexBytes)
    return Status::invalid("tokenizer regex has " + std::to_string(regex.size()) +
                           " bytes, expected at most " + std::to_string(maxRegexBytes));
  std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  // The build of PCRE2 chooses what `.` stops at: fix it.
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int code = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code *compiled =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(regex.data()), regex.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset, context.get());
  if (!compiled)
    return Status::invalid("tokenizer regex '" + regex + "' is invalid at offset " +
                           std::to_string(offset) + ": " + errorText(code));
  // Without the JIT (it may be absent or forbidden) pcre2_match interprets.
  (void)pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
  return compiled;
}

void appendDigits(std::string_view text, Piece piece, std::vector<Piece> &out) {
  size_t begin = piece.begin;
  for (size_t at = piece.begin; at < piece.end;) {
    unicode::Step next = unicode::step(text, at);
    if (unicode::isNumber(next.codePoint)) {
      if (begin < at)
        out.push_back({begin, at});
      begin = at + next.length;
      out.push_back({at, begin});
    }
    at += next.length;
  }
  if (begin < piece.end)
    out.push_back({begin, piece.end});
}

/// Finds the matches of one regex, one piece after the other.
class Matcher {
public:
  Matcher(const pcre2_code *code, size_t textBytes)
      : code_(code), data_(pcre2_match_data_create(1, nullptr)),
        context_(pcre2_match_context_create(nullptr)) {
    // Enough for the linear work that a long piece needs, far from what a
    // pathological regex would take.
    pcre2_set_match_limit(context_, static_cast<uint32_t>(10000000 + textBytes));
  }
  ~Matcher() {
    pcre2_match_data_free(data_);
    pcre2_match_context_free(context_);
  }
  Matcher(const Matcher &) = delete;

  /// Appends the matches and gaps of \p piece, which the regex sees as a whole
  /// text. An empty match divides, except right behind the last one.
  Status append(std::string_view text, Piece piece, std::vector<Piece> &out) {
    std::string_view subject = text.substr(piece.begin, piece.end - piece.begin);
    size_t covered = 0, from = 0;
    bool matchedBefore = false;
    while (from <= subject.size()) {
      int rc = match(subject, from, 0);
      if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = match(subject, from, PCRE2_NO_JIT);
      if (rc == PCRE2_ERROR_NOMATCH)
        break;
      if (rc < 0)
        return Status::invalid("tokenizer regex fails at byte " +
                               std::to_string(piece.begin + from) + ": " + errorText(rc));
      const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(data_);
      size_t begin = bounds[0], end = bounds[1];
      if (begin < from || end < begin || end > subject.size())
        return Status::invalid("tokenizer regex gives a match outside of its text");
      if (begin == end && matchedBefore && end == covered) {
        if (from == subject.size())
          break;
        from += unicode::step(subject, from).length;
        continue;
      }
      if (covered < begin)
        out.push_back({piece.begin + covered, piece.begin + begin});
      if (begin < end)
        out.push_back({piece.begin + begin, piece.begin + end});
      covered = from = end;
      matchedBefore = true;
    }
    if (covered < subject.size())
      out.push_back({piece.begin + covered, piece.end});
    return Status::ok();
  }

private:
  int match(std::string_view subject, size_t from, uint32_t options) {
    return pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(), from,
                       options | PCRE2_NO_UTF_CHECK, data_, context_);
  }

  const pcre2_code *code_;
  pcre2_match_data *data_;
  pcre2_match_context *context_;
};

} // namespace

void PreTokenizer::FreeCode::operator()(pcre2_real_code_8 *code) const { pcre2_code_free(code); }

Result<PreTokenizer> PreTokenizer::create(const artifact::Tokenizer &source) {
  if (source.splits_size() > maxSplits)
    return Status::invalid("tokenizer has " + std::to_string(source.splits_size()) +
                           " splits, expected at most " + std::to_string(maxSplits));
  PreTokenizer result;
  for (const artifact::Tokenizer::Split &split : source.splits()) {
    if (split.kind() == artifact::Tokenizer::Split::INDIVIDUAL_DIGITS) {
      result.steps_.emplace_back(nullptr);
      continue;
    }
    if (split.kind() != artifact::Tokenizer::Split::ISOLATED_REGEX)
      return Status::invalid("tokenizer split has kind " + std::to_string(split.kind()) +
                             ", expected 1 or 2");
    Result<pcre2_code *> code = compile(split.regex());
    if (!code)
      return code.status();
    result.steps_.emplace_back(*code);
  }
  return result;
}

Status PreTokenizer::split(std::string_view text, std::vector<Piece> &pieces) const {
  pieces.clear();
  if (text.empty())
    return Status::ok();
  std::optional<std::string> standIns = unicode::withStandIns(text);
  std::string_view regexText = standIns ? std::string_view(*standIns) : text;
  pieces.push_back({0, text.size()});
  std::vector<Piece> whole;
  for (const Step &step : steps_) {
    whole.swap(pieces);
    pieces.clear();
    if (!step) {
      for (Piece piece : whole)
        appendDigits(text, piece, pieces);
      continue;
    }
    Matcher matcher(step.get(), text.size());
    for (Piece piece : whole)
      if (Status status = matcher.append(regexText, piece, pieces); !status)
        return status;
  }
  return Status::ok();
}

} // namespace qopt
