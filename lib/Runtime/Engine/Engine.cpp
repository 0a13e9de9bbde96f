//===- Engine.cpp - Continuous batching -----------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Engine.h"
#include "Scheduler.h"
#include "Timer.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include <algorithm>
#include <cassert>
#include <condition_variable>
#include <mutex>

using namespace qopt;

struct Engine::State {
  State(Executor executor, uint32_t maxTokens)
      : executor(std::move(executor)),
        scheduler(this->executor, maxTokens, std::min(maxTokens, this->executor.maxStepLogits())) {}

  Executor executor;
  Scheduler scheduler;
  std::vector<int32_t> eos;
  std::vector<Chunk> chunks;
  std::vector<Sampling> samplings; ///< of the chunks whose logits are wanted

  // What other threads touch.
  mutable std::mutex mutex;
  mutable std::condition_variable arrived;
  std::vector<std::unique_ptr<RequestState>> inbox;
  std::vector<RequestId> cancelled;
  RequestId lastId = 0;
  uint64_t unfinished = 0; ///< requests submitted and not over
  EngineStatistics statistics;

  Status check(const Request &request) const;
  void takeInbox();
  void commit(const std::vector<Scheduled> &step, std::span<const SampledToken> sampled);
  void commitToken(RequestState &state, const SampledToken &sampled);
  FinishReason finishOf(const RequestState &state) const;
  void finish(RequestId id);
};

const char *qopt::describe(FinishReason reason) {
  switch (reason) {
  case FinishReason::none:
    return "running";
  case FinishReason::stopToken:
  case FinishReason::stopString:
    return "stop";
  case FinishReason::length:
    return "length";
  case FinishReason::cancelled:
    return "cancelled";
  case FinishReason::failed:
    break;
  }
  return "failed";
}

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::Engine(Engine &&) noexcept = default;
Engine &Engine::operator=(Engine &&) noexcept = default;
Engine::~Engine() = default;

Result<Engine> Engine::create(Model model, const EngineOptions &options) {
  Result<Executor> executor = Executor::create(model, options.executor);
  if (!executor)
    return executor.status();
  uint32_t most = executor->maxStepTokens();
  if (options.maxStepTokens > most)
    return Status::usage("steps of " + std::to_string(options.maxStepTokens) +
                         " tokens, expected at most the largest plan's " + std::to_string(most));
  auto state = std::make_unique<State>(std::move(*executor),
                                       options.maxStepTokens ? options.maxStepTokens : most);
  for (uint32_t id : model.manifest().generation().eos_ids())
    state->eos.push_back(static_cast<int32_t>(id));
  return Engine(std::move(state));
}

Status Engine::State::check(const Request &request) const {
  if (request.prompt.empty())
    return Status::invalid("the prompt has no tokens, expected at least one");
  if (request.prompt.size() >= executor.maxContext())
    return Status::invalid("the prompt has " + std::to_string(request.prompt.size()) +
                           " tokens, expected fewer than the context of " +
                           std::to_string(executor.maxContext()));
  uint32_t vocabulary = executor.model().vocabularySize();
  for (int32_t token : request.prompt)
    if (token < 0 || uint32_t(token) >= vocabulary)
      return Status::invalid("the prompt's token " + std::to_string(token) +
                             " is not in the vocabulary of " + std::to_string(vocabulary));
  return request.sampling.validate();
}

Result<RequestId> Engine::submit(Request request) {
  if (Status status = state_->check(request); !status)
    return status;
  auto state = std::make_unique<RequestState>();
  state->tokens = request.prompt;
  uint64_t length = state_->executor.maxContext();
  if (request.maxTokens)
    length = std::min<uint64_t>(length, request.prompt.size() + uint64_t(request.maxTokens));
  state->maxLength = static_cast<uint32_t>(length);
  state->request = std::move(request);

  std::lock_guard lock(state_->mutex);
  RequestId id = state->id = ++state_->lastId;
  state_->inbox.push_back(std::move(state));
  ++state_->unfinished;
  state_->arrived.notify_all();
  return id;
}

void Engine::cancel(RequestId request) {
  std::lock_guard lock(state_->mutex);
  state_->cancelled.push_back(request);
}

bool Engine::busy() const {
  std::lock_guard lock(state_->mutex);
  return state_->unfinished > 0;
}

bool Engine::wait(std::chrono::milliseconds timeout) const {
  std::unique_lock lock(state_->mutex);
  return state_->arrived.wait_for(lock, timeout, [&] { return state_->unfinished > 0; });
}

Result<bool> Engine::step() {
  State &state = *state_;
  Timer timer;
  state.takeInbox();
  const std::vector<Scheduled> &step = state.scheduler.schedule();
  if (step.empty())
    return busy();

  state.chunks.clear();
  state.samplings.clear();
  bool decode = true;
  uint32_t promptTokens = 0;
  for (const Scheduled &part : step) {
    RequestState &request = *part.state;
    std::span tokens(request.tokens);
    state.chunks.push_back({&request.sequence,
                            tokens.subspan(request.sequence.length(), part.tokens),
                            part.last() ? LogitRows::last : LogitRows::none});
    if (part.last())
      state.samplings.push_back({request.request.sampling, tokens, tokens.size()});
    if (!request.decodes()) {
      decode = false;
      promptTokens += part.tokens;
    }
  }
  Result<std::span<const SampledToken>> sampled =
      state.executor.sample(state.chunks, state.samplings);
  if (!sampled)
    return sampled.status();

  uint64_t before = state.statistics.generatedTokens;
  Timer sampling;
  state.commit(step, *sampled);
  double sampleSeconds = state.executor.hostSampleSeconds() + sampling.lap();

  std::lock_guard lock(state.mutex);
  EngineStatistics &statistics = state.statistics;
  statistics.sampleSeconds += sampleSeconds;
  statistics.promptTokens += promptTokens;
  statistics.preemptions = state.scheduler.preemptions();
  (decode ? statistics.decodeSteps : statistics.prefillSteps) += 1;
  (decode ? statistics.decodeSeconds : statistics.prefillSeconds) += timer.lap();
  if (decode)
    statistics.decodeTokens += statistics.generatedTokens - before;
  assert((!state.scheduler.empty() || state.executor.freePages() == state.executor.pages()) &&
         "an idle engine holds pages");
  return state.unfinished > 0;
}

/// Moves new requests to the scheduler and ends the cancelled ones.
void Engine::State::takeInbox() {
  std::vector<RequestId> ends;
  {
    std::lock_guard lock(mutex);
    for (auto &request : inbox)
      scheduler.add(std::move(request));
    inbox.clear();
    ends.swap(cancelled);
  }
  for (RequestId id : ends) {
    std::unique_ptr<RequestState> state = scheduler.remove(id);
    if (!state)
      continue;
    TokenEvent event{id,
                     -1,
                     0,
                     FinishReason::cancelled,
                     static_cast<uint32_t>(state->request.prompt.size()),
                     state->generated()};
    finish(id);
    if (state->request.onToken)
      state->request.onToken(event);
  }
}

void Engine::State::commit(const std::vector<Scheduled> &step,
                           std::span<const SampledToken> sampled) {
  for (size_t i = 0, row = 0; i < step.size(); ++i)
    if (chunks[i].logits != LogitRows::none)
      commitToken(*step[i].state, sampled[row++]);
}

void Engine::State::commitToken(RequestState &state, const SampledToken &sampled) {
  bool hasToken = sampled.token >= 0;
  TokenEvent event;
  event.request = state.id;
  event.promptTokens = static_cast<uint32_t>(state.request.prompt.size());
  if (hasToken) {
    state.tokens.push_back(sampled.token);
    event.token = sampled.token;
    event.logprob = sampled.logprob;
    event.finish = finishOf(state);
  } else {
    event.finish = FinishReason::failed;
  }
  event.generatedTokens = state.generated();
  {
    std::lock_guard lock(mutex);
    statistics.generatedTokens += hasToken;
  }
  bool goOn = !state.request.onToken || state.request.onToken(event);
  if (event.finish == FinishReason::none && goOn)
    return;
  scheduler.remove(state.id);
  finish(event.request);
}

FinishReason Engine::State::finishOf(const RequestState &state) const {
  int32_t token = state.tokens.back();
  auto holds = [&](const std::vector<int32_t> &stops) {
    return std::find(stops.begin(), stops.end(), token) != stops.end();
  };
  if (holds(state.request.stopTokens) || (state.request.stopAtEos && holds(eos)))
    return FinishReason::stopToken;
  return state.tokens.size() >= state.maxLength ? FinishReason::length : FinishReason::none;
}

void Engine::State::finish(RequestId id) {
  std::lock_guard lock(mutex);
  --unfinished;
  ++statistics.requests;
}

EngineStatistics Engine::statistics() const {
  std::lock_guard lock(state_->mutex);
  return state_->statistics;
}

const Executor &Engine::executor() const { return state_->executor; }
const Model &Engine::model() const { return state_->executor.model(); }
