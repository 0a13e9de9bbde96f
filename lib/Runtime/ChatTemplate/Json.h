//===- Json.h - JSON to and from the values of a template ----- -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CHATTEMPLATE_JSON_H
#define QOPT_RUNTIME_CHATTEMPLATE_JSON_H

#include "Evaluator.h"
#include "Value.h"
#include "qopt/Runtime/Status.h"
#include <optional>
#include <string>
#include <string_view>

namespace qopt::chat {

/// Reads JSON; \p what names the text in errors. Keys keep their order and the
/// last of equal ones wins. Errors: bad syntax or UTF-8, integers beyond 64
/// bits, nesting beyond maxValueDepth.
Result<Value> parseJson(std::string_view text, std::string_view what);

/// The layout that Python's json.dumps() takes.
struct JsonLayout {
  bool ensureAscii = false;
  bool sortKeys = false;
  std::optional<std::string> indent; ///< of one level; absent: one line
  std::string itemSeparator = ", ";
  std::string keySeparator = ": ";
};

/// Appends json.dumps(value); false, with an error, for what JSON can't say.
bool dumpJson(Evaluator &evaluator, const Value &value, const JsonLayout &layout, std::string &out);

} // namespace qopt::chat

#endif // QOPT_RUNTIME_CHATTEMPLATE_JSON_H
