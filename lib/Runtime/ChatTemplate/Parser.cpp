//===- Parser.cpp - Statements of chat templates --------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Parser.h"
#include "Builtins.h"
#include "ParserImpl.h"
#include <algorithm>

namespace qopt::chat {

Result<Block> parseTemplate(std::string_view source) {
  Result<std::vector<Token>> tokens = tokenize(source);
  if (!tokens)
    return tokens.status();
  return Parser(std::move(*tokens)).run();
}

static std::string describe(const Token &token) {
  switch (token.kind) {
  case TokenKind::end:
    return "end of the template";
  case TokenKind::tagEnd:
    return "'%}'";
  case TokenKind::outputEnd:
    return "'}}'";
  case TokenKind::string:
    return "string";
  case TokenKind::integer:
  case TokenKind::real:
    return "number";
  default:
    return quoted(token.text);
  }
}

Failure Parser::fail(Position at, std::string_view message) {
  if (status_.isOk())
    status_ = errorAt(at, message);
  return {};
}

Failure Parser::unexpected(std::string_view expected) {
  return fail(peek().at, "unexpected " + describe(peek()) + ", expected " + std::string(expected));
}

bool Parser::Nesting::isOk() {
  if (parser_.nesting_ <= maxNesting)
    return true;
  parser_.fail(parser_.peek().at, "the template nests deeper than " + std::to_string(maxNesting));
  return false;
}

bool Parser::expectOp(std::string_view op) { return skipOp(op) || unexpected(quoted(op)); }

bool Parser::expectName(std::string_view name) {
  return skipName(name) || unexpected(quoted(name));
}

bool Parser::expectIdentifier(std::string &name, std::string_view what) {
  if (peek().kind != TokenKind::name)
    return unexpected(what);
  name = take().text;
  return true;
}

bool Parser::expectEnd(TokenKind kind) {
  if (peek().kind != kind)
    return unexpected(kind == TokenKind::tagEnd ? "'%}'" : "'}}'");
  take();
  return true;
}

Result<Block> Parser::run() {
  Block block;
  if (!parseBlock(block, {}) || !checkCalledNames())
    return status_;
  return block;
}

/// A called name must be a function, or one that the template binds (a macro).
bool Parser::checkCalledNames() {
  for (const auto &[name, at] : called_)
    if (!findBuiltin(Builtin::Kind::function, name) && !bound_.contains(name) && name != "caller")
      return fail(at, "unknown function '" + name + "'");
  return true;
}

/// Parses up to a tag that starts with one of \p endings, which stays the next
/// token, or to the end of the template where there are none.
bool Parser::parseBlock(Block &block, std::initializer_list<std::string_view> endings) {
  Nesting nesting(*this);
  if (!nesting.isOk())
    return false;
  Position start = peek().at;
  while (true) {
    const Token &token = take();
    if (token.kind == TokenKind::end) {
      if (endings.size() == 0)
        return true;
      return fail(start, "unexpected end of the template, expected '" +
                             std::string(*std::prev(endings.end())) + "'");
    }
    if (token.kind == TokenKind::data) {
      Statement &text = block.emplace_back();
      text.at = token.at;
      text.text = token.text;
      continue;
    }
    if (token.kind == TokenKind::outputBegin) {
      if (!parseOutput(block))
        return false;
      continue;
    }
    if (std::any_of(endings.begin(), endings.end(), [&](auto name) { return isName(name); }))
      return true;
    Statement statement;
    statement.at = peek().at;
    if (!parseStatement(statement) || !expectEnd(TokenKind::tagEnd))
      return false;
    if (!refuseTexts())
      return false;
    block.push_back(std::move(statement));
  }
}

bool Parser::parseBody(Block &block, std::string_view ending) {
  return expectEnd(TokenKind::tagEnd) && parseBlock(block, {ending}) && expectName(ending);
}

bool Parser::parseOutput(Block &block) {
  Statement output;
  output.kind = Statement::Kind::output;
  output.at = peek().at;
  output.value = parseTuple();
  if (!output.value)
    return false;
  acceptText(*output.value);
  if (!refuseTexts())
    return false;
  block.push_back(std::move(output));
  return expectEnd(TokenKind::outputEnd);
}

bool Parser::parseStatement(Statement &statement) {
  if (peek().kind != TokenKind::name)
    return unexpected("a tag's name");
  using Parse = bool (Parser::*)(Statement &);
  static constexpr std::pair<std::string_view, Parse> tags[] = {
      {"if", &Parser::parseIf},
      {"for", &Parser::parseFor},
      {"set", &Parser::parseSet},
      {"macro", &Parser::parseMacro},
      {"call", &Parser::parseCallBlock},
      {"filter", &Parser::parseFilterBlock},
      {"with", &Parser::parseWith},
      {"break", &Parser::parseLoopControl},
      {"continue", &Parser::parseLoopControl}};
  for (auto [name, parse] : tags) {
    if (!isName(name))
      continue;
    statement.text = take().text;
    return (this->*parse)(statement);
  }
  if (skipName("generation")) {
    statement.kind = Statement::Kind::generation;
    int loops = std::exchange(loops_, 0); // the body is a function of its own
    bool parsed = parseBody(statement.body, "endgeneration");
    loops_ = loops;
    return parsed;
  }
  return fail(peek().at, "unknown or unsupported tag '" + peek().text + "'");
}

bool Parser::parseIf(Statement &statement) {
  statement.kind = Statement::Kind::branch;
  while (true) {
    Branch &branch = statement.branches.emplace_back();
    branch.condition = parseTuple(false);
    if (!branch.condition || !expectEnd(TokenKind::tagEnd) ||
        !parseBlock(branch.body, {"elif", "else", "endif"}))
      return false;
    if (skipName("elif"))
      continue;
    return skipName("else") ? parseBody(statement.otherwise, "endif") : expectName("endif");
  }
}

bool Parser::parseFor(Statement &statement) {
  statement.kind = Statement::Kind::loop;
  statement.target = parseTarget(false);
  if (!statement.target || !expectName("in"))
    return false;
  statement.value = parseTuple(false);
  if (!statement.value)
    return false;
  if (skipName("if") && !(statement.condition = parseExpression()))
    return false;
  if (isName("recursive"))
    return fail(peek().at, "recursive loops are not supported");
  size_t reads = loopReads_;
  ++loops_;
  bool parsed = expectEnd(TokenKind::tagEnd) && parseBlock(statement.body, {"else", "endfor"});
  --loops_;
  statement.usesLoop = loopReads_ != reads;
  if (!parsed)
    return false;
  return skipName("else") ? parseBody(statement.otherwise, "endfor") : expectName("endfor");
}

bool Parser::parseSet(Statement &statement) {
  statement.kind = Statement::Kind::assign;
  statement.target = parseTarget(true);
  if (!statement.target)
    return false;
  if (skipOp("=")) {
    statement.value = parseTuple();
    if (statement.value)
      acceptText(*statement.value);
    return statement.value != nullptr;
  }
  statement.kind = Statement::Kind::assignBlock;
  if (isOp("|") && !(statement.value = parseFilterChain()))
    return false;
  return parseBody(statement.body, "endset");
}

bool Parser::parseSignature(Statement &statement) {
  if (!expectOp("("))
    return false;
  while (!isOp(")")) {
    if (!statement.parameters.empty() && !expectOp(","))
      return false;
    std::string &name = statement.parameters.emplace_back();
    Position at = peek().at;
    if (!expectIdentifier(name, "a parameter's name"))
      return false;
    if (name == "caller")
      return fail(at, "a parameter named 'caller' is not supported");
    bound_.insert(name);
    if (skipOp("=")) {
      if (!statement.defaults.emplace_back(parseExpression()))
        return false;
    } else if (!statement.defaults.empty()) {
      return fail(at, "parameter '" + name + "' needs a default, as the one before has one");
    }
  }
  return expectOp(")");
}

bool Parser::parseFunctionBody(Statement &statement, std::string_view ending) {
  int loops = std::exchange(loops_, 0); // `break` can't leave a function
  size_t reads = callerReads_;
  ++macros_;
  bool parsed = parseBody(statement.body, ending);
  --macros_;
  statement.usesCaller = callerReads_ != reads;
  loops_ = loops;
  return parsed;
}

bool Parser::parseMacro(Statement &statement) {
  statement.kind = Statement::Kind::macro;
  if (!expectIdentifier(statement.text, "a macro's name") || !parseSignature(statement))
    return false;
  bound_.insert(statement.text);
  return parseFunctionBody(statement, "endmacro");
}

bool Parser::parseCallBlock(Statement &statement) {
  statement.kind = Statement::Kind::callBlock;
  statement.text = "caller";
  if (isOp("(") && !parseSignature(statement))
    return false;
  Position at = peek().at;
  statement.value = parseExpression();
  if (!statement.value)
    return false;
  if (statement.value->kind != Expr::Kind::call)
    return fail(at, "the tag 'call' needs a call of a macro");
  return parseFunctionBody(statement, "endcall");
}

bool Parser::parseFilterBlock(Statement &statement) {
  statement.kind = Statement::Kind::filterBlock;
  statement.value = parseFilterChain();
  return statement.value && parseBody(statement.body, "endfilter");
}

bool Parser::parseWith(Statement &statement) {
  statement.kind = Statement::Kind::with;
  while (peek().kind != TokenKind::tagEnd) {
    if (!statement.targets.empty() && !expectOp(","))
      return false;
    if (!statement.targets.emplace_back(parseTarget(false)) || !expectOp("=") ||
        !statement.values.emplace_back(parseExpression()))
      return false;
  }
  return parseBody(statement.body, "endwith");
}

bool Parser::parseLoopControl(Statement &statement) {
  if (!loops_)
    return fail(statement.at, "the tag '" + statement.text + "' is outside of a loop");
  statement.kind =
      statement.text == "break" ? Statement::Kind::breakLoop : Statement::Kind::continueLoop;
  return true;
}

ExprPtr Parser::parseTargetItem(bool allowNamespace) {
  Nesting nesting(*this);
  if (!nesting.isOk())
    return nullptr;
  Position at = peek().at;
  if (skipOp("(")) {
    ExprPtr target = parseTarget(allowNamespace);
    return target && expectOp(")") ? std::move(target) : nullptr;
  }
  ExprPtr target = make(Expr::Kind::name, at);
  if (!expectIdentifier(target->name, "a name to assign to"))
    return nullptr;
  static constexpr std::string_view reserved[] = {"true", "false", "none", "True", "False", "None"};
  if (std::count(std::begin(reserved), std::end(reserved), target->name))
    return fail(at, "can't assign to '" + target->name + "'");
  if (!allowNamespace || !skipOp(".")) {
    bound_.insert(target->name);
    return target;
  }
  ExprPtr field = make(Expr::Kind::attribute, at);
  if (!expectIdentifier(field->name, "an attribute's name"))
    return nullptr;
  if (field->name.starts_with('_'))
    return fail(at, "can't assign to the attribute '" + field->name + "', which starts with '_'");
  return adopt(*field, std::move(target)) ? std::move(field) : nullptr;
}

/// A name, `namespace.attribute`, or several of them with commas.
ExprPtr Parser::parseTarget(bool allowNamespace) {
  Position at = peek().at;
  ExprPtr first = parseTargetItem(allowNamespace);
  if (!first || !isOp(","))
    return first;
  ExprPtr tuple = make(Expr::Kind::tuple, at);
  if (!adopt(*tuple, std::move(first)))
    return nullptr;
  while (skipOp(",")) {
    if (peek().kind == TokenKind::tagEnd || isOp("=") || isOp(")") || isName("in"))
      break;
    if (!adopt(*tuple, parseTargetItem(allowNamespace)))
      return nullptr;
  }
  return tuple;
}

} // namespace qopt::chat
