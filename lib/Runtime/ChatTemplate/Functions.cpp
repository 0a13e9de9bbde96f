//===- Functions.cpp - Functions: range, namespace, strftime_now, ... -----===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BuiltinTables.h"
#include "Evaluator.h"
#include "Text.h"
#include <ctime>

namespace qopt::chat {

static Value rangeFunction(Evaluator &evaluator, const Value &, const Arguments &arguments) {
  int64_t bounds[3] = {0, 0, 1}; // start, stop, step
  for (size_t i = 0; i < 3; ++i) {
    if (!arguments.has(i))
      continue;
    if (!arguments[i].isInteger())
      return evaluator.fail(arguments[i].isUndefined()
                                ? arguments[i].undefinedHint()
                                : std::string("'range' needs integers, found ") +
                                      arguments[i].typeName());
    bounds[i] = arguments[i].integer();
  }
  if (!arguments.has(1))
    std::swap(bounds[0], bounds[1]);
  auto [start, stop, step] = bounds;
  if (step == 0)
    return evaluator.fail("'range' needs a step other than zero");
  // Jinja2's sandbox has the same bound.
  constexpr uint64_t most = 100000;
  bool empty = step > 0 ? start >= stop : start <= stop;
  uint64_t distance = step > 0 ? static_cast<uint64_t>(stop) - static_cast<uint64_t>(start)
                               : static_cast<uint64_t>(start) - static_cast<uint64_t>(stop);
  uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : -static_cast<uint64_t>(step);
  uint64_t count = empty ? 0 : (distance - 1) / stride + 1;
  if (count > most)
    return evaluator.fail("'range' has " + std::to_string(count) + " items, expected at most " +
                          std::to_string(most));
  if (!evaluator.chargeElements(count))
    return {};
  std::vector<Value> items;
  for (uint64_t i = 0; i < count; ++i)
    items.push_back(Value(start + static_cast<int64_t>(i) * step));
  return makeList(std::move(items), ListObject::Kind::range);
}

/// The entries of the one positional argument, a dict or pairs, then the
/// keywords: dict(...) and namespace(...).
static bool collectEntries(Evaluator &evaluator, const Arguments &arguments, DictObject &dict) {
  if (arguments.has(0) && arguments[0].isDict()) {
    if (!evaluator.chargeElements(arguments[0].dict().entries().size()))
      return false;
    dict = arguments[0].dict();
  } else if (arguments.has(0)) {
    std::vector<Value> items;
    if (!evaluator.iterate(arguments[0], items))
      return false;
    for (const Value &item : items) {
      std::vector<Value> pair;
      if (!evaluator.iterate(item, pair))
        return false;
      if (pair.size() != 2) {
        evaluator.fail("a dict is made of pairs, found " + std::to_string(pair.size()) + " values");
        return false;
      }
      if (!evaluator.insert(dict, pair[0], pair[1]))
        return false;
    }
  }
  for (const auto &[key, value] : arguments.keywords)
    if (!evaluator.insert(dict, Value(key), value))
      return false;
  return true;
}

static Value dictFunction(Evaluator &evaluator, const Value &, const Arguments &arguments) {
  DictObject dict;
  if (!collectEntries(evaluator, arguments, dict))
    return {};
  return makeDict(std::move(dict));
}

static Value namespaceFunction(Evaluator &evaluator, const Value &, const Arguments &arguments) {
  DictObject dict;
  if (!collectEntries(evaluator, arguments, dict))
    return {};
  NamespaceObject *object = evaluator.makeNamespace();
  for (const auto &[key, value] : dict.entries()) {
    if (!key.isString() || key.string().starts_with('_'))
      return evaluator.fail("a namespace can't hold attributes that start with '_' or are no str");
    object->fields.emplace_back(key.string(), value);
  }
  return Value(object);
}

static Value raiseFunction(Evaluator &evaluator, const Value &, const Arguments &arguments) {
  return evaluator.fail("the template refuses the conversation: " + evaluator.textOf(arguments[0]));
}

std::string checkTimeFormat(std::string_view format) {
  static constexpr std::string_view known = "aAbBcCdDeFgGhHIjmMnpRStTuUVwWxXyYzZ%";
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] == '\0')
      return "takes no format with a zero byte";
    if (format[i] != '%')
      continue;
    size_t unpadded = i + 1 < format.size() && format[i + 1] == '-';
    i += 1 + unpadded;
    if (i >= format.size() || known.find(format[i]) == known.npos)
      return "takes no conversion '" + std::string(format.substr(i - 1 - unpadded, 2 + unpadded)) +
             "'";
  }
  return {};
}

static Value strftimeFunction(Evaluator &evaluator, const Value &, const Arguments &arguments) {
  if (!arguments[0].isString())
    return evaluator.fail("'strftime_now' needs a str");
  const std::string &format = arguments[0].string();
  if (std::string error = checkTimeFormat(format); !error.empty())
    return evaluator.fail("'strftime_now' " + error);
  if (!evaluator.charge(64 * (format.size() + 1)))
    return {};
  // The time has no zone in Python, which prints it as nothing; and an empty
  // result can't be told from a failure.
  std::string zoneless;
  for (size_t i = 0; i < format.size(); ++i) {
    bool pair = format[i] == '%';
    size_t length = pair ? (format[i + 1] == '-' ? 3 : 2) : 1;
    char last = format[i + length - 1];
    if (!pair || (last != 'z' && last != 'Z'))
      zoneless.append(format, i, length);
    i += length - 1;
  }
  zoneless += '.';
  std::tm now = evaluator.now();
  std::string text(64 * zoneless.size() + 64, '\0');
  text.resize(strftime_l(text.data(), text.size(), zoneless.c_str(), &now, plainLocale()));
  if (text.empty())
    return evaluator.fail("'strftime_now' can't print the time");
  text.pop_back();
  return Value(std::move(text));
}

std::span<const Builtin> functions() {
  constexpr Builtin::Kind kind = Builtin::Kind::function;
  static constexpr Builtin table[] = {{"dict", "mapping **", 0, dictFunction, kind},
                                      {"namespace", "mapping **", 0, namespaceFunction, kind},
                                      {"raise_exception", "message", 1, raiseFunction, kind},
                                      {"range", "start stop step", 1, rangeFunction, kind},
                                      {"strftime_now", "format", 1, strftimeFunction, kind}};
  return table;
}

} // namespace qopt::chat
