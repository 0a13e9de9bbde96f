//===- Text.h - Values as they stand in errors -----------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_TEXT_H
#define QOPT_FRONTEND_TEXT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace qopt {

/// Text from a file: control characters escaped, and cut after 200 bytes.
std::string printable(llvm::StringRef text);

bool isUTF8(llvm::StringRef text);

/// The shortest decimal that names the number: 1e-05.
std::string numberText(double number);

/// [4096, 14336]
std::string shapeText(llvm::ArrayRef<int64_t> shape);

/// Puts "what: " in front of an error's message.
llvm::Error inContext(const llvm::Twine &what, llvm::Error error);

} // namespace qopt

#endif // QOPT_FRONTEND_TEXT_H
