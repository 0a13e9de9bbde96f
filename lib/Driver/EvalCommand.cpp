//===- EvalCommand.cpp - qopt eval ----------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CommandError.h"
#include "DeviceOption.h"
#include "qopt/Driver/Commands.h"
#include "qopt/Driver/Progress.h"
#include "qopt/Eval/ExecutorModel.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include "qopt/Runtime/Tokenizer.h"
#include "llvm/Support/MemoryBuffer.h"
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

using namespace qopt;

namespace {

struct EvalOptions {
  std::string artifact, against, text;
  EvaluationOptions evaluation;
  unsigned threads = 0;
  std::string device = "auto", againstDevice = "auto";
  bool json = false;
};

Executor loadExecutor(const std::string &path, const std::string &device,
                      const EvalOptions &options) {
  Model model = valueOrFail(Model::load(path, {.device = device, .threads = options.threads}));
  return valueOrFail(
      Executor::create(model, {.maxContext = options.evaluation.windowTokens, .maxSequences = 1}));
}

std::vector<int32_t> readTokens(const std::string &path, const Model &model) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    fail(StatusCode::invalidInput, path + ": " + buffer.getError().message());
  Tokenizer tokenizer = valueOrFail(Tokenizer::create(model.manifest().tokenizer()));
  return valueOrFail(tokenizer.encode((*buffer)->getBuffer(), /*addSpecialTokens=*/false));
}

void printJson(const EvalOptions &options, const Evaluation &result) {
  nlohmann::ordered_json json = {{"artifact", options.artifact},
                                 {"text", options.text},
                                 {"windows", result.windows},
                                 {"predictions", result.predictions},
                                 {"perplexity", result.perplexity()}};
  if (const auto &divergence = result.divergence) {
    json["against"] = options.against;
    json["reference_perplexity"] = divergence->referencePerplexity();
    json["mean_kl"] = divergence->meanKL;
    json["mean_kl_standard_error"] = divergence->standardError;
    json["kl_p99"] = divergence->p99;
    json["top1_agreement"] = divergence->top1Agreement;
  }
  std::printf("%s\n", json.dump(2).c_str());
}

void printText(const Evaluation &result) {
  std::printf("perplexity      %.3f  (%u windows, %llu predictions)\n", result.perplexity(),
              result.windows, static_cast<unsigned long long>(result.predictions));
  const auto &divergence = result.divergence;
  if (!divergence)
    return;
  std::printf("reference       %.3f  (ratio %.4f)\n", divergence->referencePerplexity(),
              result.perplexity() / divergence->referencePerplexity());
  std::printf("mean KL         %.4f +- %.4f nats, p99 %.3f\n", divergence->meanKL,
              divergence->standardError, divergence->p99);
  std::printf("top-1 agreement %.2f %%\n", divergence->top1Agreement * 100);
}

void eval(EvalOptions options) {
  Executor executor = loadExecutor(options.artifact, options.device, options);
  std::vector<int32_t> tokens = readTokens(options.text, executor.model());
  ExecutorModel model(executor);
  std::optional<Executor> referenceExecutor;
  std::optional<ExecutorModel> reference;
  if (!options.against.empty()) {
    referenceExecutor.emplace(loadExecutor(options.against, options.againstDevice, options));
    reference.emplace(*referenceExecutor);
  }

  Progress progress;
  uint64_t shown = 0;
  options.evaluation.onProgress = [&](uint64_t done, uint64_t total) {
    if (shown == 0)
      progress.begin("evaluate", total);
    progress.advance(done - shown);
    shown = done;
  };
  Result<Evaluation> evaluation =
      evaluate(model, tokens, options.evaluation, reference ? &*reference : nullptr);
  progress.end();
  Evaluation result = valueOrFail(std::move(evaluation));
  if (options.json)
    printJson(options, result);
  else
    printText(result);
}

} // namespace

void qopt::addEvalCommand(CLI::App &program) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App *command = program.add_subcommand(
      "eval", "Measure perplexity on a text, and divergence from a reference artifact");
  command->add_option("ARTIFACT", options->artifact)->required();
  command->add_option("--text", options->text, "plain text")->required();
  command->add_option("--against", options->against,
                      "reference artifact of the same model: mean KL and top-1 agreement");
  addDeviceOption(*command, options->device);
  command
      ->add_option("--against-device", options->againstDevice,
                   "the same for the reference artifact")
      ->capture_default_str();
  command->add_option("--windows", options->evaluation.maxWindows, "the first N windows only");
  command->add_option("--window-tokens", options->evaluation.windowTokens, "tokens of a window")
      ->capture_default_str()
      ->check(CLI::Range(2u, 1u << 20));
  command->add_option("--threads", options->threads, "threads (one for each core)");
  command->add_flag("--json", options->json, "print JSON");
  command->callback([options] { eval(*options); });
}
