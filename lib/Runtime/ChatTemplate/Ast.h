//===- Ast.h - The syntax tree of a chat template ------------- -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Expressions and statements. A tree is built by the parser, bounded in depth,
/// and never changes afterwards.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CHATTEMPLATE_AST_H
#define QOPT_RUNTIME_CHATTEMPLATE_AST_H

#include "Lexer.h"
#include "Value.h"
#include <memory>
#include <string>
#include <vector>

namespace qopt::chat {

struct Expr;
struct Statement;
using ExprPtr = std::unique_ptr<Expr>;
using Block = std::vector<Statement>;

/// How deep expressions and statements nest.
constexpr int maxNesting = 200;

enum class Operator {
  add,
  sub,
  mul,
  div,
  floorDiv,
  mod,
  pow,
  equal,
  notEqual,
  less,
  lessEqual,
  greater,
  greaterEqual,
  in,
  notIn
};

struct Expr {
  enum class Kind {
    constant,    ///< value
    name,        ///< name
    attribute,   ///< operands[0].name
    item,        ///< operands[0][operands[1]]
    slice,       ///< operands[0][operands[1]:operands[2]:operands[3]], some null
    call,        ///< operands[0](operands[1...])
    filter,      ///< operands[0] | builtin(operands[1...]); operands[0] is null
                 ///< for the filters of a block
    test,        ///< operands[0] is builtin(operands[1...])
    logicalNot,  ///< not operands[0]
    negate,      ///< -operands[0]
    plus,        ///< +operands[0]
    arithmetic,  ///< operands[0] operators[0] operands[1]
    compare,     ///< operands[0] operators[0] operands[1] operators[1] ...
    logicalAnd,  ///< operands[0] and operands[1]
    logicalOr,   ///< operands[0] or operands[1]
    concat,      ///< operands joined by ~
    conditional, ///< operands[1] if operands[0] else operands[2], which may be null
    list,        ///< [operands]
    tuple,       ///< (operands)
    dict,        ///< {operands[0]: operands[1], ...}
    text,        ///< operands[0] as Markup: the filter `safe`
    escapedText  ///< the same, escaped for HTML: the filter `escape`
  };
  Kind kind = Kind::constant;
  Position at;
  int depth = 1;
  Value value;
  std::string name;
  std::vector<ExprPtr> operands;
  /// call, filter, test: the names of the last operands.
  std::vector<std::string> keywords;
  std::vector<Operator> operators;
  const Builtin *builtin = nullptr;
  /// The filter or test that `map`, `select`, ... apply to each item; their
  /// operands from `innerArguments` on are its arguments.
  const Builtin *inner = nullptr;
  size_t innerArguments = 0;
};

/// `{% if %}` and each `{% elif %}`.
struct Branch;

struct Statement {
  enum class Kind {
    text,        ///< text
    output,      ///< {{ value }}
    branch,      ///< if branches, else otherwise
    loop,        ///< for target in value if condition: body, else otherwise
    assign,      ///< set target = value
    assignBlock, ///< set target | value: body
    macro,       ///< macro name(parameters): body
    callBlock,   ///< call(parameters) value: body
    filterBlock, ///< filter value: body
    with,        ///< with targets = values: body
    generation,  ///< generation: body
    breakLoop,
    continueLoop
  };
  Kind kind = Kind::text;
  Position at;
  std::string text; ///< text, or the name of a macro
  ExprPtr target;
  ExprPtr value;
  ExprPtr condition;
  std::vector<Branch> branches;
  Block body;
  Block otherwise;
  std::vector<std::string> parameters; ///< macro, callBlock
  std::vector<ExprPtr> defaults;       ///< of the last parameters
  std::vector<ExprPtr> targets;        ///< with
  std::vector<ExprPtr> values;         ///< with
  bool usesLoop = false;               ///< loop: the body reads `loop`
  bool usesCaller = false;             ///< macro: the body reads `caller`
};

struct Branch {
  ExprPtr condition;
  Block body;
};

} // namespace qopt::chat

#endif // QOPT_RUNTIME_CHATTEMPLATE_AST_H
