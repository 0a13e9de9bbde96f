//===- Methods.cpp - Methods of str, list, dict and loop ------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BuiltinTables.h"
#include "Case.h"
#include "Evaluator.h"
#include "Operators.h"
#include "Text.h"
#include <algorithm>

namespace qopt::chat {

/// The str argument \p i; fails, and is null, for another type.
static const std::string *text(Evaluator &evaluator, const Arguments &arguments, size_t i) {
  if (arguments[i].isString())
    return &arguments[i].string();
  evaluator.fail(arguments[i].isUndefined()
                     ? arguments[i].undefinedHint()
                     : std::string("a method needs a str, found ") + arguments[i].typeName());
  return nullptr;
}

/// The int argument \p i, or \p absent.
static std::optional<int64_t> integer(Evaluator &evaluator, const Arguments &arguments, size_t i,
                                      int64_t absent) {
  if (!arguments.has(i) || arguments[i].isNone())
    return absent;
  if (arguments[i].isInteger())
    return arguments[i].integer();
  evaluator.fail(std::string("a method needs an integer, found ") + arguments[i].typeName());
  return std::nullopt;
}

template <bool left, bool right>
static Value stripMethod(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  std::string_view rest = self.string();
  if (!arguments.has(0) || arguments[0].isNone()) {
    if (!evaluator.charge(rest.size()))
      return {};
    rest = left ? stripLeft(rest) : rest;
    return Value(right ? stripRight(rest) : rest);
  }
  const std::string *chars = text(evaluator, arguments, 0);
  if (!chars || !evaluator.charge(rest.size() * (1 + chars->size() / 8)))
    return {};
  rest = left ? stripLeft(rest, *chars) : rest;
  return Value(right ? stripRight(rest, *chars) : rest);
}

static Value stringList(const std::vector<std::string_view> &parts) {
  std::vector<Value> items;
  for (std::string_view part : parts)
    items.push_back(Value(part));
  return makeList(std::move(items));
}

/// split and rsplit: at a separator or, without one, at runs of white space.
template <bool fromRight>
static Value splitMethod(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  std::optional<int64_t> most = integer(evaluator, arguments, 1, -1);
  const std::string *separator = nullptr;
  if (arguments.has(0) && !arguments[0].isNone() && !(separator = text(evaluator, arguments, 0)))
    return {};
  if (!most || !evaluator.chargeElements(self.string().size()))
    return {};
  if (separator && separator->empty())
    return evaluator.fail("can't split at an empty separator");
  size_t limit = *most < 0 ? std::string::npos : static_cast<size_t>(*most);
  return stringList(separator ? splitText(self.string(), *separator, limit, fromRight)
                              : splitWords(self.string(), limit, fromRight));
}

static Value splitlinesMethod(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  if (!evaluator.chargeElements(self.string().size()))
    return {};
  return stringList(splitLines(self.string(), arguments.has(0) && arguments[0].truthy()));
}

/// self[start:end] for the methods that search; false where start is behind.
static bool searched(Evaluator &evaluator, const Value &self, const Arguments &arguments,
                     std::string_view &part, size_t &before) {
  part = self.string();
  before = 0;
  if (!evaluator.charge(part.size()))
    return false;
  if (!arguments.has(1) && !arguments.has(2))
    return true;
  std::vector<size_t> offsets = codePointOffsets(part);
  int64_t size = static_cast<int64_t>(offsets.size()) - 1;
  std::optional<int64_t> start = integer(evaluator, arguments, 1, 0);
  std::optional<int64_t> end = integer(evaluator, arguments, 2, size);
  if (!start || !end)
    return false;
  int64_t first = std::max<int64_t>(*start < 0 ? *start + size : *start, 0);
  int64_t last = std::clamp<int64_t>(*end < 0 ? *end + size : *end, 0, size);
  if (first > last)
    return false;
  before = static_cast<size_t>(first);
  part = part.substr(offsets[first], offsets[last] - offsets[first]);
  return true;
}

template <bool atEnd>
static Value affixMethod(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  std::string_view part;
  size_t before;
  bool inside = searched(evaluator, self, arguments, part, before);
  std::vector<Value> affixes = {arguments[0]};
  if (arguments[0].isList() && arguments[0].list().kind == ListObject::Kind::tuple)
    affixes = arguments[0].list().items;
  bool found = false;
  for (const Value &affix : affixes) {
    if (!affix.isString())
      return evaluator.fail(affix.isUndefined()
                                ? affix.undefinedHint()
                                : std::string("expected a str or a tuple of them, found ") +
                                      affix.typeName());
    if (!evaluator.charge(affix.string().size()))
      return {};
    found |= inside && (atEnd ? part.ends_with(affix.string()) : part.starts_with(affix.string()));
  }
  return Value(found);
}

template <bool fromRight>
static Value findMethod(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  std::string_view part;
  size_t before;
  const std::string *needle = text(evaluator, arguments, 0);
  if (!needle)
    return {};
  if (!searched(evaluator, self, arguments, part, before))
    return Value(int64_t(-1));
  size_t at = fromRight ? findLastText(part, *needle) : findText(part, *needle);
  if (at == std::string_view::npos)
    return Value(int64_t(-1));
  return Value(static_cast<int64_t>(before + countCodePoints(part.substr(0, at))));
}

static Value countMethod(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  std::string_view part;
  size_t before;
  const std::string *needle = text(evaluator, arguments, 0);
  if (!needle || !searched(evaluator, self, arguments, part, before))
    return Value(int64_t(0));
  if (needle->empty())
    return Value(static_cast<int64_t>(countCodePoints(part)) + 1);
  int64_t count = 0;
  for (size_t at = 0; (at = findText(part, *needle, at)) != std::string_view::npos;
       at += needle->size())
    ++count;
  return Value(count);
}

static Value replaceMethod(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  const std::string *from = text(evaluator, arguments, 0);
  const std::string *to = from ? text(evaluator, arguments, 1) : nullptr;
  std::optional<int64_t> count = integer(evaluator, arguments, 2, -1);
  if (!to || !count)
    return {};
  return replaceText(evaluator, self.string(), *from, *to, *count);
}

template <bool atEnd>
static Value removeAffixMethod(Evaluator &evaluator, const Value &self,
                               const Arguments &arguments) {
  const std::string *affix = text(evaluator, arguments, 0);
  std::string_view whole = self.string();
  if (!affix || !evaluator.charge(whole.size()))
    return {};
  if (atEnd ? whole.ends_with(*affix) : whole.starts_with(*affix))
    whole = atEnd ? whole.substr(0, whole.size() - affix->size()) : whole.substr(affix->size());
  return Value(whole);
}

static Value joinMethod(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  std::vector<Value> items;
  std::string joined;
  if (!evaluator.iterate(arguments[0], items))
    return {};
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].isString())
      return evaluator.fail(std::string("'join' needs strs, found ") + items[i].typeName());
    if (!evaluator.charge(self.string().size() + items[i].string().size()))
      return {};
    joined += i ? self.string() : std::string();
    joined += items[i].string();
  }
  return Value(std::move(joined));
}

template <bool (*change)(std::string_view, std::string &)>
static Value caseMethod(Evaluator &evaluator, const Value &self, const Arguments &) {
  std::string out;
  if (!evaluator.charge(self.string().size()))
    return {};
  if (!change(self.string(), out))
    return evaluator.fail("the case of a letter with special casing is not supported");
  return Value(std::move(out));
}

template <bool (*predicate)(std::string_view)>
static Value predicateMethod(Evaluator &evaluator, const Value &self, const Arguments &) {
  return Value(evaluator.charge(self.string().size()) && predicate(self.string()));
}

static Value listCount(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  int64_t count = 0;
  for (const Value &item : self.list().items)
    count += evaluator.charge(1 + std::min(item.weight(), arguments[0].weight())) &&
             equal(item, arguments[0]);
  return Value(count);
}

static Value listIndex(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  const std::vector<Value> &items = self.list().items;
  for (size_t i = 0; i < items.size(); ++i)
    if (evaluator.charge(1 + std::min(items[i].weight(), arguments[0].weight())) &&
        equal(items[i], arguments[0]))
      return Value(static_cast<int64_t>(i));
  return evaluator.fail("'index' doesn't find the value in the list");
}

static Value getMethod(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  const Value *value = evaluator.lookUp(self.dict(), arguments[0]);
  return value ? *value : arguments.has(1) ? arguments[1] : Value(None{});
}

template <bool keys, bool values>
static Value viewMethod(Evaluator &evaluator, const Value &self, const Arguments &) {
  if (!evaluator.chargeElements(2 * self.dict().entries().size()))
    return {};
  std::vector<Value> items;
  for (const auto &[key, value] : self.dict().entries())
    items.push_back(keys && values ? makeList({key, value}, ListObject::Kind::tuple)
                    : keys         ? key
                                   : value);
  return makeList(std::move(items), ListObject::Kind::view);
}

static Value cycleMethod(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  if (!self.loop()->statement)
    return evaluator.fail("the loop that 'loop' belongs to has ended");
  if (arguments.rest.empty())
    return evaluator.fail("'cycle' needs an argument");
  return arguments.rest[self.loop()->index % arguments.rest.size()];
}

static Value changedMethod(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  Value value = makeList(arguments.rest, ListObject::Kind::tuple);
  LoopObject &loop = *self.loop();
  if (value.depth() > maxValueDepth)
    return evaluator.fail("lists nest too deeply");
  if (!loop.statement)
    return evaluator.fail("the loop that 'loop' belongs to has ended");
  if (!evaluator.charge(value.weight()))
    return {};
  bool changed = !loop.changed || !equal(*loop.changed, value);
  loop.changed = std::move(value);
  return Value(changed);
}

std::span<const Builtin> methods() {
  constexpr Builtin::Kind str = Builtin::Kind::stringMethod, list = Builtin::Kind::listMethod,
                          dict = Builtin::Kind::dictMethod, loop = Builtin::Kind::loopMethod;
  static constexpr Builtin table[] = {
      {"capitalize", "", 0, caseMethod<toCapitalized>, str},
      {"count", "sub start end", 1, countMethod, str},
      {"endswith", "suffix start end", 1, affixMethod<true>, str},
      {"find", "sub start end", 1, findMethod<false>, str},
      {"isalnum", "", 0, predicateMethod<isAlphanumeric>, str},
      {"isalpha", "", 0, predicateMethod<isAlphabetic>, str},
      {"isdigit", "", 0, predicateMethod<isDigits>, str},
      {"islower", "", 0, predicateMethod<isLower>, str},
      {"isspace", "", 0, predicateMethod<isWhiteSpace>, str},
      {"isupper", "", 0, predicateMethod<isUpper>, str},
      {"join", "iterable", 1, joinMethod, str},
      {"lower", "", 0, caseMethod<toLower>, str},
      {"lstrip", "chars", 0, stripMethod<true, false>, str},
      {"removeprefix", "prefix", 1, removeAffixMethod<false>, str},
      {"removesuffix", "suffix", 1, removeAffixMethod<true>, str},
      {"replace", "old new count", 2, replaceMethod, str},
      {"rfind", "sub start end", 1, findMethod<true>, str},
      {"rsplit", "sep maxsplit", 0, splitMethod<true>, str},
      {"rstrip", "chars", 0, stripMethod<false, true>, str},
      {"split", "sep maxsplit", 0, splitMethod<false>, str},
      {"splitlines", "keepends", 0, splitlinesMethod, str},
      {"startswith", "prefix start end", 1, affixMethod<false>, str},
      {"strip", "chars", 0, stripMethod<true, true>, str},
      {"title", "", 0, caseMethod<toTitle>, str},
      {"upper", "", 0, caseMethod<toUpper>, str},
      {"count", "value", 1, listCount, list},
      {"index", "value", 1, listIndex, list},
      {"get", "key default", 1, getMethod, dict},
      {"items", "", 0, viewMethod<true, true>, dict},
      {"keys", "", 0, viewMethod<true, false>, dict},
      {"values", "", 0, viewMethod<false, true>, dict},
      {"changed", "*", 0, changedMethod, loop},
      {"cycle", "*", 0, cycleMethod, loop}};
  return table;
}

} // namespace qopt::chat
