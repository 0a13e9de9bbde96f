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

constexpr int sample_threads = 512;
/// Sums of so many weights have 64 bits.
constexpr int sample_max_vocabulary = 1 << 18;
/// A bit for each token of the vocabulary.
QOPT_BOTH_SIDES constexpr int sample_shared_bytes(const SampleConfig &c) {
  return (c.vocabulary + 31) / 32 * 4;
}

} // namespace qopt::cuda
