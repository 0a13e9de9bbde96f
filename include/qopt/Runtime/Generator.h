//===- Generator.h - Text in, text out --------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// An Engine with the model's tokenizer and chat template.
///
///   Result<Model> model = Model::load("smol.qopt");
///   Result<Generator> generator = Generator::create(*model);
///   Result<Completion> completion = generator->chat(
///       {{"user", "What is gravity?"}}, generator->defaults(),
///       [](const TextEvent &event) {
///         std::fwrite(event.text.data(), 1, event.text.size(), stdout);
///         return true;
///       });
///
/// Every function may be called from any thread: requests that run at the same
/// time are batched. Callbacks run on whichever thread steps the engine, and
/// may call submit() and cancel().
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_GENERATOR_H
#define QOPT_RUNTIME_GENERATOR_H

#include "qopt/Runtime/ChatTemplate.h"
#include "qopt/Runtime/Engine.h"
#include "qopt/Runtime/Tokenizer.h"
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

struct GenerateOptions {
  SamplingParams sampling;
  uint32_t maxTokens = 0; ///< to generate; 0: until the context is full
  /// Text that ends the generation; it is not part of the result.
  std::vector<std::string> stop;
  bool stopAtEos = true;
  bool skipSpecial = true; ///< leave special tokens out of the text
};

/// A token and the text that it completes: whole UTF-8 characters, without what
/// may still become a stop string.
struct TextEvent {
  RequestId request = 0;
  std::string text;
  int32_t token = -1; ///< -1: an end without a token
  double logprob = 0; ///< if SamplingParams::logprobs
  FinishReason finish = FinishReason::none;
  uint32_t promptTokens = 0;
  uint32_t generatedTokens = 0;
};

/// False ends the request, without a further call.
using TextCallback = std::function<bool(const TextEvent &)>;

struct Completion {
  std::string text;
  std::vector<int32_t> tokens; ///< with the one that ended it
  /// Of the generation; cancelled where the callback ended it.
  FinishReason finish = FinishReason::none;
  uint32_t promptTokens = 0;
};

class Generator {
public:
  /// Fails when the artifact's tokenizer or chat template is invalid, or the
  /// options don't fit.
  static Result<Generator> create(Model model, const EngineOptions &options = {});

  Generator(Generator &&) noexcept;
  Generator &operator=(Generator &&) noexcept;
  ~Generator();

  /// What the model's generation configuration asks for.
  GenerateOptions defaults() const;

  /// Continues \p prompt (UTF-8); returns when it is done.
  Result<Completion> generate(std::string_view prompt, const GenerateOptions &options,
                              const TextCallback &onText = {});
  /// Answers the last of \p messages.
  Result<Completion> chat(const std::vector<ChatMessage> &messages, const GenerateOptions &options,
                          const TextCallback &onText = {});
  /// Continues \p prompt, given in tokens.
  Result<Completion> generate(std::vector<int32_t> prompt, const GenerateOptions &options,
                              const TextCallback &onText = {});

  /// The tokens of a prompt, with the model's BOS where it wants one.
  Result<std::vector<int32_t>> encode(std::string_view prompt) const;
  /// The tokens of a conversation up to the start of the answer.
  Result<std::vector<int32_t>> encode(const std::vector<ChatMessage> &messages) const;

  /// Queues a request that step() runs.
  Result<RequestId> submit(std::vector<int32_t> prompt, const GenerateOptions &options,
                           TextCallback onText);
  void cancel(RequestId request);
  /// One step of every request; returns whether any is left.
  Result<bool> step();
  /// Returns whether there is anything to do, at the latest after \p timeout.
  bool wait(std::chrono::milliseconds timeout) const;

  const Tokenizer *tokenizer() const; ///< null where the model has none: tokens alone
  EngineStatistics statistics() const;
  const Executor &executor() const;
  const Model &model() const;

private:
  struct State;
  explicit Generator(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

} // namespace qopt

#endif // QOPT_RUNTIME_GENERATOR_H
