//===- Executor.cpp - Steps of a model ------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Executor.h"
#include "CacheSize.h"
#include "KVCache.h"
#include "PlanLine.h"
#include "Timer.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include <algorithm>
#include <cassert>
#include <deque>

using namespace qopt;

void Sequence::clear() {
  for (int32_t page : pages_)
    cache_->release(page);
  pages_.clear();
  length_ = 0;
}

void Sequence::swap(Sequence &other) {
  std::swap(cache_, other.cache_);
  std::swap(pages_, other.pages_);
  std::swap(length_, other.length_);
  std::swap(lastStep_, other.lastStep_);
}

static uint64_t logitRowsOf(std::span<const Chunk> chunks) {
  uint64_t rows = 0;
  for (const Chunk &chunk : chunks)
    rows += chunk.logits == LogitRows::all ? chunk.tokens.size() : chunk.logits == LogitRows::last;
  return rows;
}

namespace {

/// A step that is under way.
struct StartedStep {
  PlanLine *plan = nullptr;
  std::vector<Sequence *> sequences;
  std::vector<Sampling> samplings;               ///< of its logit rows
  std::unique_ptr<PendingCopy> tokens, logprobs; ///< null: nothing is copied
  HostMemory *host = nullptr; ///< int32 tokens [R], float32 log-probabilities [R]
  bool decodes = false;       ///< a token, with logits, of each sequence
};

bool wantsLogprob(const Sampling &sampling) { return sampling.params.logprobs; }
bool hasPenalty(const Sampling &sampling) { return sampling.params.repetitionPenalty != 1; }

} // namespace

struct Executor::State {
  explicit State(Model model) : model(std::move(model)) {}
  ~State() {
    if (!started.empty()) // they use the memory
      (void)model.device().synchronize();
  }

  Model model;
  uint32_t maxContext = 0;
  uint32_t pageTokens = 0;
  uint64_t pageBytes = 0;
  std::unique_ptr<KVCache> cache;
  DeviceMemory arena, kept; ///< of a step; from step to step
  StepInputs inputs;
  std::vector<PlanLine> mixedPlans, decodePlans; ///< ascending max_tokens
  bool recordings = true;
  uint64_t steps = 0;
  HostMemory hostOutputs;          ///< only where the host can't see the arena
  std::deque<StartedStep> started; ///< and not finished; at most two
  HostMemory hostSampled[2];       ///< of steps that are under way, in turn
  Sampler sampler;
  std::vector<SampledToken> sampled; ///< of the last step
  double hostSampleSeconds = 0;

  Status allocate(const ExecutorOptions &options);
  Status allocatePlans(uint64_t arenaBytes, uint32_t stride);
  Status check(std::span<const Chunk> chunks);
  bool reserve(Sequence &sequence, uint32_t tokens);
  Result<PlanLine *> run(std::span<const Chunk> chunks, std::span<const Sampling> samplings);
  void fill(std::span<const Chunk> chunks, std::span<const Sampling> samplings,
            const PlanLine &plan);
  void commit(std::span<const Chunk> chunks);
  PlanLine &choosePlan(uint64_t tokens, uint64_t logitRows, bool decode);
  template <typename T> Result<std::span<const T>> read(uint64_t offset, size_t count);
  Result<std::span<const float>> readLogits(const PlanLine &plan, uint64_t rows);
  Status begin(std::span<const Chunk> chunks, std::span<const Sampling> samplings);
  Result<bool> beginNext(std::span<const Sampling> samplings);
  Status copySampled(StartedStep &step);
  Status takeSampled(const StartedStep &step);
  Status end(const StartedStep &step);
  void sampleOnHost(std::span<const float> logits, std::span<const Sampling> samplings);
};

Status Executor::State::allocate(const ExecutorOptions &options) {
  const artifact::Program &program = model.program();
  Device &device = model.device();
  uint64_t arenaBytes = 0;
  for (const artifact::Plan &plan : program.plans())
    arenaBytes = std::max<uint64_t>(arenaBytes, plan.arena_bytes());
  uint64_t memory = device.freeBytes().value_or(availableMemory());
  recordings = options.recordings;
  if (arenaBytes > memory)
    return Status::unavailable("the plans need " + std::to_string(arenaBytes) +
                               " bytes of memory, but " + std::to_string(memory) +
                               " are available");
  pageTokens = program.kv_cache().page_tokens();
  pageBytes = program.kv_cache().page_bytes();
  Result<CacheSize> size =
      planCache(options, {model.maxContext(), pageTokens, pageBytes, memory - arenaBytes});
  if (!size)
    return size.status();
  maxContext = size->maxContext;
  uint32_t stride = (maxContext + pageTokens - 1) / pageTokens;

  auto pool = KVCache::create(device, size->pages, pageBytes);
  if (!pool)
    return pool.status();
  cache = std::move(*pool);
  return allocatePlans(arenaBytes, stride);
}

Status Executor::State::allocatePlans(uint64_t arenaBytes, uint32_t stride) {
  const artifact::Program &program = model.program();
  Device &device = model.device();
  const std::pair<DeviceMemory *, uint64_t> buffers[] = {{&arena, arenaBytes},
                                                         {&kept, program.state_bytes()}};
  for (auto [buffer, bytes] : buffers) {
    Result<DeviceMemory> allocated = device.allocate(bytes);
    if (!allocated)
      return allocated.status();
    *buffer = std::move(*allocated);
  }
  std::vector<const artifact::Plan *> all;
  for (const artifact::Plan &plan : program.plans())
    all.push_back(&plan);
  if (Status status = inputs.allocate(device, all, stride); !status)
    return status;
  PlanMemory memory{arena.address(), cache->address(), kept.address()};
  for (const artifact::Plan *plan : all)
    (plan->kind() == artifact::Plan::DECODE ? decodePlans : mixedPlans)
        .emplace_back(model, *plan, memory, inputs);
  return Status::ok();
}

/// The first decode plan that holds the step if it is one, else the first mixed
/// one; the last of those holds every step.
PlanLine &Executor::State::choosePlan(uint64_t tokens, uint64_t logitRows, bool decode) {
  for (std::vector<PlanLine> *plans : {&decodePlans, &mixedPlans})
    if (decode || plans == &mixedPlans)
      for (PlanLine &plan : *plans)
        if (tokens <= plan.maxTokens() && logitRows <= plan.maxLogitRows())
          return plan;
  return mixedPlans.back();
}

Status Executor::State::check(std::span<const Chunk> chunks) {
  uint32_t vocabulary = model.vocabularySize();
  ++steps;
  for (const Chunk &chunk : chunks) {
    if (!chunk.sequence || chunk.sequence->cache_ != cache.get() || chunk.tokens.empty())
      return Status::usage("a chunk needs a sequence of this executor and at least one token");
    if (std::exchange(chunk.sequence->lastStep_, steps) == steps)
      return Status::usage("a sequence has two chunks in one step");
    uint64_t length = uint64_t(chunk.sequence->length_) + chunk.tokens.size();
    if (length > maxContext)
      return Status::invalid("the sequence would have " + std::to_string(length) +
                             " tokens, expected at most the context of " +
                             std::to_string(maxContext));
    for (int32_t token : chunk.tokens)
      if (token < 0 || uint32_t(token) >= vocabulary)
        return Status::invalid("token " + std::to_string(token) + " is not in the vocabulary of " +
                               std::to_string(vocabulary));
  }
  return Status::ok();
}

void Executor::State::fill(std::span<const Chunk> chunks, std::span<const Sampling> samplings,
                           const PlanLine &plan) {
  inputs.begin(plan.plan());
  for (const Chunk &chunk : chunks) {
    inputs.beginSequence(chunk.sequence->pages_);
    for (size_t i = 0; i < chunk.tokens.size(); ++i) {
      bool last = i + 1 == chunk.tokens.size();
      bool wanted = chunk.logits == LogitRows::all || (chunk.logits == LogitRows::last && last);
      inputs.addToken(chunk.tokens[i], chunk.sequence->length_ + i, wanted);
    }
  }
  if (plan.samples())
    for (const Sampling &sampling : samplings)
      inputs.addSampling(sampling);
  if (plan.isDecode())
    inputs.pad(plan.maxTokens(), plan.maxLogitRows());
}

/// Waits for the step, and shows \p count elements of the arena where the host can see them.
template <typename T>
Result<std::span<const T>> Executor::State::read(uint64_t offset, size_t count) {
  Device &device = model.device();
  uint64_t address = arena.address() + offset;
  const std::byte *view = device.hostView(address);
  if (view || count == 0) {
    if (Status status = device.synchronize(); !status)
      return status;
    return std::span(reinterpret_cast<const T *>(view), count);
  }
  size_t bytes = count * sizeof(T);
  if (hostOutputs.bytes().size() < bytes) {
    Result<HostMemory> larger = device.allocateHost(bytes + bytes / 2);
    if (!larger)
      return larger.status();
    hostOutputs = std::move(*larger);
  }
  if (Status status = device.copyToHost(hostOutputs.bytes().first(bytes), address); !status)
    return status;
  return std::span(reinterpret_cast<const T *>(hostOutputs.bytes().data()), count);
}

Result<std::span<const float>> Executor::State::readLogits(const PlanLine &plan, uint64_t rows) {
  return read<float>(plan.logitsOffset(), rows * model.vocabularySize());
}

/// Has the tokens copied as soon as they are chosen; log-probabilities only where somebody
/// asks for them.
Status Executor::State::copySampled(StartedStep &step) {
  Device &device = model.device();
  const uint64_t rows = step.samplings.size(), bytes = rows * sizeof(int32_t);
  step.host = &hostSampled[steps % 2];
  if (step.host->bytes().size() < 2 * bytes) {
    Result<HostMemory> larger = device.allocateHost(3 * bytes);
    if (!larger)
      return larger.status();
    *step.host = std::move(*larger);
  }
  auto copy = [&](uint64_t offset, uint64_t at, std::unique_ptr<PendingCopy> &pending) -> Status {
    auto copied =
        device.startCopyToHost(step.host->bytes().subspan(at, bytes), arena.address() + offset);
    if (!copied)
      return copied.status();
    pending = std::move(*copied);
    return Status::ok();
  };
  Status status = copy(step.plan->tokensOffset(), 0, step.tokens);
  if (status && std::any_of(step.samplings.begin(), step.samplings.end(), wantsLogprob))
    status = copy(step.plan->logprobsOffset(), bytes, step.logprobs);
  return status;
}

Status Executor::State::takeSampled(const StartedStep &step) {
  for (PendingCopy *copy : {step.tokens.get(), step.logprobs.get()})
    if (copy)
      if (Status status = copy->wait(); !status)
        return status;
  auto tokens = reinterpret_cast<const int32_t *>(step.host->bytes().data());
  auto logprobs = reinterpret_cast<const float *>(tokens + step.samplings.size());
  for (size_t i = 0; i < step.samplings.size(); ++i) {
    sampled[i].token = tokens[i];
    if (wantsLogprob(step.samplings[i]))
      sampled[i].logprob = logprobs[i];
  }
  return Status::ok();
}

void Executor::State::sampleOnHost(std::span<const float> logits,
                                   std::span<const Sampling> samplings) {
  Timer timer;
  size_t vocabulary = model.vocabularySize();
  for (size_t i = 0; i < samplings.size(); ++i) {
    const Sampling &sampling = samplings[i];
    Result<SampledToken> token =
        sampler.sample(logits.subspan(i * vocabulary, vocabulary), sampling.params,
                       sampling.history, sampling.position);
    if (token)
      sampled[i] = *token;
  }
  hostSampleSeconds = timer.lap();
}

/// The plan that runs the step, which has begun.
Result<PlanLine *> Executor::State::run(std::span<const Chunk> chunks,
                                        std::span<const Sampling> samplings) {
  if (Status status = check(chunks); !status)
    return status;
  hostSampleSeconds = 0;
  uint64_t tokens = 0;
  for (const Chunk &chunk : chunks)
    tokens += chunk.tokens.size();
  uint64_t rows = logitRowsOf(chunks);
  const PlanLine &largest = mixedPlans.back();
  if (tokens > largest.maxTokens() || rows > largest.maxLogitRows())
    return Status::usage("a step of " + std::to_string(tokens) + " tokens and " +
                         std::to_string(rows) + " logit rows, expected at most " +
                         std::to_string(largest.maxTokens()) + " and " +
                         std::to_string(largest.maxLogitRows()));
  for (const Chunk &chunk : chunks)
    if (!reserve(*chunk.sequence, static_cast<uint32_t>(chunk.tokens.size())))
      return Status::unavailable("the KV cache of " + std::to_string(cache->pages()) +
                                 " pages is full");

  PlanLine &plan = choosePlan(tokens, rows, /*decode=*/tokens == chunks.size());
  fill(chunks, samplings, plan);
  if (Status status = inputs.upload(model.device()); !status)
    return status;
  if (Status status = plan.run(model, inputs, recordings); !status)
    return status;
  return &plan;
}

void Executor::State::commit(std::span<const Chunk> chunks) {
  for (const Chunk &chunk : chunks)
    chunk.sequence->length_ += chunk.tokens.size();
}

Executor::Executor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Executor::Executor(Executor &&) noexcept = default;
Executor &Executor::operator=(Executor &&) noexcept = default;
Executor::~Executor() = default;

Result<Executor> Executor::create(Model model, const ExecutorOptions &options) {
  auto state = std::make_unique<State>(std::move(model));
  if (Status status = state->allocate(options); !status)
    return status;
  return Executor(std::move(state));
}

Sequence Executor::newSequence() { return Sequence(*state_->cache); }

bool Executor::State::reserve(Sequence &sequence, uint32_t tokens) {
  uint64_t length = uint64_t(sequence.length_) + tokens;
  size_t wanted = (length + pageTokens - 1) / pageTokens;
  if (wanted <= sequence.pages_.size())
    return true;
  size_t before = sequence.pages_.size();
  if (wanted - before > cache->freePages())
    return false;
  while (sequence.pages_.size() < wanted) {
    int32_t page = cache->allocate();
    if (page < 0)
      break;
    sequence.pages_.push_back(page);
  }
  if (sequence.pages_.size() == wanted)
    return true;
  for (; sequence.pages_.size() > before; sequence.pages_.pop_back())
    cache->release(sequence.pages_.back());
  return false;
}

bool Executor::reserve(Sequence &sequence, uint32_t tokens) {
  return state_->reserve(sequence, tokens);
}

Result<std::span<const float>> Executor::step(std::span<const Chunk> chunks) {
  if (chunks.empty())
    return std::span<const float>();
  if (!state_->started.empty())
    return Status::usage("a step is under way");
  Result<PlanLine *> plan = state_->run(chunks, {});
  if (!plan)
    return plan.status();
  auto logits = state_->readLogits(**plan, logitRowsOf(chunks));
  if (logits)
    state_->commit(chunks);
  return logits;
}

Status Executor::State::begin(std::span<const Chunk> chunks, std::span<const Sampling> samplings) {
  Result<PlanLine *> plan = run(chunks, samplings);
  if (!plan)
    return plan.status();
  StartedStep step;
  step.plan = *plan;
  step.samplings.assign(samplings.begin(), samplings.end());
  step.decodes = (*plan)->isDecode();
  for (const Chunk &chunk : chunks) {
    step.sequences.push_back(chunk.sequence);
    step.decodes &= chunk.logits != LogitRows::none;
  }
  if ((*plan)->samples())
    if (Status status = copySampled(step); !status)
      return status;
  commit(chunks);
  started.push_back(std::move(step));
  return Status::ok();
}

Result<bool> Executor::State::beginNext(std::span<const Sampling> samplings) {
  if (started.size() != 1)
    return false;
  const StartedStep &last = started.front();
  if (!last.decodes || !last.plan->samples() || model.device().hostView(arena.address()) ||
      samplings.size() != last.sequences.size() ||
      std::any_of(samplings.begin(), samplings.end(), hasPenalty))
    return false;
  for (Sequence *sequence : last.sequences)
    if (sequence->length_ >= maxContext || !reserve(*sequence, 1))
      return false;
  ++steps;
  constexpr int32_t unknown = 0;
  std::vector<Chunk> chunks;
  for (Sequence *sequence : last.sequences)
    chunks.push_back({sequence, {&unknown, 1}, LogitRows::last});
  StartedStep next;
  next.plan = last.plan;
  next.sequences = last.sequences;
  next.samplings.assign(samplings.begin(), samplings.end());
  next.decodes = true;
  fill(chunks, samplings, *next.plan);
  Device &device = model.device();
  Status status = inputs.upload(device);
  if (status)
    status = inputs.takeTokens(device, arena.address() + next.plan->tokensOffset());
  if (status)
    status = next.plan->run(model, inputs, recordings);
  if (status)
    status = copySampled(next);
  if (!status)
    return status;
  commit(chunks);
  started.push_back(std::move(next));
  return true;
}

/// Fills `sampled`.
Status Executor::State::end(const StartedStep &step) {
  sampled.assign(step.samplings.size(), {});
  if (step.plan->samples())
    return takeSampled(step);
  auto logits = readLogits(*step.plan, step.samplings.size());
  if (!logits)
    return logits.status();
  sampleOnHost(*logits, step.samplings);
  return Status::ok();
}

Status Executor::start(std::span<const Chunk> chunks, std::span<const Sampling> samplings) {
  uint64_t rows = logitRowsOf(chunks);
  if (samplings.size() != rows)
    return Status::usage("a step of " + std::to_string(rows) + " logit rows has " +
                         std::to_string(samplings.size()) + " samplings, expected one for each");
  if (chunks.empty() || !state_->started.empty())
    return Status::usage(chunks.empty() ? "a step has no chunks" : "a step is under way");
  return state_->begin(chunks, samplings);
}

Result<bool> Executor::startNext(std::span<const Sampling> samplings) {
  return state_->beginNext(samplings);
}

Result<std::span<const SampledToken>> Executor::finish() {
  State &state = *state_;
  if (state.started.empty())
    return Status::usage("no step is under way");
  StartedStep step = std::move(state.started.front());
  state.started.pop_front();
  if (Status status = state.end(step); !status)
    return status;
  return std::span<const SampledToken>(state.sampled);
}

Result<std::span<const SampledToken>> Executor::sample(std::span<const Chunk> chunks,
                                                       std::span<const Sampling> samplings) {
  if (chunks.empty() && samplings.empty())
    return std::span<const SampledToken>();
  if (Status status = start(chunks, samplings); !status)
    return status;
  auto sampled = finish();
  if (!sampled)
    for (const Chunk &chunk : chunks)
      chunk.sequence->length_ -= chunk.tokens.size();
  return sampled;
}

double Executor::hostSampleSeconds() const { return state_->hostSampleSeconds; }

Status Executor::forward(Sequence &sequence, std::span<const int32_t> tokens, const LogitSink &sink,
                         uint32_t chunk) {
  uint32_t most = std::min(maxStepTokens(), maxStepLogits());
  size_t size = chunk ? std::min(chunk, most) : most;
  for (size_t first = 0; first < tokens.size(); first += size) {
    Chunk part{&sequence, tokens.subspan(first, std::min(size, tokens.size() - first)),
               LogitRows::all};
    Result<std::span<const float>> logits = step({&part, 1});
    if (!logits)
      return logits.status();
    if (Status status = sink(static_cast<uint32_t>(first), *logits); !status)
      return status;
  }
  return Status::ok();
}

const Model &Executor::model() const { return state_->model; }
uint32_t Executor::maxContext() const { return state_->maxContext; }
uint32_t Executor::maxStepTokens() const { return state_->mixedPlans.back().maxTokens(); }
uint32_t Executor::maxStepLogits() const { return state_->mixedPlans.back().maxLogitRows(); }
uint32_t Executor::pageTokens() const { return state_->pageTokens; }
uint32_t Executor::pages() const { return state_->cache->pages(); }
uint32_t Executor::freePages() const { return state_->cache->freePages(); }
uint64_t Executor::kvCacheBytes() const { return state_->pageBytes * state_->cache->pages(); }
uint64_t Executor::arenaBytes() const { return state_->arena.size(); }
