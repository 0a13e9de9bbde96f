//===- Executor.h - Steps of a model ----------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The lowest level that knows tokens: runs steps of any mix of sequences and
/// gives logits. Engine schedules requests on top of it; evaluation and
/// debugging use it directly.
///
///   Result<Executor> executor = Executor::create(model, {.maxSequences = 1});
///   Sequence sequence = executor->newSequence();
///   std::vector<int32_t> tokens = {1, 2, 3};
///   Status status = executor->forward(
///       sequence, tokens, [&](uint32_t firstRow, std::span<const float> rows) {
///         return use(rows); // [rows, vocabulary], row r belongs to tokens[r]
///       });
///
/// The logits of a token depend on the tokens before it in its sequence and on
/// nothing else: not on the other sequences of the step, nor on how the tokens
/// are cut into steps. Not thread-safe; sequences must not outlive it.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_EXECUTOR_H
#define QOPT_RUNTIME_EXECUTOR_H

#include "qopt/Runtime/Model.h"
#include "qopt/Runtime/Sampler.h"
#include "qopt/Runtime/Status.h"
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace qopt {

class KVCache;

struct ExecutorOptions {
  /// Tokens of the longest sequence; 0: what the model allows, or what fits.
  uint32_t maxContext = 0;
  /// Sequences of maxContext tokens that the cache can hold; 0: 16, or what fits.
  uint32_t maxSequences = 0;
  /// Bytes of the KV cache instead of maxSequences; 0: maxSequences decides.
  uint64_t kvCacheBytes = 0;
  /// Replays decode plans as recordings (CUDA graphs); false: launches each kernel.
  bool recordings = true;
};

/// One sequence's place in the KV cache. Frees its pages with the object.
class Sequence {
public:
  Sequence() = default;
  Sequence(Sequence &&other) noexcept { swap(other); }
  Sequence &operator=(Sequence &&other) noexcept {
    swap(other);
    return *this;
  }
  ~Sequence() { clear(); }

  /// Tokens whose keys and values are in the cache.
  uint32_t length() const { return length_; }
  /// Forgets every token.
  void clear();

private:
  friend class Executor;
  explicit Sequence(KVCache &cache) : cache_(&cache) {}
  void swap(Sequence &other);

  KVCache *cache_ = nullptr;
  std::vector<int32_t> pages_;
  uint32_t length_ = 0;
  uint64_t lastStep_ = 0; ///< number of the last step that it was in
};

/// The tokens of a chunk whose logits are wanted.
enum class LogitRows { none, last, all };

/// Some tokens of one sequence, which follow those that are in the cache.
struct Chunk {
  Sequence *sequence = nullptr;
  std::span<const int32_t> tokens;
  LogitRows logits = LogitRows::last;
};

/// How the token of a logit row is chosen.
struct Sampling {
  SamplingParams params;
  std::span<const int32_t> history; ///< the tokens before, for the penalty
  uint64_t position = 0;            ///< how many there are, for the draw
};

class Executor {
public:
  /// Takes memory for the cache and the largest plan. A setting that doesn't
  /// fit is an error that names the largest one that does.
  static Result<Executor> create(Model model, const ExecutorOptions &options = {});

  Executor(Executor &&) noexcept;
  Executor &operator=(Executor &&) noexcept;
  ~Executor();

  Sequence newSequence();

  /// Takes the pages for \p tokens more tokens; false, and nothing is taken,
  /// when too few are free.
  bool reserve(Sequence &sequence, uint32_t tokens);

  /// Runs one step of up to maxStepTokens() tokens and maxStepLogits() logit
  /// rows; each sequence at most once. Returns float32 [rows, vocabulary] in the
  /// order of the chunks, valid until the next step. After an error the
  /// sequences are as before.
  Result<std::span<const float>> step(std::span<const Chunk> chunks);

  /// Runs a step as step() does, and chooses a token for each of its logit rows, of which
  /// \p samplings has one each: on the device where the plan can, so that no logits are
  /// copied, else by Sampler. The tokens are the same; one of -1 says that the row's logits
  /// have no finite maximum. Valid until the next step.
  Result<std::span<const SampledToken>> sample(std::span<const Chunk> chunks,
                                               std::span<const Sampling> samplings);
  /// sample() in two halves: start() gives the device the step, finish() waits for the tokens
  /// of the step that was started first.
  Status start(std::span<const Chunk> chunks, std::span<const Sampling> samplings);
  Result<std::span<const SampledToken>> finish();
  /// Starts the decode step that continues the one which is under way: the same sequences,
  /// each with the token that is chosen for it, which the host needn't know. Returns false,
  /// and starts nothing, where that can't be: the last step is no decode step or its tokens
  /// are chosen by the host, two steps are under way, pages or the context are used up, or a
  /// sampling has a penalty, for which the history would have to be known.
  Result<bool> startNext(std::span<const Sampling> samplings);

  /// Seconds that the host took to choose the last step's tokens; 0 if the device did.
  double hostSampleSeconds() const;

  /// Receives logits [rows, vocabulary] of the tokens from \p firstRow on.
  using LogitSink = std::function<Status(uint32_t firstRow, std::span<const float> logits)>;

  /// Runs \p tokens of one sequence in steps of at most \p chunk tokens (0: as
  /// many as a step takes) and hands every row to \p sink.
  Status forward(Sequence &sequence, std::span<const int32_t> tokens, const LogitSink &sink,
                 uint32_t chunk = 0);

  const Model &model() const;
  uint32_t maxContext() const;    ///< tokens of a sequence
  uint32_t maxStepTokens() const; ///< of the largest plan
  uint32_t maxStepLogits() const; ///< of the largest plan
  uint32_t pageTokens() const;
  uint32_t pages() const;
  uint32_t freePages() const;
  uint64_t kvCacheBytes() const;
  uint64_t arenaBytes() const;

private:
  struct State;
  explicit Executor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

} // namespace qopt

#endif // QOPT_RUNTIME_EXECUTOR_H
