//===- Evaluator.h - Renders the statements of a chat template  -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// One rendering: the scopes, the output and the bounds. An operation that
/// fails records the first error with its position and returns undefined;
/// statements look at failed() before they go on.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CHATTEMPLATE_EVALUATOR_H
#define QOPT_RUNTIME_CHATTEMPLATE_EVALUATOR_H

#include "Ast.h"
#include "Builtins.h"
#include "qopt/Runtime/ChatTemplate.h"
#include <deque>
#include <optional>

namespace qopt::chat {

/// The names that one block binds, in front of those of the blocks around it.
struct Scope {
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<std::string_view, Value>> names; ///< views into the tree

  const Value *find(std::string_view name) const;
  void assign(std::string_view name, Value value);
};

struct MacroObject {
  const Statement *definition;
  std::shared_ptr<Scope> scope; ///< where it was defined
};

/// The variable `loop`. Items are fetched, and the loop's filter evaluated,
/// only as far as they are asked for, as Python's generators do.
struct LoopObject {
  const Statement *statement = nullptr;
  std::shared_ptr<Scope> outer;
  std::vector<Value> source;
  size_t read = 0;              ///< how much of `source` was filtered
  std::vector<Value> items;     ///< what passed the filter
  size_t index = 0;             ///< the current one
  std::optional<Value> changed; ///< the last argument of loop.changed()
};

class Evaluator {
public:
  Evaluator(const DictObject &variables, const RenderOptions &options)
      : variables_(variables), options_(options), work_(options.limits.maxWork) {}

  Result<std::string> run(const Block &block);

  // For the builtins and operators.

  /// Records the first error, at the expression being evaluated; returns
  /// undefined.
  Value fail(std::string_view message);
  bool failed() const { return !status_.isOk(); }
  /// Takes units off the work that is left; false, with an error, at the end.
  bool charge(uint64_t work);
  /// The work of visiting that many elements.
  bool chargeElements(uint64_t count) { return charge(16 * std::min(count, maxWeight / 16)); }
  /// Appends what printing gives; fails for what has no text, such as a function.
  bool appendText(std::string &out, const Value &value);
  /// str(value) for further use.
  std::string textOf(const Value &value);
  /// The items that Python's iteration gives; a generator is read to its end.
  bool iterate(const Value &value, std::vector<Value> &items);
  /// object.name and object[key]; undefined where there is none.
  Value attribute(const Value &object, std::string_view name);
  Value item(const Value &object, const Value &key);
  /// A dict's entry or null; fails for a key that can't be hashed.
  const Value *lookUp(const DictObject &dict, const Value &key);
  bool insert(DictObject &dict, Value key, Value value);
  NamespaceObject *makeNamespace();
  /// Calls a filter, test, function or method.
  Value callBuiltin(const Builtin &builtin, const Value &self, std::vector<Value> values,
                    const std::vector<std::string> &keywords);
  std::tm now() const;

private:
  enum class Flow { next, breakLoop, continueLoop };

  /// Bounds the recursion while it lives.
  class Depth {
  public:
    explicit Depth(Evaluator &evaluator);
    ~Depth() { --evaluator_.depth_; }

  private:
    Evaluator &evaluator_;
  };

  // Statements (Evaluator.cpp).
  Flow execute(const Block &block);
  Flow execute(const Statement &statement);
  Flow executeBranch(const Statement &statement);
  Flow executeLoop(const Statement &statement);
  Flow executeWith(const Statement &statement);
  void executeCallBlock(const Statement &statement);
  /// Runs a body in a scope of its own and returns what it printed.
  std::string capture(const Block &body, Flow &flow);
  void assign(const Expr &target, Value value);
  void print(const Value &value);
  void write(std::string_view text);
  Value defineMacro(const Statement &statement);
  Value callMacro(const MacroObject &macro, std::vector<Value> values,
                  const std::vector<std::string> &keywords, const Value *caller);
  bool fetch(LoopObject &loop, size_t index);
  std::shared_ptr<Scope> makeScope(std::shared_ptr<Scope> parent);

  // Expressions (Evaluate.cpp).
  Value evaluate(const Expr &expr);
  Value evaluateName(const Expr &expr);
  Value evaluateCall(const Expr &expr, const Value *caller);
  Value evaluateCompare(const Expr &expr);
  Value evaluateSlice(const Expr &expr);
  Value evaluateDict(const Expr &expr);
  Value evaluateConcat(const Expr &expr);
  Value evaluateMarkup(const Expr &expr, bool escapes);
  Value applyFilter(const Expr &expr, Value value);
  Value applyHigherOrder(const Expr &expr, const Value &value);
  bool evaluateAll(const Expr &expr, size_t first, std::vector<Value> &values);
  Value loopAttribute(LoopObject &loop, std::string_view name);

  const DictObject &variables_;
  const RenderOptions &options_;
  uint64_t work_;
  int depth_ = 0;
  Position at_;
  std::shared_ptr<Scope> scope_;
  std::string *out_ = nullptr;
  Status status_;
  // What values point to, alive until the rendering ends.
  std::deque<NamespaceObject> namespaces_;
  std::deque<MacroObject> macros_;
  std::deque<LoopObject> loops_;
};

/// value.a.b for the path "a.b" that `map(attribute=...)`, `sort`, ... take; a
/// part of digits is an index.
Value followPath(Evaluator &evaluator, const Value &value, const Value &path);

} // namespace qopt::chat

#endif // QOPT_RUNTIME_CHATTEMPLATE_EVALUATOR_H
