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
/// tokens before are `history_length` of the launch's history, from `history_begin` on.
struct SamplingRow {
  float temperature;        ///< 0: greedy
  float top_p, min_p;       ///< 1 and 0: off
  float repetition_penalty; ///< 1: off
  unsigned top_k;           ///< 0: off
  int history_length;
  long long history_begin;
  unsigned long long seed, position;
};

constexpr int sample_threads = 512;
/// A bit for each token of the vocabulary.
QOPT_BOTH_SIDES constexpr int sample_shared_bytes(const SampleConfig &c) {
  return (c.vocabulary + 31) / 32 * 4;
}

} // namespace qopt::cuda
