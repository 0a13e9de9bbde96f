//===- sample.cuh - From logits to a token ---------------------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   grid x: rows      block: sample_threads
//
// The steps of qopt/Runtime/Sampler.h, and the same token from the same logits but for
// draws within 2^-27 of a border: weights exp((l - max) / temperature) are multiples of
// 2^-45 here, so that sums are exact integers and have no order. Nothing is sorted: the
// token at which a running sum, in the order of weights, exceeds a target is found by
// descending through sums of 256 intervals of logits.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "ptx.cuh"
#include "sample_config.h"

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

/// Larger for larger floats; both zeros are the same.
__device__ __forceinline__ uint32_t ordered_bits(float x) {
  uint32_t bits = float_to_bits(__fadd_rn(x, 0.0f));
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float from_ordered_bits(uint32_t ordered) {
  return bits_to_float(ordered & 0x80000000u ? ordered & 0x7fffffffu : ~ordered);
}

/// What a block shares.
struct SampleShared {
  uint64_t sums[256]; // of intervals
  uint64_t warps[32];
  uint64_t found, before;
};

/// Sum, or maximum, of a value of each thread, for every thread.
__device__ __forceinline__ uint64_t sample_sum(uint64_t value, SampleShared &shared) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value += __shfl_xor_sync(0xffffffffu, value, distance);
  __syncthreads();
  if (lane_index() == 0)
    shared.warps[threadIdx.x / 32] = value;
  __syncthreads();
  value = 0;
  for (int w = 0; w < sample_threads / 32; ++w)
    value += shared.warps[w];
  return value;
}
__device__ __forceinline__ uint64_t sample_max(uint64_t value, SampleShared &shared) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value = max(value, __shfl_xor_sync(0xffffffffu, value, distance));
  __syncthreads();
  if (lane_index() == 0)
    shared.warps[threadIdx.x / 32] = value;
  __syncthreads();
  value = 0;
  for (int w = 0; w < sample_threads / 32; ++w)
    value = max(value, shared.warps[w]);
  return value;
}

/// The logits of a row after the repetition penalty.
template <SampleConfig config> struct Scores {
  const float *logits;  // [vocabulary]
  const uint32_t *seen; // a bit for each token that occurred; null: no penalty
  float penalty;

  __device__ __forceinline__ float operator[](int token) const {
    return penalized(token, logits[token]);
  }
  __device__ __forceinline__ float penalized(int token, float logit) const {
    if (seen && (seen[token / 32] >> (token % 32) & 1))
      logit = logit > 0 ? __fdiv_rn(logit, penalty) : __fmul_rn(logit, penalty);
    return logit;
  }

  /// `visit(token, score)` for this thread's share of the tokens, NaN left out. Several
  /// loads are under way before the first score is looked at.
  template <class Visit> __device__ __forceinline__ void for_each(Visit &&visit) const {
    constexpr int ahead = 8;
    for (int first = threadIdx.x; first < config.vocabulary; first += ahead * sample_threads) {
      float batch[ahead];
#pragma unroll
      for (int i = 0; i < ahead; ++i) {
        int token = first + i * sample_threads;
        batch[i] = token < config.vocabulary ? (*this)[token] : bits_to_float(0x7fc00000u);
      }
#pragma unroll
      for (int i = 0; i < ahead; ++i)
        if (batch[i] == batch[i])
          visit(first + i * sample_threads, batch[i]);
    }
  }
};

/// The share of a thread that only looks for the largest score: more loads are under way,
/// of 16 bytes where rows allow it.
template <SampleConfig config> struct WideShare {
  static constexpr int width = config.vocabulary % 4 || config.logits_stride % 4 ? 1 : 4;
  static constexpr int ahead = 8;
  float logits[ahead][width];

  __device__ static int token(int first, int load) {
    return first + load * width * sample_threads;
  }
  /// From the thread's token `first` on, a block of all threads further each; NaN beyond the
  /// last.
  __device__ __forceinline__ void load(const float *row, int first) {
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      const float *source = row + token(first, i);
      bool inside = token(first, i) < config.vocabulary;
      float missing = bits_to_float(0x7fc00000u);
      if constexpr (width == 4) {
        float4 four = inside ? *reinterpret_cast<const float4 *>(source)
                             : make_float4(missing, missing, missing, missing);
        logits[i][0] = four.x, logits[i][1] = four.y;
        logits[i][2] = four.z, logits[i][3] = four.w;
      } else {
        logits[i][0] = inside ? *source : missing;
      }
    }
  }
};

/// Sets a bit for each token of the history.
template <SampleConfig config>
__device__ void mark_history(const int32_t *history, int length, uint32_t *seen) {
  for (int i = threadIdx.x; i < (config.vocabulary + 31) / 32; i += sample_threads)
    seen[i] = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < length; i += sample_threads) {
    int token = history[i];
    if (token >= 0 && token < config.vocabulary)
      atomicOr(seen + token / 32, 1u << (token % 32));
  }
  __syncthreads();
}

/// The largest score and its lowest token, as (ordered bits, ~token); 0 if none is more
/// than -inf.
template <SampleConfig config>
__device__ uint64_t best_token(const Scores<config> &scores, SampleShared &shared) {
  using Share = WideShare<config>;
  // A thread's tokens ascend, and a NaN loses every comparison.
  float largest = bits_to_float(0xff800000u);
  int found = -1;
  for (int first = threadIdx.x * Share::width; first < config.vocabulary;
       first += Share::ahead * Share::width * sample_threads) {
    Share share;
    share.load(scores.logits, first);
#pragma unroll
    for (int i = 0; i < Share::ahead; ++i)
#pragma unroll
      for (int j = 0; j < Share::width; ++j) {
        int token = min(Share::token(first, i) + j, config.vocabulary - 1);
        float score = scores.penalized(token, share.logits[i][j]);
        if (score > largest) {
          largest = score;
          found = token;
        }
      }
  }
  uint64_t best = found < 0 ? 0 : uint64_t(ordered_bits(largest)) << 32 | uint32_t(~found);
  return sample_max(best, shared);
}

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

/// A distribution over a row's tokens.
template <SampleConfig config> class Distribution {
public:
  __device__ Distribution(const Scores<config> &scores, float max_score, float temperature,
                          SampleShared &shared)
      : scores(scores), max_score(max_score), inverse(1.0 / temperature),
        intervals(8.0f / temperature), negligible(max_score - 33.0f * temperature), shared(shared) {
  }

  /// In units of 2^-45; 2^18 tokens of weight 1 still fit.
  __device__ __forceinline__ uint64_t weight(float score) const {
    if (score < negligible)
      return 0;
    double x = exponent(score) * 1.4426950408889634074;
    return x < -46.0 ? 0 : fixed_exp2(x);
  }
  /// 1 for a token whose weight is more than 0 in float64.
  __device__ __forceinline__ uint64_t counts(float score) const {
    return exponent(score) > -745.13321910194122;
  }
  __device__ __forceinline__ bool at_least(float score, float share) const {
    return exp(exponent(score)) >= double(share);
  }

  /// The sum of `quantity(score)` over all tokens.
  template <class Quantity> __device__ uint64_t sum(Quantity &&quantity) {
    uint64_t own = 0;
    scores.for_each([&](int, float score) { own += quantity(score); });
    return sample_sum(own, shared);
  }

  /// The first crossing of `target`, which is less than the sum of all: first the
  /// interval of 1/8 of a unit of the exponent, then bytes of the score's bits.
  template <class Quantity> __device__ Crossing cross(uint64_t target, Quantity &&quantity) {
    Crossing result = {};
    int interval = descend(
        target, result.before, [&](float) { return true; },
        [&](float score) { return interval_of(score); }, quantity);
    uint32_t prefix = 0, mask = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
      int byte = descend(
          target, result.before,
          [&](float score) {
            return interval_of(score) == interval && (ordered_bits(score) & mask) == prefix;
          },
          [&](float score) { return 255 - int(ordered_bits(score) >> shift & 255); }, quantity);
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
    constexpr int warps = sample_threads / 32;
    constexpr int share = ((config.vocabulary + warps - 1) / warps + 31) / 32 * 32;
    int first = threadIdx.x / 32 * share, end = min(first + share, config.vocabulary);
    auto at = [&](int token) -> uint64_t {
      float score = token < end ? scores[token] : bits_to_float(0x7fc00000u);
      return score == score ? quantity(score) : 0;
    };
    uint64_t own = 0;
#pragma unroll 8
    for (int token = first + lane_index(); token < end; token += 32)
      own += at(token);
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
      own += __shfl_xor_sync(0xffffffffu, own, distance);
    __syncthreads();
    if (lane_index() == 0)
      shared.warps[threadIdx.x / 32] = own;
    __syncthreads();
    uint64_t running = 0;
    for (int w = 0; w < int(threadIdx.x / 32); ++w)
      running += shared.warps[w];
    if (running <= target && target < running + own)
      find_in_share(first, end, running, target, at);
    __syncthreads();
    return int(shared.found);
  }

private:
  __device__ __forceinline__ double exponent(float score) const {
    return (double(score) - max_score) * inverse;
  }
  /// Ascending for descending scores.
  __device__ __forceinline__ int interval_of(float score) const {
    float x = __fmul_rn(__fsub_rn(max_score, score), intervals);
    return x < 255.0f ? int(x) : 255;
  }

  /// By one warp: adds 32 tokens at a time to `running`.
  template <class At>
  __device__ void find_in_share(int first, int end, uint64_t running, uint64_t target, At &&at) {
    for (int start = first; start < end; start += 32) {
      uint64_t through = at(start + int(lane_index()));
#pragma unroll
      for (int distance = 1; distance < 32; distance *= 2) {
        uint64_t other = __shfl_up_sync(0xffffffffu, through, distance);
        if (int(lane_index()) >= distance)
          through += other;
      }
      uint32_t beyond = __ballot_sync(0xffffffffu, running + through > target);
      if (beyond != 0) {
        if (lane_index() == 0)
          shared.found = start + __ffs(beyond) - 1;
        return;
      }
      running += __shfl_sync(0xffffffffu, through, 31);
    }
  }

  /// The interval in which `before` plus the running sum over `intervals` of the tokens
  /// that `belong` exceeds `target`; `before` becomes the sum up to it.
  template <class Belongs, class Interval, class Quantity>
  __device__ int descend(uint64_t target, uint64_t &before, Belongs &&belongs, Interval &&interval,
                         Quantity &&quantity) {
    __syncthreads();
    if (threadIdx.x < 256)
      shared.sums[threadIdx.x] = 0;
    __syncthreads();
    scores.for_each([&](int, float score) {
      if (!belongs(score))
        return;
      uint64_t value = quantity(score);
      if (value != 0)
        atomicAdd(reinterpret_cast<unsigned long long *>(shared.sums + interval(score)), value);
    });
    __syncthreads();
    if (threadIdx.x == 0) {
      int i = 0;
      while (i < 255 && before + shared.sums[i] <= target)
        before += shared.sums[i++];
      shared.found = i;
      shared.before = before;
    }
    __syncthreads();
    before = shared.before;
    return int(shared.found);
  }

  const Scores<config> &scores;
  float max_score;
  double inverse;   // of the temperature
  float intervals;  // of a unit of the logits
  float negligible; // scores below have weights of less than 2^-46
  SampleShared &shared;
};

/// Floor of share * total of a random share in [0, 1) of 53 bits: an integer sum exceeds
/// the product exactly if it exceeds this.
__device__ __forceinline__ uint64_t share_of(uint64_t total, uint64_t random) {
  return __umul64hi(total, random << 11);
}

/// A token drawn as the parameters say.
template <SampleConfig config>
__device__ int draw_token(Distribution<config> &tokens, const SamplingRow &row) {
  float least = bits_to_float(0xff800000u); // of the scores that are kept
  auto weight = [&](float score) { return score < least ? 0 : tokens.weight(score); };
  auto counts = [&](float score) { return tokens.counts(score); };
  bool cut = row.top_k != 0 && row.top_k < tokens.sum(counts);
  uint64_t random = random_53_bits(row.seed, row.position);
  if (!cut && row.top_p >= 1 && row.min_p <= 0)
    return tokens.token_where(share_of(tokens.sum(weight), random), weight);

  uint64_t kept;
  if (cut) {
    Crossing last = tokens.cross(row.top_k - 1, counts);
    kept = tokens.sum([&](float score) { return score > last.score ? tokens.weight(score) : 0; }) +
           (last.rank + 1) * tokens.weight(last.score);
    least = last.score;
  } else {
    kept = tokens.sum(weight);
  }
  uint64_t total = kept;
  if (row.top_p < 1) {
    double needed = ceil(double(row.top_p) * double(kept));
    uint64_t target = needed < 1 ? 0 : __double2ull_rd(needed) - 1;
    if (target < kept) {
      Crossing last = tokens.cross(target, weight);
      total = min(total, last.through());
      least = last.score;
    }
  }
  if (row.min_p > 0)
    total = min(total, tokens.sum([&](float score) {
      return score >= least && tokens.at_least(score, row.min_p) ? tokens.weight(score) : 0;
    }));
  return tokens.token_at(tokens.cross(share_of(total, random), weight));
}

/// log softmax(logits)[token] in float64; sums have one order.
template <SampleConfig config>
__device__ double log_probability(const Scores<config> &plain, int token, SampleShared &shared) {
  float max_logit = from_ordered_bits(uint32_t(best_token(plain, shared) >> 32));
  double own = 0;
  plain.for_each([&](int, float logit) { own += exp(double(logit) - max_logit); });
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    own += __shfl_xor_sync(0xffffffffu, own, distance);
  __syncthreads();
  if (lane_index() == 0)
    shared.warps[threadIdx.x / 32] = __double_as_longlong(own);
  __syncthreads();
  double sum = 0;
  for (int w = 0; w < sample_threads / 32; ++w)
    sum += __longlong_as_double(shared.warps[w]);
  return double(plain.logits[token]) - max_logit - log(sum);
}

/// logits [rows, vocabulary] float32, sampling [rows]; tokens [rows], -1 where no logit is
/// a finite maximum; logprobs [rows], 0 there.
template <SampleConfig config>
__device__ void sample(const float *logits, const SamplingRow *sampling, int32_t *tokens,
                       float *logprobs, int64_t rows) {
  static_assert(config.vocabulary <= sample_max_vocabulary);
  extern __shared__ uint32_t sample_seen[];
  __shared__ SampleShared shared;
  launch_dependents();
  wait_for_predecessors();
  int64_t at = blockIdx.x;
  if (at >= rows)
    return;
  SamplingRow row = sampling[at];
  if (!row.is_used)
    return;
  bool penalized = row.repetition_penalty != 1.0f;
  Scores<config> plain = {logits + at * config.logits_stride, nullptr, 1.0f};
  Scores<config> scores = {plain.logits, penalized ? sample_seen : nullptr, row.repetition_penalty};
  if (penalized)
    mark_history<config>(row.history, row.history_length, sample_seen);

  uint64_t best = best_token(scores, shared);
  float max_score = from_ordered_bits(uint32_t(best >> 32));
  int token = int(~uint32_t(best));
  if (best == 0 || !(fabsf(max_score) <= 3.402823466e38f)) {
    token = -1;
  } else if (row.temperature > 0) {
    Distribution<config> distribution(scores, max_score, row.temperature, shared);
    token = draw_token(distribution, row);
  }
  if (threadIdx.x == 0)
    tokens[at] = token;
  if (!row.wants_logprob)
    return;
  double logprob = token < 0 ? 0.0 : log_probability(plain, token, shared);
  if (threadIdx.x == 0)
    logprobs[at] = float(logprob);
}

} // namespace qopt::cuda
