//===- Operators.cpp - Operators on the values of a template --------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Operators.h"
#include "Text.h"
#include <algorithm>
#include <cmath>

namespace qopt::chat {

static const char *spelling(Operator op) {
  static constexpr const char *names[] = {
      "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};
  return names[static_cast<int>(op)];
}

static Value failOperands(Evaluator &evaluator, Operator op, const Value &a, const Value &b) {
  if (a.isUndefined() || b.isUndefined())
    return evaluator.fail(a.isUndefined() ? a.undefinedHint() : b.undefinedHint());
  return evaluator.fail(std::string("unsupported operands of '") + spelling(op) +
                        "': " + a.typeName() + " and " + b.typeName());
}

static Value integerPower(Evaluator &evaluator, int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
      return evaluator.fail("the integer power doesn't fit in 64 bits");
    exponent >>= 1;
    if (exponent && __builtin_mul_overflow(base, base, &base))
      return evaluator.fail("the integer power doesn't fit in 64 bits");
  }
  return Value(result);
}

static Value integerArithmetic(Evaluator &evaluator, Operator op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
  case Operator::add:
    overflow = __builtin_add_overflow(a, b, &result);
    break;
  case Operator::sub:
    overflow = __builtin_sub_overflow(a, b, &result);
    break;
  case Operator::mul:
    overflow = __builtin_mul_overflow(a, b, &result);
    break;
  case Operator::floorDiv:
  case Operator::mod: {
    if (b == 0)
      return evaluator.fail("division by zero");
    if (b == -1) { // the one quotient that could overflow
      if (op == Operator::mod)
        return Value(int64_t(0));
      overflow = __builtin_sub_overflow(int64_t(0), a, &result);
      break;
    }
    int64_t quotient = a / b, remainder = a % b;
    bool adjust = remainder != 0 && (remainder < 0) != (b < 0); // Python rounds down
    result = op == Operator::mod ? remainder + (adjust ? b : 0) : quotient - adjust;
    break;
  }
  default:
    return integerPower(evaluator, a, b);
  }
  if (overflow)
    return evaluator.fail(std::string("the integer result of '") + spelling(op) +
                          "' doesn't fit in 64 bits");
  return Value(result);
}

static Value realArithmetic(Evaluator &evaluator, Operator op, double a, double b) {
  bool divides = op == Operator::div || op == Operator::floorDiv || op == Operator::mod;
  if (divides && b == 0)
    return evaluator.fail("division by zero");
  double remainder = 0;
  switch (op) {
  case Operator::add:
    return Value(a + b);
  case Operator::sub:
    return Value(a - b);
  case Operator::mul:
    return Value(a * b);
  case Operator::div:
    return Value(a / b);
  case Operator::floorDiv:
  case Operator::mod: {
    // Python's float_divmod: the quotient is exact before it is rounded.
    remainder = std::fmod(a, b);
    double quotient = (a - remainder) / b;
    if (remainder != 0 && (b < 0) != (remainder < 0)) {
      remainder += b;
      quotient -= 1;
    } else if (remainder == 0) {
      remainder = std::copysign(0.0, b);
    }
    if (op == Operator::mod)
      return Value(remainder);
    if (quotient == 0)
      return Value(std::copysign(0.0, a / b));
    double floor = std::floor(quotient);
    return Value(quotient - floor > 0.5 ? floor + 1 : floor);
  }
  default:
    if (a == 0 && b < 0)
      return evaluator.fail("zero to a negative power");
    if (a < 0 && std::floor(b) != b)
      return evaluator.fail("a negative number to a fractional power");
    return Value(std::pow(a, b));
  }
}

static Value repeat(Evaluator &evaluator, const Value &value, int64_t count) {
  uint64_t times = count < 0 ? 0 : static_cast<uint64_t>(count);
  uint64_t size = value.isString() ? value.string().size() : 16 * value.list().items.size();
  // Nothing to copy costs nothing, however often.
  if (size == 0)
    times = 0;
  if (size && times > maxWeight / size)
    times = maxWeight / size;
  if (!evaluator.charge(times * size))
    return {};
  if (value.isString()) {
    std::string text;
    text.reserve(times * size);
    for (uint64_t i = 0; i < times; ++i)
      text += value.string();
    return Value(std::move(text));
  }
  std::vector<Value> items;
  for (uint64_t i = 0; i < times; ++i)
    items.insert(items.end(), value.list().items.begin(), value.list().items.end());
  return makeList(std::move(items), value.list().kind);
}

static bool isRepeatable(const Value &value) {
  return value.isString() || (value.isList() && (value.list().kind == ListObject::Kind::list ||
                                                 value.list().kind == ListObject::Kind::tuple));
}

Value arithmetic(Evaluator &evaluator, Operator op, const Value &a, const Value &b) {
  if (a.isNumber() && b.isNumber()) {
    bool real = a.isFloat() || b.isFloat() || op == Operator::div ||
                (op == Operator::pow && b.integer() < 0);
    return real ? realArithmetic(evaluator, op, a.number(), b.number())
                : integerArithmetic(evaluator, op, a.integer(), b.integer());
  }
  if (op == Operator::mul && a.isInteger() && isRepeatable(b))
    return repeat(evaluator, b, a.integer());
  if (op == Operator::mul && b.isInteger() && isRepeatable(a))
    return repeat(evaluator, a, b.integer());
  if (op == Operator::add && a.isString() && b.isString()) {
    if (!evaluator.charge(a.string().size() + b.string().size()))
      return {};
    return Value(a.string() + b.string());
  }
  if (op == Operator::add && a.isList() && isRepeatable(a) && b.isList() &&
      a.list().kind == b.list().kind) {
    if (!evaluator.chargeElements(a.list().items.size() + b.list().items.size()))
      return {};
    std::vector<Value> items = a.list().items;
    items.insert(items.end(), b.list().items.begin(), b.list().items.end());
    return makeList(std::move(items), a.list().kind);
  }
  if (op == Operator::mod && a.isString())
    return evaluator.fail("formatting a string with '%' is not supported");
  return failOperands(evaluator, op, a, b);
}

Value negated(Evaluator &evaluator, const Value &value) {
  if (value.isFloat())
    return Value(-value.number());
  if (value.isInteger())
    return integerArithmetic(evaluator, Operator::sub, 0, value.integer());
  return evaluator.fail(value.isUndefined()
                            ? value.undefinedHint()
                            : std::string("unsupported operand of '-': ") + value.typeName());
}

/// -1, 0 or 1; nothing where the two have no order.
static std::optional<int> order(const Value &a, const Value &b) {
  auto sign = [](const auto &x, const auto &y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (a.isInteger() && b.isInteger())
    return sign(a.integer(), b.integer());
  if (a.isNumber() && b.isNumber()) {
    // Doubles of 64 bits of mantissa order an int and a double exactly.
    long double x = a.isInteger() ? static_cast<long double>(a.integer()) : a.number();
    long double y = b.isInteger() ? static_cast<long double>(b.integer()) : b.number();
    if (std::isnan(x) || std::isnan(y))
      return 2;
    return sign(x, y);
  }
  if (a.isString() && b.isString())
    return sign(a.string(), b.string()); // UTF-8 keeps the order of code points
  if (!a.isList() || !b.isList() || !isRepeatable(a) || a.list().kind != b.list().kind)
    return std::nullopt;
  const std::vector<Value> &x = a.list().items, &y = b.list().items;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i)
    if (!equal(x[i], y[i]))
      return order(x[i], y[i]);
  return sign(x.size(), y.size());
}

bool isLess(const Value &a, const Value &b) { return order(a, b) == -1; }

static bool contains(Evaluator &evaluator, const Value &container, const Value &value) {
  if (container.isString()) {
    if (!value.isString()) {
      evaluator.fail(value.isUndefined()
                         ? value.undefinedHint()
                         : std::string("'in' a str needs a str, found ") + value.typeName());
      return false;
    }
    return evaluator.charge(container.string().size()) &&
           findText(container.string(), value.string()) != std::string_view::npos;
  }
  if (container.isDict())
    return evaluator.lookUp(container.dict(), value) != nullptr;
  std::vector<Value> items;
  if (!evaluator.iterate(container, items))
    return false;
  return std::any_of(items.begin(), items.end(), [&](const Value &item) {
    return evaluator.charge(std::min(item.weight(), value.weight())) && equal(item, value);
  });
}

bool compare(Evaluator &evaluator, Operator op, const Value &a, const Value &b) {
  if (op == Operator::in || op == Operator::notIn)
    return contains(evaluator, b, a) == (op == Operator::in);
  if (!evaluator.charge(std::min(a.weight(), b.weight())))
    return false;
  if (op == Operator::equal || op == Operator::notEqual)
    return equal(a, b) == (op == Operator::equal);
  std::optional<int> sign = order(a, b);
  if (!sign) {
    failOperands(evaluator, op, a, b);
    return false;
  }
  if (*sign == 2) // not a number
    return false;
  switch (op) {
  case Operator::less:
    return *sign < 0;
  case Operator::lessEqual:
    return *sign <= 0;
  case Operator::greater:
    return *sign > 0;
  default:
    return *sign >= 0;
  }
}

Value slice(Evaluator &evaluator, const Value &value, const Value &start, const Value &stop,
            const Value &step) {
  for (const Value *bound : {&start, &stop, &step})
    if (!bound->isNone() && !bound->isInteger())
      return evaluator.fail(std::string("a slice needs integers, found ") + bound->typeName());
  bool sliceable = value.isString() || isRepeatable(value) ||
                   (value.isList() && value.list().kind == ListObject::Kind::range);
  if (!sliceable)
    return evaluator.fail(value.isUndefined() ? value.undefinedHint()
                                              : std::string("can't slice a ") + value.typeName());
  std::vector<size_t> offsets;
  if (value.isString()) {
    if (!evaluator.charge(value.string().size()))
      return {};
    offsets = codePointOffsets(value.string());
  }
  int64_t size =
      static_cast<int64_t>(value.isString() ? offsets.size() - 1 : value.list().items.size());
  int64_t stride = step.isNone() ? 1 : step.integer();
  if (stride == 0)
    return evaluator.fail("a slice needs a step other than zero");
  int64_t lowest = stride < 0 ? -1 : 0, highest = stride < 0 ? size - 1 : size;
  auto clamp = [&](const Value &bound, int64_t absent) {
    if (bound.isNone())
      return absent;
    int64_t at = bound.integer();
    return std::clamp(at < 0 ? at + size : at, lowest, highest);
  };
  int64_t first = clamp(start, stride < 0 ? highest : lowest);
  int64_t last = clamp(stop, stride < 0 ? lowest : highest);
  std::string text;
  std::vector<Value> items;
  // Dividing two negatives: the smallest step has no positive counterpart.
  int64_t distance = stride > 0 ? last - first - 1 : last - first + 1;
  bool empty = stride > 0 ? last <= first : last >= first;
  int64_t count = empty ? 0 : distance / stride + 1;
  if (!evaluator.chargeElements(static_cast<uint64_t>(count)))
    return {};
  for (int64_t i = 0, at = first; i < count; ++i, at += i < count ? stride : 0) {
    if (value.isString())
      text.append(value.string(), offsets[at], offsets[at + 1] - offsets[at]);
    else
      items.push_back(value.list().items[at]);
  }
  if (value.isString())
    return Value(std::move(text));
  return makeList(std::move(items), value.list().kind);
}

Value replaceText(Evaluator &evaluator, const std::string &text, const std::string &from,
                  const std::string &to, int64_t count) {
  uint64_t left = static_cast<uint64_t>(count); // a negative one is large
  std::string out;
  size_t start = 0;
  if (!evaluator.charge(text.size()))
    return {};
  while (left-- && start <= text.size()) {
    size_t hit = findText(text, from, start);
    if (hit == std::string_view::npos)
      break;
    if (!evaluator.charge(to.size() + 1))
      return {};
    out.append(text, start, hit - start);
    out += to;
    start = hit + from.size();
    if (!from.empty())
      continue;
    // An empty text is found before every code point and at the end.
    size_t length = decodeAt(text, start).length;
    if (length == 0)
      return Value(std::move(out));
    out.append(text, start, length);
    start += length;
  }
  out.append(text, start);
  return Value(std::move(out));
}

} // namespace qopt::chat
