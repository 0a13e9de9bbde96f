//===- Status.h - Errors without exceptions ----------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Status and Result<T>: how the runtime reports errors. No public function
/// throws.
///
///   Result<Model> model = Model::load("smol.qopt");
///   if (!model)
///     return report(model.status().message());
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_STATUS_H
#define QOPT_RUNTIME_STATUS_H

#include <cassert>
#include <optional>
#include <string>
#include <utility>

namespace qopt {

/// What went wrong; the values are the exit codes of the command line.
enum class StatusCode {
  ok = 0,
  invalidInput = 1,    ///< a file, request or argument is wrong
  usage = 2,           ///< the call is wrong (a command-line or API misuse)
  unavailable = 3,     ///< this machine can't: memory, device
};

/// An error code with a message: lower case, no final period, what was
/// expected and what was found.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(StatusCode code, std::string message)
      : code_(code), message_(std::move(message)) {}

  static Status ok() { return {}; }
  static Status invalid(std::string message) {
    return {StatusCode::invalidInput, std::move(message)};
  }
  static Status usage(std::string message) {
    return {StatusCode::usage, std::move(message)};
  }
  static Status unavailable(std::string message) {
    return {StatusCode::unavailable, std::move(message)};
  }

  bool isOk() const { return code_ == StatusCode::ok; }
  explicit operator bool() const { return isOk(); }
  StatusCode code() const { return code_; }
  const std::string &message() const { return message_; }

private:
  StatusCode code_ = StatusCode::ok;
  std::string message_;
};

/// A value or the Status that says why there is none.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) {
    assert(!status_.isOk() && "an ok status carries no value");
  }

  bool isOk() const { return value_.has_value(); }
  explicit operator bool() const { return isOk(); }
  const Status &status() const { return status_; }

  T &operator*() & { return *value_; }
  const T &operator*() const & { return *value_; }
  T &&operator*() && { return std::move(*value_); }
  T *operator->() { return &*value_; }
  const T *operator->() const { return &*value_; }

private:
  std::optional<T> value_;
  Status status_;
};

} // namespace qopt

#endif // QOPT_RUNTIME_STATUS_H
