//===- ParseExpression.cpp - Expressions of chat templates ----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Builtins.h"
#include "ParserImpl.h"
#include <algorithm>

namespace qopt::chat {

ExprPtr Parser::make(Expr::Kind kind, Position at) {
  auto node = std::make_unique<Expr>();
  node->kind = kind;
  node->at = at;
  return node;
}

bool Parser::adopt(Expr &node, ExprPtr operand) {
  if (!operand)
    return false;
  node.depth = std::max(node.depth, operand->depth + 1);
  node.operands.push_back(std::move(operand));
  if (node.depth > maxNesting)
    return fail(node.at, "the expression nests deeper than " + std::to_string(maxNesting));
  return true;
}

ExprPtr Parser::makeUnary(Expr::Kind kind, Position at, ExprPtr operand) {
  ExprPtr node = make(kind, at);
  return adopt(*node, std::move(operand)) ? std::move(node) : nullptr;
}

ExprPtr Parser::makeBinary(Expr::Kind kind, Position at, ExprPtr left, ExprPtr right) {
  ExprPtr node = make(kind, at);
  if (!adopt(*node, std::move(left)) || !adopt(*node, std::move(right)))
    return nullptr;
  return node;
}

void Parser::acceptText(const Expr &node) {
  if (node.kind == Expr::Kind::conditional) {
    acceptText(*node.operands[1]);
    if (node.operands[2])
      acceptText(*node.operands[2]);
  }
  std::erase(texts_, &node);
}

bool Parser::refuseTexts() {
  return texts_.empty() ||
         fail(texts_.back()->at, "text from the filter 'safe' or 'escape' can only be printed, "
                                 "assigned or joined with '~'");
}

ExprPtr Parser::parseExpression() {
  Nesting nesting(*this);
  if (!nesting.isOk())
    return nullptr;
  ExprPtr value = parseOr();
  while (value && isName("if")) {
    ExprPtr node = make(Expr::Kind::conditional, take().at);
    if (!adopt(*node, parseOr()) || !adopt(*node, std::move(value)))
      return nullptr;
    if (!skipName("else"))
      node->operands.emplace_back();
    else if (!adopt(*node, parseExpression()))
      return nullptr;
    value = std::move(node);
  }
  return value;
}

/// One expression, or a tuple of several with commas.
ExprPtr Parser::parseTuple(bool conditional, bool parenthesized) {
  auto atEnd = [&] {
    return peek().kind == TokenKind::tagEnd || peek().kind == TokenKind::outputEnd ||
           peek().kind == TokenKind::end || isOp(")");
  };
  Position at = peek().at;
  if (atEnd()) {
    if (!parenthesized)
      return unexpected("an expression");
    return make(Expr::Kind::tuple, at);
  }
  auto parseItem = [&] { return conditional ? parseExpression() : parseOr(); };
  ExprPtr first = parseItem();
  if (!first || !isOp(","))
    return first;
  ExprPtr tuple = make(Expr::Kind::tuple, at);
  if (!adopt(*tuple, std::move(first)))
    return nullptr;
  while (skipOp(",") && !atEnd())
    if (!adopt(*tuple, parseItem()))
      return nullptr;
  return tuple;
}

ExprPtr Parser::parseOr() {
  ExprPtr left = parseAnd();
  while (left && isName("or")) {
    Position at = take().at;
    left = makeBinary(Expr::Kind::logicalOr, at, std::move(left), parseAnd());
  }
  return left;
}

ExprPtr Parser::parseAnd() {
  ExprPtr left = parseNot();
  while (left && isName("and")) {
    Position at = take().at;
    left = makeBinary(Expr::Kind::logicalAnd, at, std::move(left), parseNot());
  }
  return left;
}

ExprPtr Parser::parseNot() {
  Nesting nesting(*this);
  if (!nesting.isOk())
    return nullptr;
  Position at = peek().at;
  if (skipName("not"))
    return makeUnary(Expr::Kind::logicalNot, at, parseNot());
  return parseCompare();
}

ExprPtr Parser::parseCompare() {
  static constexpr std::pair<std::string_view, Operator> operators[] = {
      {"==", Operator::equal},     {"!=", Operator::notEqual}, {"<", Operator::less},
      {"<=", Operator::lessEqual}, {">", Operator::greater},   {">=", Operator::greaterEqual}};
  ExprPtr left = parseSum();
  ExprPtr node;
  while (left || node) {
    Position at = peek().at;
    std::optional<Operator> found;
    for (auto [text, op] : operators)
      if (!found && skipOp(text))
        found = op;
    if (!found && skipName("in"))
      found = Operator::in;
    if (!found && isName("not") && isName("in", 1)) {
      take(), take();
      found = Operator::notIn;
    }
    if (!found)
      break;
    if (!node) {
      node = make(Expr::Kind::compare, at);
      if (!adopt(*node, std::move(left)))
        return nullptr;
    }
    node->operators.push_back(*found);
    if (!adopt(*node, parseSum()))
      return nullptr;
  }
  return node ? std::move(node) : std::move(left);
}

ExprPtr Parser::parseSum() {
  ExprPtr left = parseConcat();
  while (left && (isOp("+") || isOp("-"))) {
    Operator op = isOp("+") ? Operator::add : Operator::sub;
    Position at = take().at;
    left = makeBinary(Expr::Kind::arithmetic, at, std::move(left), parseConcat());
    if (left)
      left->operators.push_back(op);
  }
  return left;
}

ExprPtr Parser::parseConcat() {
  ExprPtr first = parseProduct();
  if (!first || !isOp("~"))
    return first;
  ExprPtr node = make(Expr::Kind::concat, peek().at);
  acceptText(*first);
  if (!adopt(*node, std::move(first)))
    return nullptr;
  while (skipOp("~")) {
    ExprPtr operand = parseProduct();
    if (operand)
      acceptText(*operand);
    if (!adopt(*node, std::move(operand)))
      return nullptr;
  }
  return node;
}

ExprPtr Parser::parseProduct() {
  static constexpr std::pair<std::string_view, Operator> operators[] = {
      {"*", Operator::mul}, {"/", Operator::div}, {"//", Operator::floorDiv}, {"%", Operator::mod}};
  ExprPtr left = parsePower();
  while (left) {
    auto found = std::find_if(std::begin(operators), std::end(operators),
                              [&](auto &entry) { return isOp(entry.first); });
    if (found == std::end(operators))
      break;
    Position at = take().at;
    if (found->second == Operator::mod && left->kind == Expr::Kind::constant &&
        left->value.isString())
      return fail(at, "formatting a string with '%' is not supported");
    left = makeBinary(Expr::Kind::arithmetic, at, std::move(left), parsePower());
    if (left)
      left->operators.push_back(found->second);
  }
  return left;
}

ExprPtr Parser::parsePower() {
  ExprPtr left = parseUnary();
  while (left && isOp("**")) {
    Position at = take().at;
    left = makeBinary(Expr::Kind::arithmetic, at, std::move(left), parseUnary());
    if (left)
      left->operators.push_back(Operator::pow);
  }
  return left;
}

ExprPtr Parser::parseUnary(bool withFilter) {
  Nesting nesting(*this);
  if (!nesting.isOk())
    return nullptr;
  Position at = peek().at;
  ExprPtr node;
  if (skipOp("-"))
    node = makeUnary(Expr::Kind::negate, at, parseUnary(false));
  else if (skipOp("+"))
    node = makeUnary(Expr::Kind::plus, at, parseUnary(false));
  else
    node = parsePrimary();
  node = parsePostfix(std::move(node));
  return withFilter ? parseFilterSuffix(std::move(node)) : std::move(node);
}

ExprPtr Parser::parsePrimary() {
  const Token &token = peek();
  if (isOp("[") || isOp("{"))
    return isOp("[") ? parseList() : parseDict();
  if (skipOp("(")) {
    ExprPtr node = parseTuple(true, true);
    return node && expectOp(")") ? std::move(node) : nullptr;
  }
  ExprPtr node = make(Expr::Kind::constant, token.at);
  switch (token.kind) {
  case TokenKind::integer:
    node->value = Value(take().integer);
    return node;
  case TokenKind::real:
    node->value = Value(take().real);
    return node;
  case TokenKind::string: {
    std::string text = take().text;
    while (peek().kind == TokenKind::string) // "a" "b" is "ab"
      text += take().text;
    node->value = Value(std::move(text));
    return node;
  }
  case TokenKind::name:
    break;
  default:
    return unexpected("an expression");
  }
  const std::string &name = take().text;
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    node->value = Value(name == "true" || name == "True");
    return node;
  }
  if (name == "none" || name == "None") {
    node->value = Value(None{});
    return node;
  }
  if (name == "self" || name == "super" || name == "varargs" || name == "kwargs")
    return fail(token.at, "the name '" + name + "' is not supported");
  node->kind = Expr::Kind::name;
  node->name = name;
  loopReads_ += name == "loop";
  callerReads_ += name == "caller";
  return node;
}

ExprPtr Parser::parseList() {
  ExprPtr node = make(Expr::Kind::list, take().at);
  while (!isOp("]")) {
    if (!node->operands.empty() && !expectOp(","))
      return nullptr;
    if (isOp("]"))
      break;
    if (!adopt(*node, parseExpression()))
      return nullptr;
  }
  take();
  return node;
}

ExprPtr Parser::parseDict() {
  ExprPtr node = make(Expr::Kind::dict, take().at);
  while (!isOp("}")) {
    if (!node->operands.empty() && !expectOp(","))
      return nullptr;
    if (isOp("}"))
      break;
    if (!adopt(*node, parseExpression()) || !expectOp(":") || !adopt(*node, parseExpression()))
      return nullptr;
  }
  take();
  return node;
}

ExprPtr Parser::parsePostfix(ExprPtr node) {
  while (node) {
    if (isOp(".") || isOp("["))
      node = parseSubscript(std::move(node));
    else if (isOp("("))
      node = parseCall(std::move(node));
    else
      break;
  }
  return node;
}

ExprPtr Parser::parseSubscript(ExprPtr node) {
  if (isOp("["))
    return parseIndex(std::move(node), take().at);
  take(); // the dot
  const Token &name = take();
  if (name.kind == TokenKind::integer) {
    ExprPtr index = make(Expr::Kind::constant, name.at);
    index->value = Value(name.integer);
    return makeBinary(Expr::Kind::item, name.at, std::move(node), std::move(index));
  }
  if (name.kind != TokenKind::name)
    return fail(name.at, "expected an attribute's name after '.'");
  if (name.text.starts_with("__"))
    return fail(name.at, "the attribute '" + name.text + "' is not supported");
  ExprPtr attribute = makeUnary(Expr::Kind::attribute, name.at, std::move(node));
  if (attribute)
    attribute->name = name.text;
  return attribute;
}

/// An index or a slice, after its `[`.
ExprPtr Parser::parseIndex(ExprPtr object, Position at) {
  ExprPtr node = make(Expr::Kind::item, at);
  if (!adopt(*node, std::move(object)))
    return nullptr;
  bool isSlice = false;
  // Up to three parts with colons between them; an absent one is null.
  while (true) {
    if (isOp(":") || isOp("]")) {
      if (isOp("]") && !isSlice)
        return unexpected("an index");
      node->operands.emplace_back();
    } else if (!adopt(*node, parseExpression())) {
      return nullptr;
    }
    if (node->operands.size() == 4 || !skipOp(":"))
      break;
    isSlice = true;
  }
  if (isSlice) {
    node->kind = Expr::Kind::slice;
    node->operands.resize(4);
  }
  return expectOp("]") ? std::move(node) : nullptr;
}

} // namespace qopt::chat
