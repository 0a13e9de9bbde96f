//===- Value.h - The values of a chat template ------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What an expression evaluates to. Values are immutable and cheap to copy;
/// lists and dicts know their nesting depth, which is bounded so that every
/// recursion over a value is. Namespaces, macros and loops belong to the
/// rendering that made them and are referred to by plain pointers.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CHATTEMPLATE_VALUE_H
#define QOPT_RUNTIME_CHATTEMPLATE_VALUE_H

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace qopt::chat {

class Value;
struct ListObject;
class DictObject;
struct NamespaceObject;
struct MacroObject;
struct LoopObject;
struct MethodObject;
struct Builtin;

/// Containers nest no deeper than this.
constexpr int maxValueDepth = 100;
constexpr uint64_t maxWeight = uint64_t(1) << 62;

/// Jinja's default Undefined: prints as nothing, is false and empty, and fails
/// in any other use with `hint`.
struct Undefined {
  std::shared_ptr<const std::string> hint;
};
struct None {};
/// Text that the filters `safe` and `escape` made. In Jinja2 it escapes the text
/// it is joined with; here it can be printed and nothing else.
struct Markup {
  std::shared_ptr<const std::string> text;
};

class Value {
public:
  using String = std::shared_ptr<const std::string>;
  using List = std::shared_ptr<const ListObject>;
  using Dict = std::shared_ptr<const DictObject>;
  using Method = std::shared_ptr<const MethodObject>;

  Value() : data_(Undefined{}) {}
  Value(None) : data_(None{}) {}
  Value(bool value) : data_(value) {}
  Value(int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string text) : data_(std::make_shared<const std::string>(std::move(text))) {}
  Value(std::string_view text) : Value(std::string(text)) {}
  Value(const char *text) : Value(std::string(text)) {}
  Value(String text) : data_(std::move(text)) {}
  Value(List list) : data_(std::move(list)) {}
  Value(Dict dict) : data_(std::move(dict)) {}
  Value(Method method) : data_(std::move(method)) {}
  Value(Markup markup) : data_(std::move(markup)) {}
  Value(NamespaceObject *object) : data_(object) {}
  Value(const MacroObject *macro) : data_(macro) {}
  Value(LoopObject *loop) : data_(loop) {}
  Value(const Builtin *function) : data_(function) {}

  static Value undefined(std::string hint) {
    Value value;
    value.data_ = Undefined{std::make_shared<const std::string>(std::move(hint))};
    return value;
  }

  bool isUndefined() const { return is<Undefined>(); }
  bool isNone() const { return is<None>(); }
  bool isBool() const { return is<bool>(); }
  bool isString() const { return is<String>(); }
  const Markup *markup() const { return std::get_if<Markup>(&data_); }
  bool isList() const { return is<List>(); }
  bool isDict() const { return is<Dict>(); }
  /// An int or a bool, as in Python.
  bool isInteger() const { return is<int64_t>() || is<bool>(); }
  bool isFloat() const { return is<double>(); }
  bool isNumber() const { return isInteger() || isFloat(); }

  const std::string &string() const { return **std::get_if<String>(&data_); }
  const ListObject &list() const { return **std::get_if<List>(&data_); }
  const DictObject &dict() const { return **std::get_if<Dict>(&data_); }
  const MethodObject &method() const { return **std::get_if<Method>(&data_); }
  bool boolean() const { return *std::get_if<bool>(&data_); }
  int64_t integer() const {
    const bool *flag = std::get_if<bool>(&data_);
    return flag ? int64_t(*flag) : *std::get_if<int64_t>(&data_);
  }
  double number() const { return isFloat() ? *std::get_if<double>(&data_) : double(integer()); }
  NamespaceObject *nameSpace() const { return pointer<NamespaceObject *>(); }
  const MacroObject *macro() const { return pointer<const MacroObject *>(); }
  LoopObject *loop() const { return pointer<LoopObject *>(); }
  const Builtin *function() const { return pointer<const Builtin *>(); }
  bool isMethod() const { return is<Method>(); }

  /// Python's bool(value).
  bool truthy() const;
  /// Nesting of lists and dicts; 0 for scalars.
  int depth() const;
  /// Values and text bytes inside, counted as often as they are reached: what
  /// printing or comparing the value costs. Saturates at maxWeight.
  uint64_t weight() const;
  /// "str", "int", "list", ...: for messages.
  const char *typeName() const;
  /// Why an undefined value is undefined.
  std::string undefinedHint() const;

private:
  template <typename T> bool is() const { return std::holds_alternative<T>(data_); }
  template <typename T> T pointer() const {
    const T *held = std::get_if<T>(&data_);
    return held ? *held : nullptr;
  }

  std::variant<Undefined, None, bool, int64_t, double, String, Markup, List, Dict, Method,
               NamespaceObject *, const MacroObject *, LoopObject *, const Builtin *>
      data_;
};

/// A list, a tuple, or one of Python's lazy sequences: a `range`, the view that
/// dict.items() gives, a generator (`map`, `select`), which can be read once.
struct ListObject {
  enum class Kind { list, tuple, range, view, generator };
  std::vector<Value> items;
  Kind kind = Kind::list;
  int depth = 1;
  uint64_t weight = 1;
  /// Generators: how many items have been read. Only the rendering that made
  /// the generator sees it.
  mutable size_t taken = 0;

  const char *typeName() const;
};

/// A dict in insertion order.
class DictObject {
public:
  const std::vector<std::pair<Value, Value>> &entries() const { return entries_; }
  const Value *find(const Value &key) const;
  const Value *find(std::string_view key) const;
  /// Replaces the value of an equal key, else appends.
  void insert(Value key, Value value);
  int depth() const { return depth_; }
  uint64_t weight() const { return weight_; }

private:
  std::vector<std::pair<Value, Value>> entries_;
  std::unordered_map<std::string_view, size_t> strings_; // views into entries_
  int depth_ = 1;
  uint64_t weight_ = 1;
};

/// The one mutable object: `namespace()`.
struct NamespaceObject {
  std::vector<std::pair<std::string, Value>> fields;
  Value *find(std::string_view name);
  void assign(std::string_view name, Value value);
};

/// `text.strip` before it is called.
struct MethodObject {
  Value self;
  const Builtin *info;
};

Value makeList(std::vector<Value> items, ListObject::Kind kind = ListObject::Kind::list);
Value makeDict(DictObject dict);

/// Python's ==; never fails.
bool equal(const Value &a, const Value &b);

/// Appends str(value) (as a template prints it) or repr(value).
void appendStr(std::string &out, const Value &value);
void appendRepr(std::string &out, const Value &value);
/// Python's repr() of a float.
std::string floatRepr(double value);

} // namespace qopt::chat

#endif // QOPT_RUNTIME_CHATTEMPLATE_VALUE_H
