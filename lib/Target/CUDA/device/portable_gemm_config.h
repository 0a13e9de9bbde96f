//===- portable_gemm_config.h - Linear layers of sm_80 and later --*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The portable path (RFC 1) multiplies the packed images of gemm_config.h with what every
// GPU since sm_80 has: cp.async, ldmatrix and mma.sync. A block is a grid of warps, each of
// which has warp_n channels and warp_t tokens of the block's tile, for all of K:
//
//            tile_t tokens
//          ┌───────┬───────┐
//   tile_n │ warp 0│ warp 1│ warp_n channels
// channels ├───────┼───────┤
//          │ warp 2│ warp 3│
//          └───────┴───────┘
//            warp_t tokens
//
// or layer.k_warps warps share the columns of those channels and tokens, since one warp's
// chain of products is slow: integers are added at the end, sums of groups in the order of
// groups.
//
// Plain constexpr C++, shared by the device headers and the compiler.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "gemm_config.h"
#include "portable_config.h"

namespace qopt::cuda {

struct PortableGemmConfig {
  GemmConfig layer;   // its codes, shape, tile_n, tile_t, k_stage, stages and k_warps
  int warp_n, warp_t; // channels and tokens of a warp, multiples of 16 and of 8

  constexpr bool operator==(const PortableGemmConfig &) const = default;
};

/// Warps side by side along the tokens.
QOPT_BOTH_SIDES constexpr int token_warps(const PortableGemmConfig &c) {
  return c.layer.tile_t / c.warp_t;
}
QOPT_BOTH_SIDES constexpr int warps(const PortableGemmConfig &c) {
  return c.layer.tile_n / c.warp_n * token_warps(c) * c.layer.k_warps;
}
QOPT_BOTH_SIDES constexpr int threads(const PortableGemmConfig &c) { return 32 * warps(c); }

/// A stage is tokens [boxes][tile_t][128 bytes] in the 128-byte swizzle, then the units'
/// pieces of the image as they are.
QOPT_BOTH_SIDES constexpr int portable_token_bytes(const PortableGemmConfig &c) {
  return stage_boxes(c.layer) * c.layer.tile_t * kRowBytes;
}
QOPT_BOTH_SIDES constexpr int stage_bytes(const PortableGemmConfig &c) {
  int weights = c.layer.tile_n / kUnit * stage_unit_bytes(c.layer);
  return portable_token_bytes(c) + gemm_detail::round_up(weights, kRowBytes);
}
/// The layer as a warp's outputs see it.
QOPT_BOTH_SIDES constexpr GemmConfig warp_layer(const PortableGemmConfig &c) {
  GemmConfig layer = c.layer;
  layer.tile_n = c.warp_n;
  layer.tile_t = c.warp_t;
  return layer;
}
/// Where the warps of a unit give each other their sums: a row of 32 lanes for each
/// accumulator of a warp, for each group of two stages (and its tokens' sum), or each warp.
QOPT_BOTH_SIDES constexpr int portable_exchange_bytes(const PortableGemmConfig &c) {
  const GemmConfig &l = c.layer;
  int slots = is_fragment(l) ? 2 * stage_blocks(l) * (l.affine ? 2 : 1) : l.k_warps;
  return l.k_warps == 1 ? 0 : slots * c.warp_t / 2 * kRowBytes;
}
/// Behind the ring, where warps that share columns give each other their sums.
QOPT_BOTH_SIDES constexpr int exchange_offset(const PortableGemmConfig &c) {
  return c.layer.stages * stage_bytes(c);
}
QOPT_BOTH_SIDES constexpr int shared_bytes(const PortableGemmConfig &c) {
  return exchange_offset(c) + warps(c) / c.layer.k_warps * portable_exchange_bytes(c);
}

/// grid.x is ceil(rows / tile_t).
QOPT_BOTH_SIDES constexpr int grid_y(const PortableGemmConfig &c) {
  return gemm_detail::ceil_div(c.layer.n, c.layer.tile_n);
}

/// Why a configuration can't be built, or nullptr.
QOPT_BOTH_SIDES constexpr const char *reason_invalid(const PortableGemmConfig &c) {
  const GemmConfig &l = c.layer;
  if (l.codes == Codes::e4m3)
    return "products of e4m3 need sm_90a";
  if (has_prologue(l))
    return "portable kernels have no prologues";
  if (l.k % 8 || l.n <= 0 || l.k <= 0 || l.k * bytes(token_number(l)) % 16)
    return "n must be positive, and a token have a multiple of 16 bytes";
  if (l.pair && l.n % 16)
    return "n of an interleaved pair must be a multiple of 16";
  if (is_fragment(l) && !is_per_channel(l) && l.group != 32 && l.group % 64)
    return "a group must have 32 columns, a multiple of 64, or all";
  if (c.warp_n < 16 || c.warp_n % 16 || c.warp_t < 8 || c.warp_t % 8)
    return "a warp must have 16 x i channels and 8 x i tokens";
  if (l.tile_n < 16 || l.tile_n % c.warp_n || l.tile_t < 8 || l.tile_t % c.warp_t)
    return "a block must have whole warps of channels and of tokens";
  if (threads(c) > 1024)
    return "a block has 1,024 threads at most";
  if (l.k_stage <= 0 || l.k_stage % box_columns(l) ||
      (!is_per_channel(l) && l.k_stage % block_columns(l)))
    return "a stage must have whole rows of 128 bytes and whole groups";
  if (l.k_warps != 1 && (c.warp_n != 16 || is_per_channel(l) || l.codes == Codes::bf16))
    return "only s8 and groups of a unit share columns among warps";
  if (l.k_warps != 1 && l.k_warps != 2 && l.k_warps != 4)
    return "k_warps must be 1, 2 or 4";
  if (stage_blocks(l) % l.k_warps ||
      (l.k_warps != 1 && is_fragment(l) && stage_blocks(l) / l.k_warps * l.group % 64))
    return "each of k_warps needs whole groups and rows of 128 bytes of a stage";
  if (l.stages < (l.k_warps != 1 && is_fragment(l) ? 3 : 2))
    return "a ring needs two stages, or three if groups are added one stage later";
  if (shared_bytes(c) > portable_shared_bytes)
    return "a block has 101,376 bytes of shared memory";
  return nullptr;
}

} // namespace qopt::cuda
