//===- Progress.cpp - What a long step shows ------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Driver/Progress.h"
#include <cstdio>
#include <unistd.h>

using namespace qopt;

static double secondsBetween(std::chrono::steady_clock::time_point from,
                             std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO)) {}

Progress::~Progress() { end(); }

void Progress::begin(std::string phase, uint64_t total) {
  end();
  phases_.push_back({std::move(phase)});
  total_ = total;
  done_ = 0;
  start_ = shown_ = Clock::now();
  running_ = true;
  if (!quiet_ && terminal_)
    show(false);
}

void Progress::setTotal(uint64_t total) { total_ = total; }

void Progress::advance(uint64_t units, uint64_t bytes) {
  done_ += units;
  phases_.back().bytes += bytes;
  if (quiet_ || !terminal_ || secondsBetween(shown_, Clock::now()) < 0.1)
    return;
  shown_ = Clock::now();
  show(false);
}

void Progress::note(std::string text) { phases_.back().note = std::move(text); }

void Progress::end() {
  if (!running_)
    return;
  running_ = false;
  phases_.back().seconds = secondsBetween(start_, Clock::now());
  if (!quiet_)
    show(true);
}

void Progress::show(bool last) {
  constexpr int width = 24;
  const Phase &phase = phases_.back();
  if (!terminal_) {
    std::fprintf(stderr, "%s: %.1f s\n", phase.name.c_str(), phase.seconds);
    return;
  }
  if (last) {
    std::fprintf(stderr, "\r\033[K%-24s %6.1f s\n", phase.name.c_str(), phase.seconds);
    return;
  }
  if (total_ == 0) {
    std::fprintf(stderr, "\r\033[K%-24s ...", phase.name.c_str());
    return;
  }
  double share = static_cast<double>(done_) / static_cast<double>(total_);
  double left = share > 0 ? secondsBetween(start_, Clock::now()) * (1 - share) / share : 0;
  int filled = static_cast<int>(share * width);
  std::string bar(filled, '#');
  bar.resize(width, '.');
  std::fprintf(stderr, "\r\033[K%-24s [%s] %3.0f %%  %.0f s left", phase.name.c_str(), bar.c_str(),
               share * 100, left);
}
