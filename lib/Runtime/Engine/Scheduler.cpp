//===- Scheduler.cpp - Which tokens the next step takes -------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Scheduler.h"
#include <algorithm>

using namespace qopt;

std::unique_ptr<RequestState> Scheduler::remove(RequestId id) {
  auto take = [&](auto &queue) -> std::unique_ptr<RequestState> {
    auto found =
        std::find_if(queue.begin(), queue.end(), [&](auto &state) { return state->id == id; });
    if (found == queue.end())
      return nullptr;
    std::unique_ptr<RequestState> state = std::move(*found);
    queue.erase(found);
    return state;
  };
  if (std::unique_ptr<RequestState> state = take(running_))
    return state;
  return take(waiting_);
}

const std::vector<Scheduled> &Scheduler::schedule() {
  while (true) {
    step_.clear();
    budget_ = maxTokens_;
    scheduleDecodes();
    schedulePrompts();
    admit();
    if (!step_.empty() || empty())
      return step_;
    // Prompts under way hold every page and none can go on: the youngest gives way.
    preemptYoungest();
  }
}

void Scheduler::scheduleDecodes() {
  for (size_t i = 0; i < running_.size() && budget_ > 0; ++i) {
    RequestState &state = *running_[i];
    if (!state.decodes())
      continue;
    while (!executor_.reserve(state.sequence, 1) && i + 1 < running_.size())
      preemptYoungest();
    scheduleChunk(state, 1);
  }
}

void Scheduler::schedulePrompts() {
  for (auto &state : running_)
    if (!state->decodes())
      scheduleChunk(*state, state->pending());
}

void Scheduler::admit() {
  while (!waiting_.empty() && budget_ > 0 && running_.size() < maxRunning_) {
    RequestState &state = *waiting_.front();
    // Beside its own prompt, a page for each running request, so that it isn't
    // sent back at the next step. Alone it fits: the cache holds one context.
    uint64_t wanted = pagesFor(state.tokens.size()) + running_.size();
    if (!running_.empty() && wanted > executor_.freePages())
      return;
    state.sequence = executor_.newSequence();
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    scheduleChunk(*running_.back(), state.pending());
  }
}

void Scheduler::scheduleChunk(RequestState &state, uint32_t most) {
  uint32_t tokens = std::min(most, budget_);
  // Pages may be short: then what the last page still takes goes in.
  uint32_t room = executor_.pageTokens();
  while (tokens > 0 && !executor_.reserve(state.sequence, tokens)) {
    uint32_t end = (state.sequence.length() + tokens - 1) / room * room;
    tokens = end > state.sequence.length() ? end - state.sequence.length() : 0;
  }
  if (tokens == 0)
    return;
  step_.push_back({&state, tokens});
  budget_ -= tokens;
}

void Scheduler::preemptYoungest() {
  std::unique_ptr<RequestState> state = std::move(running_.back());
  running_.pop_back();
  state->sequence.clear();
  waiting_.push_front(std::move(state));
  ++preemptions_;
}

uint32_t Scheduler::pagesFor(uint64_t tokens) const {
  return static_cast<uint32_t>((tokens + executor_.pageTokens() - 1) / executor_.pageTokens());
}
