//===- Operators.h - Operators on the values of a template ---- -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CHATTEMPLATE_OPERATORS_H
#define QOPT_RUNTIME_CHATTEMPLATE_OPERATORS_H

#include "Ast.h"
#include "Evaluator.h"

namespace qopt::chat {

/// +, -, *, /, //, %, ** with Python's meaning; an int beyond 64 bits fails.
Value arithmetic(Evaluator &evaluator, Operator op, const Value &a, const Value &b);
Value negated(Evaluator &evaluator, const Value &value);
/// a < b of two numbers that are not NaN, or of two strs.
bool isLess(const Value &a, const Value &b);
/// A comparison, `in` or `not in`; false where it fails.
bool compare(Evaluator &evaluator, Operator op, const Value &a, const Value &b);
/// value[start:stop:step]; absent bounds are none.
Value slice(Evaluator &evaluator, const Value &value, const Value &start, const Value &stop,
            const Value &step);

/// text.replace(from, to, count); a negative count replaces all.
Value replaceText(Evaluator &evaluator, const std::string &text, const std::string &from,
                  const std::string &to, int64_t count);

} // namespace qopt::chat

#endif // QOPT_RUNTIME_CHATTEMPLATE_OPERATORS_H
