//===- portable_attention_config.h - Attention of sm_80 and later -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How the portable kernels (RFC 1) cut what attention_config.h describes: in shared memory
// that every GPU since sm_80 has. Plain constexpr C++, shared by the device headers and the
// compiler.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_config.h"
#include "portable_config.h"

namespace qopt::cuda {

/// The rows of larger heads do not fit the registers of a warp.
constexpr int portable_max_head_dim = 192;

/// So that two blocks fit a multiprocessor of sm_80.
constexpr int portable_half_bytes = 80 << 10;

/// Decode: a warp has a stage for keys and one for values, if there is room for some warps; else
/// the most warps that one stage leaves room for.
QOPT_BOTH_SIDES constexpr void set_portable_decode_schedule(AttentionConfig &c) {
  for (int stages = 2; stages >= 1; --stages)
    for (int warps = 4; warps >= 1; --warps) {
      c.stages = stages;
      c.warps = warps;
      if (decode_shared_bytes(c) <= portable_half_bytes)
        return;
    }
}

/// Tiles: 16-row fragments of a warp, as registers allow, and rows of a block, which shares
/// a query tile with others along z.
QOPT_BOTH_SIDES constexpr int portable_fragments(const AttentionConfig &c) {
  return c.head_dim <= 64 ? 2 : 1;
}
QOPT_BOTH_SIDES constexpr int portable_rows(const AttentionConfig &c) {
  return 16 * portable_fragments(c) * c.warps;
}
QOPT_BOTH_SIDES constexpr int portable_row_blocks(const AttentionConfig &c) {
  return (tile_rows + portable_rows(c) - 1) / portable_rows(c);
}
QOPT_BOTH_SIDES constexpr int portable_threads(const AttentionConfig &c) { return 32 * c.warps; }
/// Query rows, then the ring of half pages.
QOPT_BOTH_SIDES constexpr int portable_query_bytes(const AttentionConfig &c) {
  return portable_rows(c) * c.head_dim * 2;
}
QOPT_BOTH_SIDES constexpr int portable_ring_bytes(const AttentionConfig &c) {
  return portable_query_bytes(c) + c.stages * half_page_bytes(c.head_dim);
}
/// A tile of a single token goes through its pages as a decode block does, if there is room.
QOPT_BOTH_SIDES constexpr bool portable_single_tokens(const AttentionConfig &c) {
  return decode_shared_bytes(single_token(c)) <= portable_shared_bytes;
}
QOPT_BOTH_SIDES constexpr int portable_tile_bytes(const AttentionConfig &c) {
  int ring = portable_ring_bytes(c);
  int single = portable_single_tokens(c) ? decode_shared_bytes(single_token(c)) : 0;
  return ring > single ? ring : single;
}
QOPT_BOTH_SIDES constexpr void set_portable_tile_schedule(AttentionConfig &c) {
  c.warps = 4;
  c.stages = 4;
  while (c.stages > 2 && portable_ring_bytes(c) > portable_half_bytes)
    --c.stages;
}

} // namespace qopt::cuda
