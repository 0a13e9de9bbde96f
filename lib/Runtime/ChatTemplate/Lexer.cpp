//===- Lexer.cpp - Tokens of a chat template ------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lexer.h"
#include "Literals.h"
#include "Text.h"

namespace qopt::chat {

Status errorAt(Position at, std::string_view message) {
  return Status::invalid("chat template:" + std::to_string(at.line) + ":" +
                         std::to_string(at.column) + ": " + std::string(message));
}

std::string quoted(std::string_view name) {
  std::string text(1, '\'');
  text += name;
  text += '\'';
  return text;
}

namespace {

constexpr size_t maxSourceBytes = size_t(16) << 20;

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isNamePart(char c) { return isNameStart(c) || isDigit(c); }

/// `\r\n` and `\r` become `\n`; one newline at the end is dropped.
std::string normalizeNewlines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text += source[i];
      continue;
    }
    text += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n')
      ++i;
  }
  if (text.ends_with('\n'))
    text.pop_back();
  return text;
}

class Lexer {
public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  Result<std::vector<Token>> run() {
    while (status_.isOk() && offset_ < source_.size())
      lexText();
    if (!status_.isOk())
      return status_;
    add(TokenKind::end, offset_);
    return std::move(tokens_);
  }

private:
  enum class Tag { output, block };

  std::string_view rest() const { return std::string_view(source_).substr(offset_); }
  bool at(std::string_view text) const { return rest().starts_with(text); }

  void fail(size_t offset, std::string_view message) {
    if (status_.isOk())
      status_ = errorAt(positionOf(offset), message);
  }

  /// Offsets are asked for in rising order, so this is linear in all.
  Position positionOf(size_t offset) {
    for (; counted_ < offset && counted_ < source_.size(); ++counted_) {
      if (source_[counted_] == '\n') {
        ++position_.line;
        position_.column = 1;
      } else if ((static_cast<unsigned char>(source_[counted_]) & 0xc0) != 0x80) {
        ++position_.column;
      }
    }
    return position_;
  }

  Token &add(TokenKind kind, size_t offset, std::string_view text = {}) {
    Token &token = tokens_.emplace_back();
    token.kind = kind;
    token.at = positionOf(offset);
    token.text = text;
    return token;
  }

  void lexText();
  void addText(std::string_view text, size_t offset, char sign, bool lstrip);
  void lexComment(size_t start);
  bool lexRaw();
  void lexTag(Tag tag);
  bool lexTagEnd(Tag tag);
  void lexToken();
  void lexLiteral();
  void lexOperator();
  void skipSpace() {
    while (offset_ < source_.size()) {
      CodePoint c = decodeAt(source_, offset_);
      if (!isSpace(c.value))
        break;
      offset_ += c.length;
    }
  }
  /// The sign of white space control after `{{`, `{%` or `{#`, or 0.
  char takeSign() {
    if (offset_ < source_.size() && (source_[offset_] == '-' || source_[offset_] == '+'))
      return source_[offset_++];
    return 0;
  }
  /// Ends a tag of two characters: `-` strips the white space that follows,
  /// otherwise \p trim drops one newline.
  bool takeEnd(std::string_view close, bool allowPlus, bool trim);

  std::string source_;
  size_t offset_ = 0;
  size_t counted_ = 0;
  Position position_;
  /// Whether the text to come starts a line, as lstrip_blocks sees it.
  bool lineStarting_ = true;
  std::string brackets_; ///< closing brackets that are owed
  std::vector<Token> tokens_;
  Status status_;
};

bool Lexer::takeEnd(std::string_view close, bool allowPlus, bool trim) {
  std::string_view text = rest();
  bool minus = text.starts_with('-'), plus = allowPlus && text.starts_with('+');
  if (!text.substr(minus || plus).starts_with(close))
    return false;
  offset_ += close.size() + (minus || plus);
  if (minus)
    skipSpace();
  else if (!plus && trim && offset_ < source_.size() && source_[offset_] == '\n')
    ++offset_;
  lineStarting_ = source_[offset_ - 1] == '\n';
  return true;
}

void Lexer::addText(std::string_view text, size_t offset, char sign, bool lstrip) {
  if (sign == '-') {
    text = stripRight(text);
  } else if (sign != '+' && lstrip) {
    size_t line = text.rfind('\n');
    size_t start = line == std::string_view::npos ? 0 : line + 1;
    if ((start > 0 || lineStarting_) && stripRight(text.substr(start)).empty())
      text = text.substr(0, start);
  }
  if (!text.empty())
    add(TokenKind::data, offset, text);
}

void Lexer::lexText() {
  size_t start = offset_, brace = start;
  for (;; ++brace) {
    brace = source_.find('{', brace);
    if (brace == std::string::npos || brace + 1 >= source_.size()) {
      add(TokenKind::data, start, rest());
      offset_ = source_.size();
      return;
    }
    char next = source_[brace + 1];
    if (next == '{' || next == '%' || next == '#')
      break;
  }
  char kind = source_[brace + 1];
  offset_ = brace + 2;
  char sign = takeSign();
  addText(std::string_view(source_).substr(start, brace - start), start, sign, kind != '{');
  if (kind == '#')
    return lexComment(brace);
  if (kind == '{') {
    add(TokenKind::outputBegin, brace);
    return lexTag(Tag::output);
  }
  if (lexRaw())
    return;
  add(TokenKind::tagBegin, brace);
  lexTag(Tag::block);
}

void Lexer::lexComment(size_t start) {
  size_t close = source_.find("#}", offset_);
  if (close == std::string::npos)
    return fail(start, "the comment is not closed, expected '#}'");
  if (close > offset_ && (source_[close - 1] == '-' || source_[close - 1] == '+'))
    --close;
  offset_ = close;
  takeEnd("#}", true, true);
}

/// `{% raw %}`, from after its sign to the end of `{% endraw %}`. Returns false
/// and stays where it is when this is another tag.
bool Lexer::lexRaw() {
  size_t tag = offset_;
  skipSpace();
  if (!at("raw")) {
    offset_ = tag;
    return false;
  }
  offset_ += 3;
  skipSpace();
  if (!takeEnd("%}", false, false)) {
    offset_ = tag;
    return false;
  }
  size_t start = offset_;
  for (size_t from = start;;) {
    size_t open = source_.find("{%", from);
    if (open == std::string::npos) {
      fail(tag, "'raw' is not closed, expected '{% endraw %}'");
      return true;
    }
    offset_ = open + 2;
    char sign = takeSign();
    skipSpace();
    from = offset_;
    if (!at("endraw"))
      continue;
    offset_ += 6;
    skipSpace();
    bool starting = lineStarting_;
    if (!takeEnd("%}", true, true))
      continue;
    std::swap(starting, lineStarting_);
    addText(std::string_view(source_).substr(start, open - start), start, sign, true);
    lineStarting_ = starting;
    return true;
  }
}

bool Lexer::lexTagEnd(Tag tag) {
  if (!brackets_.empty())
    return false;
  size_t start = offset_;
  if (tag == Tag::output ? !takeEnd("}}", false, false) : !takeEnd("%}", true, true))
    return false;
  add(tag == Tag::output ? TokenKind::outputEnd : TokenKind::tagEnd, start);
  return true;
}

void Lexer::lexTag(Tag tag) {
  while (status_.isOk()) {
    skipSpace();
    if (offset_ >= source_.size())
      return fail(offset_, tag == Tag::output ? "unexpected end of the template, expected '}}'"
                                              : "unexpected end of the template, expected '%}'");
    if (lexTagEnd(tag))
      return;
    lexToken();
  }
}

void Lexer::lexToken() {
  char c = source_[offset_];
  if (isDigit(c) || c == '\'' || c == '"')
    return lexLiteral();
  if (!isNameStart(c))
    return lexOperator();
  size_t start = offset_;
  while (offset_ < source_.size() && isNamePart(source_[offset_]))
    ++offset_;
  add(TokenKind::name, start, std::string_view(source_).substr(start, offset_ - start));
}

void Lexer::lexLiteral() {
  size_t start = offset_;
  Token token;
  LiteralError error;
  bool scanned = isDigit(source_[start]) ? scanNumber(source_, offset_, token, error)
                                         : scanString(source_, offset_, token, error);
  if (!scanned)
    return fail(error.offset, error.message);
  token.at = positionOf(start);
  tokens_.push_back(std::move(token));
}

void Lexer::lexOperator() {
  static constexpr std::string_view operators[] = {
      "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
      "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
  for (std::string_view op : operators) {
    if (!at(op))
      continue;
    if (op == "(" || op == "[" || op == "{")
      brackets_ += op == "(" ? ')' : op == "[" ? ']' : '}';
    if (op == ")" || op == "]" || op == "}") {
      if (brackets_.empty())
        return fail(offset_, "unexpected '" + std::string(op) + "'");
      if (brackets_.back() != op[0])
        return fail(offset_, "unexpected '" + std::string(op) + "', expected '" +
                                 std::string(1, brackets_.back()) + "'");
      brackets_.pop_back();
    }
    add(TokenKind::op, offset_, op);
    offset_ += op.size();
    return;
  }
  fail(offset_,
       "unexpected character '" + source_.substr(offset_, decodeAt(source_, offset_).length) + "'");
}

} // namespace

Result<std::vector<Token>> tokenize(std::string_view source) {
  if (source.size() > maxSourceBytes)
    return errorAt({}, "the template has " + std::to_string(source.size()) +
                           " bytes, expected at most " + std::to_string(maxSourceBytes));
  if (!isValidUtf8(source))
    return errorAt({}, "the template is not valid UTF-8");
  return Lexer(normalizeNewlines(source)).run();
}

} // namespace qopt::chat
