//===- Value.cpp - The values of a chat template --------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Value.h"
#include "Text.h"
#include <algorithm>
#include <charconv>
#include <cmath>

namespace qopt::chat {

bool Value::truthy() const {
  if (isUndefined() || isNone())
    return false;
  if (isNumber())
    return number() != 0;
  if (isString())
    return !string().empty();
  if (markup())
    return !markup()->text->empty();
  if (isList())
    return list().kind == ListObject::Kind::generator || !list().items.empty();
  if (isDict())
    return !dict().entries().empty();
  return true;
}

int Value::depth() const {
  if (isList())
    return list().depth;
  if (isDict())
    return dict().depth();
  return 0;
}

uint64_t Value::weight() const {
  if (isString())
    return 1 + string().size();
  if (markup())
    return 1 + markup()->text->size();
  if (isList())
    return list().weight;
  if (isDict())
    return dict().weight();
  return 1;
}

const char *Value::typeName() const {
  if (isUndefined())
    return "undefined";
  if (isNone())
    return "none";
  if (isBool())
    return "bool";
  if (isInteger())
    return "int";
  if (isFloat())
    return "float";
  if (isString())
    return "str";
  if (isDict())
    return "dict";
  if (isList())
    return list().typeName();
  if (markup())
    return "safe str";
  if (nameSpace())
    return "namespace";
  if (macro())
    return "macro";
  if (loop())
    return "loop";
  return "function";
}

std::string Value::undefinedHint() const {
  const Undefined *held = std::get_if<Undefined>(&data_);
  return held && held->hint ? *held->hint : "a value is undefined";
}

const char *ListObject::typeName() const {
  switch (kind) {
  case Kind::list:
    return "list";
  case Kind::tuple:
    return "tuple";
  case Kind::range:
    return "range";
  case Kind::view:
    return "dict view";
  case Kind::generator:
    break;
  }
  return "generator";
}

const Value *DictObject::find(std::string_view key) const {
  auto it = strings_.find(key);
  return it == strings_.end() ? nullptr : &entries_[it->second].second;
}

const Value *DictObject::find(const Value &key) const {
  if (key.isString())
    return find(std::string_view(key.string()));
  for (const auto &[other, value] : entries_)
    if (equal(other, key))
      return &value;
  return nullptr;
}

void DictObject::insert(Value key, Value value) {
  depth_ = std::max({depth_, key.depth() + 1, value.depth() + 1});
  weight_ = std::min(weight_ + key.weight() + value.weight(), maxWeight);
  if (const Value *held = find(key)) {
    *const_cast<Value *>(held) = std::move(value);
    return;
  }
  if (key.isString())
    strings_.emplace(key.string(), entries_.size());
  else // found by a linear search, so that n of them cost n * n
    weight_ = std::min(weight_ + entries_.size(), maxWeight);
  entries_.emplace_back(std::move(key), std::move(value));
}

Value *NamespaceObject::find(std::string_view name) {
  for (auto &[key, value] : fields)
    if (key == name)
      return &value;
  return nullptr;
}

void NamespaceObject::assign(std::string_view name, Value value) {
  if (Value *held = find(name)) {
    *held = std::move(value);
    return;
  }
  fields.emplace_back(name, std::move(value));
}

Value makeList(std::vector<Value> items, ListObject::Kind kind) {
  int depth = 1;
  uint64_t weight = 1;
  for (const Value &item : items) {
    depth = std::max(depth, item.depth() + 1);
    weight = std::min(weight + item.weight(), maxWeight);
  }
  return std::make_shared<const ListObject>(ListObject{std::move(items), kind, depth, weight});
}

Value makeDict(DictObject dict) { return std::make_shared<const DictObject>(std::move(dict)); }

static bool equalNumbers(const Value &a, const Value &b) {
  if (a.isInteger() && b.isInteger())
    return a.integer() == b.integer();
  if (a.isFloat() && b.isFloat())
    return a.number() == b.number();
  // Exact, as Python compares: an int that a double rounds isn't equal to it.
  double real = a.isFloat() ? a.number() : b.number();
  int64_t whole = a.isFloat() ? b.integer() : a.integer();
  return real >= -0x1p63 && real < 0x1p63 && std::floor(real) == real &&
         static_cast<int64_t>(real) == whole;
}

bool equal(const Value &a, const Value &b) {
  if (a.isNumber() && b.isNumber())
    return equalNumbers(a, b);
  if (a.isString() && b.isString())
    return a.string() == b.string();
  if (a.isUndefined() || b.isUndefined())
    return a.isUndefined() && b.isUndefined();
  if (a.isNone() || b.isNone())
    return a.isNone() && b.isNone();
  if (a.isList() && b.isList()) {
    const ListObject &x = a.list(), &y = b.list();
    if (x.kind != y.kind || x.kind == ListObject::Kind::generator ||
        x.kind == ListObject::Kind::view)
      return &x == &y;
    return std::equal(x.items.begin(), x.items.end(), y.items.begin(), y.items.end(), equal);
  }
  if (a.isDict() && b.isDict()) {
    const DictObject &x = a.dict(), &y = b.dict();
    if (x.entries().size() != y.entries().size())
      return false;
    for (const auto &[key, value] : x.entries()) {
      const Value *other = y.find(key);
      if (!other || !equal(value, *other))
        return false;
    }
    return true;
  }
  if (a.nameSpace() || b.nameSpace())
    return a.nameSpace() == b.nameSpace();
  if (a.macro() || b.macro())
    return a.macro() == b.macro();
  if (a.loop() || b.loop())
    return a.loop() == b.loop();
  return a.function() && a.function() == b.function();
}

std::string floatRepr(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  char buffer[40];
  auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  size_t mark = text.find('e');
  int exponent = 0;
  std::string_view digits = text.substr(mark + 1);
  if (digits.starts_with('+'))
    digits.remove_prefix(1);
  std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
  // Python prints positional digits for exponents in [-4, 16).
  if (exponent < -4 || exponent >= 16)
    return std::string(text);
  end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr;
  std::string fixed(buffer, end);
  if (fixed.find('.') == std::string::npos)
    fixed += ".0";
  return fixed;
}

static void appendStringRepr(std::string &out, std::string_view text) {
  bool single = text.find('\'') != std::string_view::npos;
  bool twofold = text.find('"') != std::string_view::npos;
  char quote = single && !twofold ? '"' : '\'';
  static constexpr char hex[] = "0123456789abcdef";
  auto escape = [&](char kind, uint32_t value, int digits) {
    out += '\\';
    out += kind;
    for (int i = digits - 1; i >= 0; --i)
      out += hex[(value >> (4 * i)) & 15];
  };
  out += quote;
  for (size_t i = 0; i < text.size();) {
    CodePoint c = decodeAt(text, i);
    if (c.value == uint32_t(quote) || c.value == '\\') {
      out += '\\';
      out += static_cast<char>(c.value);
    } else if (c.value == '\n') {
      out += "\\n";
    } else if (c.value == '\r') {
      out += "\\r";
    } else if (c.value == '\t') {
      out += "\\t";
    } else if (isPrintable(c.value)) {
      out.append(text.substr(i, c.length));
    } else if (c.value < 0x100) {
      escape('x', c.value, 2);
    } else if (c.value < 0x10000) {
      escape('u', c.value, 4);
    } else {
      escape('U', c.value, 8);
    }
    i += c.length;
  }
  out += quote;
}

static void appendListRepr(std::string &out, const ListObject &list) {
  if (list.kind != ListObject::Kind::list && list.kind != ListObject::Kind::tuple) {
    ((out += '<') += list.typeName()) += '>';
    return;
  }
  bool tuple = list.kind == ListObject::Kind::tuple;
  out += tuple ? '(' : '[';
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i)
      out += ", ";
    appendRepr(out, list.items[i]);
  }
  if (tuple && list.items.size() == 1)
    out += ',';
  out += tuple ? ')' : ']';
}

void appendRepr(std::string &out, const Value &value) {
  if (value.isString())
    return appendStringRepr(out, value.string());
  if (value.isUndefined()) {
    out += "Undefined";
    return;
  }
  if (value.isList())
    return appendListRepr(out, value.list());
  if (value.isDict()) {
    out += '{';
    const char *separator = "";
    for (const auto &[key, item] : value.dict().entries()) {
      out += separator;
      appendRepr(out, key);
      out += ": ";
      appendRepr(out, item);
      separator = ", ";
    }
    out += '}';
    return;
  }
  if (value.isNone())
    out += "None";
  else if (value.isBool())
    out += value.boolean() ? "True" : "False";
  else if (value.isInteger())
    out += std::to_string(value.integer());
  else if (value.isFloat())
    out += floatRepr(value.number());
  else
    (out += '<') += std::string(value.typeName()) + '>';
}

void appendStr(std::string &out, const Value &value) {
  if (value.isString())
    out += value.string();
  else if (value.markup())
    out += *value.markup()->text;
  else if (!value.isUndefined())
    appendRepr(out, value);
}

} // namespace qopt::chat
