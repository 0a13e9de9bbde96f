//===- BenchCommand.cpp - qopt bench --------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CommandError.h"
#include "DeviceOption.h"
#include "qopt/Bench/Bench.h"
#include "qopt/Driver/Commands.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

using namespace qopt;
using Json = nlohmann::ordered_json;

namespace {

struct Options {
  std::string artifact;
  BenchOptions bench;
  ModelOptions model;
  bool json = false;
};

/// Work, its time and its share of the ceilings.
class Row {
public:
  Row(const Work &work, double seconds, const Ceilings &ceilings)
      : work(work), seconds(seconds), memory(memorySeconds(work, ceilings)),
        compute(computeSeconds(work, ceilings)) {}

  double gigabytes() const { return work.bytes() / seconds / 1e9; }
  double gigaflops() const { return work.operations() / seconds / 1e9; }
  /// Of the least time; 0 where the ceiling is unknown or nothing is to do.
  double memoryRatio() const { return memory > 0 ? seconds / memory : 0; }
  double computeRatio() const { return compute > 0 ? seconds / compute : 0; }

  Json json() const {
    Json result = {{"ms", seconds * 1e3},
                   {"bytes", work.bytes()},
                   {"kv_cache_bytes", work.cacheBytes},
                   {"operations", work.operations()},
                   {"gb_per_s", gigabytes()},
                   {"gflop_per_s", gigaflops()}};
    if (memoryRatio() > 0)
      result["time_to_memory_ceiling"] = memoryRatio();
    if (computeRatio() > 0)
      result["time_to_compute_ceiling"] = computeRatio();
    return result;
  }

private:
  Work work;
  double seconds, memory, compute;
};

uint64_t weightBytes(const Model &model) {
  uint64_t bytes = 0;
  for (const artifact::Weight &weight : model.program().weights())
    bytes += weight.section().size();
  return bytes;
}

Json ceilingsJson(const Ceilings &ceilings) {
  Json result = {{"device", ceilings.device},
                 {"threads", ceilings.threads},
                 {"last_level_cache_bytes", ceilings.cacheBytes},
                 {"read_gb_per_s", ceilings.readBytesPerSecond / 1e9},
                 {"float_gflop_per_s", ceilings.floatsPerSecond / 1e9}};
  if (ceilings.shortsDotPerSecond > 0)
    result["int16_gop_per_s"] = ceilings.shortsDotPerSecond / 1e9;
  if (ceilings.bytesDotPerSecond > 0)
    result["int8_gop_per_s"] = ceilings.bytesDotPerSecond / 1e9;
  return result;
}

void printCeilings(const Model &model, const Ceilings &ceilings) {
  if (ceilings.threads)
    std::printf("ceilings  %u threads: read %.1f GB/s, float32 %.0f GFLOP/s", ceilings.threads,
                ceilings.readBytesPerSecond / 1e9, ceilings.floatsPerSecond / 1e9);
  else
    std::printf("ceilings  %s: copy %.1f GB/s, read and written", ceilings.device.c_str(),
                ceilings.readBytesPerSecond / 1e9);
  if (ceilings.shortsDotPerSecond > 0)
    std::printf(", int16 %.0f GOP/s", ceilings.shortsDotPerSecond / 1e9);
  if (ceilings.bytesDotPerSecond > 0)
    std::printf(", int8 %.0f GOP/s", ceilings.bytesDotPerSecond / 1e9);
  double weights = static_cast<double>(weightBytes(model)) / 1e6;
  double cache = static_cast<double>(ceilings.cacheBytes) / 1e6;
  std::printf("\nweights   %.1f MB %s the last-level cache of %.1f MB%s\n", weights,
              weights < cache ? "fit" : "exceed", cache,
              weights < cache ? ": steps may be faster than the ceiling of memory" : "");
}

void printRow(const Row &row) {
  std::printf("memory    %.1f GB/s, %.2f x the time of a streaming read\n", row.gigabytes(),
              row.memoryRatio());
  if (row.computeRatio() > 0)
    std::printf("compute   %.1f GFLOP/s, %.2f x the time of the arithmetic alone\n",
                row.gigaflops(), row.computeRatio());
  else
    std::printf("compute   %.1f GFLOP/s\n", row.gigaflops());
}

/// What one run measures, of decode and prefill.
using Measure = Result<Timing> (*)(const Model &, const BenchOptions &);

void benchSteps(const Options &options, const std::string &name, Measure measure) {
  Model model = valueOrFail(Model::load(options.artifact, options.model));
  Timing timing = valueOrFail(measure(model, options.bench));
  Ceilings ceilings = measureCeilings(model, options.model.threads);
  Row row(timing.work, timing.seconds, ceilings);
  if (options.json) {
    Json result = {{"benchmark", name},
                   {"artifact_format", model.manifest().model().format()},
                   {"batch", options.bench.batch},
                   {"context", options.bench.context},
                   {"tokens", options.bench.tokens},
                   {"repeat", options.bench.repeat},
                   {"tokens_per_s", timing.tokensPerSecond},
                   {"fastest_ms", timing.fastestSeconds * 1e3},
                   {"weights_bytes", weightBytes(model)},
                   {"fits_cache", weightBytes(model) < ceilings.cacheBytes}};
    result.update(row.json());
    result["ceilings"] = ceilingsJson(ceilings);
    std::printf("%s\n", result.dump(2).c_str());
    return;
  }
  std::printf("%-9s %.3f ms %s, %.1f tokens/s (batch %u, %u tokens, context %u; median of %u, "
              "fastest %.3f ms)\n",
              name.c_str(), timing.seconds * 1e3, name == "decode" ? "a step" : "in all",
              timing.tokensPerSecond, options.bench.batch, options.bench.tokens,
              options.bench.context, options.bench.repeat, timing.fastestSeconds * 1e3);
  printRow(row);
  printCeilings(model, ceilings);
}

void benchKernelsOf(const Options &options) {
  Model model = valueOrFail(Model::load(options.artifact, options.model));
  std::vector<KernelTiming> kernels = valueOrFail(benchKernels(model, options.bench));
  Ceilings ceilings = measureCeilings(model, options.model.threads);
  std::sort(kernels.begin(), kernels.end(),
            [](const auto &a, const auto &b) { return a.seconds > b.seconds; });
  if (options.json) {
    Json list = Json::array();
    for (const KernelTiming &kernel : kernels) {
      Json entry = {{"entry", kernel.entry},
                    {"schedule", kernel.schedule},
                    {"launches", kernel.launches},
                    {"us_per_launch", kernel.seconds * 1e6 / kernel.launches},
                    {"fastest_us_per_launch", kernel.fastestSeconds * 1e6 / kernel.launches}};
      entry.update(Row(kernel.work, kernel.seconds, ceilings).json());
      list.push_back(std::move(entry));
    }
    Json result = {{"benchmark", "kernels"},           {"batch", options.bench.batch},
                   {"context", options.bench.context}, {"tokens", options.bench.tokens},
                   {"kernels", std::move(list)},       {"ceilings", ceilingsJson(ceilings)}};
    std::printf("%s\n", result.dump(2).c_str());
    return;
  }
  std::printf("%8s %10s %10s %9s %8s %9s %8s %8s\n", "launches", "us each", "fastest", "ms all",
              "GB/s", "GFLOP/s", "x memory", "x flops");
  double total = 0;
  for (const KernelTiming &kernel : kernels) {
    Row row(kernel.work, kernel.seconds, ceilings);
    total += kernel.seconds;
    std::printf("%8u %10.2f %10.2f %9.3f %8.2f %9.1f %8.2f %8.2f  %s %s\n", kernel.launches,
                kernel.seconds * 1e6 / kernel.launches,
                kernel.fastestSeconds * 1e6 / kernel.launches, kernel.seconds * 1e3,
                row.gigabytes(), row.gigaflops(), row.memoryRatio(), row.computeRatio(),
                kernel.entry.c_str(), kernel.schedule.c_str());
  }
  std::printf("total     %.3f ms\n", total * 1e3);
  printCeilings(model, ceilings);
}

struct ServeOptions {
  std::string artifact;
  ThroughputOptions bench;
  ModelOptions model;
  bool json = false;
};

void benchThroughputOf(const ServeOptions &options) {
  Model model = valueOrFail(Model::load(options.artifact, options.model));
  Throughput result = valueOrFail(benchThroughput(model, options.bench));
  double generated = static_cast<double>(result.generatedTokens) / result.seconds;
  double prompt = static_cast<double>(result.promptTokens) / result.seconds;
  if (options.json) {
    Json json = {{"benchmark", "throughput"},
                 {"artifact_format", model.manifest().model().format()},
                 {"device", model.device().describe()},
                 {"requests", options.bench.requests},
                 {"prompt_tokens_each", options.bench.promptTokens},
                 {"generated_tokens_each", options.bench.generatedTokens},
                 {"max_sequences", options.bench.maxSequences},
                 {"seconds", result.seconds},
                 {"prompt_tokens_per_s", prompt},
                 {"generated_tokens_per_s", generated},
                 {"prefill_steps", result.prefillSteps},
                 {"decode_steps", result.decodeSteps},
                 {"prefill_seconds", result.prefillSeconds},
                 {"decode_seconds", result.decodeSeconds},
                 {"sample_seconds", result.sampleSeconds}};
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  std::printf("throughput %.1f generated tokens/s beside %.1f prompt tokens/s (%u requests of %u + "
              "%u tokens, at most %u at once; %.3f s)\n",
              generated, prompt, options.bench.requests, options.bench.promptTokens,
              options.bench.generatedTokens, options.bench.maxSequences, result.seconds);
  std::printf(
      "steps      %llu with prompts in %.3f s, %llu of decode in %.3f s; sampling %.3f s of "
      "both\n",
      static_cast<unsigned long long>(result.prefillSteps), result.prefillSeconds,
      static_cast<unsigned long long>(result.decodeSteps), result.decodeSeconds,
      result.sampleSeconds);
}

void addThroughput(CLI::App &bench) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App *command =
      bench.add_subcommand("throughput", "Requests that all arrive at once, sampled greedily");
  command->add_option("ARTIFACT", options->artifact)->required();
  addDeviceOption(*command, options->model.device);
  command->add_option("--threads", options->model.threads, "threads (one for each core)");
  command->add_option("--requests", options->bench.requests)->capture_default_str();
  command->add_option("--prompt", options->bench.promptTokens, "prompt tokens of each")
      ->capture_default_str();
  command->add_option("--tokens", options->bench.generatedTokens, "tokens to generate for each")
      ->capture_default_str();
  command->add_option("--sequences", options->bench.maxSequences, "requests that run at once")
      ->capture_default_str();
  command->add_flag("--json", options->json, "everything, as JSON");
  command->callback([options] { benchThroughputOf(*options); });
}

/// Defaults: of tokens and context.
void addBenchmark(CLI::App &bench, const char *name, const char *about, uint32_t tokens,
                  uint32_t context, const std::function<void(const Options &)> &run) {
  auto options = std::make_shared<Options>();
  options->bench.tokens = tokens;
  options->bench.context = context;
  CLI::App *command = bench.add_subcommand(name, about);
  command->add_option("ARTIFACT", options->artifact)->required();
  addDeviceOption(*command, options->model.device);
  command->add_option("--threads", options->model.threads, "threads (one for each core)");
  command
      ->add_option("--tokens", options->bench.tokens,
                   "of each sequence: steps of a repeat, of a prompt, of a step")
      ->capture_default_str();
  if (std::string(name) != "prefill")
    command->add_option("--context", options->bench.context, "tokens of each sequence before")
        ->capture_default_str();
  command->add_option("--batch", options->bench.batch, "sequences")->capture_default_str();
  command->add_option("--repeat", options->bench.repeat, "the median of so many counts")
      ->capture_default_str();
  command->add_option("--weights", options->model.weights, "mapped, prefaulted or copied (mapped)")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, WeightMemory>{{"mapped", WeightMemory::mapped},
                                              {"prefaulted", WeightMemory::prefaulted},
                                              {"copied", WeightMemory::copied}}));
  command->add_flag("--json", options->json, "everything, as JSON");
  command->callback([options, run] { run(*options); });
}

} // namespace

void qopt::addBenchCommand(CLI::App &program) {
  CLI::App *bench = program.add_subcommand(
      "bench", "Time an artifact beside what memory and arithmetic of the same cores allow");
  bench->require_subcommand(1);
  addBenchmark(*bench, "decode", "Steps of one token a sequence, with greedy sampling", 32, 128,
               [](const Options &options) { benchSteps(options, "decode", benchDecode); });
  addBenchmark(*bench, "prefill", "A prompt", 512, 0,
               [](const Options &options) { benchSteps(options, "prefill", benchPrefill); });
  addBenchmark(*bench, "kernels", "Every kernel of a step, alone", 1, 128, benchKernelsOf);
  addThroughput(*bench);
}
