//===- Bench.cpp - How fast an artifact runs here -------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Bench/Bench.h"
#include "../Runtime/Artifact/Format.h"
#include "../Runtime/Engine/PlanLine.h"
#include "Ceilings.h"
#include "Work.h"
#include "qopt/Runtime/Engine.h"
#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>
#include <tuple>

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

/// Decodes as an engine does whose requests all go on: the next token of every sequence is
/// chosen greedily, and the next step started before it is read where the executor can.
class DecodeLoop {
public:
  DecodeLoop(Executor &executor, std::vector<Sequence> &sequences)
      : executor(executor), sequences(sequences), samplings(sequences.size()) {}

  /// One token of every sequence.
  Status step() {
    if (!isUnderWay)
      if (Status status = start(); !status)
        return status;
    Result<bool> next = executor.startNext(samplings);
    if (!next)
      return next.status();
    isUnderWay = *next;
    return executor.finish().status();
  }

private:
  Status start() {
    std::vector<int32_t> tokens;
    std::vector<Chunk> chunks;
    tokens.reserve(sequences.size());
    for (Sequence &sequence : sequences) {
      tokens.push_back(tokenAt(executor.model(), sequence.length()));
      chunks.push_back({&sequence, {&tokens.back(), 1}, LogitRows::last});
    }
    return executor.start(chunks, samplings);
  }

  Executor &executor;
  std::vector<Sequence> &sequences;
  std::vector<Sampling> samplings;
  bool isUnderWay = false;
};

} // namespace

/// The best of a few copies within a GPU's memory, far larger than its cache.
static double measureCopy(Device &device) {
  constexpr uint64_t most = uint64_t(2) << 30;
  uint64_t bytes = std::min(most, device.freeBytes().value_or(most) / 4);
  Result<DeviceMemory> from = device.allocate(bytes), to = device.allocate(bytes);
  if (!from || !to)
    return 0;
  double best = 0;
  for (int i = 0; i < 6; ++i)
    if (Result<double> seconds = device.timeCopy(to->address(), from->address(), bytes);
        seconds && *seconds > 0)
      best = std::max(best, 2.0 * static_cast<double>(bytes) / *seconds);
  return best;
}

Ceilings qopt::measureCeilings(const Model &model, unsigned threads) {
  if (isCUDA(model.program().target())) {
    Ceilings ceilings;
    ceilings.device = model.device().describe();
    ceilings.cacheBytes = model.device().cacheBytes();
    ceilings.readBytesPerSecond = measureCopy(model.device());
    return ceilings;
  }
  Instructions instructions;
  for (const std::string &feature : model.program().target().features()) {
    instructions.fma |= feature == "fma";
    instructions.avx512 |= feature == "avx512f";
    instructions.vnni |= feature == "avx512_vnni";
  }
  Ceilings ceilings = measureCeilings(threads, instructions);
  ceilings.device = model.device().describe();
  return ceilings;
}

Result<Timing> qopt::benchDecode(const Model &model, const BenchOptions &options) {
  uint64_t steps = uint64_t(options.repeat) * options.tokens;
  Result<Executor> executor = createExecutor(model, options, options.context + steps + 2);
  if (!executor)
    return executor.status();
  std::vector<Sequence> sequences = newSequences(*executor, options.batch);
  if (Status status = prefill(*executor, sequences, textOf(model, options.context), false); !status)
    return status;
  DecodeLoop loop(*executor, sequences);
  if (Status status = loop.step(); !status) // warm
    return status;
  std::vector<double> times;
  for (uint32_t i = 0; i < options.repeat; ++i) {
    Result<double> seconds = timed([&]() -> Status {
      for (uint32_t token = 0; token < options.tokens; ++token)
        if (Status status = loop.step(); !status)
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
  timing.work = workOf(model.manifest().model(), model.program(),
                       {options.batch, options.context + 1 + steps / 2, 1, options.batch});
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
    Work step = workOf(model.manifest().model(), model.program(),
                       {1, first, count, first + count == options.tokens});
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
    const artifact::KvCache &cache = model.program().kv_cache();
    uint64_t length = step.context + step.tokens;
    uint64_t stride = (length + cache.page_tokens() - 1) / cache.page_tokens();
    const std::tuple<DeviceMemory *, uint64_t> buffers[] = {
        {&arena, plan.arena_bytes()},
        {&pool, step.batch * stride * cache.page_bytes()},
        {&state, model.program().state_bytes()}};
    for (auto [memory, bytes] : buffers)
      if (Status status = allocate(*memory, bytes); !status)
        return status;
    const artifact::Plan *plans[] = {&plan};
    if (Status status = inputs.allocate(model.device(), plans, static_cast<uint32_t>(stride));
        !status)
      return status;
    fill(stride);
    if (Status status = inputs.upload(model.device()); !status)
      return status;
    PlanMemory memory{arena.address(), pool.address(), state.address()};
    line.emplace(model, plan, memory, inputs);
    return Status::ok();
  }

  const std::vector<LaunchCommand> &launches() { return line->bind(inputs); }

private:
  void fill(uint64_t stride) {
    inputs.begin(plan);
    std::vector<int32_t> pages(stride);
    std::iota(pages.begin(), pages.end(), 0);
    for (uint64_t sequence = 0; sequence < step.batch; ++sequence) {
      inputs.beginSequence(pages);
      for (uint64_t i = 0; i < step.tokens; ++i)
        inputs.addToken(tokenAt(model, i), static_cast<uint32_t>(step.context + i),
                        i + 1 == step.tokens);
      if (plan.has_tokens_offset())
        inputs.addSampling({}); // greedy
      for (int32_t &page : pages)
        page += static_cast<int32_t>(stride);
    }
    if (plan.kind() == artifact::Plan::DECODE)
      inputs.pad(plan.max_tokens(), plan.max_logit_rows());
  }

  /// Written once: pages that nobody wrote to all show the same zeros.
  Status allocate(DeviceMemory &memory, uint64_t bytes) {
    Result<DeviceMemory> result = model.device().allocate(bytes);
    if (!result)
      return result.status();
    memory = std::move(*result);
    return model.device().zero(memory.address(), bytes);
  }

  const Model &model;
  const artifact::Plan &plan;
  StepShape step;
  DeviceMemory arena, pool, state;
  StepInputs inputs;
  std::optional<PlanLine> line;
};

/// Seconds of each of \p repeat replays of a kernel's launches.
Result<std::vector<double>> timeLine(const Model &model, std::vector<LaunchCommand> line,
                                     uint32_t repeat) {
  auto recording = model.device().record(model.code(), std::move(line));
  if (!recording)
    return recording.status();
  std::vector<double> times;
  for (uint32_t run = 0; run <= repeat; ++run) {
    Result<double> seconds = model.device().time(**recording);
    if (!seconds)
      return seconds.status();
    if (run > 0) // the first warms
      times.push_back(*seconds);
  }
  return times;
}

} // namespace

Result<std::vector<KernelTiming>> qopt::benchKernels(const Model &model,
                                                     const BenchOptions &options) {
  const artifact::Program &program = model.program();
  if (options.batch == 0 || options.tokens == 0 || options.repeat == 0)
    return Status::usage("expected at least one sequence, token and repeat");
  StepShape step{options.batch, options.context, options.tokens, options.batch};
  if (step.context + step.tokens > model.maxContext())
    return Status::usage("the sequences would have " + std::to_string(step.context + step.tokens) +
                         " tokens, expected at most the model's context of " +
                         std::to_string(model.maxContext()));
  const artifact::Plan *plan = planOf(program, step);
  if (!plan)
    return Status::usage("no plan holds a step of " + std::to_string(step.rows()) + " tokens");
  PlanBench bench(model, *plan, step);
  if (Status status = bench.prepare(); !status)
    return status;

  std::vector<KernelTiming> timings;
  std::vector<std::vector<LaunchCommand>> lines(program.kernels_size());
  std::vector<Work> work(program.kernels_size());
  const std::vector<LaunchCommand> &launches = bench.launches();
  for (int i = 0; i < plan->launches_size(); ++i) {
    const artifact::Launch &launch = plan->launches(i);
    lines[launch.kernel()].push_back(launches[i]);
    work[launch.kernel()] += workOf(model.manifest().model(), program, launch, step);
  }
  for (int i = 0; i < program.kernels_size(); ++i) {
    if (lines[i].empty())
      continue;
    auto launchCount = static_cast<uint32_t>(lines[i].size());
    auto times = timeLine(model, std::move(lines[i]), options.repeat);
    if (!times)
      return times.status();
    const artifact::Kernel &kernel = program.kernels(i);
    timings.push_back({kernel.entry(), kernel.schedule(), launchCount, median(*times),
                       *std::min_element(times->begin(), times->end()), work[i]});
  }
  return timings;
}

//===----------------------------------------------------------------------===//
// Throughput
//===----------------------------------------------------------------------===//

Result<Throughput> qopt::benchThroughput(const Model &model, const ThroughputOptions &options) {
  if (options.requests == 0 || options.promptTokens == 0 || options.generatedTokens == 0)
    return Status::usage("expected at least one request, prompt token and generated token");
  uint32_t length = options.promptTokens + options.generatedTokens;
  if (length > model.maxContext())
    return Status::usage("the sequences would have " + std::to_string(length) +
                         " tokens, expected at most the model's context of " +
                         std::to_string(model.maxContext()));
  Result<Engine> engine = Engine::create(
      model, {.executor = {.maxContext = length,
                           .maxSequences = std::min(options.requests, options.maxSequences)}});
  if (!engine)
    return engine.status();
  for (uint32_t i = 0; i < options.requests; ++i) {
    Request request;
    for (uint32_t token = 0; token < options.promptTokens; ++token)
      request.prompt.push_back(tokenAt(model, uint64_t(i) * options.promptTokens + token));
    request.maxTokens = options.generatedTokens;
    request.sampling = {.temperature = 0};
    request.stopAtEos = false;
    if (Result<RequestId> id = engine->submit(std::move(request)); !id)
      return id.status();
  }
  Result<double> seconds = timed([&]() -> Status {
    while (engine->busy())
      if (Result<bool> more = engine->step(); !more)
        return more.status();
    return Status::ok();
  });
  if (!seconds)
    return seconds.status();
  EngineStatistics statistics = engine->statistics();
  return Throughput{*seconds,
                    statistics.promptTokens,
                    statistics.generatedTokens,
                    statistics.prefillSteps,
                    statistics.decodeSteps,
                    statistics.prefillSeconds,
                    statistics.decodeSeconds,
                    statistics.sampleSeconds};
}
