//===- sample_shortlist.cuh - A draw among few tokens ---------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#pragma once

#include "sample_distribution.cuh"

namespace qopt::cuda {

/// Floor of share * total of a random share in [0, 1) of 53 bits: an integer sum exceeds
/// the product exactly if it exceeds this.
__device__ __forceinline__ uint64_t share_of(uint64_t total, uint64_t random) {
  return __umul64hi(total, random << 11);
}

/// The running sum of weights that top-p ends with is the first to exceed this.
__device__ __forceinline__ uint64_t top_p_target(float top_p, uint64_t kept) {
  double needed = ceil(double(top_p) * double(kept));
  return needed < 1 ? 0 : __double2ull_rd(needed) - 1;
}

/// The tokens of the largest scores, sorted in the first block: most often what is left of a
/// vocabulary by top-k, top-p or min-p. Their sums are those of the whole row, exactly.
template <SampleConfig config> class Shortlist {
public:
  /// sums: room for sample_list running sums, which may be that of the scores.
  __device__ Shortlist(SampleGroup<config> &group, uint64_t *sums)
      : group(group), keys(group.shared.list), sums(sums) {}

  /// Takes the tokens of all intervals up to `last`; false if they are too many.
  __device__ bool gather(const Scores<config> &scores, const Distribution<config> &tokens,
                         int last) {
    scores.for_each([&](int i, float score) {
      if (tokens.interval_of(score) > last)
        return;
      uint32_t at = group.add_to_first(group.shared.candidates, 1);
      if (at < sample_list)
        group.store_to_first(keys[at], key_of(score, scores.first + i));
    });
    group.sync();
    size = int(group.other(group.shared.candidates, 0));
    return size <= sample_list;
  }

  /// By the first block: the token that the parameters draw. `kept`: the sum of all tokens'
  /// weights, if top-k doesn't cut them.
  __device__ int draw(const Distribution<config> &tokens, const SamplingRow &row, bool cut,
                      uint64_t kept, uint64_t random) {
    sort();
    sum_weights(tokens);
    int end = size;
    if (cut) {
      end = min(end, int(row.top_k));
      kept = sums[end - 1];
    }
    if (row.top_p < 1)
      if (uint64_t target = top_p_target(row.top_p, kept); target < kept)
        end = min(end, first_beyond(target) + 1);
    if (row.min_p > 0)
      end = min(end, at_least(tokens, row.min_p));
    return int(~uint32_t(keys[first_beyond(share_of(sums[end - 1], random))]));
  }

private:
  /// Larger for larger scores, then for lower tokens; never 0.
  __device__ static uint64_t key_of(float score, int token) {
    return uint64_t(ordered_bits(score)) << 32 | uint32_t(~token);
  }
  __device__ float score_at(int i) const { return from_ordered_bits(uint32_t(keys[i] >> 32)); }

  /// Descending, by a bitonic network of pairs.
  __device__ void sort() {
    int padded = 32;
    while (padded < size)
      padded *= 2;
    for (int i = size + int(threadIdx.x); i < padded; i += sample_threads(config))
      keys[i] = 0;
    __syncthreads();
    for (int run = 2; run <= padded; run *= 2)
      for (int distance = run / 2; distance > 0; distance /= 2) {
        for (int pair = threadIdx.x; pair < padded / 2; pair += sample_threads(config)) {
          int i = pair / distance * distance * 2 + pair % distance;
          uint64_t a = keys[i], b = keys[i + distance];
          bool descends = (i & run) == 0;
          if (descends == (a < b)) {
            keys[i] = b;
            keys[i + distance] = a;
          }
        }
        __syncthreads();
      }
  }

  /// The running sums of the weights.
  __device__ void sum_weights(const Distribution<config> &tokens) {
    constexpr int each = sample_list / sample_threads(config);
    uint64_t weights[each], own = 0;
#pragma unroll
    for (int j = 0; j < each; ++j) {
      int i = int(threadIdx.x) * each + j;
      own += weights[j] = i < size ? tokens.weight(score_at(i)) : 0;
    }
    uint64_t running = group.block_sum_before(own);
#pragma unroll
    for (int j = 0; j < each; ++j)
      sums[threadIdx.x * each + j] = running += weights[j];
    __syncthreads();
  }

  /// The first token through which the running sum exceeds `target`.
  __device__ int first_beyond(uint64_t target) {
    return first_where([&](int i) { return sums[i] > target; });
  }
  /// How many have at least `share` of the largest weight.
  __device__ int at_least(const Distribution<config> &tokens, float share) {
    return first_where([&](int i) { return !tokens.at_least(score_at(i), share); });
  }
  /// The first token with a property that all behind it have, too; `size` if there is none.
  template <class Property> __device__ int first_where(Property &&property) {
    __syncthreads();
    if (threadIdx.x == 0)
      group.shared.found = size;
    __syncthreads();
    for (int i = threadIdx.x; i < size; i += sample_threads(config))
      if (property(i) && (i == 0 || !property(i - 1)))
        group.shared.found = i;
    __syncthreads();
    return int(group.shared.found);
  }

  SampleGroup<config> &group;
  uint64_t *keys; // [sample_list]
  uint64_t *sums; // [sample_list]
  int size = 0;
};

} // namespace qopt::cuda
