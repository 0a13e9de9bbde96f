//===- Bench.cpp - How fast an artifact runs here -------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Bench/Bench.h"
#include "../Runtime/Engine/PlanLine.h"
#include "Ceilings.h"
#include "Work.h"
#include "qopt/Runtime/Executor.h"
#include <algorithm>
#include <chrono>
#include <numeric>

using namespace qopt;

namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

template <typename Body> Result<double> timed(const Body &body) {
  auto start = std::chrono::steady_clock::now();
  if (Status status = body(); !status)
    return status;
  std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
  return passed.count();
}

/// Token i of a text that repeats itself late.
int32_t tokenAt(const Model &model, uint64_t i) {
  return static_cast<int32_t>((i * 7919 + 11) % model.vocabularySize());
}

std::vector<int32_t> textOf(const Model &model, uint64_t count) {
  std::vector<int32_t> tokens(count);
  for (uint64_t i = 0; i < count; ++i)
    tokens[i] = tokenAt(model, i);
  return tokens;
}

/// Runs \p tokens of every sequence, a step after the other; the logits of the
/// last token of each where \p wantLogits.
Status prefill(Executor &executor, std::vector<Sequence> &sequences,
               const std::vector<int32_t> &tokens, bool wantLogits) {
  for (Sequence &sequence : sequences)
    for (size_t first = 0; first < tokens.size();) {
      size_t count = std::min<size_t>(executor.maxStepTokens(), tokens.size() - first);
      bool last = first + count == tokens.size();
      Chunk chunk{&sequence, std::span(tokens).subspan(first, count),
                  wantLogits && last ? LogitRows::last : LogitRows::none};
      if (Result<std::span<const float>> logits = executor.step({&chunk, 1}); !logits)
        return logits.status();
      first += count;
    }
  return Status::ok();
}

Result<Executor> createExecutor(const Model &model, const BenchOptions &options, uint64_t length) {
  if (options.batch == 0 || options.tokens == 0 || options.repeat == 0)
    return Status::usage("expected at least one sequence, token and repeat");
  if (length > model.maxContext())
    return Status::usage("the sequences would have " + std::to_string(length) +
                         " tokens, expected at most the model's context of " +
                         std::to_string(model.maxContext()));
  return Executor::create(
      model, {.maxContext = static_cast<uint32_t>(length), .maxSequences = options.batch});
}

std::vector<Sequence> newSequences(Executor &executor, uint32_t count) {
  std::vector<Sequence> sequences;
  for (uint32_t i = 0; i < count; ++i)
    sequences.push_back(executor.newSequence());
  return sequences;
}

/// One token of every sequence.
Status decodeStep(Executor &executor, std::vector<Sequence> &sequences) {
  std::vector<int32_t> tokens;
  std::vector<Chunk> chunks;
  tokens.reserve(sequences.size());
  for (Sequence &sequence : sequences) {
    tokens.push_back(tokenAt(executor.model(), sequence.length()));
    chunks.push_back({&sequence, {&tokens.back(), 1}, LogitRows::last});
  }
  return executor.step(chunks).status();
}

} // namespace

Ceilings qopt::measureCeilings(const Model &model, unsigned threads) {
  Instructions instructions;
  for (const std::string &feature : model.manifest().target().features()) {
    instructions.fma |= feature == "fma";
    instructions.avx512 |= feature == "avx512f";
    instructions.vnni |= feature == "avx512_vnni";
  }
  return measureCeilings(threads, instructions);
}

Result<Timing> qopt::benchDecode(const Model &model, const BenchOptions &options) {
  uint64_t steps = uint64_t(options.repeat) * options.tokens;
  Result<Executor> executor = createExecutor(model, options, options.context + steps + 1);
  if (!executor)
    return executor.status();
  std::vector<Sequence> sequences = newSequences(*executor, options.batch);
  if (Status status = prefill(*executor, sequences, textOf(model, options.context), false); !status)
    return status;
  if (Status status = decodeStep(*executor, sequences); !status) // warm
    return status;
  std::vector<double> times;
  for (uint32_t i = 0; i < options.repeat; ++i) {
    Result<double> seconds = timed([&]() -> Status {
      for (uint32_t token = 0; token < options.tokens; ++token)
        if (Status status = decodeStep(*executor, sequences); !status)
          return status;
      return Status::ok();
    });
    if (!seconds)
      return seconds.status();
    times.push_back(*seconds / options.tokens);
  }
  Timing timing;
  timing.seconds = median(times);
  timing.fastestSeconds = *std::min_element(times.begin(), times.end());
  timing.tokensPerSecond = options.batch / timing.seconds;
  timing.work =
      workOf(model.manifest(), {options.batch, options.context + 1 + steps / 2, 1, options.batch});
  return timing;
}

Result<Timing> qopt::benchPrefill(const Model &model, const BenchOptions &options) {
  Result<Executor> executor = createExecutor(model, options, options.tokens);
  if (!executor)
    return executor.status();
  std::vector<int32_t> tokens = textOf(model, options.tokens);
  std::vector<double> times;
  for (uint32_t i = 0; i <= options.repeat; ++i) {
    std::vector<Sequence> sequences = newSequences(*executor, options.batch);
    Result<double> seconds = timed([&] { return prefill(*executor, sequences, tokens, true); });
    if (!seconds)
      return seconds.status();
    if (i > 0) // the first warms
      times.push_back(*seconds);
  }
  Timing timing;
  timing.seconds = median(times);
  timing.fastestSeconds = *std::min_element(times.begin(), times.end());
  timing.tokensPerSecond = double(options.batch) * options.tokens / timing.seconds;
  for (uint64_t first = 0; first < options.tokens; first += executor->maxStepTokens()) {
    uint64_t count = std::min<uint64_t>(executor->maxStepTokens(), options.tokens - first);
    Work step = workOf(model.manifest(), {1, first, count, first + count == options.tokens});
    for (uint32_t i = 0; i < options.batch; ++i)
      timing.work += step;
  }
  return timing;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

namespace {

/// Memory for one step of a plan, outside any executor.
class PlanBench {
public:
  PlanBench(const Model &model, const artifact::Plan &plan, const StepShape &step)
      : model(model), plan(plan), step(step) {}

  Status prepare() {
    const artifact::KvCache &cache = model.manifest().kv_cache();
    uint64_t length = step.context + step.tokens;
    uint64_t stride = (length + cache.page_tokens() - 1) / cache.page_tokens();
    Device &device = model.device();
    if (Status status = allocate(arena, plan.arena_bytes()); !status)
      return status;
    if (Status status = allocate(pool, step.batch * stride * cache.page_bytes()); !status)
      return status;
    uint32_t rows = static_cast<uint32_t>(step.rows());
    if (Status status = inputs.allocate(device, rows, static_cast<uint32_t>(step.logitRows),
                                        static_cast<uint32_t>(stride));
        !status)
      return status;
    std::vector<int32_t> pages(stride);
    std::iota(pages.begin(), pages.end(), 0);
    for (uint64_t sequence = 0; sequence < step.batch; ++sequence) {
      inputs.beginSequence(pages);
      for (uint64_t i = 0; i < step.tokens; ++i)
        inputs.addToken(tokenAt(model, i), static_cast<uint32_t>(step.context + i),
                        i + 1 == step.tokens);
      for (int32_t &page : pages)
        page += static_cast<int32_t>(stride);
    }
    return inputs.upload(device);
  }

  LaunchCommand bind(const artifact::Launch &launch) const {
    LaunchCommand command{launch.kernel(), {}, 0};
    for (const artifact::Argument &argument : launch.args())
      command.args.push_back(value(argument));
    command.units = launch.units_static() + launch.units_per_token() * inputs.numTokens() +
                    launch.units_per_logit_row() * inputs.numLogitRows();
    return command;
  }

private:
  /// Written once: pages that nobody wrote to all show the same zeros.
  Status allocate(DeviceMemory &memory, uint64_t bytes) {
    Result<DeviceMemory> result = model.device().allocate(bytes);
    if (!result)
      return result.status();
    memory = std::move(*result);
    return model.device().zero(memory.address(), bytes);
  }

  uint64_t value(const artifact::Argument &argument) const {
    switch (argument.value_case()) {
    case artifact::Argument::kWeight:
      return model.weightAddress(argument.weight());
    case artifact::Argument::kArenaOffset:
      return arena.address() + argument.arena_offset();
    case artifact::Argument::kKvOffset:
      return pool.address() + argument.kv_offset();
    case artifact::Argument::kInput:
      return inputs.value(argument.input());
    default:
      return static_cast<uint64_t>(argument.constant());
    }
  }

  const Model &model;
  const artifact::Plan &plan;
  StepShape step;
  DeviceMemory arena, pool;
  StepInputs inputs;
};

} // namespace

Result<std::vector<KernelTiming>> qopt::benchKernels(const Model &model,
                                                     const BenchOptions &options) {
  const artifact::Manifest &manifest = model.manifest();
  if (options.batch == 0 || options.tokens == 0 || options.repeat == 0)
    return Status::usage("expected at least one sequence, token and repeat");
  StepShape step{options.batch, options.context, options.tokens, options.batch};
  if (step.context + step.tokens > model.maxContext())
    return Status::usage("the sequences would have " + std::to_string(step.context + step.tokens) +
                         " tokens, expected at most the model's context of " +
                         std::to_string(model.maxContext()));
  const artifact::Plan *plan = planOf(manifest, step);
  if (!plan)
    return Status::usage("no plan holds a step of " + std::to_string(step.rows()) + " tokens");
  PlanBench bench(model, *plan, step);
  if (Status status = bench.prepare(); !status)
    return status;

  std::vector<KernelTiming> timings;
  std::vector<std::vector<LaunchCommand>> lines(manifest.kernels_size());
  std::vector<Work> work(manifest.kernels_size());
  for (const artifact::Launch &launch : plan->launches()) {
    lines[launch.kernel()].push_back(bench.bind(launch));
    work[launch.kernel()] += workOf(manifest, launch, step);
  }
  for (int i = 0; i < manifest.kernels_size(); ++i) {
    if (lines[i].empty())
      continue;
    std::vector<double> times;
    for (uint32_t run = 0; run <= options.repeat; ++run) {
      Result<double> seconds = timed([&] { return model.device().launch(model.code(), lines[i]); });
      if (!seconds)
        return seconds.status();
      if (run > 0) // the first warms
        times.push_back(*seconds);
    }
    const artifact::Kernel &kernel = manifest.kernels(i);
    timings.push_back({kernel.entry(), kernel.schedule(), static_cast<uint32_t>(lines[i].size()),
                       median(times), *std::min_element(times.begin(), times.end()), work[i]});
  }
  return timings;
}
