//===- Builtins.cpp - Looks up builtins and binds their arguments ---------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Builtins.h"
#include "BuiltinTables.h"
#include <algorithm>

namespace qopt::chat {

namespace {

/// What `parameters` says.
struct Signature {
  std::vector<std::string_view> names;
  bool takesRest = false;
  bool takesKeywords = false;

  explicit Signature(const Builtin &builtin) {
    std::string_view text = builtin.parameters;
    while (!text.empty()) {
      std::string_view name = text.substr(0, text.find(' '));
      text.remove_prefix(std::min(text.size(), name.size() + 1));
      if (name == "*")
        takesRest = true;
      else if (name == "**")
        takesKeywords = true;
      else
        names.push_back(name);
    }
  }

  size_t indexOf(std::string_view name) const {
    return static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  }
};

} // namespace

const Builtin *findBuiltin(Builtin::Kind kind, std::string_view name) {
  for (std::span<const Builtin> table :
       {textFilters(), sequenceFilters(), tests(), functions(), methods()})
    for (const Builtin &builtin : table)
      if (builtin.kind == kind && builtin.name == name)
        return &builtin;
  return nullptr;
}

bool isMethodName(std::string_view name) {
  std::span<const Builtin> table = methods();
  return std::any_of(table.begin(), table.end(),
                     [&](const Builtin &method) { return method.name == name; });
}

std::string checkArguments(const Builtin &builtin, size_t positional,
                           const std::vector<std::string> &keywords) {
  Signature signature(builtin);
  if (positional > signature.names.size() && !signature.takesRest)
    return "takes at most " + std::to_string(signature.names.size()) + " arguments, found " +
           std::to_string(positional);
  std::vector<bool> given(signature.names.size());
  std::fill_n(given.begin(), std::min(positional, given.size()), true);
  for (const std::string &keyword : keywords) {
    size_t slot = signature.indexOf(keyword);
    if (slot < given.size() && given[slot])
      return "is given the argument '" + keyword + "' twice";
    if (slot < given.size())
      given[slot] = true;
    else if (!signature.takesKeywords)
      return "takes no argument '" + keyword + "'";
  }
  for (size_t i = 0; i < builtin.required; ++i)
    if (!given[i])
      return "needs the argument '" + std::string(signature.names[i]) + "'";
  return {};
}

Arguments bindArguments(const Builtin &builtin, std::vector<Value> values,
                        const std::vector<std::string> &keywords) {
  Signature signature(builtin);
  Arguments arguments;
  arguments.slots.resize(signature.names.size());
  size_t positional = values.size() - keywords.size();
  for (size_t i = 0; i < values.size(); ++i) {
    size_t slot = i < positional ? i : signature.indexOf(keywords[i - positional]);
    if (slot < signature.names.size())
      arguments.slots[slot] = std::move(values[i]);
    else if (i < positional)
      arguments.rest.push_back(std::move(values[i]));
    else
      arguments.keywords.emplace_back(keywords[i - positional], std::move(values[i]));
  }
  return arguments;
}

const HigherOrder *higherOrder(std::string_view filter) {
  static constexpr std::pair<std::string_view, HigherOrder> filters[] = {
      {"map", {true, false, false}},
      {"select", {false, false, false}},
      {"reject", {false, true, false}},
      {"selectattr", {false, false, true}},
      {"rejectattr", {false, true, true}}};
  for (const auto &[name, order] : filters)
    if (name == filter)
      return &order;
  return nullptr;
}

} // namespace qopt::chat
