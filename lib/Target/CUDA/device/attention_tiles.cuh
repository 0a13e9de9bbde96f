//===- attention_tiles.cuh - Attention of runs of tokens -------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   grid: query tiles x KV heads, the last tiles (which see most) first
//
// A tile is up to 128 rows, token after token, the heads that share the KV head side by
// side. The block streams the tile's pages through one ring of half pages. Products are
// those of warpgroups (64 rows) where a head's rows have whole 128 bytes, else of warps:
// their bits are the same.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_decode.cuh"
#include "attention_group_tiles.cuh"
#include "attention_warp_tiles.cuh"

namespace qopt::cuda {

/// config.warps compute, and the first one after them copies.
template <AttentionConfig config>
__device__ __forceinline__ void attend_by_groups(const QueryTile<config> &tile, uint32_t queries,
                                                 PageRing<config> ring,
                                                 PageCopies<config> &copies) {
  int warp = warp_index();
  if (warp >= config.warps) {
    decrease_registers<copying_registers>();
    if (warp == copying_warp(config))
      copies.run();
    return;
  }
  increase_registers<computing_registers>();
  int first_row = 16 * warp;
  GroupTile<config> rows(tile, PageReader<config>{ring}, first_row,
                         queries + first_row / 64 * half_page_bytes(config.head_dim));
  rows.attend(copies.pages());
  rows.store(tile);
}

/// All warps compute, and the first one copies.
template <AttentionConfig config>
__device__ __forceinline__ void attend_by_warps(const QueryTile<config> &tile, uint32_t queries,
                                                PageRing<config> ring, PageCopies<config> &copies) {
  load_query_rows<config, tile_rows, tile_threads(config)>(queries, tile, 0, threadIdx.x);
  __syncthreads();
  WarpTile<config> rows(tile, queries, PageReader<config>{ring}, copies);
  rows.attend(copies.pages());
  rows.store(tile);
}

/// query, output, pool, positions, sequences and block tables as in attention_decode;
/// tiles [tile_count][2]: first row, and number of rows of one sequence that follow
/// each other, at most query_tile(heads, kv_heads).
template <AttentionConfig config>
__device__ void attention_tiles(const bf16 *query, const void *pool, const int32_t *positions,
                                const int32_t *sequences, const int32_t *block_tables,
                                int64_t max_pages, bf16 *output, const int32_t *tiles,
                                int64_t tile_count) {
  static_assert(config.head_dim % 16 == 0 && config.head_dim <= 256);
  static_assert(config.heads % config.kv_heads == 0 && group(config) <= 16);
  static_assert(config.query_stride % 8 == 0, "query rows are read 16 bytes at a time");
  static_assert(tile_fragments(config) * 16 * config.warps == tile_rows);
  static_assert(!tiles_by_warpgroup(config.head_dim) || tile_fragments(config) == 1);
  static_assert(config.stages >= 3, "two half pages are read while another comes");
  static_assert(config.scale > 0, "the maximum is taken before the scale");
  extern __shared__ __align__(1024) uint8_t attention_shared[];

  launch_dependents();
  wait_for_predecessors();
  // Neighbours in time are the heads of one tile: the longest tiles start first.
  int64_t index = blockIdx.y * int64_t(gridDim.x) + blockIdx.x;
  int64_t tile_index = tile_count - 1 - index / config.kv_heads;
  int kv_head = int(index % config.kv_heads);
  if (tile_index < 0)
    return;
  int first_token = tiles[2 * tile_index], tokens = tiles[2 * tile_index + 1];
  int first_column = kv_head * group(config) * config.head_dim;
  const QueryTile<config> tile = {
      query + int64_t(first_token) * config.query_stride + first_column,
      output + int64_t(first_token) * config.output_stride + first_column, positions + first_token,
      tokens * group(config), positions[first_token + tokens - 1]};
  const uint8_t *keys = head_keys<config>(pool, kv_head);
  const int32_t *block_table = block_tables + sequences[first_token] * max_pages;
  if constexpr (has_single_tokens(config))
    if (tokens == 1) {
      if (warp_index() < config.warps)
        attend_single_token<single_token(config)>(tile.query, keys, block_table, tile.last_position,
                                                  tile.output, attention_shared);
      return;
    }
  uint32_t queries = shared_address(attention_shared);
  PageRing<config> ring{queries + tile_query_bytes(config)};
  PageCopies<config> copies(ring, keys, block_table, tile.last_position);
  if (warp_index() == copying_warp(config))
    copies.start_first();
  __syncthreads();
  if constexpr (tiles_by_warpgroup(config.head_dim))
    attend_by_groups<config>(tile, queries, ring, copies);
  else
    attend_by_warps<config>(tile, queries, ring, copies);
}

} // namespace qopt::cuda
