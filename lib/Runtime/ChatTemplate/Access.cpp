//===- Access.cpp - What builtins and operators ask of a rendering --------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluator.h"
#include "Text.h"
#include <algorithm>

namespace qopt::chat {

bool Evaluator::appendText(std::string &out, const Value &value) {
  bool hasText = value.isString() || value.markup() || value.isNumber() || value.isNone() ||
                 value.isUndefined() || value.isDict() ||
                 (value.isList() && (value.list().kind == ListObject::Kind::list ||
                                     value.list().kind == ListObject::Kind::tuple));
  if (!hasText) {
    fail(std::string("a ") + value.typeName() + " can't be printed");
    return false;
  }
  if (!charge(value.weight()))
    return false;
  appendStr(out, value);
  return true;
}

std::string Evaluator::textOf(const Value &value) {
  std::string text;
  if (value.markup())
    fail("text from the filter 'safe' or 'escape' can only be printed");
  else
    appendText(text, value);
  return text;
}

bool Evaluator::iterate(const Value &value, std::vector<Value> &items) {
  if (value.isUndefined())
    return !failed();
  if (value.isList()) {
    const ListObject &list = value.list();
    bool once = list.kind == ListObject::Kind::generator;
    size_t first = once ? list.taken : 0;
    if (!chargeElements(list.items.size() - first))
      return false;
    items.insert(items.end(), list.items.begin() + static_cast<ptrdiff_t>(first), list.items.end());
    if (once)
      list.taken = list.items.size();
    return true;
  }
  if (value.isString()) {
    const std::string &text = value.string();
    if (!chargeElements(text.size()))
      return false;
    for (size_t i = 0; i < text.size();) {
      size_t length = decodeAt(text, i).length;
      items.push_back(Value(text.substr(i, length)));
      i += length;
    }
    return true;
  }
  if (value.isDict()) {
    if (!chargeElements(value.dict().entries().size()))
      return false;
    for (const auto &entry : value.dict().entries())
      items.push_back(entry.first);
    return true;
  }
  fail(std::string("a ") + value.typeName() + " can't be iterated");
  return false;
}

static bool isKey(const Value &key) { return key.isString() || key.isNumber() || key.isNone(); }

const Value *Evaluator::lookUp(const DictObject &dict, const Value &key) {
  if (!isKey(key)) {
    fail(std::string("a ") + key.typeName() + " as the key of a dict is not supported");
    return nullptr;
  }
  if (!charge(key.isString() ? key.string().size() : dict.entries().size()))
    return nullptr;
  return dict.find(key);
}

bool Evaluator::insert(DictObject &dict, Value key, Value value) {
  lookUp(dict, key);
  if (failed())
    return false;
  dict.insert(std::move(key), std::move(value));
  if (dict.depth() > maxValueDepth)
    fail("dicts nest too deeply");
  return !failed();
}

/// Attributes of Python's types that the sandbox refuses or that aren't
/// supported; anything else that is no method is looked up or undefined.
static bool isRefusedAttribute(const Value &object, std::string_view name) {
  static constexpr std::string_view dict[] = {"clear",   "copy",       "fromkeys", "pop",
                                              "popitem", "setdefault", "update"};
  static constexpr std::string_view list[] = {"append", "clear",  "copy",    "extend", "insert",
                                              "pop",    "remove", "reverse", "sort"};
  static constexpr std::string_view text[] = {
      "casefold",  "center",    "encode",       "expandtabs", "format",      "format_map",
      "isascii",   "isdecimal", "isidentifier", "isnumeric",  "isprintable", "istitle",
      "ljust",     "maketrans", "partition",    "rjust",      "rpartition",  "swapcase",
      "translate", "zfill",     "index",        "rindex"};
  auto has = [&](auto &names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  return object.isDict() ? has(dict) : object.isList() ? has(list) : object.isString() && has(text);
}

static const Builtin *findMethod(const Value &object, std::string_view name) {
  if (object.isString())
    return findBuiltin(Builtin::Kind::stringMethod, name);
  if (object.isDict())
    return findBuiltin(Builtin::Kind::dictMethod, name);
  if (object.isList() && (object.list().kind == ListObject::Kind::list ||
                          object.list().kind == ListObject::Kind::tuple))
    return findBuiltin(Builtin::Kind::listMethod, name);
  return nullptr;
}

static Value noAttribute(const Value &object, std::string_view name) {
  return Value::undefined(std::string("a ") + object.typeName() + " has no attribute '" +
                          std::string(name) + "'");
}

Value Evaluator::attribute(const Value &object, std::string_view name) {
  if (object.isUndefined())
    return fail(object.undefinedHint());
  if (NamespaceObject *fields = object.nameSpace()) {
    charge(fields->fields.size());
    const Value *value = fields->find(name);
    return value ? *value : noAttribute(object, name);
  }
  if (LoopObject *loop = object.loop())
    return loopAttribute(*loop, name);
  if (const Builtin *method = findMethod(object, name))
    return Value(std::make_shared<const MethodObject>(MethodObject{object, method}));
  if (isRefusedAttribute(object, name))
    return fail("the attribute '" + std::string(name) + "' of a " + object.typeName() +
                " is not supported");
  if (object.isDict())
    if (const Value *value = object.dict().find(name))
      return *value;
  return noAttribute(object, name);
}

Value Evaluator::item(const Value &object, const Value &key) {
  if (object.isUndefined())
    return fail(object.undefinedHint());
  if (object.isDict() && isKey(key))
    if (const Value *value = lookUp(object.dict(), key))
      return *value;
  bool isSequence =
      object.isString() || (object.isList() && object.list().kind != ListObject::Kind::generator &&
                            object.list().kind != ListObject::Kind::view);
  if (isSequence && key.isInteger()) {
    std::vector<size_t> offsets;
    if (object.isString()) {
      if (!charge(object.string().size()))
        return {};
      offsets = codePointOffsets(object.string());
    }
    int64_t size =
        static_cast<int64_t>(object.isString() ? offsets.size() - 1 : object.list().items.size());
    int64_t at = key.integer();
    if (at < 0)
      at += size;
    if (at >= 0 && at < size)
      return object.isString()
                 ? Value(object.string().substr(offsets[at], offsets[at + 1] - offsets[at]))
                 : object.list().items[at];
  }
  // A name that is no key may still be an attribute.
  if (key.isString() && !object.isDict())
    return attribute(object, key.string());
  if (key.isString())
    if (const Builtin *method = findMethod(object, key.string()))
      return Value(std::make_shared<const MethodObject>(MethodObject{object, method}));
  std::string text;
  if (charge(key.weight()))
    appendRepr(text, key);
  return Value::undefined(std::string("a ") + object.typeName() + " has no element " + text);
}

Value followPath(Evaluator &evaluator, const Value &value, const Value &path) {
  if (!path.isString())
    return evaluator.item(value, path);
  Value found = value;
  std::string_view rest = path.string();
  while (!evaluator.failed()) {
    std::string_view part = rest.substr(0, rest.find('.'));
    bool isIndex =
        !part.empty() && part.size() < 10 &&
        std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    found =
        evaluator.item(found, isIndex ? Value(int64_t(std::stol(std::string(part)))) : Value(part));
    if (part.size() == rest.size())
      break;
    rest.remove_prefix(part.size() + 1);
  }
  return found;
}

} // namespace qopt::chat
