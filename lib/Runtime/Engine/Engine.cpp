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
#include <deque>
#include <mutex>

using namespace qopt;

namespace {

/// A step that the device has, and whose tokens aren't known yet.
struct StepUnderWay {
  std::vector<RequestState *> rows; ///< of its logits; null: the request is over
  bool isDecode = false;
  uint32_t promptTokens = 0;
};

} // namespace

struct Engine::State {
  State(Executor executor, uint32_t maxTokens)
      : executor(std::move(executor)),
        scheduler(this->executor, maxTokens, std::min(maxTokens, this->executor.maxStepLogits())) {}

  Executor executor;
  Scheduler scheduler;
  std::vector<int32_t> eos;
  bool lookAhead = true;
  std::vector<Chunk> chunks;
  std::vector<Sampling> samplings;   ///< of the chunks whose logits are wanted
  std::deque<StepUnderWay> underWay; ///< at most two

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
  Status start(const std::vector<Scheduled> &step);
  Status startNext();
  bool goesOn(const RequestState &request) const;
  void commit(const StepUnderWay &step, std::span<const SampledToken> sampled);
  std::unique_ptr<RequestState> remove(RequestId id);
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
  state->lookAhead = options.lookAhead;
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

/// Gives the device what the scheduler chose.
Status Engine::State::start(const std::vector<Scheduled> &step) {
  chunks.clear();
  samplings.clear();
  StepUnderWay started;
  started.isDecode = true;
  for (const Scheduled &part : step) {
    RequestState &request = *part.state;
    std::span tokens(request.tokens);
    chunks.push_back({&request.sequence, tokens.subspan(request.sequence.length(), part.tokens),
                      part.last() ? LogitRows::last : LogitRows::none});
    if (part.last()) {
      samplings.push_back({request.request.sampling, tokens, tokens.size()});
      started.rows.push_back(&request);
    }
    if (!request.decodes()) {
      started.isDecode = false;
      started.promptTokens += part.tokens;
    }
  }
  if (Status status = executor.start(chunks, samplings); !status)
    return status;
  underWay.push_back(std::move(started));
  return Status::ok();
}

/// Whether a request takes another token after the one that is under way, unless that one
/// ends it.
bool Engine::State::goesOn(const RequestState &request) const {
  return request.tokens.size() + 1 < request.maxLength;
}

/// Gives the device the decode step that continues the one under way, before its tokens are
/// known, if nobody else wants to run. A request that its token ends wastes its row.
Status Engine::State::startNext() {
  const StepUnderWay &last = underWay.front();
  if (!lookAhead || underWay.size() != 1 || !last.isDecode || scheduler.isAwaited())
    return Status::ok();
  samplings.clear();
  for (const RequestState *request : last.rows) {
    if (!request || !goesOn(*request))
      return Status::ok();
    // The history with the token that isn't known: only its length is looked at.
    samplings.push_back({request->request.sampling, {}, request->tokens.size() + 1});
  }
  Result<bool> started = executor.startNext(samplings);
  if (!started)
    return started.status();
  if (*started)
    underWay.push_back({last.rows, true, 0});
  return Status::ok();
}

Result<bool> Engine::step() {
  State &state = *state_;
  Timer timer;
  state.takeInbox();
  if (state.underWay.empty()) {
    const std::vector<Scheduled> &step = state.scheduler.schedule();
    if (step.empty())
      return busy();
    if (Status status = state.start(step); !status)
      return status;
  }
  if (Status status = state.startNext(); !status)
    return status;
  Result<std::span<const SampledToken>> sampled = state.executor.finish();
  if (!sampled)
    return sampled.status();

  StepUnderWay step = std::move(state.underWay.front());
  state.underWay.pop_front();
  uint64_t before = state.statistics.generatedTokens;
  Timer sampling;
  state.commit(step, *sampled);
  double sampleSeconds = state.executor.hostSampleSeconds() + sampling.lap();

  std::lock_guard lock(state.mutex);
  EngineStatistics &statistics = state.statistics;
  statistics.sampleSeconds += sampleSeconds;
  statistics.promptTokens += step.promptTokens;
  statistics.preemptions = state.scheduler.preemptions();
  (step.isDecode ? statistics.decodeSteps : statistics.prefillSteps) += 1;
  (step.isDecode ? statistics.decodeSeconds : statistics.prefillSeconds) += timer.lap();
  if (step.isDecode)
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
    std::unique_ptr<RequestState> state = remove(id);
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

/// Takes a request out. Steps under way still run its row, in pages that are given back: what
/// they write comes before the pages are zeroed for another request.
std::unique_ptr<RequestState> Engine::State::remove(RequestId id) {
  std::unique_ptr<RequestState> state = scheduler.remove(id);
  for (StepUnderWay &step : underWay)
    std::replace(step.rows.begin(), step.rows.end(), state.get(),
                 static_cast<RequestState *>(nullptr));
  return state;
}

void Engine::State::commit(const StepUnderWay &step, std::span<const SampledToken> sampled) {
  for (size_t row = 0; row < step.rows.size(); ++row)
    if (step.rows[row])
      commitToken(*step.rows[row], sampled[row]);
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
  remove(event.request);
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
