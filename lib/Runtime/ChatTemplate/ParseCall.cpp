//===- ParseCall.cpp - Calls, filters and tests of chat templates ---------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Builtins.h"
#include "ParserImpl.h"
#include <algorithm>

namespace qopt::chat {

/// Filters and tests after an operand: `x | f is t`.
ExprPtr Parser::parseFilterSuffix(ExprPtr node) {
  while (node) {
    if (skipOp("|"))
      node = parseFilter(std::move(node));
    else if (isName("is"))
      node = parseTest(std::move(node));
    else if (isOp("("))
      node = parseCall(std::move(node));
    else
      break;
  }
  return node;
}

ExprPtr Parser::parseCall(ExprPtr callee) {
  ExprPtr call = make(Expr::Kind::call, callee->at);
  if (!adopt(*call, std::move(callee)) || !parseArguments(*call) || !checkCall(*call))
    return nullptr;
  return call;
}

/// `(a, b, key=c)` into the operands and keywords of \p call.
bool Parser::parseArguments(Expr &call) {
  if (!expectOp("("))
    return false;
  bool first = true;
  while (!isOp(")")) {
    if (!first && !expectOp(","))
      return false;
    if (isOp(")"))
      break;
    first = false;
    if (isOp("*") || isOp("**"))
      return fail(peek().at, "unpacking arguments with '" + peek().text + "' is not supported");
    if (peek().kind == TokenKind::name && isOp("=", 1)) {
      Position at = peek().at;
      const std::string &name = take().text;
      take();
      if (std::count(call.keywords.begin(), call.keywords.end(), name))
        return fail(at, "argument '" + name + "' is given twice");
      call.keywords.push_back(name);
    } else if (!call.keywords.empty()) {
      return fail(peek().at, "a positional argument follows a named one");
    }
    if (!adopt(call, parseExpression()))
      return false;
  }
  take();
  return true;
}

/// What is known of a call before rendering: that the function or method
/// exists and, for a function that nothing shadows, takes these arguments.
bool Parser::checkCall(const Expr &call) {
  const Expr &callee = *call.operands[0];
  size_t positional = call.operands.size() - 1 - call.keywords.size();
  if (callee.kind == Expr::Kind::attribute && !isMethodName(callee.name))
    return fail(callee.at, "unknown or unsupported method '" + callee.name + "'");
  if (callee.kind != Expr::Kind::name)
    return true;
  called_.emplace_back(callee.name, callee.at);
  const Builtin *function = findBuiltin(Builtin::Kind::function, callee.name);
  if (!function || bound_.contains(callee.name))
    return true;
  std::string error = checkArguments(*function, positional, call.keywords);
  if (error.empty() && function->name == "strftime_now" &&
      call.operands[1]->kind == Expr::Kind::constant && call.operands[1]->value.isString())
    error = checkTimeFormat(call.operands[1]->value.string());
  return error.empty() || fail(callee.at, "function '" + callee.name + "' " + error);
}

ExprPtr Parser::parseFilterChain() {
  ExprPtr node;
  skipOp("|");
  do {
    node = parseFilter(std::move(node));
  } while (node && skipOp("|"));
  return node;
}

ExprPtr Parser::parseFilter(ExprPtr value) {
  ExprPtr node = make(Expr::Kind::filter, peek().at);
  if (!expectIdentifier(node->name, "a filter's name"))
    return nullptr;
  bool isBlock = !value;
  if (isBlock)
    node->operands.emplace_back();
  else if (!adopt(*node, std::move(value)))
    return nullptr;
  if (isOp("(") && !parseArguments(*node))
    return nullptr;
  if (node->name != "safe" && node->name != "escape" && node->name != "e")
    return resolveBuiltin(*node, false) ? std::move(node) : nullptr;

  // Their results are Markup, which escapes whatever it meets later; that is
  // rendered faithfully only where nothing else is done with the text.
  if (isBlock || node->operands.size() > 1)
    return fail(node->at, "the filter '" + node->name + "' is not supported here");
  Expr::Kind kind = node->name == "safe" ? Expr::Kind::text : Expr::Kind::escapedText;
  const Expr &inner = *node->operands[0];
  if (inner.kind == Expr::Kind::text || inner.kind == Expr::Kind::escapedText)
    return std::move(node->operands[0]); // Markup is not escaped again
  node->kind = kind;
  texts_.push_back(node.get());
  return node;
}

ExprPtr Parser::parseTest(ExprPtr value) {
  take(); // is
  Position at = peek().at;
  bool negated = skipName("not");
  ExprPtr node = make(Expr::Kind::test, peek().at);
  if (!expectIdentifier(node->name, "a test's name") || !adopt(*node, std::move(value)))
    return nullptr;
  bool startsOperand = peek().kind == TokenKind::name || peek().kind == TokenKind::string ||
                       peek().kind == TokenKind::integer || peek().kind == TokenKind::real ||
                       isOp("[") || isOp("{");
  if (isOp("(")) {
    if (!parseArguments(*node))
      return nullptr;
  } else if (startsOperand && !isName("else") && !isName("or") && !isName("and")) {
    if (isName("is"))
      return fail(peek().at, "tests can't be chained with 'is'");
    if (!adopt(*node, parsePostfix(parsePrimary())))
      return nullptr;
  }
  if (!resolveBuiltin(*node, true))
    return nullptr;
  return negated ? makeUnary(Expr::Kind::logicalNot, at, std::move(node)) : std::move(node);
}

bool Parser::resolveBuiltin(Expr &node, bool isTest) {
  const char *what = isTest ? "test" : "filter";
  node.builtin = findBuiltin(isTest ? Builtin::Kind::test : Builtin::Kind::filter, node.name);
  if (!node.builtin)
    return fail(node.at, std::string("unknown or unsupported ") + what + " '" + node.name + "'");
  if (!isTest && higherOrder(node.name))
    return resolveInner(node);
  size_t positional = node.operands.size() - 1 - node.keywords.size();
  std::string error = checkArguments(*node.builtin, positional, node.keywords);
  return error.empty() || fail(node.at, std::string(what) + " '" + node.name + "' " + error);
}

/// Finds the filter or test that `map('name', ...)`, `select('name', ...)` and
/// their like name in a constant string.
bool Parser::resolveInner(Expr &node) {
  HigherOrder order = *higherOrder(node.name);
  size_t positional = node.operands.size() - 1 - node.keywords.size();
  if (order.isMap && positional == 0) {
    bool known = std::all_of(node.keywords.begin(), node.keywords.end(), [](auto &keyword) {
      return keyword == "attribute" || keyword == "default";
    });
    if (!known || !std::count(node.keywords.begin(), node.keywords.end(), "attribute"))
      return fail(node.at, "filter 'map' expects a filter's name or 'attribute'");
    return true;
  }
  size_t at = order.takesAttribute ? 2 : 1; // the operand with the name
  if (order.takesAttribute && positional == 0)
    return fail(node.at, "filter '" + node.name + "' expects an attribute");
  node.innerArguments = at + 1;
  if (positional < at) {
    if (!node.keywords.empty())
      return fail(node.at,
                  "filter '" + node.name + "' takes no argument '" + node.keywords[0] + "'");
    return true; // selects what is true
  }
  const Expr &name = *node.operands[at];
  const char *what = order.isMap ? "filter" : "test";
  if (name.kind != Expr::Kind::constant || !name.value.isString())
    return fail(name.at, "filter '" + node.name + "' expects the name of a " + what +
                             " as a constant string");
  node.inner =
      findBuiltin(order.isMap ? Builtin::Kind::filter : Builtin::Kind::test, name.value.string());
  if (!node.inner || (order.isMap && higherOrder(node.inner->name)))
    return fail(name.at,
                std::string("unknown or unsupported ") + what + " '" + name.value.string() + "'");
  std::string error = checkArguments(*node.inner, positional - at, node.keywords);
  return error.empty() ||
         fail(name.at, std::string(what) + " '" + name.value.string() + "' " + error);
}

} // namespace qopt::chat
