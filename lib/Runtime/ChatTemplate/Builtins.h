//===- Builtins.h - Filters, tests, functions and methods ----- -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The tables of what a template may call. The parser looks names up here, so
/// that what is missing is an error of the template, and checks the arguments
/// where it knows the callee; the evaluator binds them and calls.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CHATTEMPLATE_BUILTINS_H
#define QOPT_RUNTIME_CHATTEMPLATE_BUILTINS_H

#include "Value.h"
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qopt::chat {

class Evaluator;

/// The arguments of one call, bound to the parameters.
struct Arguments {
  std::vector<std::optional<Value>> slots;             ///< one for each named parameter
  std::vector<Value> rest;                             ///< further positional ones
  std::vector<std::pair<std::string, Value>> keywords; ///< further named ones

  bool has(size_t i) const { return slots[i].has_value(); }
  const Value &operator[](size_t i) const { return *slots[i]; }
};

struct Builtin {
  enum class Kind { filter, test, function, stringMethod, listMethod, dictMethod, loopMethod };

  std::string_view name;
  /// Parameters after the value, separated by spaces; `*` and `**` at the end
  /// take further positional and named arguments.
  std::string_view parameters;
  size_t required;
  Value (*run)(Evaluator &, const Value &self, const Arguments &);
  Kind kind = Kind::filter;
};

/// The entry of that name, or null.
const Builtin *findBuiltin(Builtin::Kind kind, std::string_view name);

/// Whether any type has a method of that name.
bool isMethodName(std::string_view name);

/// Why `positional` arguments and these named ones don't fit, or empty.
std::string checkArguments(const Builtin &builtin, size_t positional,
                           const std::vector<std::string> &keywords);

/// Binds arguments that checkArguments() accepts: the last `keywords.size()`
/// values are the named ones.
Arguments bindArguments(const Builtin &builtin, std::vector<Value> values,
                        const std::vector<std::string> &keywords);

/// How a builtin that works on each item (`map`, `select`, ...) is spelled.
/// Null for any other.
struct HigherOrder {
  bool isMap;          ///< map, else one of the selections
  bool rejects;        ///< reject, rejectattr
  bool takesAttribute; ///< selectattr, rejectattr: an attribute comes first
};
const HigherOrder *higherOrder(std::string_view filter);

/// Why strftime_now() can't render this format, or empty.
std::string checkTimeFormat(std::string_view format);

} // namespace qopt::chat

#endif // QOPT_RUNTIME_CHATTEMPLATE_BUILTINS_H
