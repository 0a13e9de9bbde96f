//===- sample.cuh - From logits to a token --------------------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   grid x: rows      z: config.blocks, a cluster      block: sample_threads(config)
//
// The steps of qopt/Runtime/Sampler.h, and the same token from the same logits but for
// draws within 2^-27 of a border: weights exp((l - max) / temperature) are multiples of
// 2^-45 here, so that sums are exact integers and have no order. The vocabulary isn't
// sorted: sums of 256 intervals of logits tell which tokens can be drawn at all, and these
// are sorted where they are few. Else the token at which a running sum, in the order of
// weights, exceeds a target is found by descending through such intervals.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "sample_shortlist.cuh"

namespace qopt::cuda {

/// Philox4x32-10 of counter (position, 0) and key seed: 53 bits.
__device__ __forceinline__ uint64_t random_53_bits(uint64_t seed, uint64_t position) {
  uint32_t c[4] = {uint32_t(position), uint32_t(position >> 32), 0, 0};
  uint32_t key[2] = {uint32_t(seed), uint32_t(seed >> 32)};
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t(0xD2511F53u) * c[0], b = uint64_t(0xCD9E8D57u) * c[2];
    uint32_t next[4] = {uint32_t(b >> 32) ^ c[1] ^ key[0], uint32_t(b),
                        uint32_t(a >> 32) ^ c[3] ^ key[1], uint32_t(a)};
    for (int i = 0; i < 4; ++i)
      c[i] = next[i];
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return (uint64_t(c[1]) << 32 | c[0]) >> 11;
}

/// A token drawn among all that the parameters leave, however many.
template <SampleConfig config>
__device__ int draw_among_many(Distribution<config> &tokens, const SamplingRow &row, bool cut,
                               uint64_t random) {
  float least = bits_to_float(0xff800000u); // of the scores that are kept
  auto weight = [&](float score) { return score < least ? 0 : tokens.weight(score); };
  uint64_t kept;
  if (cut) {
    Crossing last =
        tokens.cross(row.top_k - 1, [&](float score) { return uint64_t(tokens.counts(score)); });
    kept = tokens.sum([&](float score) { return score > last.score ? tokens.weight(score) : 0; }) +
           (last.rank + 1) * tokens.weight(last.score);
    least = last.score;
  } else {
    kept = tokens.sum(weight);
  }
  uint64_t total = kept;
  if (row.top_p < 1)
    if (uint64_t target = top_p_target(row.top_p, kept); target < kept) {
      Crossing last = tokens.cross(target, weight);
      total = min(total, last.through());
      least = last.score;
    }
  if (row.min_p > 0)
    total = min(total, tokens.sum([&](float score) {
      return score >= least && tokens.at_least(score, row.min_p) ? tokens.weight(score) : 0;
    }));
  return tokens.token_at(tokens.cross(share_of(total, random), weight));
}

/// The token that the parameters draw, in the first block. `sums`: room for a Shortlist.
template <SampleConfig config>
__device__ int draw_token(const Scores<config> &scores, Distribution<config> &tokens,
                          const SamplingRow &row, uint64_t *sums, SampleGroup<config> &group) {
  uint64_t random = random_53_bits(row.seed, row.position), kept = 0, before = 0;
  int last = 255; // interval of tokens that can be drawn
  bool cut = false;
  if (row.top_k != 0) {
    tokens.count_intervals();
    cut = row.top_k < group.sum_of_intervals();
    if (cut)
      last = group.interval_beyond(row.top_k - 1, before);
  }
  if (!cut && row.top_p < 1) {
    tokens.weigh_intervals();
    kept = group.sum_of_intervals();
    if (uint64_t target = top_p_target(row.top_p, kept); target < kept)
      last = group.interval_beyond(target, before);
  }
  if (row.top_p >= 1 && row.min_p > 0) // its interval, and one more for roundings
    last = min(last, int(min(8 * -logf(row.min_p), 253.0f)) + 1);
  if (!cut && row.top_p >= 1 && row.min_p <= 0) {
    auto weight = [&](float score) { return tokens.weight(score); };
    return tokens.token_where(share_of(tokens.sum(weight), random), weight);
  }
  Shortlist<config> list(group, sums);
  if (!list.gather(scores, tokens, last))
    return draw_among_many(tokens, row, cut, random);
  return group.rank() == 0 ? list.draw(tokens, row, cut, kept, random) : -1;
}

/// log softmax(logits)[token] in float64; sums have one order.
template <SampleConfig config>
__device__ double log_probability(const Scores<config> &plain, const float *row, int token,
                                  SampleGroup<config> &group) {
  float max_logit = from_ordered_bits(uint32_t(best_token(plain, nullptr, group) >> 32));
  double own = 0;
  plain.for_each([&](int, float logit) { own += exp(double(logit) - max_logit); });
  return double(row[token]) - max_logit - log(group.sum(own));
}

/// The dynamic shared memory of a block.
template <SampleConfig config> struct SampleMemory {
  uint32_t *seen; // [block's tokens / 32]
  float *scores;  // [block's tokens], where blocks keep them
  uint64_t *sums; // [sample_list], in the same place

  __device__ explicit SampleMemory(void *start) {
    sums = reinterpret_cast<uint64_t *>(start);
    scores = reinterpret_cast<float *>(start);
    seen = reinterpret_cast<uint32_t *>(static_cast<uint8_t *>(start) + sample_kept_bytes(config));
  }
};

/// A row's token: -1 where no logit is a finite maximum.
template <SampleConfig config>
__device__ int choose_token(const SamplingRow &row, const Scores<config> &plain,
                            const SampleMemory<config> &memory, SampleGroup<config> &group) {
  bool penalized = row.repetition_penalty != 1.0f, keeps = config.blocks > 1 && row.temperature > 0;
  Scores<config> scores = plain;
  if (penalized) {
    mark_history<config>(row.history, row.history_length, plain.first, memory.seen);
    scores.seen = memory.seen;
    scores.penalty = row.repetition_penalty;
  }
  uint64_t best = best_token(scores, keeps ? memory.scores : nullptr, group);
  float max_score = from_ordered_bits(uint32_t(best >> 32));
  if (best == 0 || !(fabsf(max_score) <= 3.402823466e38f))
    return -1;
  if (row.temperature <= 0)
    return int(~uint32_t(best));
  if (keeps) {
    scores.values = memory.scores;
    scores.seen = nullptr;
  }
  Distribution<config> distribution(scores, max_score, row.temperature, group);
  return draw_token(scores, distribution, row, memory.sums, group);
}

/// logits [rows, vocabulary] float32, sampling [rows]; tokens [rows], -1 where no logit is
/// a finite maximum; logprobs [rows], 0 there.
template <SampleConfig config>
__device__ void sample(const float *logits, const SamplingRow *sampling, int32_t *tokens,
                       float *logprobs, int64_t rows) {
  static_assert(config.vocabulary <= sample_max_vocabulary);
  extern __shared__ __align__(16) uint8_t sample_memory[];
  __shared__ SampleShared shared;
  launch_dependents();
  if (threadIdx.x == 0)
    shared.candidates = 0;
  wait_for_predecessors();
  int64_t at = blockIdx.x;
  if (at >= rows)
    return;
  SamplingRow row = sampling[at];
  if (!row.is_used)
    return;
  SampleGroup<config> group(shared);
  const float *row_logits = logits + at * config.logits_stride;
  int first = group.rank() * sample_block_tokens(config);
  int count = max(0, min(sample_block_tokens(config), config.vocabulary - first));
  Scores<config> plain = {row_logits + first, nullptr, 1.0f, first, count};
  int token = choose_token(row, plain, SampleMemory<config>(sample_memory), group);
  bool writes = group.rank() == 0 && threadIdx.x == 0;
  if (writes)
    tokens[at] = token;
  if (row.wants_logprob) {
    token = int(group.max(group.rank() == 0 ? token + 1 : 0)) - 1;
    double logprob = token < 0 ? 0.0 : log_probability(plain, row_logits, token, group);
    if (writes)
      logprobs[at] = float(logprob);
  }
  if constexpr (config.blocks > 1)
    group.sync(); // others may still read what this block shares
}

} // namespace qopt::cuda
