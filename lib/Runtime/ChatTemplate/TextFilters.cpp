//===- TextFilters.cpp - Filters on text and numbers ----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BuiltinTables.h"
#include "Case.h"
#include "Evaluator.h"
#include "Json.h"
#include "Operators.h"
#include "Text.h"
#include <charconv>
#include <cmath>

namespace qopt::chat {

// Each takes the value of the filter's left side, and fails as Jinja2's own
// does; text filters turn any value into text first.

static Value changeCase(Evaluator &evaluator, const Value &self, const char *what,
                        bool (*change)(std::string_view, std::string &)) {
  std::string out, text = evaluator.textOf(self);
  if (!change(text, out))
    return evaluator.fail(std::string("'") + what +
                          "' of a letter with special casing is not supported");
  return Value(std::move(out));
}

static Value upperFilter(Evaluator &evaluator, const Value &self, const Arguments &) {
  return changeCase(evaluator, self, "upper", toUpper);
}
static Value lowerFilter(Evaluator &evaluator, const Value &self, const Arguments &) {
  return changeCase(evaluator, self, "lower", toLower);
}
static Value capitalizeFilter(Evaluator &evaluator, const Value &self, const Arguments &) {
  return changeCase(evaluator, self, "capitalize", toCapitalized);
}

/// Jinja2's own: words are split at white space and opening brackets.
static bool titleWords(std::string_view text, std::string &out) {
  for (size_t i = 0; i < text.size();) {
    auto isBreak = [&](size_t at) {
      CodePoint c = decodeAt(text, at);
      return isSpace(c.value) ||
             (c.value < 0x80 &&
              std::string_view("-({[<").find(static_cast<char>(c.value)) != std::string_view::npos);
    };
    size_t start = i;
    while (i < text.size() && isBreak(i))
      i += decodeAt(text, i).length;
    out.append(text.substr(start, i - start));
    if (i >= text.size())
      break;
    size_t first = decodeAt(text, i).length;
    if (!toUpper(text.substr(i, first), out))
      return false;
    start = i += first;
    while (i < text.size() && !isBreak(i))
      i += decodeAt(text, i).length;
    if (!toLower(text.substr(start, i - start), out))
      return false;
  }
  return true;
}
static Value titleFilter(Evaluator &evaluator, const Value &self, const Arguments &) {
  return changeCase(evaluator, self, "title", titleWords);
}

static Value trimFilter(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  std::string text = evaluator.textOf(self);
  if (!arguments.has(0) || arguments[0].isNone())
    return Value(strip(text));
  if (!arguments[0].isString())
    return evaluator.fail("'trim' needs a str of characters");
  const std::string &chars = arguments[0].string();
  if (!evaluator.charge(text.size() * (1 + chars.size() / 8)))
    return {};
  return Value(stripLeft(stripRight(text, chars), chars));
}

static Value stringFilter(Evaluator &evaluator, const Value &self, const Arguments &) {
  return self.isString() ? self : Value(evaluator.textOf(self));
}

static Value replaceFilter(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  int64_t count = -1;
  if (arguments.has(2) && !arguments[2].isNone()) {
    if (!arguments[2].isInteger())
      return evaluator.fail("'replace' needs an integer count");
    count = arguments[2].integer();
  }
  return replaceText(evaluator, evaluator.textOf(self), evaluator.textOf(arguments[0]),
                     evaluator.textOf(arguments[1]), count);
}

static Value indentFilter(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  std::string indent(4, ' ');
  if (arguments.has(0)) {
    if (!arguments[0].isString() && !arguments[0].isInteger())
      return evaluator.fail("'indent' needs a width or a str");
    if (arguments[0].isInteger()) {
      int64_t width = std::max<int64_t>(arguments[0].integer(), 0);
      if (!evaluator.charge(static_cast<uint64_t>(width)))
        return {};
      indent.assign(static_cast<size_t>(width), ' ');
    } else {
      indent = arguments[0].string();
    }
  }
  if (!self.isString())
    return evaluator.fail(std::string("'indent' needs a str, found ") + self.typeName());
  bool first = arguments.has(1) && arguments[1].truthy();
  bool blank = arguments.has(2) && arguments[2].truthy();
  // The newline that Jinja2 appends makes the last line count as one.
  std::string text = self.string() + "\n";
  std::vector<std::string_view> lines = splitLines(text, false);
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i)
      out += '\n';
    bool indented = i ? blank || !lines[i].empty() : first;
    if (!evaluator.charge(indented ? indent.size() + 16 : 16))
      return {};
    if (indented)
      out += indent;
    out += lines[i];
  }
  return Value(std::move(out));
}

static Value tojsonFilter(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  JsonLayout layout;
  layout.ensureAscii = arguments.has(0) && arguments[0].truthy();
  layout.sortKeys = arguments.has(3) && arguments[3].truthy();
  if (arguments.has(1) && !arguments[1].isNone()) {
    if (arguments[1].isString())
      layout.indent = arguments[1].string();
    else if (!arguments[1].isInteger())
      return evaluator.fail("'tojson' needs an integer or a str as indent");
    else if (evaluator.charge(static_cast<uint64_t>(std::max<int64_t>(arguments[1].integer(), 0))))
      layout.indent =
          std::string(static_cast<size_t>(std::max<int64_t>(arguments[1].integer(), 0)), ' ');
    layout.itemSeparator.assign(1, ',');
  }
  if (arguments.has(2) && !arguments[2].isNone()) {
    bool valid = arguments[2].isList() && arguments[2].list().items.size() == 2 &&
                 arguments[2].list().items[0].isString() && arguments[2].list().items[1].isString();
    if (!valid)
      return evaluator.fail("'tojson' needs two strs as separators");
    layout.itemSeparator = arguments[2].list().items[0].string();
    layout.keySeparator = arguments[2].list().items[1].string();
  }
  std::string out;
  if (evaluator.failed() || !dumpJson(evaluator, self, layout, out))
    return {};
  return Value(std::move(out));
}

/// float(text) of Python; nothing where it isn't a number.
static std::optional<double> parseReal(std::string_view text) {
  text = strip(text);
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    auto isDigitAt = [&](size_t at) {
      return at < text.size() && text[at] >= '0' && text[at] <= '9';
    };
    if (text[i] != '_')
      digits += text[i];
    else if (i == 0 || !isDigitAt(i - 1) || !isDigitAt(i + 1))
      return std::nullopt;
  }
  std::string_view rest = digits;
  bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+'))
    rest.remove_prefix(1);
  if (rest.starts_with('-') || rest.starts_with('+') || rest.find('(') != rest.npos)
    return std::nullopt;
  double value = 0;
  auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (end != rest.data() + rest.size() || error == std::errc::invalid_argument)
    return std::nullopt;
  if (error == std::errc::result_out_of_range) // infinity or zero
    value = parseDecimal(std::string(rest));
  return negative ? -value : value;
}

/// int(text, base) of Python.
static std::optional<int64_t> parseInteger(std::string_view text, int base) {
  text = strip(text);
  std::string digits;
  bool negative = text.starts_with('-');
  if (negative || text.starts_with('+'))
    text.remove_prefix(1);
  bool marked = base == 16  ? text.starts_with("0x") || text.starts_with("0X")
                : base == 8 ? text.starts_with("0o") || text.starts_with("0O")
                            : base == 2 && (text.starts_with("0b") || text.starts_with("0B"));
  if (marked)
    text.remove_prefix(2);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_')
      digits += text[i];
    else if ((i == 0 && !marked) || i + 1 == text.size() || (i && text[i - 1] == '_'))
      return std::nullopt;
  }
  if (digits.empty() || digits[0] == '-')
    return std::nullopt;
  if (negative)
    digits.insert(digits.begin(), '-');
  int64_t value = 0;
  const char *end = digits.data() + digits.size();
  auto result = std::from_chars(digits.data(), end, value, base);
  if (result.ptr != end || result.ec != std::errc())
    return std::nullopt;
  return value;
}

static std::optional<int64_t> truncateReal(double value) {
  if (!(value > -0x1p63 && value < 0x1p63))
    return std::nullopt;
  return static_cast<int64_t>(value);
}

static Value intFilter(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  Value otherwise = arguments.has(0) ? arguments[0] : Value(int64_t(0));
  int64_t base = 10;
  if (arguments.has(1)) {
    if (!arguments[1].isInteger() || arguments[1].integer() < 2 || arguments[1].integer() > 36)
      return evaluator.fail("'int' needs a base from 2 to 36");
    base = arguments[1].integer();
  }
  if (self.isUndefined())
    return evaluator.fail(self.undefinedHint());
  std::optional<double> real;
  if (self.isInteger())
    return Value(self.integer());
  if (self.isString()) {
    if (auto value = parseInteger(self.string(), static_cast<int>(base)))
      return Value(*value);
    real = parseReal(self.string());
  } else if (self.isFloat()) {
    real = self.number();
  }
  if (!real || std::isnan(*real))
    return otherwise;
  if (auto value = truncateReal(*real))
    return Value(*value);
  return evaluator.fail("the result of 'int' doesn't fit in 64 bits");
}

static Value floatFilter(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  if (self.isUndefined())
    return evaluator.fail(self.undefinedHint());
  if (self.isNumber())
    return Value(self.number());
  if (self.isString())
    if (auto value = parseReal(self.string()))
      return Value(*value);
  return arguments.has(0) ? arguments[0] : Value(0.0);
}

static Value absFilter(Evaluator &evaluator, const Value &self, const Arguments &) {
  if (self.isFloat())
    return Value(std::fabs(self.number()));
  if (!self.isInteger() || self.integer() == INT64_MIN)
    return evaluator.fail(self.isUndefined()
                              ? self.undefinedHint()
                              : std::string("'abs' needs a number, found ") + self.typeName());
  return Value(std::abs(self.integer()));
}

static Value roundFilter(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  if (!self.isNumber())
    return evaluator.fail(std::string("'round' needs a number, found ") + self.typeName());
  int64_t precision = 0;
  if (arguments.has(0)) {
    if (!arguments[0].isInteger() || arguments[0].integer() < 0 || arguments[0].integer() > 300)
      return evaluator.fail("'round' needs a precision from 0 to 300");
    precision = arguments[0].integer();
  }
  std::string method = arguments.has(1) ? evaluator.textOf(arguments[1]) : "common";
  if (method == "common") {
    if (self.isInteger())
      return Value(self.integer());
    if (!std::isfinite(self.number()))
      return self;
    // The exact value, rounded half to even as Python's is.
    char buffer[720];
    auto end = std::to_chars(buffer, buffer + sizeof buffer, self.number(),
                             std::chars_format::fixed, static_cast<int>(precision))
                   .ptr;
    return Value(parseDecimal(std::string(buffer, end)));
  }
  if (method != "ceil" && method != "floor")
    return evaluator.fail("'round' knows the methods common, ceil and floor, found '" + method +
                          "'");
  double scale = std::pow(10.0, static_cast<double>(precision));
  double scaled = self.number() * scale;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

static Value defaultFilter(Evaluator &, const Value &self, const Arguments &arguments) {
  bool replaces =
      self.isUndefined() || (arguments.has(1) && arguments[1].truthy() && !self.truthy());
  if (!replaces)
    return self;
  return arguments.has(0) ? arguments[0] : Value("");
}

std::span<const Builtin> textFilters() {
  static constexpr Builtin table[] = {
      {"abs", "", 0, absFilter},
      {"capitalize", "", 0, capitalizeFilter},
      {"d", "default_value boolean", 0, defaultFilter},
      {"default", "default_value boolean", 0, defaultFilter},
      {"float", "default", 0, floatFilter},
      {"indent", "width first blank", 0, indentFilter},
      {"int", "default base", 0, intFilter},
      {"lower", "", 0, lowerFilter},
      {"replace", "old new count", 2, replaceFilter},
      {"round", "precision method", 0, roundFilter},
      {"string", "", 0, stringFilter},
      {"title", "", 0, titleFilter},
      {"tojson", "ensure_ascii indent separators sort_keys", 0, tojsonFilter},
      {"trim", "chars", 0, trimFilter},
      {"upper", "", 0, upperFilter}};
  return table;
}

} // namespace qopt::chat
