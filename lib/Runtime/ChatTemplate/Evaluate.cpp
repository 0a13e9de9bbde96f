//===- Evaluate.cpp - Evaluates the expressions of a chat template --------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluator.h"
#include "Operators.h"
#include "Text.h"

namespace qopt::chat {

Value Evaluator::evaluate(const Expr &expr) {
  Depth depth(*this);
  at_ = expr.at;
  if (failed() || !chargeElements(1))
    return {};
  switch (expr.kind) {
  case Expr::Kind::constant:
    return expr.value;
  case Expr::Kind::name:
    return evaluateName(expr);
  case Expr::Kind::attribute: {
    Value object = evaluate(*expr.operands[0]);
    at_ = expr.at;
    return failed() ? Value() : attribute(object, expr.name);
  }
  case Expr::Kind::item: {
    Value object = evaluate(*expr.operands[0]);
    Value key = evaluate(*expr.operands[1]);
    at_ = expr.at;
    return failed() ? Value() : item(object, key);
  }
  case Expr::Kind::slice:
    return evaluateSlice(expr);
  case Expr::Kind::call:
    return evaluateCall(expr, nullptr);
  case Expr::Kind::filter:
    return applyFilter(expr, evaluate(*expr.operands[0]));
  case Expr::Kind::test: {
    std::vector<Value> values;
    Value value = evaluate(*expr.operands[0]);
    if (!evaluateAll(expr, 1, values))
      return {};
    return callBuiltin(*expr.builtin, value, std::move(values), expr.keywords);
  }
  case Expr::Kind::logicalNot:
    return Value(!evaluate(*expr.operands[0]).truthy());
  case Expr::Kind::negate:
  case Expr::Kind::plus: {
    Value value = evaluate(*expr.operands[0]);
    at_ = expr.at;
    if (failed())
      return {};
    Value minus = negated(*this, value);
    return expr.kind == Expr::Kind::negate || failed() ? minus : negated(*this, minus);
  }
  case Expr::Kind::arithmetic: {
    Value left = evaluate(*expr.operands[0]);
    Value right = evaluate(*expr.operands[1]);
    at_ = expr.at;
    return failed() ? Value() : arithmetic(*this, expr.operators[0], left, right);
  }
  case Expr::Kind::compare:
    return evaluateCompare(expr);
  case Expr::Kind::logicalAnd:
  case Expr::Kind::logicalOr: {
    Value left = evaluate(*expr.operands[0]);
    if (left.truthy() == (expr.kind == Expr::Kind::logicalOr))
      return left;
    return evaluate(*expr.operands[1]);
  }
  case Expr::Kind::concat:
    return evaluateConcat(expr);
  case Expr::Kind::conditional:
    if (evaluate(*expr.operands[0]).truthy())
      return evaluate(*expr.operands[1]);
    if (expr.operands[2])
      return evaluate(*expr.operands[2]);
    return Value::undefined("the inline if-expression was false and has no else");
  case Expr::Kind::list:
  case Expr::Kind::tuple: {
    std::vector<Value> items;
    if (!evaluateAll(expr, 0, items))
      return {};
    Value list =
        makeList(std::move(items),
                 expr.kind == Expr::Kind::list ? ListObject::Kind::list : ListObject::Kind::tuple);
    return list.depth() > maxValueDepth ? fail("lists nest too deeply") : list;
  }
  case Expr::Kind::dict:
    return evaluateDict(expr);
  case Expr::Kind::text:
    return evaluateMarkup(expr, false);
  case Expr::Kind::escapedText:
    return evaluateMarkup(expr, true);
  }
  return {};
}

/// Evaluates the operands from \p first on.
bool Evaluator::evaluateAll(const Expr &expr, size_t first, std::vector<Value> &values) {
  for (size_t i = first; i < expr.operands.size() && !failed(); ++i)
    values.push_back(evaluate(*expr.operands[i]));
  at_ = expr.at;
  return !failed();
}

Value Evaluator::evaluateName(const Expr &expr) {
  for (const Scope *scope = scope_.get(); scope; scope = scope->parent.get())
    if (const Value *value = scope->find(expr.name))
      return *value;
  if (const Value *value = variables_.find(std::string_view(expr.name)))
    return *value;
  if (const Builtin *function = findBuiltin(Builtin::Kind::function, expr.name))
    return Value(function);
  return Value::undefined("'" + expr.name + "' is undefined");
}

Value Evaluator::evaluateCall(const Expr &expr, const Value *caller) {
  Value callee = evaluate(*expr.operands[0]);
  std::vector<Value> values;
  if (!evaluateAll(expr, 1, values))
    return {};
  if (const MacroObject *macro = callee.macro())
    return callMacro(*macro, std::move(values), expr.keywords, caller);
  if (caller)
    return fail("the tag 'call' needs a macro");
  const Builtin *builtin = callee.isMethod() ? callee.method().info : callee.function();
  if (!builtin)
    return fail(callee.isUndefined() ? callee.undefinedHint()
                                     : std::string("can't call a ") + callee.typeName());
  std::string error = checkArguments(*builtin, values.size() - expr.keywords.size(), expr.keywords);
  if (!error.empty())
    return fail(quoted(builtin->name) + " " + error);
  return callBuiltin(*builtin, callee.isMethod() ? callee.method().self : Value(),
                     std::move(values), expr.keywords);
}

Value Evaluator::callBuiltin(const Builtin &builtin, const Value &self, std::vector<Value> values,
                             const std::vector<std::string> &keywords) {
  if (failed())
    return {};
  return builtin.run(*this, self, bindArguments(builtin, std::move(values), keywords));
}

Value Evaluator::evaluateCompare(const Expr &expr) {
  Value left = evaluate(*expr.operands[0]);
  bool result = true;
  for (size_t i = 0; i < expr.operators.size() && result && !failed(); ++i) {
    Value right = evaluate(*expr.operands[i + 1]);
    at_ = expr.at;
    result = !failed() && compare(*this, expr.operators[i], left, right);
    left = std::move(right);
  }
  return Value(result);
}

Value Evaluator::evaluateSlice(const Expr &expr) {
  Value parts[4] = {{}, None{}, None{}, None{}};
  for (size_t i = 0; i < 4; ++i)
    if (expr.operands[i])
      parts[i] = evaluate(*expr.operands[i]);
  at_ = expr.at;
  return failed() ? Value() : slice(*this, parts[0], parts[1], parts[2], parts[3]);
}

Value Evaluator::evaluateDict(const Expr &expr) {
  DictObject dict;
  for (size_t i = 0; i < expr.operands.size() && !failed(); i += 2) {
    Value key = evaluate(*expr.operands[i]);
    Value value = evaluate(*expr.operands[i + 1]);
    at_ = expr.at;
    if (failed() || !insert(dict, std::move(key), std::move(value)))
      return {};
  }
  return makeDict(std::move(dict));
}

Value Evaluator::evaluateConcat(const Expr &expr) {
  std::string text;
  for (const ExprPtr &operand : expr.operands) {
    Value value = evaluate(*operand);
    at_ = expr.at;
    if (failed() || !appendText(text, value))
      return {};
  }
  return Value(std::move(text));
}

Value Evaluator::evaluateMarkup(const Expr &expr, bool escapes) {
  Value value = evaluate(*expr.operands[0]);
  at_ = expr.at;
  if (failed() || value.markup()) // never escaped twice
    return value;
  std::string text = textOf(value), escaped;
  if (!escapes)
    return Markup{std::make_shared<const std::string>(std::move(text))};
  for (char c : text) {
    switch (c) {
    case '&':
      escaped += "&amp;";
      break;
    case '<':
      escaped += "&lt;";
      break;
    case '>':
      escaped += "&gt;";
      break;
    case '\'':
      escaped += "&#39;";
      break;
    case '"':
      escaped += "&#34;";
      break;
    default:
      escaped += c;
    }
  }
  return Markup{std::make_shared<const std::string>(std::move(escaped))};
}

/// Applies a filter, and those before it, to \p value, which stands for the
/// null operand in the filters of a block.
Value Evaluator::applyFilter(const Expr &expr, Value value) {
  if (expr.operands[0] && expr.operands[0]->kind == Expr::Kind::filter &&
      !expr.operands[0]->operands[0])
    value = applyFilter(*expr.operands[0], std::move(value));
  at_ = expr.at;
  if (failed())
    return {};
  if (higherOrder(expr.name))
    return applyHigherOrder(expr, value);
  std::vector<Value> values;
  if (!evaluateAll(expr, 1, values))
    return {};
  return callBuiltin(*expr.builtin, value, std::move(values), expr.keywords);
}

/// map, select, reject, selectattr, rejectattr.
Value Evaluator::applyHigherOrder(const Expr &expr, const Value &value) {
  HigherOrder order = *higherOrder(expr.name);
  std::vector<Value> values, items, results;
  if (!evaluateAll(expr, 1, values) || !iterate(value, items))
    return {};
  bool byAttribute = order.takesAttribute || (order.isMap && !expr.inner);
  Value path;
  std::optional<Value> absent; // map(default=...)
  if (order.takesAttribute)
    path = values[0];
  for (size_t i = 0; byAttribute && order.isMap && i < expr.keywords.size(); ++i)
    (expr.keywords[i] == "attribute" ? path : absent.emplace()) = values[i];
  // Operand i + 1 is values[i].
  std::vector<Value> arguments;
  if (expr.inner)
    arguments.assign(values.begin() + static_cast<ptrdiff_t>(expr.innerArguments - 1),
                     values.end());

  for (const Value &item : items) {
    at_ = expr.at;
    Value subject = byAttribute ? followPath(*this, item, path) : item;
    if (order.isMap && byAttribute && absent && subject.isUndefined())
      subject = *absent;
    Value result =
        expr.inner ? callBuiltin(*expr.inner, subject, arguments, expr.keywords) : subject;
    if (failed() || !chargeElements(1))
      return {};
    if (order.isMap)
      results.push_back(std::move(result));
    else if (result.truthy() != order.rejects)
      results.push_back(item);
  }
  return makeList(std::move(results), ListObject::Kind::generator);
}

Value Evaluator::loopAttribute(LoopObject &loop, std::string_view name) {
  if (!loop.statement)
    return fail("the loop that 'loop' belongs to has ended");
  auto integer = [](size_t value) { return Value(static_cast<int64_t>(value)); };
  if (name == "index")
    return integer(loop.index + 1);
  if (name == "index0")
    return integer(loop.index);
  if (name == "first")
    return Value(loop.index == 0);
  if (name == "last")
    return Value(!fetch(loop, loop.index + 1));
  if (name == "previtem")
    return loop.index ? loop.items[loop.index - 1] : Value::undefined("there is no previous item");
  if (name == "nextitem")
    return fetch(loop, loop.index + 1) ? loop.items[loop.index + 1]
                                       : Value::undefined("there is no next item");
  if (name == "length" || name == "revindex" || name == "revindex0") {
    fetch(loop, loop.source.size());
    size_t left = loop.items.size() - loop.index;
    return integer(name == "length" ? loop.items.size() : name == "revindex" ? left : left - 1);
  }
  if (name == "depth" || name == "depth0")
    return integer(name == "depth");
  if (const Builtin *method = findBuiltin(Builtin::Kind::loopMethod, name))
    return Value(std::make_shared<const MethodObject>(MethodObject{Value(&loop), method}));
  return Value::undefined("'loop' has no attribute '" + std::string(name) + "'");
}

} // namespace qopt::chat
