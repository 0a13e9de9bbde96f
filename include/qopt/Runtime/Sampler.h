//===- Sampler.h - From logits to a token -----------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Chooses the next token of one sequence from its logits, float32
/// [vocabulary]. In this order, as transformers does:
///
///   1. repetition penalty: a logit of a token that occurred becomes l / penalty
///      if positive, else l * penalty (float32);
///   2. temperature 0: the largest logit, the lowest id among equals. Else
///      p = softmax(l / temperature), in float64 with the maximum subtracted;
///   3. top-k keeps the k most probable tokens;
///   4. top-p keeps the fewest most probable tokens whose share of what 3 kept
///      reaches p;
///   5. min-p keeps the tokens with at least p times the largest probability;
///   6. a draw u in [0, 1) picks the first token at which the running sum of the
///      kept probabilities exceeds u times their total.
///
/// Equal probabilities are ordered by id. The draw is Philox4x32-10 of (seed,
/// position): it depends on the request and its length alone.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_SAMPLER_H
#define QOPT_RUNTIME_SAMPLER_H

#include "qopt/Runtime/Status.h"
#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace qopt {

struct SamplingParams {
  float temperature = 0;       ///< 0: greedy
  uint32_t topK = 0;           ///< 0: all
  float topP = 1;              ///< in (0, 1]
  float minP = 0;              ///< in [0, 1]
  float repetitionPenalty = 1; ///< greater than 0
  uint64_t seed = 0;
  bool logprobs = false; ///< compute the log-probability of the chosen token

  /// Fails, naming the parameter, when one is out of its range.
  Status validate() const;
};

struct SampledToken {
  int32_t token = -1;
  /// log softmax(logits)[token] of the logits as they came, before 1; only if
  /// asked for.
  double logprob = 0;
};

class Sampler {
public:
  /// \p history: the tokens before, for the penalty; \p position: how many
  /// there are, for the draw. Fails when no logit is a number.
  Result<SampledToken> sample(std::span<const float> logits, const SamplingParams &params,
                              std::span<const int32_t> history, uint64_t position);

private:
  struct Candidate {
    double weight; ///< exp((l - max) / temperature)
    int32_t token;
  };

  std::span<const float> penalize(std::span<const float> logits, float penalty,
                                  std::span<const int32_t> history);
  int32_t draw(std::span<const float> logits, float max, const SamplingParams &params,
               uint64_t position);

  // Kept from call to call to save their allocation.
  std::vector<float> penalized_;
  std::vector<bool> seen_;
  std::vector<Candidate> candidates_;
};

/// The first of the largest numbers, NaN left out; -1 if there is none.
int32_t argmax(std::span<const float> values);

/// Philox4x32-10: 128 random bits that depend on counter and key alone (Salmon
/// et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

} // namespace qopt

#endif // QOPT_RUNTIME_SAMPLER_H
