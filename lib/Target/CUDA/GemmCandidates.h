//===- GemmCandidates.h - Configurations of a gemm, and what they cost -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_CUDA_GEMMCANDIDATES_H
#define QOPT_LIB_TARGET_CUDA_GEMMCANDIDATES_H

#include "device/gemm_config.h"
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace qopt {

/// Of an H100 or H200.
constexpr int64_t multiprocessors = cuda::kMultiprocessors;
/// So that the next kernel's first weights find room beside a block.
constexpr int64_t sharedBytesOfHalf = 105 << 10;

/// What the cost model says of a launch.
struct GemmCost {
  int64_t blocks = 0, heaviest = 0; ///< all; of the fullest multiprocessor
  double memory = 0, products = 0;  ///< seconds
  double prologue = 0;              ///< seconds until tokens are made, beyond copying them
  double total = 0;                 ///< seconds
};

GemmCost gemmCost(const cuda::GemmConfig &config, int64_t rows);

/// Seconds of a launch that makes few tokens for `config`, which has a prologue.
double makerTime(const cuda::GemmConfig &config);

/// Shared memory of a multiprocessor, of which each block takes 1 KB more than it asks for.
constexpr int64_t sharedBytesOfAll = 228 << 10, sharedBytesBesideBlock = 1 << 10;

struct GemmCandidate {
  cuda::GemmConfig config;
  GemmCost cost;
};

/// Which rings a search looks at: those that leave the next kernel room, or all.
enum class Search { likely, wide };

/// Every configuration of `shape` for `rows` tokens that can be built, cheapest first.
std::vector<GemmCandidate> gemmCandidates(const cuda::GemmConfig &shape, int64_t rows,
                                          Search search = Search::likely);

/// Up to `count` candidates that differ from each other, to be measured: the cost model's
/// choice first, then cheap ones of both kinds of products.
std::vector<GemmCandidate> variousCandidates(const cuda::GemmConfig &shape, int64_t rows,
                                             size_t count);

/// wgmma 64x32 k256 s4
std::string gemmConfigName(const cuda::GemmConfig &config);

} // namespace qopt

#endif // QOPT_LIB_TARGET_CUDA_GEMMCANDIDATES_H
