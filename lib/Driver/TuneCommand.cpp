//===- TuneCommand.cpp - qopt tune ----------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OutputFile.h"
#include "PlanModel.h"
#include "StatusError.h"
#include "Tuner.h"
#include "qopt/Driver/Commands.h"
#include "qopt/Frontend/Random/ReadyConfigs.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>

using namespace qopt;

namespace {

struct Options {
  std::vector<std::string> models;
  std::vector<std::string> formats{"bf16", "w8a8-fp8", "w8a8-int8", "w4a16"};
  std::vector<std::string> heads{"native"};
  CompileOptions compile; ///< what all compiles share
  std::string output;
  unsigned budget = 0; ///< seconds; 0: no end
  unsigned top = 24;
  unsigned gpu = 0;
  bool list = false;
};

/// The linear layers of every model in every format, and what keeps them alive.
struct Layers {
  std::vector<PlannedModel> models;
  std::vector<TuningTask> tasks;
};

/// No weights are read: shapes and formats are all that matters.
bool isConfiguration(llvm::StringRef model) {
  return llvm::sys::path::extension(model) == ".json" || findReadyConfig(model);
}

llvm::Error addLayers(const CompileOptions &compile, unsigned top, llvm::StringSet<> &seen,
                      Layers &layers) {
  Progress quiet(/*quiet=*/true);
  llvm::Expected<PlannedModel> planned = planModel(compile, quiet);
  if (!planned)
    return planned.takeError();
  auto tasks = tuningTasks(*planned->module, top, seen);
  if (failed(tasks))
    return llvm::createStringError(compile.model + ": a linear layer has no kernel");
  layers.models.push_back(std::move(*planned));
  for (TuningTask &task : *tasks)
    layers.tasks.push_back(std::move(task));
  return llvm::Error::success();
}

llvm::Expected<Layers> findLayers(const Options &options) {
  Layers layers;
  llvm::StringSet<> seen;
  for (const std::string &model : options.models)
    for (const std::string &format : options.formats)
      for (const std::string &head : options.heads) {
        CompileOptions compile = options.compile;
        compile.model = model;
        compile.format = format;
        compile.lmHead = head;
        compile.importCheck = false;
        if (isConfiguration(model))
          compile.randomSeed = 0;
        if (llvm::Error error = addLayers(compile, options.top, seen, layers))
          return error;
      }
  return layers;
}

/// What would be timed.
void list(const Layers &layers) {
  size_t candidates = 0;
  for (const TuningTask &task : layers.tasks) {
    std::printf("%s\n", task.name.c_str());
    for (const TuningCandidate &candidate : task.candidates)
      std::printf("  %-32s %9.2f us predicted\n", candidate.name.c_str(),
                  candidate.predicted * 1e6);
    candidates += task.candidates.size();
  }
  std::printf("%zu layers, %zu candidates\n", layers.tasks.size(), candidates);
}

void print(const TuneOutcome &outcome) {
  const TuningResult &result = outcome.result;
  std::printf(
      "%-44s %9.2f us %6.0f GB/s %6.1f TFLOP/s  %-28s (%zu timed; cost model %.2f us, %s)\n",
      result.task->name.c_str(), result.seconds * 1e6,
      static_cast<double>(result.task->weightBytes) / result.seconds / 1e9,
      result.task->operations / result.seconds / 1e12, outcome.bestName.c_str(), outcome.timed,
      result.modelSeconds * 1e6, outcome.modelName.c_str());
  for (const std::string &refused : outcome.refused)
    std::printf("  refused %s\n", refused.c_str());
  std::fflush(stdout);
}

/// "cuda, NVIDIA H200 (sm_90)" without what tables need not say.
std::string deviceName(const Device &device) {
  std::string name = device.describe();
  llvm::StringRef text = name;
  text.consume_front("cuda, ");
  return text.split(" (").first.str();
}

llvm::Error writeTable(const std::string &path, llvm::ArrayRef<TuningResult> results,
                       const Device &device) {
  return writeOutput(path, printScheduleTable(results, deviceName(device)));
}

llvm::Error tuneOnGPU(Device &device, const Layers &layers, const Options &options,
                      std::chrono::steady_clock::time_point start) {
  std::vector<TuningResult> results;
  bool differs = false;
  TunerOptions tuner;
  tuner.cacheFolder = options.compile.cacheFolder;
  tuner.goOn = [&] {
    return options.budget == 0 ||
           std::chrono::steady_clock::now() - start < std::chrono::seconds(options.budget);
  };
  // Written after each layer, so that what is stopped leaves what it has.
  tuner.report = [&](const TuneOutcome &outcome) {
    print(outcome);
    differs |= outcome.differs;
    results.push_back(outcome.result);
    return writeTable(options.output, results, device);
  };
  if (llvm::Error error = tune(device, layers.tasks, tuner))
    return error;
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("tuned %zu of %zu layers on %s in %.0f s\n", results.size(), layers.tasks.size(),
              deviceName(device).c_str(), seconds);
  if (differs)
    return llvm::createStringError(
        "candidates differ in their bits, which is a defect of a kernel; "
        "'" +
        options.output + "' has none of them");
  return llvm::Error::success();
}

void run(const Options &options) {
  auto start = std::chrono::steady_clock::now();
  llvm::StringRef target = options.compile.target;
  if (target != "cuda" && target != ("cuda:" + hopperArchitecture).str())
    fail(StatusCode::usage,
         "target '" + options.compile.target + "' takes no schedule table, expected cuda:sm_90a");
  if (options.output.empty() && !options.list)
    fail(StatusCode::usage, "expected --output, the file for the table, or --list");
  std::unique_ptr<Device> device;
  if (!options.list)
    device = valueOrFail(createCUDADevice({options.gpu, hopperArchitecture.str()}));
  llvm::Expected<Layers> layers = findLayers(options);
  if (!layers)
    failOn(layers.takeError());
  if (options.list)
    return list(*layers);
  failOn(tuneOnGPU(*device, *layers, options, start));
}

} // namespace

void qopt::addTuneCommand(CLI::App &program) {
  auto options = std::make_shared<Options>();
  options->compile.target = "cuda:sm_90a";
  options->compile.cacheFolder = defaultCacheFolder();
  CLI::App *command = program.add_subcommand(
      "tune", "Measure how the linear layers of models are best cut on this GPU");
  command
      ->add_option("MODEL", options->models,
                   "models as of compile; configurations need no weights: a config.json or " +
                       readyConfigNames())
      ->required();
  command->add_option("--format", options->formats, "number formats")
      ->delimiter(',')
      ->check(CLI::IsMember({"bf16", "w8a8-fp8", "w8a8-int8", "w4a16", "keep"}))
      ->capture_default_str();
  command->add_option("--lm-head", options->heads, "output layers: native, 8bit or both")
      ->delimiter(',')
      ->check(CLI::IsMember({"native", "8bit"}))
      ->capture_default_str();
  command->add_option("-o,--output", options->output,
                      "file for the table, for `qopt compile --schedule`");
  command->add_option("--target", options->compile.target, "cuda:sm_90a")->capture_default_str();
  command
      ->add_option("--group-size", options->compile.groupSize,
                   "w4a16: elements of K that share a scale (128, or else 64 or 32)")
      ->check(CLI::PositiveNumber);
  command->add_flag("--asymmetric", options->compile.asymmetric, "w4a16: a minimum for each group");
  command->add_option("--max-tokens", options->compile.maxTokens, "tokens of one step (4096)")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--buckets", options->compile.buckets,
                   "rows to tune for (1, 2, 4, ..., 256, 1024 and 4096)")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  command->add_option("--top", options->top, "candidates of a layer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--budget", options->budget,
                      "seconds; layers that are not reached keep the cost model's choice");
  command->add_option("--gpu", options->gpu, "which GPU, as the driver counts them")
      ->capture_default_str();
  command->add_flag("--list", options->list,
                    "print the layers and their candidates, and measure nothing");
  command->add_flag_callback(
      "--no-cache", [options] { options->compile.cacheFolder.clear(); }, "build all kernels anew");
  command->callback([options] { run(*options); });
}
