//===- Timer.h - Seconds since a moment -------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_ENGINE_TIMER_H
#define QOPT_RUNTIME_ENGINE_TIMER_H

#include <chrono>

namespace qopt {

class Timer {
public:
  /// Seconds since the last lap, or since construction.
  double lap() {
    auto now = std::chrono::steady_clock::now();
    double seconds = std::chrono::duration<double>(now - start_).count();
    start_ = now;
    return seconds;
  }

private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

} // namespace qopt

#endif // QOPT_RUNTIME_ENGINE_TIMER_H
