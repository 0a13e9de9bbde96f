//===- sample_distribution.cuh - Weights of a row's tokens ----*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#pragma once

#include "sample_scores.cuh"

namespace qopt::cuda {

/// Where a running sum over the tokens, by descending score and ascending token,
/// exceeds a target.
struct Crossing {
  float score;
  uint64_t before; // the sum over larger scores
  uint64_t each;   // what a token of this score adds
  uint64_t rank;   // the token's number among those of the same score

  __device__ uint64_t through() const { return before + (rank + 1) * each; }
};

/// round(2^(45 + x)) for -46 <= x <= 0: 2^f by its Taylor polynomial, |f| <= 1/2, within
/// 2^-47 of the result.
__device__ __forceinline__ uint64_t fixed_exp2(double x) {
  double whole = rint(x), f = (x - whole) * 0.69314718055994530942;
  double power = 1.0 / 39916800.0;
  power = fma(power, f, 1.0 / 3628800.0);
  power = fma(power, f, 1.0 / 362880.0);
  power = fma(power, f, 1.0 / 40320.0);
  power = fma(power, f, 1.0 / 5040.0);
  power = fma(power, f, 1.0 / 720.0);
  power = fma(power, f, 1.0 / 120.0);
  power = fma(power, f, 1.0 / 24.0);
  power = fma(power, f, 1.0 / 6.0);
  power = fma(power, f, 0.5);
  power = fma(power, f, 1.0);
  power = fma(power, f, 1.0);
  uint64_t exponent = 1023 + 45 + int64_t(int(whole));
  return __double2ull_rn(power * __longlong_as_double(exponent << 52));
}

/// A distribution over a row's tokens, of which each block has some.
template <SampleConfig config> class Distribution {
public:
  __device__ Distribution(const Scores<config> &scores, float max_score, float temperature,
                          SampleGroup<config> &group)
      : scores(scores), group(group), max_score(max_score), inverse(1.0 / temperature),
        intervals(8.0f / temperature), negligible(max_score - 33.0f * temperature) {}

  /// In units of 2^-45; 2^18 tokens of weight 1 still fit.
  __device__ __forceinline__ uint64_t weight(float score) const {
    if (score < negligible)
      return 0;
    double x = exponent(score) * 1.4426950408889634074;
    return x < -46.0 ? 0 : fixed_exp2(x);
  }
  /// Whether a token's weight is more than 0 in float64.
  __device__ __forceinline__ bool counts(float score) const {
    return exponent(score) > -745.13321910194122;
  }
  __device__ __forceinline__ bool at_least(float score, float share) const {
    return exp(exponent(score)) >= double(share);
  }
  /// Ascending for descending scores: 1/8 of a unit of the exponent each.
  __device__ __forceinline__ int interval_of(float score) const {
    float x = __fmul_rn(__fsub_rn(max_score, score), intervals);
    return x < 255.0f ? int(x) : 255;
  }

  /// The sum of `quantity(score)` over all tokens.
  template <class Quantity> __device__ uint64_t sum(Quantity &&quantity) {
    uint64_t own = 0;
    scores.for_each([&](int, float score) { own += quantity(score); });
    return group.sum(own);
  }
  /// The tokens that count, and the weights, by their intervals, into the group's sums.
  __device__ void count_intervals() {
    group.clear_intervals();
    scores.for_each([&](int, float score) {
      if (counts(score))
        group.count_in_interval(interval_of(score));
    });
    group.sum_intervals();
  }
  __device__ void weigh_intervals() {
    sum_by([&](float score) { return interval_of(score); },
           [&](float score) { return weight(score); });
  }

  /// The first crossing of `target`, which is less than the sum of all: first the interval,
  /// then bytes of the score's bits.
  template <class Quantity> __device__ Crossing cross(uint64_t target, Quantity &&quantity) {
    Crossing result = {};
    sum_by([&](float score) { return interval_of(score); }, quantity);
    int interval = group.interval_beyond(target, result.before);
    uint32_t prefix = 0, mask = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
      sum_by([&](float score) { return 255 - int(ordered_bits(score) >> shift & 255); },
             [&](float score) -> uint64_t {
               bool belongs =
                   interval_of(score) == interval && (ordered_bits(score) & mask) == prefix;
               return belongs ? quantity(score) : 0;
             });
      int byte = group.interval_beyond(target, result.before);
      prefix |= uint32_t(255 - byte) << shift;
      mask |= 255u << shift;
    }
    result.score = from_ordered_bits(prefix);
    result.each = quantity(result.score);
    result.rank = (target - result.before) / result.each;
    return result;
  }

  /// The token of a crossing.
  __device__ int token_at(const Crossing &crossing) {
    return token_where(crossing.rank, [&](float score) {
      return uint64_t(ordered_bits(score) == ordered_bits(crossing.score));
    });
  }

  /// The first token, in their own order, at which the running sum exceeds `target`.
  template <class Quantity> __device__ int token_where(uint64_t target, Quantity &&quantity) {
    constexpr int warps = sample_threads(config) / 32;
    constexpr int share = (sample_block_tokens(config) / warps + 31) / 32 * 32;
    int first = threadIdx.x / 32 * share, end = min(first + share, scores.count);
    auto at = [&](int i) -> uint64_t {
      float score = i < end ? scores[i] : bits_to_float(0x7fc00000u);
      return score == score ? quantity(score) : 0;
    };
    uint64_t own = 0;
#pragma unroll 8
    for (int i = first + lane_index(); i < end; i += 32)
      own += at(i);
    uint64_t running = group.sum_before_warp(own), found = 0;
    if (running <= target && target < running + own)
      found = scores.first + find_in_share(first, end, running, target, at) + 1;
    return int(group.max(found)) - 1;
  }

private:
  __device__ __forceinline__ double exponent(float score) const {
    return (double(score) - max_score) * inverse;
  }

  /// `quantity(score)` by intervals, into the group's sums.
  template <class Interval, class Quantity>
  __device__ __forceinline__ void sum_by(Interval &&interval, Quantity &&quantity) {
    group.clear_intervals();
    scores.for_each([&](int, float score) {
      if (uint64_t value = quantity(score); value != 0)
        group.add_to_interval(interval(score), value);
    });
    group.sum_intervals();
  }

  /// By one warp: adds 32 tokens at a time to `running`.
  template <class At>
  __device__ int find_in_share(int first, int end, uint64_t running, uint64_t target, At &&at) {
    for (int start = first; start < end; start += 32) {
      uint64_t through = group.warp_sum_through(at(start + int(lane_index())));
      uint32_t beyond = __ballot_sync(0xffffffffu, running + through > target);
      if (beyond != 0)
        return start + __ffs(beyond) - 1;
      running += __shfl_sync(0xffffffffu, through, 31);
    }
    return end - 1;
  }

  const Scores<config> &scores;
  SampleGroup<config> &group;
  float max_score;
  double inverse;   // of the temperature
  float intervals;  // of a unit of the logits
  float negligible; // scores below have weights of less than 2^-46
};

} // namespace qopt::cuda
