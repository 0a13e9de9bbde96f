//===- CompileCommand.cpp - qopt compile ----------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StatusError.h"
#include "qopt/Driver/Commands.h"
#include "qopt/Driver/Compile.h"
#include "qopt/Transforms/Pipelines.h"
#include "llvm/Support/FileSystem.h"
#include <CLI/CLI.hpp>
#include <memory>

using namespace qopt;

static void printTiming(const Progress &progress) {
  double total = 0;
  for (const Progress::Phase &phase : progress.phases()) {
    total += phase.seconds;
    std::fprintf(stderr, "%-24s %8.2f s", phase.name.c_str(), phase.seconds);
    if (phase.bytes)
      std::fprintf(stderr, " %10.1f MB", static_cast<double>(phase.bytes) / 1e6);
    std::fprintf(stderr, "%s%s\n", phase.note.empty() ? "" : "  ", phase.note.c_str());
  }
  std::fprintf(stderr, "%-24s %8.2f s\n", "total", total);
}

static void compile(const CompileOptions &options, bool quiet) {
  Progress progress(quiet);
  llvm::Expected<std::string> path = compileModel(options, progress);
  progress.end();
  if (!path)
    failOn(path.takeError());
  if (options.timing)
    printTiming(progress);
  uint64_t bytes = 0;
  if (!path->empty() && options.emit == "artifact" && !llvm::sys::fs::file_size(*path, bytes) && !quiet)
    std::printf("wrote %s (%.1f MB)\n", path->c_str(), static_cast<double>(bytes) / 1e6);
}

void qopt::addCompileCommand(CLI::App &program) {
  auto options = std::make_shared<CompileOptions>();
  options->cacheFolder = defaultCacheFolder();
  auto quiet = std::make_shared<bool>(false);
  CLI::App *command = program.add_subcommand("compile", "Compile a model into an artifact");
  command
      ->add_option("MODEL", options->model,
                   "an ONNX file, a Hugging Face folder (or its name in the local hub cache), a GGUF "
                   "file; with --random-weights a config.json or llama-3.1-8b, -70b, -405b")
      ->required();
  command->add_option("-o,--output", options->output, "file to write (named after the model)");
  command
      ->add_option("--format", options->format,
                   "number format (keep where the source is quantized, else bf16)")
      ->check(CLI::IsMember({"fp32", "bf16", "w8a8-fp8", "w8a8-int8", "w4a16", "keep"}));
  command
      ->add_option("--target", options->target,
                   "cpu (this one), cpu:x86-64-v2, -v3, -v4, cpu:znver4, cuda:sm_90a, cuda:sm_80 "
                   "(and later), sm_86, sm_89; or a CPU and GPUs, with commas between, for an "
                   "artifact that runs on each")
      ->capture_default_str();
  command->add_option("--group-size", options->groupSize,
                      "w4a16: elements of K that share a scale (128, or else 64 or 32)")
      ->check(CLI::PositiveNumber);
  command->add_flag("--asymmetric", options->asymmetric, "w4a16: a minimum for each group");
  command
      ->add_option("--lm-head", options->lmHead,
                   "the output layer: native, or 8bit (e4m3 with w8a8-fp8, else int8)")
      ->check(CLI::IsMember({"native", "8bit"}))
      ->capture_default_str();
  command->add_option("--max-context", options->maxContext, "tokens of a sequence (the model's)")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--max-tokens", options->maxTokens,
                   "tokens of one step (512 on the CPU, 4096 for CUDA)")
      ->check(CLI::PositiveNumber);
  command->add_option("--buckets", options->buckets, "token counts that get a plan of their own")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  command->add_option("--schedule", options->schedule,
                      "a table of `qopt tune`: what it has wins over the target's own choice");
  command
      ->add_option("--disable-fusion", options->disabledFusions, "leave a fusion out, by name")
      ->delimiter(',')
      ->check(CLI::IsMember(fusionNames()));
  command->add_option("--random-weights", options->randomSeed,
                      "draw the weights with this seed: no weights are read");
  command->add_flag("--code-only", options->codeOnly,
                    "generate the code and the report, but pack no weights and write no artifact");
  command->add_flag("!--no-import-check", options->importCheck,
                    "do not compare an imported ONNX graph with the model raised from it");
  command->add_option("--emit", options->emit, "what to write")
      ->check(CLI::IsMember({"qopt", "kernel", "llvm", "cuda", "cubin", "ptx", "artifact"}))
      ->capture_default_str();
  command->add_option("--dump-ir", options->dumpFolder, "folder for the IR after every pass");
  command->add_option("--report", options->reportFile, "file for the report, as JSON");
  command->add_option("--threads", options->threads, "threads that pack weights (all cores)")
      ->check(CLI::PositiveNumber);
  command->add_flag_callback(
      "--no-cache", [options] { options->cacheFolder.clear(); },
      "generate all code anew: use no objects of earlier compiles");
  command->add_flag("--timing", options->timing, "print the time and bytes of each phase");
  command->add_flag("-q,--quiet", *quiet, "print errors only");
  command->callback([options, quiet] { compile(*options, *quiet); });
}
