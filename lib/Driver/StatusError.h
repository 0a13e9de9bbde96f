//===- StatusError.h - A runtime's status as an error -----------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The compiler's functions give llvm::Error, the runtime's Status. A status keeps
/// its code, which is the exit code of the command, on its way through the former.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_STATUSERROR_H
#define QOPT_DRIVER_STATUSERROR_H

#include "CommandError.h"
#include "llvm/Support/Error.h"

namespace qopt {

class StatusError : public llvm::ErrorInfo<StatusError> {
public:
  explicit StatusError(Status status) : status_(std::move(status)) {}

  const Status &status() const { return status_; }
  void log(llvm::raw_ostream &out) const override { out << status_.message(); }
  std::error_code convertToErrorCode() const override { return llvm::inconvertibleErrorCode(); }

  static char ID;

private:
  Status status_;
};

inline llvm::Error toError(const Status &status) { return llvm::make_error<StatusError>(status); }

/// Ends the command: with the code of a status, else because the input is wrong.
inline void failOn(llvm::Error error) {
  if (!error)
    return;
  StatusCode code = StatusCode::invalidInput;
  error = llvm::handleErrors(std::move(error), [&](std::unique_ptr<StatusError> found) {
    code = found->status().code();
    return llvm::Error(std::move(found));
  });
  fail(code, llvm::toString(std::move(error)));
}

} // namespace qopt

#endif // QOPT_DRIVER_STATUSERROR_H
