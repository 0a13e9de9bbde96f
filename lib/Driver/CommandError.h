//===- CommandError.h - Ending a command ------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_COMMANDERROR_H
#define QOPT_DRIVER_COMMANDERROR_H

#include "qopt/Runtime/Status.h"
#include <CLI/Error.hpp>
#include <cstdio>
#include <string>

namespace qopt {

/// Prints the error and ends the command with the code's exit code.
[[noreturn]] inline void fail(StatusCode code, const std::string &message) {
  std::fprintf(stderr, "qopt: error: %s\n", message.c_str());
  throw CLI::RuntimeError(static_cast<int>(code));
}

/// The value, or the end of the command.
template <typename T> T valueOrFail(Result<T> result) {
  if (!result)
    fail(result.status().code(), result.status().message());
  return std::move(*result);
}

inline void failUnless(const Status &status) {
  if (!status)
    fail(status.code(), status.message());
}

} // namespace qopt

#endif // QOPT_DRIVER_COMMANDERROR_H
