//===- Tests.cpp - Tests: what may follow the operator is -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BuiltinTables.h"
#include "Case.h"
#include "Evaluator.h"
#include "Operators.h"

namespace qopt::chat {

/// A test that only looks at the type or value of its subject.
template <auto predicate>
static Value subjectTest(Evaluator &, const Value &self, const Arguments &) {
  return Value(predicate(self));
}

template <Operator op>
static Value comparisonTest(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  return Value(compare(evaluator, op, self, arguments[0]));
}

static bool isSequence(const Value &value) {
  // Jinja2 asks for a length and for subscripts.
  return value.isString() || value.isDict() || value.isUndefined() ||
         (value.isList() && value.list().kind != ListObject::Kind::generator &&
          value.list().kind != ListObject::Kind::view);
}
static bool isIterable(const Value &value) {
  return value.isString() || value.isDict() || value.isUndefined() || value.isList();
}
static bool isCallable(const Value &value) {
  return value.macro() || value.function() || value.isMethod() || value.isUndefined();
}

/// Whether the text has letters and none of the other case.
static Value caseTest(Evaluator &evaluator, const Value &self, bool upper) {
  std::string text = evaluator.textOf(self);
  return Value(upper ? isUpper(text) : isLower(text));
}
static Value lowerTest(Evaluator &evaluator, const Value &self, const Arguments &) {
  return caseTest(evaluator, self, false);
}
static Value upperTest(Evaluator &evaluator, const Value &self, const Arguments &) {
  return caseTest(evaluator, self, true);
}

static Value remainderIs(Evaluator &evaluator, const Value &self, const Value &divisor,
                         int64_t wanted) {
  Value remainder = arithmetic(evaluator, Operator::mod, self, divisor);
  return Value(!evaluator.failed() && equal(remainder, Value(wanted)));
}
static Value evenTest(Evaluator &evaluator, const Value &self, const Arguments &) {
  return remainderIs(evaluator, self, Value(int64_t(2)), 0);
}
static Value oddTest(Evaluator &evaluator, const Value &self, const Arguments &) {
  return remainderIs(evaluator, self, Value(int64_t(2)), 1);
}
static Value divisibleTest(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  return remainderIs(evaluator, self, arguments[0], 0);
}

/// Identity, which is defined here for the constants and for objects.
static Value sameTest(Evaluator &evaluator, const Value &self, const Arguments &arguments) {
  const Value &other = arguments[0];
  if (self.isBool() || self.isNone() || other.isBool() || other.isNone())
    return Value(self.isBool() == other.isBool() && self.isNone() == other.isNone() &&
                 equal(self, other));
  return evaluator.fail("'sameas' is supported for true, false and none only");
}

std::span<const Builtin> tests() {
  constexpr Builtin::Kind kind = Builtin::Kind::test;
  using V = const Value &;
  static constexpr Builtin table[] = {
      {"!=", "other", 1, comparisonTest<Operator::notEqual>, kind},
      {"<", "other", 1, comparisonTest<Operator::less>, kind},
      {"<=", "other", 1, comparisonTest<Operator::lessEqual>, kind},
      {"==", "other", 1, comparisonTest<Operator::equal>, kind},
      {">", "other", 1, comparisonTest<Operator::greater>, kind},
      {">=", "other", 1, comparisonTest<Operator::greaterEqual>, kind},
      {"boolean", "", 0, subjectTest<[](V v) { return v.isBool(); }>, kind},
      {"callable", "", 0, subjectTest<isCallable>, kind},
      {"defined", "", 0, subjectTest<[](V v) { return !v.isUndefined(); }>, kind},
      {"divisibleby", "num", 1, divisibleTest, kind},
      {"eq", "other", 1, comparisonTest<Operator::equal>, kind},
      {"equalto", "other", 1, comparisonTest<Operator::equal>, kind},
      {"even", "", 0, evenTest, kind},
      {"false", "", 0, subjectTest<[](V v) { return v.isBool() && !v.boolean(); }>, kind},
      {"float", "", 0, subjectTest<[](V v) { return v.isFloat(); }>, kind},
      {"ge", "other", 1, comparisonTest<Operator::greaterEqual>, kind},
      {"greaterthan", "other", 1, comparisonTest<Operator::greater>, kind},
      {"gt", "other", 1, comparisonTest<Operator::greater>, kind},
      {"in", "seq", 1, comparisonTest<Operator::in>, kind},
      {"integer", "", 0, subjectTest<[](V v) { return v.isInteger() && !v.isBool(); }>, kind},
      {"iterable", "", 0, subjectTest<isIterable>, kind},
      {"le", "other", 1, comparisonTest<Operator::lessEqual>, kind},
      {"lessthan", "other", 1, comparisonTest<Operator::less>, kind},
      {"lower", "", 0, lowerTest, kind},
      {"lt", "other", 1, comparisonTest<Operator::less>, kind},
      {"mapping", "", 0, subjectTest<[](V v) { return v.isDict(); }>, kind},
      {"ne", "other", 1, comparisonTest<Operator::notEqual>, kind},
      {"none", "", 0, subjectTest<[](V v) { return v.isNone(); }>, kind},
      {"number", "", 0, subjectTest<[](V v) { return v.isNumber(); }>, kind},
      {"odd", "", 0, oddTest, kind},
      {"sameas", "other", 1, sameTest, kind},
      {"sequence", "", 0, subjectTest<isSequence>, kind},
      {"string", "", 0, subjectTest<[](V v) { return v.isString() || v.markup(); }>, kind},
      {"true", "", 0, subjectTest<[](V v) { return v.isBool() && v.boolean(); }>, kind},
      {"undefined", "", 0, subjectTest<[](V v) { return v.isUndefined(); }>, kind},
      {"upper", "", 0, upperTest, kind}};
  return table;
}

} // namespace qopt::chat
