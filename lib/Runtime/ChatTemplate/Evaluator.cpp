//===- Evaluator.cpp - Renders the statements of a chat template ----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluator.h"
#include <algorithm>

namespace qopt::chat {

/// Nested evaluations, a few hundred bytes of stack each.
constexpr int maxDepth = 1000;
/// Work for what lives until the rendering ends.
constexpr uint64_t objectWork = 256;

const Value *Scope::find(std::string_view name) const {
  for (const auto &[key, value] : names)
    if (key == name)
      return &value;
  return nullptr;
}

void Scope::assign(std::string_view name, Value value) {
  for (auto &[key, held] : names) {
    if (key != name)
      continue;
    held = std::move(value);
    return;
  }
  names.emplace_back(name, std::move(value));
}

Evaluator::Depth::Depth(Evaluator &evaluator) : evaluator_(evaluator) {
  if (++evaluator_.depth_ > maxDepth)
    evaluator_.fail("the template recurses too deeply");
}

Result<std::string> Evaluator::run(const Block &block) {
  std::string out;
  out_ = &out;
  scope_ = makeScope(nullptr);
  execute(block);
  if (failed())
    return status_;
  return out;
}

Value Evaluator::fail(std::string_view message) {
  if (status_.isOk())
    status_ = errorAt(at_, message);
  return {};
}

bool Evaluator::charge(uint64_t work) {
  if (work > work_) {
    work_ = 0;
    fail("rendering exceeds the limit of " + std::to_string(options_.limits.maxWork) +
         " units of work");
    return false;
  }
  work_ -= work;
  return true;
}

std::shared_ptr<Scope> Evaluator::makeScope(std::shared_ptr<Scope> parent) {
  auto scope = std::make_shared<Scope>();
  scope->parent = std::move(parent);
  return scope;
}

NamespaceObject *Evaluator::makeNamespace() {
  charge(objectWork);
  return &namespaces_.emplace_back();
}

std::tm Evaluator::now() const {
  if (options_.now)
    return options_.now();
  std::time_t seconds = std::time(nullptr);
  std::tm local = {};
  localtime_r(&seconds, &local);
  return local;
}

void Evaluator::write(std::string_view text) {
  if (!charge(text.size()))
    return;
  out_->append(text);
  if (out_->size() > options_.limits.maxOutputBytes)
    fail("rendering exceeds the limit of " + std::to_string(options_.limits.maxOutputBytes) +
         " bytes");
}

void Evaluator::print(const Value &value) {
  if (value.isString())
    return write(value.string());
  std::string text;
  if (appendText(text, value))
    write(text);
}

Evaluator::Flow Evaluator::execute(const Block &block) {
  for (const Statement &statement : block) {
    Flow flow = execute(statement);
    if (failed() || flow != Flow::next)
      return flow;
  }
  return Flow::next;
}

Evaluator::Flow Evaluator::execute(const Statement &statement) {
  Depth depth(*this);
  at_ = statement.at;
  if (failed() || !chargeElements(1))
    return Flow::next;
  Flow flow = Flow::next;
  switch (statement.kind) {
  case Statement::Kind::text:
    write(statement.text);
    break;
  case Statement::Kind::output:
    print(evaluate(*statement.value));
    break;
  case Statement::Kind::branch:
    return executeBranch(statement);
  case Statement::Kind::loop:
    return executeLoop(statement);
  case Statement::Kind::assign:
    assign(*statement.target, evaluate(*statement.value));
    break;
  case Statement::Kind::assignBlock:
  case Statement::Kind::filterBlock: {
    Value text = capture(statement.body, flow);
    if (failed() || flow != Flow::next)
      return flow; // `break` drops what was captured
    if (statement.value)
      text = applyFilter(*statement.value, std::move(text));
    if (statement.target)
      assign(*statement.target, std::move(text));
    else
      print(text);
    break;
  }
  case Statement::Kind::macro:
    scope_->assign(statement.text, defineMacro(statement));
    break;
  case Statement::Kind::callBlock:
    executeCallBlock(statement);
    break;
  case Statement::Kind::with:
    return executeWith(statement);
  case Statement::Kind::generation:
    write(capture(statement.body, flow));
    break;
  case Statement::Kind::breakLoop:
    return Flow::breakLoop;
  case Statement::Kind::continueLoop:
    return Flow::continueLoop;
  }
  return flow;
}

std::string Evaluator::capture(const Block &body, Flow &flow) {
  std::string text;
  std::string *out = std::exchange(out_, &text);
  std::shared_ptr<Scope> scope = scope_;
  scope_ = makeScope(scope);
  flow = execute(body);
  scope_ = std::move(scope);
  out_ = out;
  return text;
}

Evaluator::Flow Evaluator::executeBranch(const Statement &statement) {
  for (const Branch &branch : statement.branches) {
    Value condition = evaluate(*branch.condition);
    if (failed())
      return Flow::next;
    if (condition.truthy())
      return execute(branch.body);
  }
  return execute(statement.otherwise);
}

/// Whether the loop has an item `index`; fetches up to it.
bool Evaluator::fetch(LoopObject &loop, size_t index) {
  while (loop.items.size() <= index && loop.read < loop.source.size() && !failed()) {
    Value item = loop.source[loop.read++];
    if (const ExprPtr &condition = loop.statement->condition) {
      std::shared_ptr<Scope> scope = std::exchange(scope_, makeScope(loop.outer));
      assign(*loop.statement->target, item);
      bool passes = evaluate(*condition).truthy();
      scope_ = std::move(scope);
      if (!passes)
        continue;
    }
    loop.items.push_back(std::move(item));
  }
  return loop.items.size() > index;
}

Evaluator::Flow Evaluator::executeLoop(const Statement &statement) {
  Value iterable = evaluate(*statement.value);
  LoopObject local;
  if (statement.usesLoop && !charge(objectWork))
    return Flow::next;
  LoopObject &loop = statement.usesLoop ? loops_.emplace_back() : local;
  loop.statement = &statement;
  loop.outer = scope_;
  const size_t *taken = iterable.isList() ? &iterable.list().taken : nullptr;
  size_t before = taken ? *taken : 0;
  if (failed() || !iterate(iterable, loop.source))
    return Flow::next;

  bool completed = false; // as in Jinja2, an iteration that is left early isn't
  Flow flow = Flow::next;
  for (; flow != Flow::breakLoop && fetch(loop, loop.index) && chargeElements(1); ++loop.index) {
    scope_ = makeScope(loop.outer);
    assign(*statement.target, loop.items[loop.index]);
    if (statement.usesLoop)
      scope_->assign("loop", Value(&loop));
    flow = failed() ? Flow::breakLoop : execute(statement.body);
    completed |= flow == Flow::next;
  }
  scope_ = std::move(loop.outer);
  if (flow == Flow::breakLoop && iterable.isList() &&
      iterable.list().kind == ListObject::Kind::generator)
    iterable.list().taken = before + loop.read; // the rest stays in the generator
  loop = LoopObject();
  if (completed || failed() || statement.otherwise.empty())
    return Flow::next;
  std::shared_ptr<Scope> scope = scope_;
  scope_ = makeScope(scope);
  flow = execute(statement.otherwise);
  scope_ = std::move(scope);
  return flow;
}

Evaluator::Flow Evaluator::executeWith(const Statement &statement) {
  std::vector<Value> values;
  for (const ExprPtr &value : statement.values)
    values.push_back(evaluate(*value));
  std::shared_ptr<Scope> scope = scope_;
  scope_ = makeScope(scope);
  for (size_t i = 0; i < values.size() && !failed(); ++i)
    assign(*statement.targets[i], std::move(values[i]));
  Flow flow = failed() ? Flow::next : execute(statement.body);
  scope_ = std::move(scope);
  return flow;
}

void Evaluator::executeCallBlock(const Statement &statement) {
  Value caller = defineMacro(statement);
  Value text = evaluateCall(*statement.value, &caller);
  if (!failed())
    print(text);
}

void Evaluator::assign(const Expr &target, Value value) {
  at_ = target.at;
  if (failed() || !chargeElements(1))
    return;
  if (target.kind == Expr::Kind::name)
    return scope_->assign(target.name, std::move(value));
  if (target.kind == Expr::Kind::attribute) {
    NamespaceObject *object = evaluate(*target.operands[0]).nameSpace();
    if (!object)
      return void(
          fail("can't assign to the attribute '" + target.name + "' of what is not a namespace"));
    if (charge(object->fields.size()))
      object->assign(target.name, std::move(value));
    return;
  }
  std::vector<Value> items;
  if (!iterate(value, items))
    return;
  if (items.size() != target.operands.size())
    return void(fail("expected " + std::to_string(target.operands.size()) +
                     " values to unpack, found " + std::to_string(items.size())));
  for (size_t i = 0; i < items.size(); ++i)
    assign(*target.operands[i], std::move(items[i]));
}

Value Evaluator::defineMacro(const Statement &statement) {
  if (!charge(objectWork))
    return {};
  return Value(&std::as_const(macros_.emplace_back(MacroObject{&statement, scope_})));
}

Value Evaluator::callMacro(const MacroObject &macro, std::vector<Value> values,
                           const std::vector<std::string> &keywords, const Value *caller) {
  Depth depth(*this);
  const Statement &definition = *macro.definition;
  const std::vector<std::string> &parameters = definition.parameters;
  size_t positional = values.size() - keywords.size();
  std::string name = "macro '" + definition.text + "' ";
  if (failed())
    return {};
  if (positional > parameters.size())
    return fail(name + "takes at most " + std::to_string(parameters.size()) + " arguments, found " +
                std::to_string(positional));
  std::vector<std::optional<Value>> bound(parameters.size());
  for (size_t i = 0; i < values.size(); ++i) {
    size_t slot = i;
    if (i >= positional) {
      const std::string &keyword = keywords[i - positional];
      slot = static_cast<size_t>(std::find(parameters.begin(), parameters.end(), keyword) -
                                 parameters.begin());
      if (slot == parameters.size())
        return fail(name + "takes no argument '" + keyword + "'");
      if (bound[slot])
        return fail(name + "is given the argument '" + keyword + "' twice");
    }
    bound[slot] = std::move(values[i]);
  }
  if (caller && !definition.usesCaller)
    return fail(name + "has no use for the body of a 'call'");

  std::string text;
  std::string *out = std::exchange(out_, &text);
  std::shared_ptr<Scope> scope = std::exchange(scope_, makeScope(macro.scope));
  size_t firstDefault = parameters.size() - definition.defaults.size();
  for (size_t i = 0; i < parameters.size() && !failed(); ++i) {
    Value value = bound[i] ? *bound[i]
                  : i < firstDefault
                      ? Value::undefined("parameter '" + parameters[i] + "' was not provided")
                      : evaluate(*definition.defaults[i - firstDefault]);
    scope_->assign(parameters[i], std::move(value));
  }
  if (definition.usesCaller)
    scope_->assign("caller", caller ? *caller : Value::undefined("no caller is defined"));
  if (!failed())
    execute(definition.body);
  scope_ = std::move(scope);
  out_ = out;
  return Value(std::move(text));
}

} // namespace qopt::chat
