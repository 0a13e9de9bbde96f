//===- Progress.h - What a long step shows ----------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A bar with an estimate on a terminal, plain lines elsewhere; and the time
/// and bytes of each phase for `--timing`.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_PROGRESS_H
#define QOPT_DRIVER_PROGRESS_H

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace qopt {

class Progress {
public:
  /// Shows nothing when \p quiet.
  explicit Progress(bool quiet = false);
  ~Progress();

  /// Ends the phase before and begins the next, of \p total units of work (0:
  /// not known).
  void begin(std::string phase, uint64_t total = 0);
  /// Says that the phase has \p total units of work.
  void setTotal(uint64_t total);
  /// \p units more are done, with \p bytes that came of them.
  void advance(uint64_t units, uint64_t bytes = 0);
  /// Says what was special about the phase.
  void note(std::string text);
  void end();

  struct Phase {
    std::string name;
    double seconds = 0;
    uint64_t bytes = 0;
    std::string note;
  };
  const std::vector<Phase> &phases() const { return phases_; }

private:
  using Clock = std::chrono::steady_clock;
  void show(bool last);

  bool quiet_, terminal_;
  bool running_ = false;
  uint64_t total_ = 0, done_ = 0;
  Clock::time_point start_, shown_;
  std::vector<Phase> phases_;
};

} // namespace qopt

#endif // QOPT_DRIVER_PROGRESS_H
