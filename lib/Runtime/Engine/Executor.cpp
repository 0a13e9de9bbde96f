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
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include <algorithm>
#include <cassert>

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

struct Executor::State {
  explicit State(Model model) : model(std::move(model)) {}

  Model model;
  uint32_t maxContext = 0;
  uint32_t pageTokens = 0;
  uint64_t pageBytes = 0;
  std::unique_ptr<KVCache> cache;
  DeviceMemory arena;
  StepInputs inputs;
  std::vector<PlanLine> plans; ///< ascending max_tokens
  uint64_t steps = 0;
  std::vector<float> hostLogits; ///< only where the host can't see the arena

  Status allocate(const ExecutorOptions &options);
  Status check(std::span<const Chunk> chunks);
  void fill(std::span<const Chunk> chunks);
  PlanLine &choosePlan();
};

Status Executor::State::allocate(const ExecutorOptions &options) {
  const artifact::Manifest &manifest = model.manifest();
  Device &device = model.device();
  uint64_t arenaBytes = 0;
  for (const artifact::Plan &plan : manifest.plans())
    arenaBytes = std::max<uint64_t>(arenaBytes, plan.arena_bytes());
  uint64_t memory = availableMemory();
  if (arenaBytes > memory)
    return Status::unavailable("the plans need " + std::to_string(arenaBytes) +
                               " bytes of memory, but " + std::to_string(memory) +
                               " are available");
  pageTokens = manifest.kv_cache().page_tokens();
  pageBytes = manifest.kv_cache().page_bytes();
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
  Result<DeviceMemory> buffer = device.allocate(arenaBytes);
  if (!buffer)
    return buffer.status();
  arena = std::move(*buffer);
  const artifact::Plan &largest = *manifest.plans().rbegin();
  if (Status status =
          inputs.allocate(device, largest.max_tokens(), largest.max_logit_rows(), stride);
      !status)
    return status;
  for (const artifact::Plan &plan : manifest.plans())
    plans.emplace_back(model, plan, arena.address(), cache->address(), inputs);
  return Status::ok();
}

/// The first plan that holds the step; the last holds every step.
PlanLine &Executor::State::choosePlan() {
  for (PlanLine &plan : plans)
    if (inputs.numTokens() <= plan.maxTokens() && inputs.numLogitRows() <= plan.maxLogitRows())
      return plan;
  return plans.back();
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

void Executor::State::fill(std::span<const Chunk> chunks) {
  inputs.clear();
  for (const Chunk &chunk : chunks) {
    inputs.beginSequence(chunk.sequence->pages_);
    for (size_t i = 0; i < chunk.tokens.size(); ++i) {
      bool last = i + 1 == chunk.tokens.size();
      bool wanted = chunk.logits == LogitRows::all || (chunk.logits == LogitRows::last && last);
      inputs.addToken(chunk.tokens[i], chunk.sequence->length_ + i, wanted);
    }
  }
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

bool Executor::reserve(Sequence &sequence, uint32_t tokens) {
  uint64_t length = uint64_t(sequence.length_) + tokens;
  size_t wanted = (length + state_->pageTokens - 1) / state_->pageTokens;
  if (wanted <= sequence.pages_.size())
    return true;
  size_t before = sequence.pages_.size();
  if (wanted - before > state_->cache->freePages())
    return false;
  while (sequence.pages_.size() < wanted) {
    int32_t page = state_->cache->allocate();
    if (page < 0)
      break;
    sequence.pages_.push_back(page);
  }
  if (sequence.pages_.size() == wanted)
    return true;
  for (; sequence.pages_.size() > before; sequence.pages_.pop_back())
    state_->cache->release(sequence.pages_.back());
  return false;
}

Result<std::span<const float>> Executor::step(std::span<const Chunk> chunks) {
  State &state = *state_;
  if (chunks.empty())
    return std::span<const float>();
  if (Status status = state.check(chunks); !status)
    return status;
  uint64_t tokens = 0, rows = 0;
  for (const Chunk &chunk : chunks) {
    tokens += chunk.tokens.size();
    rows += chunk.logits == LogitRows::all ? chunk.tokens.size() : chunk.logits == LogitRows::last;
  }
  if (tokens > maxStepTokens() || rows > maxStepLogits())
    return Status::usage("a step of " + std::to_string(tokens) + " tokens and " +
                         std::to_string(rows) + " logit rows, expected at most " +
                         std::to_string(maxStepTokens()) + " and " +
                         std::to_string(maxStepLogits()));
  for (const Chunk &chunk : chunks)
    if (!reserve(*chunk.sequence, static_cast<uint32_t>(chunk.tokens.size())))
      return Status::unavailable("the KV cache of " + std::to_string(state.cache->pages()) +
                                 " pages is full");

  state.fill(chunks);
  PlanLine &plan = state.choosePlan();
  Device &device = state.model.device();
  if (Status status = state.inputs.upload(device); !status)
    return status;
  bool decode = tokens == chunks.size();
  if (Status status = plan.run(state.model, state.inputs, decode); !status)
    return status;

  for (const Chunk &chunk : chunks)
    chunk.sequence->length_ += chunk.tokens.size();
  size_t count = rows * state.model.vocabularySize();
  uint64_t logits = state.arena.address() + plan.logitsOffset();
  if (const std::byte *view = device.hostView(logits))
    return std::span(reinterpret_cast<const float *>(view), count);
  state.hostLogits.resize(count);
  if (Status status =
          device.copyToHost(std::as_writable_bytes(std::span(state.hostLogits)), logits);
      !status)
    return status;
  return std::span<const float>(state.hostLogits);
}

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
uint32_t Executor::maxStepTokens() const { return state_->plans.back().maxTokens(); }
uint32_t Executor::maxStepLogits() const { return state_->plans.back().maxLogitRows(); }
uint32_t Executor::pageTokens() const { return state_->pageTokens; }
uint32_t Executor::pages() const { return state_->cache->pages(); }
uint32_t Executor::freePages() const { return state_->cache->freePages(); }
uint64_t Executor::kvCacheBytes() const { return state_->pageBytes * state_->cache->pages(); }
uint64_t Executor::arenaBytes() const { return state_->arena.size(); }
