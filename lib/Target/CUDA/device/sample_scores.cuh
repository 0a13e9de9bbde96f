//===- sample_scores.cuh - The scores of a row ----------------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#pragma once

#include "sample_group.cuh"

namespace qopt::cuda {

/// A block's tokens of a row: their logits, or their scores after the repetition penalty.
/// Token i of the block is token first + i of the vocabulary.
template <SampleConfig config> struct Scores {
  const float *values;  // [count]
  const uint32_t *seen; // a bit for each token that occurred; null: no penalty
  float penalty;
  int first, count;

  __device__ __forceinline__ float operator[](int i) const { return penalized(i, values[i]); }
  __device__ __forceinline__ float penalized(int i, float logit) const {
    if (seen && (seen[i / 32] >> (i % 32) & 1))
      logit = logit > 0 ? __fdiv_rn(logit, penalty) : __fmul_rn(logit, penalty);
    return logit;
  }

  /// `visit(i, score)` for this thread's share of the tokens, NaN left out. Several
  /// loads are under way before the first score is looked at.
  template <class Visit> __device__ __forceinline__ void for_each(Visit &&visit) const {
    constexpr int ahead = 8;
    for (int start = threadIdx.x; start < count; start += ahead * sample_threads(config)) {
      float batch[ahead];
#pragma unroll
      for (int j = 0; j < ahead; ++j) {
        int i = start + j * sample_threads(config);
        batch[j] = i < count ? (*this)[i] : bits_to_float(0x7fc00000u);
      }
#pragma unroll
      for (int j = 0; j < ahead; ++j)
        if (batch[j] == batch[j])
          visit(start + j * sample_threads(config), batch[j]);
    }
  }
};

/// Some logits of a thread, all loads under way at once, of 16 bytes where rows allow it.
template <SampleConfig config> struct WideShare {
  static constexpr int width = config.vocabulary % 4 || config.logits_stride % 4 ? 1 : 4;
  static constexpr int ahead = 8;
  float logits[ahead][width];

  __device__ static int index(int start, int load) {
    return start + load * width * sample_threads(config);
  }
  /// From the thread's token `start` on, a block of all threads further each; NaN beyond the
  /// last.
  __device__ __forceinline__ void load(const float *values, int start, int count) {
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      const float *source = values + index(start, i);
      bool inside = index(start, i) < count;
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

/// Sets a bit for each of the block's tokens in the history.
template <SampleConfig config>
__device__ void mark_history(const int32_t *history, int length, int first, uint32_t *seen) {
  constexpr int tokens = sample_block_tokens(config);
  for (int i = threadIdx.x; i < tokens / 32; i += sample_threads(config))
    seen[i] = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < length; i += sample_threads(config)) {
    int token = history[i];
    if (token >= first && token < first + tokens)
      atomicOr(seen + (token - first) / 32, 1u << ((token - first) % 32));
  }
  __syncthreads();
}

/// The largest score of the row and its lowest token, as (ordered bits, ~token); 0 if none is
/// more than -inf. The block's scores go to `kept` unless it is null.
template <SampleConfig config>
__device__ uint64_t best_token(const Scores<config> &scores, float *kept,
                               SampleGroup<config> &group) {
  using Share = WideShare<config>;
  // A thread's tokens ascend, and a NaN loses every comparison.
  float largest = bits_to_float(0xff800000u);
  int found = -1;
  for (int start = threadIdx.x * Share::width; start < scores.count;
       start += Share::ahead * Share::width * sample_threads(config)) {
    Share share;
    share.load(scores.values, start, scores.count);
#pragma unroll
    for (int load = 0; load < Share::ahead; ++load)
#pragma unroll
      for (int j = 0; j < Share::width; ++j) {
        int i = min(Share::index(start, load) + j, scores.count - 1);
        float score = scores.penalized(i, share.logits[load][j]);
        if (kept && Share::index(start, load) < scores.count)
          kept[i] = score;
        if (score > largest) {
          largest = score;
          found = i;
        }
      }
  }
  uint64_t best = uint64_t(ordered_bits(largest)) << 32 | uint32_t(~(scores.first + found));
  return group.max(found < 0 ? 0 : best);
}

} // namespace qopt::cuda
