//===- RunCommand.cpp - qopt run ------------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CommandError.h"
#include "DeviceOption.h"
#include "qopt/Driver/Commands.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include "qopt/Runtime/Generator.h"
#include "qopt/Support/Npy.h"
#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <memory>
#include <optional>

using namespace qopt;

namespace {

struct RunOptions {
  std::string artifact;
  std::optional<std::string> prompt, chatPrompt, system;
  bool chat = false;
  std::vector<int32_t> tokens;
  std::string logits;
  uint32_t chunk = 0;

  std::optional<float> temperature, topP, minP, repetitionPenalty;
  std::optional<uint32_t> topK;
  uint64_t seed = 0;
  uint32_t maxTokens = 256;
  std::vector<std::string> stop;

  ModelOptions model;
  uint32_t maxContext = 0;
  bool stats = false, startupReport = false;
};

GenerateOptions generateOptions(const RunOptions &options, GenerateOptions result) {
  auto set = [](auto &field, const auto &given) {
    if (given)
      field = *given;
  };
  set(result.sampling.temperature, options.temperature);
  set(result.sampling.topK, options.topK);
  set(result.sampling.topP, options.topP);
  set(result.sampling.minP, options.minP);
  set(result.sampling.repetitionPenalty, options.repetitionPenalty);
  result.sampling.seed = options.seed;
  result.maxTokens = options.maxTokens;
  result.stop = options.stop;
  return result;
}

/// The seconds of each phase until the first token, where they were asked for.
class StartupReport {
public:
  explicit StartupReport(bool wanted) : wanted(wanted) {}

  void print(const std::string &name, double seconds) const {
    if (wanted)
      std::fprintf(stderr, "%-24s %9.1f ms\n", name.c_str(), seconds * 1e3);
  }
  /// Ends the phase that began with the last one's end.
  void end(const std::string &name) {
    auto now = std::chrono::steady_clock::now();
    print(name, std::chrono::duration<double>(now - last).count());
    last = now;
  }
  void firstToken() {
    if (!wanted)
      return;
    end("first token");
    last = start;
    end("total");
    wanted = false;
  }

private:
  bool wanted;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now(), last = start;
};

bool printPiece(const TextEvent &event) {
  std::fwrite(event.text.data(), 1, event.text.size(), stdout);
  std::fflush(stdout);
  return true;
}

void printStatistics(const EngineStatistics &statistics) {
  std::fprintf(stderr, "prefill  %6llu tokens %9.1f tokens/s\n",
               static_cast<unsigned long long>(statistics.promptTokens),
               statistics.prefillTokensPerSecond());
  std::fprintf(stderr, "decode   %6llu tokens %9.1f tokens/s\n",
               static_cast<unsigned long long>(statistics.decodeTokens),
               statistics.decodeTokensPerSecond());
}

/// The end of the command, too, where the model failed while it generated.
Completion completionOrFail(Result<Completion> result) {
  Completion completion = valueOrFail(std::move(result));
  if (completion.finish == FinishReason::failed)
    fail(StatusCode::invalidInput, "the model's logits have no finite maximum after " +
                                       std::to_string(completion.tokens.size()) + " tokens");
  return completion;
}

/// Prints the answer to the last of \p messages and adds it to them.
void answer(Generator &generator, const GenerateOptions &options, const TextCallback &print,
            std::vector<ChatMessage> &messages) {
  std::vector<int32_t> prompt = valueOrFail(generator.encode(messages));
  uint32_t context = generator.executor().maxContext();
  if (prompt.size() >= context)
    fail(StatusCode::invalidInput, "the conversation has " + std::to_string(prompt.size()) +
                                       " tokens, expected fewer than the context of " +
                                       std::to_string(context) + ": start a new one");
  Completion answer = completionOrFail(generator.generate(std::move(prompt), options, print));
  std::printf("\n");
  std::fflush(stdout);
  if (answer.finish == FinishReason::length)
    std::fprintf(
        stderr, "qopt: note: the answer was cut after %zu tokens: %s\n", answer.tokens.size(),
        answer.tokens.size() == options.maxTokens ? "--max-tokens" : "the context is full");
  messages.push_back({"assistant", std::move(answer.text)});
}

/// Reads lines as the user's turns until the input ends.
void converse(Generator &generator, const GenerateOptions &options, const TextCallback &print,
              std::vector<ChatMessage> &messages) {
  std::string line;
  while (std::fputs("> ", stdout), std::fflush(stdout), std::getline(std::cin, line)) {
    if (line.empty())
      continue;
    messages.push_back({"user", line});
    answer(generator, options, print, messages);
  }
  std::printf("\n");
}

void chat(Generator &generator, const GenerateOptions &options, const TextCallback &print,
          const RunOptions &run) {
  // Said before somebody types a question.
  if (generator.model().manifest().chat_template().source().empty())
    fail(StatusCode::invalidInput, "artifact '" + run.artifact + "' has no chat template");
  std::vector<ChatMessage> messages;
  if (run.system)
    messages.push_back({"system", *run.system});
  if (run.chat)
    return converse(generator, options, print, messages);
  messages.push_back({"user", *run.chatPrompt});
  answer(generator, options, print, messages);
}

/// For people who debug models: float32 [tokens, vocabulary] of `--tokens`.
void writeLogits(const Model &model, const RunOptions &options) {
  Executor executor = valueOrFail(Executor::create(
      model, {.maxContext = static_cast<uint32_t>(options.tokens.size()), .maxSequences = 1}));
  NpyArray<float> logits;
  logits.shape = {static_cast<int64_t>(options.tokens.size()), model.vocabularySize()};
  Sequence sequence = executor.newSequence();
  failUnless(executor.forward(
      sequence, options.tokens,
      [&](uint32_t, std::span<const float> rows) {
        logits.data.insert(logits.data.end(), rows.begin(), rows.end());
        return Status();
      },
      options.chunk));
  failUnless(writeNpy(options.logits, logits.shape, logits.data.data()));
}

void run(const RunOptions &options) {
  StartupReport startup(options.startupReport);
  Model model = valueOrFail(Model::load(options.artifact, options.model));
  if (options.stats || options.startupReport)
    std::fprintf(stderr, "qopt: %s\n", model.placement().c_str());
  for (const StartupPhase &phase : model.startup())
    startup.print(phase.name, phase.seconds);
  startup.end("loading in all");
  if (!options.logits.empty())
    return writeLogits(model, options);

  Generator generator = valueOrFail(Generator::create(
      model, {.executor = {.maxContext = options.maxContext, .maxSequences = 1}}));
  startup.end("create engine");
  GenerateOptions generate = generateOptions(options, generator.defaults());
  TextCallback print = [&](const TextEvent &event) {
    startup.firstToken();
    return printPiece(event);
  };
  if (options.chat || options.chatPrompt) {
    chat(generator, generate, print, options);
  } else if (options.prompt) {
    completionOrFail(generator.generate(*options.prompt, generate, print));
    std::printf("\n");
  } else {
    Completion completion =
        completionOrFail(generator.generate(options.tokens, generate, [&](const TextEvent &) {
          startup.firstToken();
          return true;
        }));
    for (size_t i = 0; i < completion.tokens.size(); ++i)
      std::printf("%s%d", i ? "," : "", completion.tokens[i]);
    std::printf("\n");
  }
  if (options.stats)
    printStatistics(generator.statistics());
}

} // namespace

void qopt::addRunCommand(CLI::App &program) {
  auto options = std::make_shared<RunOptions>();
  CLI::App *command = program.add_subcommand("run", "Generate text with an artifact");
  command->add_option("ARTIFACT", options->artifact)->required();
  CLI::Option_group *input = command->add_option_group("input");
  CLI::Option *prompt = input->add_option("--prompt", options->prompt, "text to continue");
  input->add_option("--chat-prompt", options->chatPrompt, "one question, in the chat template");
  input->add_flag("--chat", options->chat, "a conversation, turn by turn");
  CLI::Option *tokens =
      input->add_option("--tokens", options->tokens, "token ids to continue")->delimiter(',');
  input->require_option(1);
  command->add_option("--system", options->system, "the system message of a chat")
      ->excludes(prompt)
      ->excludes(tokens);
  CLI::Option *logits =
      command
          ->add_option("--logits", options->logits,
                       "with --tokens: write their logits, float32 [tokens, vocabulary], as .npy")
          ->needs(tokens);
  command->add_option("--chunk", options->chunk, "with --logits: tokens of a step (as many as fit)")
      ->needs(logits);

  command
      ->add_option("--max-tokens", options->maxTokens,
                   "tokens to generate; 0: until the context is full")
      ->capture_default_str();
  command->add_option("--temperature", options->temperature, "0 is greedy (the model's default)");
  command->add_option("--top-k", options->topK, "keep the k most probable tokens");
  command->add_option("--top-p", options->topP, "keep the fewest tokens of this probability");
  command->add_option("--min-p", options->minP, "keep tokens with this share of the largest");
  command->add_option("--repetition-penalty", options->repetitionPenalty,
                      "divide the logits of tokens that occurred");
  command->add_option("--seed", options->seed, "of the random draws")->capture_default_str();
  command->add_option("--stop", options->stop, "text that ends the generation");

  addDeviceOption(*command, options->model.device);
  command->add_option("--threads", options->model.threads, "threads (one for each core)");
  command->add_option("--max-context", options->maxContext, "tokens of a sequence (the model's)");
  command->add_flag("--verify", options->model.verify, "compare the hash of every section first");
  command->add_flag("--stats", options->stats, "print the device, tokens and tokens per second");
  command->add_flag("--startup-report", options->startupReport, "print the time of each phase");
  command->callback([options] { run(*options); });
}
