//===- SequenceFilters.cpp - Filters on lists and dicts -------------------===//
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
#include <bit>
#include <cmath>

namespace qopt::chat {

static Value asInteger(size_t value) { return Value(static_cast<int64_t>(value)); }

static Value lengthFilter(Evaluator &evaluator, const Value &self, const Arguments &) {
  if (self.isUndefined())
    return Value(int64_t(0));
  if (self.isString()) {
    if (!evaluator.charge(self.string().size()))
      return {};
    return asInteger(countCodePoints(self.string()));
  }
  if (self.isDict())
    return asInteger(self.dict().entries().size());
  if (self.isList() && self.list().kind != ListObject::Kind::generator)
    return asInteger(self.list().items.size());
  return evaluator.fail(std::string("a ") + self.typeName() + " has no length");
}

static Value firstFilter(Evaluator &evaluator, const Value &self, const Arguments &) {
  bool once = self.isList() && self.list().kind == ListObject::Kind::generator;
  size_t taken = once ? self.list().taken : 0;
  std::vector<Value> items;
  if (!evaluator.iterate(self, items))
    return {};
  if (items.empty())
    return Value::undefined("the first item of an empty sequence is undefined");
  if (once) // only that one is read
    self.list().taken = taken + 1;
  return items.front();
}

static Value lastFilter(Evaluator &evaluator, const Value &self, const Arguments &) {
  if (self.isList() && self.list().kind == ListObject::Kind::generator)
    return evaluator.fail("a generator has no last item");
  std::vector<Value> items;
  if (!evaluator.iterate(self, items))
    return {};
  return items.empty() ? Value::undefined("the last item of an empty sequence is undefined")
                       : items.back();
}

static Value listFilter(Evaluator &evaluator, const Value &self, const Arguments &) {
  std::vector<Value> items;
  if (!evaluator.iterate(self, items))
    return {};
  return makeList(std::move(items));
}

static Value reverseFilter(Evaluator &evaluator, const Value &self, const Arguments &) {
  if (self.isList() && self.list().kind == ListObject::Kind::generator)
    return evaluator.fail("a generator can't be reversed");
  std::vector<Value> items;
  if (!evaluator.iterate(self, items))
    return {};
  std::reverse(items.begin(), items.end());
  if (!self.isString())
    return makeList(std::move(items), ListObject::Kind::generator);
  std::string text;
  for (const Value &item : items)
    text += item.string();
  return Value(std::move(text));
}

static Value joinFilter(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  std::string separator = arguments.has(0) ? evaluator.textOf(arguments[0]) : std::string();
  std::vector<Value> items;
  if (!evaluator.iterate(self, items))
    return {};
  std::string text;
  for (size_t i = 0; i < items.size() && !evaluator.failed(); ++i) {
    if (i) {
      if (!evaluator.charge(separator.size()))
        return {};
      text += separator;
    }
    bool byAttribute = arguments.has(1) && !arguments[1].isNone();
    evaluator.appendText(text,
                         byAttribute ? followPath(evaluator, items[i], arguments[1]) : items[i]);
  }
  return Value(std::move(text));
}

static Value itemsFilter(Evaluator &evaluator, const Value &self, const Arguments &) {
  std::vector<Value> pairs;
  if (!self.isUndefined() && !self.isDict())
    return evaluator.fail(std::string("'items' needs a dict, found ") + self.typeName());
  if (self.isDict()) {
    if (!evaluator.chargeElements(2 * self.dict().entries().size()))
      return {};
    for (const auto &[key, value] : self.dict().entries())
      pairs.push_back(makeList({key, value}, ListObject::Kind::tuple));
  }
  return makeList(std::move(pairs), ListObject::Kind::generator);
}

/// The keys that sort, unique, min and max compare: the attribute of each item,
/// strings without their case unless it matters. To be ordered, all must be
/// numbers or all strings.
static bool comparisonKeys(Evaluator &evaluator, const std::vector<Value> &items,
                           const Value &attribute, bool caseSensitive, bool ordered,
                           std::vector<Value> &keys) {
  bool numbers = true, strings = true;
  if (attribute.isString() && attribute.string().find(',') != std::string::npos) {
    evaluator.fail("comparing by several attributes is not supported");
    return false;
  }
  for (const Value &item : items) {
    Value key = attribute.isNone() ? item : followPath(evaluator, item, attribute);
    if (evaluator.failed() || !evaluator.charge(key.weight()))
      return false;
    numbers &= key.isNumber() && !std::isnan(key.number());
    strings &= key.isString();
    if (key.isString() && !caseSensitive) {
      std::string lower;
      if (!toLower(key.string(), lower)) {
        evaluator.fail("comparing a letter with special casing is not supported");
        return false;
      }
      key = Value(std::move(lower));
    }
    keys.push_back(std::move(key));
  }
  if (!ordered || numbers || strings || keys.size() < 2)
    return true;
  evaluator.fail("only numbers, or only strs, can be put in order");
  return false;
}

/// The indices of \p keys in rising order, equal ones as they come.
static std::vector<size_t> sortedOrder(Evaluator &evaluator, const std::vector<Value> &keys,
                                       bool descending) {
  std::vector<size_t> order(keys.size());
  uint64_t weight = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
    weight += keys[i].weight();
  }
  // The comparisons are paid for before they are made: an order that changes
  // while std::sort runs would be undefined.
  if (!evaluator.charge(2 * weight * static_cast<uint64_t>(std::bit_width(keys.size()))))
    return {};
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const Value &x = keys[descending ? b : a], &y = keys[descending ? a : b];
    return isLess(x, y) || (!isLess(y, x) && a < b);
  });
  return order;
}

static Value attributeArgument(const Arguments &arguments, size_t i) {
  return arguments.has(i) ? arguments[i] : Value(None{});
}

static bool flag(const Arguments &arguments, size_t i) {
  return arguments.has(i) && arguments[i].truthy();
}

static Value sortFilter(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  std::vector<Value> items, keys, sorted;
  if (!evaluator.iterate(self, items) ||
      !comparisonKeys(evaluator, items, attributeArgument(arguments, 2), flag(arguments, 1), true,
                      keys))
    return {};
  for (size_t i : sortedOrder(evaluator, keys, flag(arguments, 0)))
    sorted.push_back(items[i]);
  return makeList(std::move(sorted));
}

static Value dictsortFilter(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  std::string by = arguments.has(1) ? evaluator.textOf(arguments[1]) : "key";
  if (!self.isDict())
    return evaluator.fail(std::string("'dictsort' needs a dict, found ") + self.typeName());
  if (by != "key" && by != "value")
    return evaluator.fail("'dictsort' sorts by 'key' or 'value', found '" + by + "'");
  std::vector<Value> items, keys, sorted;
  for (const auto &[key, value] : self.dict().entries())
    items.push_back(by == "key" ? key : value);
  if (!evaluator.chargeElements(items.size()) ||
      !comparisonKeys(evaluator, items, None{}, flag(arguments, 0), true, keys))
    return {};
  for (size_t i : sortedOrder(evaluator, keys, flag(arguments, 2))) {
    const auto &[key, value] = self.dict().entries()[i];
    sorted.push_back(makeList({key, value}, ListObject::Kind::tuple));
  }
  return makeList(std::move(sorted));
}

static Value uniqueFilter(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  std::vector<Value> items, keys, kept;
  if (!evaluator.iterate(self, items) ||
      !comparisonKeys(evaluator, items, attributeArgument(arguments, 1), flag(arguments, 0), false,
                      keys))
    return {};
  DictObject seen;
  for (size_t i = 0; i < items.size(); ++i) {
    bool known = evaluator.lookUp(seen, keys[i]);
    if (evaluator.failed())
      return {};
    if (known)
      continue;
    seen.insert(keys[i], None{});
    kept.push_back(items[i]);
  }
  return makeList(std::move(kept), ListObject::Kind::generator);
}

static Value extreme(Evaluator &evaluator, const Value &self, const Arguments &arguments,
                     Operator better) {
  std::vector<Value> items, keys;
  if (!evaluator.iterate(self, items) ||
      !comparisonKeys(evaluator, items, attributeArgument(arguments, 1), flag(arguments, 0), true,
                      keys))
    return {};
  if (items.empty())
    return Value::undefined("no item of an empty sequence is the greatest or the least");
  size_t best = 0;
  for (size_t i = 1; i < items.size(); ++i)
    if (compare(evaluator, better, keys[i], keys[best]))
      best = i;
  return items[best];
}
static Value maxFilter(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  return extreme(evaluator, self, arguments, Operator::greater);
}
static Value minFilter(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  return extreme(evaluator, self, arguments, Operator::less);
}

static Value sumFilter(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  std::vector<Value> items;
  if (!evaluator.iterate(self, items))
    return {};
  Value attribute = attributeArgument(arguments, 0);
  Value total = arguments.has(1) ? arguments[1] : Value(int64_t(0));
  if (total.isString())
    return evaluator.fail("'sum' can't add strs");
  for (const Value &item : items) {
    if (evaluator.failed())
      return {};
    total = arithmetic(evaluator, Operator::add, total,
                       attribute.isNone() ? item : followPath(evaluator, item, attribute));
  }
  return total;
}

/// Stands in the table for `map`, `select`, ...: the evaluator applies them.
static Value appliedByEvaluator(Evaluator &, const Value &self, const Arguments &) { return self; }

std::span<const Builtin> sequenceFilters() {
  static constexpr Builtin table[] = {{"count", "", 0, lengthFilter},
                                      {"dictsort", "case_sensitive by reverse", 0, dictsortFilter},
                                      {"first", "", 0, firstFilter},
                                      {"items", "", 0, itemsFilter},
                                      {"join", "d attribute", 0, joinFilter},
                                      {"last", "", 0, lastFilter},
                                      {"length", "", 0, lengthFilter},
                                      {"list", "", 0, listFilter},
                                      {"map", "*", 0, appliedByEvaluator},
                                      {"max", "case_sensitive attribute", 0, maxFilter},
                                      {"min", "case_sensitive attribute", 0, minFilter},
                                      {"reject", "*", 0, appliedByEvaluator},
                                      {"rejectattr", "*", 0, appliedByEvaluator},
                                      {"reverse", "", 0, reverseFilter},
                                      {"select", "*", 0, appliedByEvaluator},
                                      {"selectattr", "*", 0, appliedByEvaluator},
                                      {"sort", "reverse case_sensitive attribute", 0, sortFilter},
                                      {"sum", "attribute start", 0, sumFilter},
                                      {"unique", "case_sensitive attribute", 0, uniqueFilter}};
  return table;
}

} // namespace qopt::chat
