//===- sample_config.h - Sampling on the device ----------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Plain constexpr C++, shared by the device headers and the host.
//
//===----------------------------------------------------------------------===//

#pragma once

// Kernels call these functions too.
#ifdef __CUDACC__
#define QOPT_BOTH_SIDES __host__ __device__
#else
#define QOPT_BOTH_SIDES
#endif

namespace qopt::cuda {

struct SampleConfig {
  int vocabulary, logits_stride; ///< elements
  int blocks = 1;                ///< of a cluster, which share a row
};

/// How one row's token is chosen: SamplingParams of the runtime, already validated. The
/// step input SAMPLING of an artifact: the runtime fills it.
struct SamplingRow {
  float temperature;        ///< 0: greedy
  float top_p, min_p;       ///< 1 and 0: off
  float repetition_penalty; ///< 1: off
  unsigned top_k;           ///< 0: off
  int history_length;       ///< tokens; read only where there is a penalty
  const int *history;       ///< the tokens before
  unsigned long long seed, position;
  bool is_used;       ///< false: nobody wants a token, and none is written
  bool wants_logprob; ///< else none is written
};
static_assert(sizeof(SamplingRow) == 56);

/// Of a block: several blocks of a cluster share a multiprocessor where there are many rows.
QOPT_BOTH_SIDES constexpr int sample_threads(const SampleConfig &c) {
  return c.blocks > 1 ? 256 : 512;
}
/// Blocks of a row where there are clusters.
constexpr int sample_blocks = 8;
/// Sums of so many weights have 64 bits.
constexpr int sample_max_vocabulary = 1 << 18;
/// Tokens that are sorted at most.
constexpr int sample_list = 1024;

/// Consecutive tokens of a block: whole words of bits, one for each token.
QOPT_BOTH_SIDES constexpr int sample_block_tokens(const SampleConfig &c) {
  return (c.vocabulary + 32 * c.blocks - 1) / (32 * c.blocks) * 32;
}
/// Blocks of a cluster keep their scores; the running sums of sorted tokens take their place.
QOPT_BOTH_SIDES constexpr int sample_kept_bytes(const SampleConfig &c) {
  int sums = sample_list * 8, scores = c.blocks > 1 ? sample_block_tokens(c) * 4 : 0;
  return scores > sums ? scores : sums;
}
/// A bit for each of a block's tokens, and what it keeps.
QOPT_BOTH_SIDES constexpr int sample_shared_bytes(const SampleConfig &c) {
  return sample_kept_bytes(c) + sample_block_tokens(c) / 32 * 4;
}

} // namespace qopt::cuda
