//===- Generator.cpp - Text in, text out ----------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Generator.h"
#include "TextStream.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include <atomic>
#include <condition_variable>
#include <mutex>

using namespace qopt;

struct Generator::State {
  explicit State(Engine engine) : engine(std::move(engine)) {}

  Engine engine;
  std::optional<Tokenizer> tokenizer;       ///< absent where the model has none
  std::optional<ChatTemplate> chatTemplate; ///< absent where the model has none

  /// Steps the engine, or waits while another thread does, until \p done (null:
  /// after one step). A turn, not a lock held while stepping: whoever is done
  /// leaves after the step, however eager the others are.
  Result<bool> step(const std::atomic<bool> *done);

private:
  std::mutex mutex_;
  std::condition_variable turn_;
  bool stepping_ = false;
};

namespace {

std::optional<std::string> present(const std::string &text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

/// Turns the tokens of one request into text events; without a stream their text is
/// empty.
class TextRequest {
public:
  TextRequest(std::optional<TextStream> stream, TextCallback onText)
      : stream_(std::move(stream)), onText_(std::move(onText)) {}

  bool operator()(const TokenEvent &event) {
    TextEvent text{event.request,        {},           event.token,
                   event.logprob,        event.finish, event.promptTokens,
                   event.generatedTokens};
    if (stream_ && event.token >= 0)
      text.text = stream_->push(event.token);
    if (stream_ && event.finish != FinishReason::none)
      text.text += stream_->flush();
    bool stopped = stream_ && stream_->stopped();
    if (stopped)
      text.finish = FinishReason::stopString;
    bool goOn = !onText_ || onText_(text);
    return goOn && !stopped;
  }

private:
  std::optional<TextStream> stream_;
  TextCallback onText_;
};

} // namespace

Result<bool> Generator::State::step(const std::atomic<bool> *done) {
  std::unique_lock lock(mutex_);
  while (true) {
    turn_.wait(lock, [&] { return !stepping_ || (done && *done); });
    if (done && *done)
      return true;
    stepping_ = true;
    lock.unlock();
    Result<bool> more = engine.step();
    lock.lock();
    stepping_ = false;
    turn_.notify_all();
    if (!done || !more)
      return more;
  }
}

Generator::Generator(std::unique_ptr<State> state) : state_(std::move(state)) {}
Generator::Generator(Generator &&) noexcept = default;
Generator &Generator::operator=(Generator &&) noexcept = default;
Generator::~Generator() = default;

Result<Generator> Generator::create(Model model, const EngineOptions &options) {
  const artifact::Manifest &manifest = model.manifest();
  auto invalid = [&](const Status &status) {
    return Status(status.code(), "artifact '" + model.artifact().path() + "': " + status.message());
  };
  std::optional<Tokenizer> tokenizer;
  if (manifest.tokenizer().vocabulary_size() > 0) {
    Result<Tokenizer> created = Tokenizer::create(manifest.tokenizer());
    if (!created)
      return invalid(created.status());
    if (created->vocabularySize() > static_cast<int64_t>(model.vocabularySize()))
      return invalid(Status::invalid(
          "the tokenizer has " + std::to_string(created->vocabularySize()) +
          " tokens, expected at most the model's " + std::to_string(model.vocabularySize())));
    tokenizer = std::move(*created);
  }
  const artifact::ChatTemplate &source = manifest.chat_template();
  std::optional<ChatTemplate> chatTemplate;
  if (!source.source().empty()) {
    Result<ChatTemplate> parsed = ChatTemplate::parse(
        source.source(), {present(source.bos_token()), present(source.eos_token()),
                          present(source.pad_token()), present(source.unk_token())});
    if (!parsed)
      return invalid(parsed.status());
    chatTemplate = std::move(*parsed);
  }
  Result<Engine> engine = Engine::create(model, options);
  if (!engine)
    return engine.status();
  auto state = std::make_unique<State>(std::move(*engine));
  state->tokenizer = std::move(tokenizer);
  state->chatTemplate = std::move(chatTemplate);
  return Generator(std::move(state));
}

GenerateOptions Generator::defaults() const {
  const artifact::GenerationConfig &config = model().manifest().generation();
  GenerateOptions options;
  // A field that the configuration doesn't have reads as zero.
  auto or1 = [](float value) { return value > 0 ? value : 1; };
  options.sampling.repetitionPenalty = or1(config.repetition_penalty());
  if (!config.do_sample())
    return options;
  options.sampling.temperature = or1(config.temperature());
  options.sampling.topK = config.top_k();
  options.sampling.topP = or1(config.top_p());
  return options;
}

Result<std::vector<int32_t>> Generator::encode(std::string_view prompt) const {
  if (!state_->tokenizer)
    return Status::invalid("the model has no tokenizer: it takes token ids alone");
  return state_->tokenizer->encode(prompt);
}

Result<std::vector<int32_t>> Generator::encode(const std::vector<ChatMessage> &messages) const {
  if (!state_->chatTemplate || !state_->tokenizer)
    return Status::invalid("the model has no " +
                           std::string(state_->tokenizer ? "chat template" : "tokenizer"));
  Result<std::string> text = state_->chatTemplate->render(messages, {.addGenerationPrompt = true});
  if (!text)
    return text.status();
  // The template spells the special tokens out, the first one included.
  return state_->tokenizer->encode(*text, /*addSpecialTokens=*/false);
}

Result<Completion> Generator::generate(std::string_view prompt, const GenerateOptions &options,
                                       const TextCallback &onText) {
  Result<std::vector<int32_t>> tokens = encode(prompt);
  if (!tokens)
    return tokens.status();
  return generate(std::move(*tokens), options, onText);
}

Result<Completion> Generator::chat(const std::vector<ChatMessage> &messages,
                                   const GenerateOptions &options, const TextCallback &onText) {
  Result<std::vector<int32_t>> tokens = encode(messages);
  if (!tokens)
    return tokens.status();
  return generate(std::move(*tokens), options, onText);
}

Result<Completion> Generator::generate(std::vector<int32_t> prompt, const GenerateOptions &options,
                                       const TextCallback &onText) {
  // Written by whichever thread steps.
  struct Progress {
    Completion completion;
    std::atomic<bool> done{false};
  };
  auto progress = std::make_shared<Progress>();
  progress->completion.promptTokens = static_cast<uint32_t>(prompt.size());
  Result<RequestId> id =
      submit(std::move(prompt), options, [progress, onText](const TextEvent &event) {
        Completion &completion = progress->completion;
        completion.text += event.text;
        if (event.token >= 0)
          completion.tokens.push_back(event.token);
        bool goOn = !onText || onText(event);
        completion.finish = event.finish;
        if (event.finish == FinishReason::none && !goOn)
          completion.finish = FinishReason::cancelled;
        progress->done = completion.finish != FinishReason::none;
        return goOn;
      });
  if (!id)
    return id.status();
  if (Result<bool> more = state_->step(&progress->done); !more)
    return more.status();
  return std::move(progress->completion);
}

Result<RequestId> Generator::submit(std::vector<int32_t> prompt, const GenerateOptions &options,
                                    TextCallback onText) {
  if (!state_->tokenizer && !options.stop.empty())
    return Status::invalid("the model has no tokenizer: no text can end an answer");
  Request request;
  request.prompt = std::move(prompt);
  request.sampling = options.sampling;
  request.maxTokens = options.maxTokens;
  request.stopAtEos = options.stopAtEos;
  std::optional<TextStream> stream;
  if (state_->tokenizer)
    stream.emplace(*state_->tokenizer, options.skipSpecial, options.stop);
  request.onToken = TextRequest(std::move(stream), std::move(onText));
  return state_->engine.submit(std::move(request));
}

void Generator::cancel(RequestId request) { state_->engine.cancel(request); }

Result<bool> Generator::step() { return state_->step(nullptr); }

bool Generator::wait(std::chrono::milliseconds timeout) const {
  return state_->engine.wait(timeout);
}

const Tokenizer *Generator::tokenizer() const {
  return state_->tokenizer ? &*state_->tokenizer : nullptr;
}
EngineStatistics Generator::statistics() const { return state_->engine.statistics(); }
const Executor &Generator::executor() const { return state_->engine.executor(); }
const Model &Generator::model() const { return state_->engine.model(); }
