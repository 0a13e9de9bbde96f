//===- Scheduler.h - Which tokens the next step takes -----------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// First come, first served. A step takes, in this order and in order of
/// arrival: one token of each request that decodes, chunks of the prompts that
/// are under way, and new requests while their prompt finds pages.
///
/// When a decoding request finds no page, the youngest running request gives
/// its pages back and waits again; its tokens are computed anew later, with the
/// same bits. The oldest request thus always makes progress.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_ENGINE_SCHEDULER_H
#define QOPT_RUNTIME_ENGINE_SCHEDULER_H

#include "qopt/Runtime/Engine.h"
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace qopt {

/// A request on its way.
struct RequestState {
  RequestId id = 0;
  Request request;
  std::vector<int32_t> tokens; ///< the prompt and what was generated
  uint32_t maxLength = 0;      ///< of tokens
  Sequence sequence;           ///< the tokens that were run

  uint32_t generated() const {
    return static_cast<uint32_t>(tokens.size() - request.prompt.size());
  }
  uint32_t pending() const { return static_cast<uint32_t>(tokens.size()) - sequence.length(); }
  bool decodes() const { return pending() == 1 && sequence.length() > 0; }
};

/// A request's part of a step: its next `tokens` pending tokens.
struct Scheduled {
  RequestState *state = nullptr;
  uint32_t tokens = 0;
  bool last() const { return tokens == state->pending(); } ///< ends with logits
};

class Scheduler {
public:
  /// A step takes at most \p maxTokens tokens and runs \p maxRunning requests.
  Scheduler(Executor &executor, uint32_t maxTokens, uint32_t maxRunning)
      : executor_(executor), maxTokens_(maxTokens), maxRunning_(maxRunning) {}

  void add(std::unique_ptr<RequestState> state) { waiting_.push_back(std::move(state)); }
  /// Takes a request out, wherever it is; null when it is not here.
  std::unique_ptr<RequestState> remove(RequestId id);

  /// The next step, its pages reserved; empty only when nothing is here.
  const std::vector<Scheduled> &schedule();

  bool empty() const { return running_.empty() && waiting_.empty(); }
  /// Whether requests wait for a place.
  bool isAwaited() const { return !waiting_.empty(); }
  uint64_t preemptions() const { return preemptions_; }

private:
  void scheduleDecodes();
  void schedulePrompts();
  void admit();
  /// Adds up to \p most pending tokens of \p state, as many as find pages.
  void scheduleChunk(RequestState &state, uint32_t most);
  void preemptYoungest();
  uint32_t pagesFor(uint64_t tokens) const;

  Executor &executor_;
  uint32_t maxTokens_;
  uint32_t maxRunning_;
  std::vector<std::unique_ptr<RequestState>> running_; ///< in order of arrival
  std::deque<std::unique_ptr<RequestState>> waiting_;
  std::vector<Scheduled> step_;
  uint32_t budget_ = 0; ///< tokens that the step can still take
  uint64_t preemptions_ = 0;
};

} // namespace qopt

#endif // QOPT_RUNTIME_ENGINE_SCHEDULER_H
