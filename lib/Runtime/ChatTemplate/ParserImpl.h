//===- ParserImpl.h - The parser's state ---------------------- -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Recursive descent in the order of Jinja2's own parser, whose precedence it
/// keeps: a filter applies to the whole of `-x`, and to the last operand alone
/// of `a + b`. After a null expression or a false result `status_` says why.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CHATTEMPLATE_PARSERIMPL_H
#define QOPT_RUNTIME_CHATTEMPLATE_PARSERIMPL_H

#include "Ast.h"
#include <initializer_list>
#include <set>
#include <utility>

namespace qopt::chat {

/// What a parsing function returns after an error.
struct Failure {
  operator bool() const { return false; }
  operator ExprPtr() const { return nullptr; }
};

class Parser {
public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Block> run();

private:
  /// Counts one level of nesting while it lives.
  class Nesting {
  public:
    explicit Nesting(Parser &parser) : parser_(parser) { ++parser_.nesting_; }
    ~Nesting() { --parser_.nesting_; }
    /// False, with an error, beyond maxNesting.
    bool isOk();

  private:
    Parser &parser_;
  };

  // Tokens.
  const Token &peek(size_t ahead = 0) const {
    return tokens_[std::min(index_ + ahead, tokens_.size() - 1)];
  }
  const Token &take() { return tokens_[index_ + 1 < tokens_.size() ? index_++ : index_]; }
  bool isOp(std::string_view op, size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::op && peek(ahead).text == op;
  }
  bool isName(std::string_view name, size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::name && peek(ahead).text == name;
  }
  bool skipOp(std::string_view op) { return isOp(op) && (take(), true); }
  bool skipName(std::string_view name) { return isName(name) && (take(), true); }
  bool expectOp(std::string_view op);
  bool expectName(std::string_view name);
  bool expectIdentifier(std::string &name, std::string_view what);
  bool expectEnd(TokenKind kind);
  /// Records the first error.
  Failure fail(Position at, std::string_view message);
  Failure unexpected(std::string_view expected);

  // Statements (Parser.cpp).
  bool parseBlock(Block &block, std::initializer_list<std::string_view> endings);
  /// The statements up to `{% ending %}`, which is consumed.
  bool parseBody(Block &block, std::string_view ending);
  bool parseOutput(Block &block);
  bool parseStatement(Statement &statement);
  bool parseIf(Statement &statement);
  bool parseFor(Statement &statement);
  bool parseSet(Statement &statement);
  bool parseMacro(Statement &statement);
  bool parseCallBlock(Statement &statement);
  bool parseFilterBlock(Statement &statement);
  bool parseWith(Statement &statement);
  bool parseSignature(Statement &statement);
  bool parseFunctionBody(Statement &statement, std::string_view ending);
  bool parseLoopControl(Statement &statement);
  ExprPtr parseTarget(bool allowNamespace);
  ExprPtr parseTargetItem(bool allowNamespace);
  bool checkCalledNames();

  // Expressions (ParseExpression.cpp).
  ExprPtr parseExpression();
  ExprPtr parseTuple(bool conditional = true, bool parenthesized = false);
  ExprPtr parseOr();
  ExprPtr parseAnd();
  ExprPtr parseNot();
  ExprPtr parseCompare();
  ExprPtr parseSum();
  ExprPtr parseConcat();
  ExprPtr parseProduct();
  ExprPtr parsePower();
  ExprPtr parseUnary(bool withFilter = true);
  ExprPtr parsePrimary();
  ExprPtr parseList();
  ExprPtr parseDict();
  ExprPtr parsePostfix(ExprPtr node);
  ExprPtr parseFilterSuffix(ExprPtr node);
  ExprPtr parseSubscript(ExprPtr node);
  ExprPtr parseIndex(ExprPtr object, Position at);
  ExprPtr parseCall(ExprPtr callee);
  bool parseArguments(Expr &call);
  /// `name(arguments)` after `|`; \p value is null in a filter block.
  ExprPtr parseFilter(ExprPtr value);
  ExprPtr parseFilterChain();
  ExprPtr parseTest(ExprPtr value);
  bool resolveBuiltin(Expr &node, bool isTest);
  bool resolveInner(Expr &node);
  bool checkCall(const Expr &call);
  /// Accepts the filters `safe` and `escape` around \p node: only where the
  /// text is used as it is.
  void acceptText(const Expr &node);
  /// False, with an error, if any such filter was not accepted.
  bool refuseTexts();

  ExprPtr make(Expr::Kind kind, Position at);
  /// Appends an operand and bounds the depth; false if it is null or too deep.
  bool adopt(Expr &node, ExprPtr operand);
  ExprPtr makeUnary(Expr::Kind kind, Position at, ExprPtr operand);
  ExprPtr makeBinary(Expr::Kind kind, Position at, ExprPtr left, ExprPtr right);

  std::vector<Token> tokens_;
  size_t index_ = 0;
  int nesting_ = 0;
  int loops_ = 0;          ///< enclosing `for`s of this function
  int macros_ = 0;         ///< enclosing macros
  size_t loopReads_ = 0;   ///< how often `loop` was read so far
  size_t callerReads_ = 0; ///< likewise `caller`
  /// `safe` and `escape` that nothing has accepted yet.
  std::vector<const Expr *> texts_;
  std::set<std::string, std::less<>> bound_; ///< names that the template assigns
  std::vector<std::pair<std::string, Position>> called_;
  Status status_;
};

} // namespace qopt::chat

#endif // QOPT_RUNTIME_CHATTEMPLATE_PARSERIMPL_H
