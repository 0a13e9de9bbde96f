//===- Engine.h - Continuous batching ---------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Runs many requests at once. Each step takes one token of every request that
/// decodes and fills up with chunks of prompts.
///
///   Result<Engine> engine = Engine::create(model);
///   Request request;
///   request.prompt = {1, 2, 3};
///   request.onToken = [](const TokenEvent &event) {
///     std::printf("%d ", event.token);
///     return true;
///   };
///   Result<RequestId> id = engine->submit(std::move(request));
///   while (engine->busy())
///     if (Result<bool> more = engine->step(); !more)
///       return report(more.status().message());
///
/// Rules: one thread at a time calls step(); submit(), cancel(), busy() and
/// wait() may be called from any thread, also from a callback. Callbacks run on the thread
/// that steps. A request's tokens are the same alone and in any company.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_ENGINE_H
#define QOPT_RUNTIME_ENGINE_H

#include "qopt/Runtime/Executor.h"
#include "qopt/Runtime/Sampler.h"
#include "qopt/Runtime/Status.h"
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace qopt {

using RequestId = uint64_t;

enum class FinishReason {
  none,       ///< still running
  stopToken,  ///< generated a token of Request::stopTokens
  stopString, ///< the callback ended it: the text holds a stop string
  length,     ///< Request::maxTokens or the context is used up
  cancelled,
  failed, ///< the model's logits are no numbers
};

/// Lower case, as the commands and servers print it: "stop", "length", ...
const char *describe(FinishReason reason);

/// One token of a request, or its end.
struct TokenEvent {
  RequestId request = 0;
  int32_t token = -1; ///< -1: an end without a token (cancelled, failed)
  double logprob = 0; ///< if SamplingParams::logprobs
  FinishReason finish = FinishReason::none;
  uint32_t promptTokens = 0;
  uint32_t generatedTokens = 0; ///< with this one
};

struct Request {
  std::vector<int32_t> prompt;
  SamplingParams sampling;
  uint32_t maxTokens = 0; ///< to generate; 0: until the context is full
  /// Tokens that end the request; they are reported before it ends.
  std::vector<int32_t> stopTokens;
  /// Ends the request at the tokens that the model's configuration names, too.
  bool stopAtEos = true;
  /// Called for each token in order, and once at the end at the latest. False
  /// ends the request with FinishReason::stopString and no further call.
  std::function<bool(const TokenEvent &)> onToken;
};

struct EngineOptions {
  ExecutorOptions executor;
  uint32_t maxStepTokens = 0; ///< tokens of a step; 0: what the largest plan takes
  /// Gives the device a decode step before the tokens of the last one are known to the host,
  /// where it has tokens of its own. Changes no token.
  bool lookAhead = true;
};

/// Counts since the engine was made. A step with any prompt token counts as
/// prefill, whatever else is in it.
struct EngineStatistics {
  uint64_t requests = 0;        ///< finished
  uint64_t promptTokens = 0;    ///< run in prefill steps, repeats included
  uint64_t generatedTokens = 0; ///< sampled
  uint64_t decodeTokens = 0;    ///< sampled in decode steps
  uint64_t prefillSteps = 0, decodeSteps = 0;
  uint64_t preemptions = 0; ///< requests put back because the cache was full
  double prefillSeconds = 0, decodeSeconds = 0;
  double sampleSeconds = 0; ///< of the host, in sampling and callbacks; included in the two

  double prefillTokensPerSecond() const {
    return prefillSeconds > 0 ? promptTokens / prefillSeconds : 0;
  }
  double decodeTokensPerSecond() const {
    return decodeSeconds > 0 ? decodeTokens / decodeSeconds : 0;
  }
};

class Engine {
public:
  static Result<Engine> create(Model model, const EngineOptions &options = {});

  Engine(Engine &&) noexcept;
  Engine &operator=(Engine &&) noexcept;
  /// Requests that still run end without a call.
  ~Engine();

  /// Queues a request. Fails when the prompt is empty, longer than the context
  /// allows or holds a token outside the vocabulary, or a parameter is wrong.
  Result<RequestId> submit(Request request);

  /// Ends a request before the next step; nothing happens if it is over.
  void cancel(RequestId request);

  /// Schedules, runs and commits one step. Returns whether requests are left.
  /// An error means that the device failed: the engine can't go on.
  Result<bool> step();

  /// Whether there is anything to do.
  bool busy() const;
  /// Returns busy() as soon as it is true, or after \p timeout.
  bool wait(std::chrono::milliseconds timeout) const;

  EngineStatistics statistics() const;
  const Executor &executor() const;
  const Model &model() const;

private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

} // namespace qopt

#endif // QOPT_RUNTIME_ENGINE_H
