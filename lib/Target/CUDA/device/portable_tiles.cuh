//===- portable_tiles.cuh - Attention of runs of tokens on sm_80 -*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   grid x: query tiles, the last (which see most) first      y: KV heads
//        z: portable_row_blocks(config) parts of a tile
//
// The arithmetic of attention_page_sums.cuh in the same order, so that the bits are those
// of the kernels of Hopper on the same GPU; pages come by the threads' own copies
// (cp.async). Tokens behind the last one that counts come as zeros.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_tile_sums.cuh"
#include "portable_decode.cuh"

namespace qopt::cuda {

/// The half pages of a sequence, read by a whole block through a ring of stages.
template <AttentionConfig config> class BlockPageStream {
public:
  /// `last`: the last token that is read.
  __device__ BlockPageStream(const uint8_t *keys, const int32_t *block_table, int last,
                             uint32_t ring)
      : keys(keys), block_table(block_table), last(last), ring(ring) {
    for (int i = 0; i < config.stages - 1; ++i)
      request(i);
  }

  __device__ int pages() const { return last / page_tokens + 1; }

  /// The next half page; all threads have read the one before.
  __device__ uint32_t take() {
    copy_async_wait<config.stages - 2>();
    __syncthreads();
    request(next + config.stages - 1);
    return ring + next++ % config.stages * half_page_bytes(config.head_dim);
  }

private:
  __device__ void request(int index) {
    int page = index / 2;
    if (page < pages())
      copy_half_page<config.head_dim, portable_threads(config)>(
          ring + index % config.stages * half_page_bytes(config.head_dim),
          half_page<config>(keys, block_table[page], index), last - page * page_tokens,
          threadIdx.x);
    copy_async_commit();
  }

  const uint8_t *keys;
  const int32_t *block_table; // [pages]
  int last;
  uint32_t ring;
  int next = 0; // half page
};

/// A warp's rows of a tile, 16 for each fragment.
template <AttentionConfig config> class PortableRows {
public:
  static constexpr int head_dim = config.head_dim, fragments = portable_fragments(config);
  static constexpr int rows_of_block = portable_rows(config);

  /// queries: [rows_of_block][head_dim] in shared memory; `first_row` is the block's.
  __device__ PortableRows(const QueryTile<config> &tile, uint32_t queries, int first_row)
      : queries(queries), own(int(warp_index()) * 16 * fragments), first_row(first_row + own),
        positions(tile, this->first_row, 16 * fragments) {
#pragma unroll
    for (int f = 0; f < fragments; ++f)
      sums[f].clear();
  }

  /// Rows that do not see a page weigh nothing in it.
  __device__ void attend(BlockPageStream<config> &stream) {
    for (int page = 0; page < stream.pages(); ++page) {
      Weights p;
      Factors factors;
      take_scores(p, factors, stream.take(), page);
      merge_values(p, factors, stream.take());
    }
  }

  __device__ void store(const QueryTile<config> &tile) const {
#pragma unroll
    for (int f = 0; f < fragments; ++f)
      sums[f].store(tile, first_row + 16 * f);
  }

private:
  using Weights = uint32_t[fragments][4][4];
  using Factors = MergeFactors[fragments][2];

  __device__ __forceinline__ void take_scores(Weights &p, Factors &factors, uint32_t keys,
                                              int page) {
    float s[fragments][8][4];
    auto query = [&](int f, int k, uint32_t (&a)[4]) {
      load_matrices(a, query_rows.address(queries, own / 16 + f, k));
    };
    page_scores<head_dim, fragments>(s, query, key_rows, keys);
#pragma unroll
    for (int f = 0; f < fragments; ++f) {
      sums[f].take_scores(s[f], page, positions, first_row + 16 * f, factors[f]);
      pack_weights(s[f], p[f]);
    }
  }

  /// o = o a + (p v) b, 16 columns at a time.
  __device__ __forceinline__ void merge_values(const Weights &p, const Factors &factors,
                                               uint32_t values) {
#pragma unroll
    for (int columns = 0; columns < head_dim / 16; ++columns) {
      float page[fragments][1][2][4];
      page_values<head_dim, fragments, 1>(page, p, value_rows, values, columns);
#pragma unroll
      for (int f = 0; f < fragments; ++f)
        sums[f].merge_values(page[f][0], 2 * columns, factors[f]);
      // Keeps the loads of later columns from taking the last registers.
      if (head_dim > 128)
        __syncwarp();
    }
  }

  uint32_t queries;
  int own, first_row; // of the block, of the tile
  RowPositions<config> positions;
  FragmentReader<head_dim, rows_of_block> query_rows = row_reader<head_dim, rows_of_block>();
  FragmentReader<head_dim> key_rows = key_reader<head_dim>(), value_rows = row_reader<head_dim>();
  RowSums<config> sums[fragments];
};

/// As attention_tiles; each of the blocks along z has portable_rows(config) rows of a tile.
template <AttentionConfig config>
__device__ void portable_attention_tiles(const bf16 *query, const void *pool,
                                         const int32_t *positions, const int32_t *sequences,
                                         const int32_t *block_tables, int64_t max_pages,
                                         bf16 *output, const int32_t *tiles, int64_t tile_count) {
  static_assert(config.head_dim % 16 == 0 && config.head_dim <= portable_max_head_dim);
  static_assert(config.heads % config.kv_heads == 0 && group(config) <= 16);
  static_assert(config.query_stride % 8 == 0, "query rows are read 16 bytes at a time");
  static_assert(config.stages >= 2 && portable_tile_bytes(config) <= portable_shared_bytes);
  static_assert(config.scale > 0, "the maximum is taken before the scale");
  extern __shared__ __align__(1024) uint8_t attention_shared[];
  launch_dependents();
  wait_for_predecessors();
  const int64_t index = tile_count - 1 - blockIdx.x; // the last, which see most, first
  if (index < 0)
    return;
  const int first_token = tiles[2 * index], tokens = tiles[2 * index + 1], kv_head = blockIdx.y;
  const int first_row = blockIdx.z * portable_rows(config);
  const int first_column = kv_head * group(config) * config.head_dim;
  const QueryTile<config> tile = {
      query + int64_t(first_token) * config.query_stride + first_column,
      output + int64_t(first_token) * config.output_stride + first_column, positions + first_token,
      tokens * group(config), positions[first_token + tokens - 1]};
  if (first_row >= tile.rows)
    return;
  const uint8_t *keys = head_keys<config>(pool, kv_head);
  const int32_t *block_table = block_tables + sequences[first_token] * max_pages;
  if constexpr (portable_single_tokens(config))
    if (tokens == 1)
      return portable_decode_row<single_token(config)>(
          tile.query, keys, block_table, tile.last_position,
          reinterpret_cast<uint32_t *>(tile.output), attention_shared);
  const uint32_t queries = shared_address(attention_shared);
  const int last_row = min(first_row + portable_rows(config), tile.rows) - 1;
  BlockPageStream<config> stream(keys, block_table, tile.positions[last_row / group(config)],
                                 queries + portable_query_bytes(config));
  load_query_rows<config, portable_rows(config), portable_threads(config)>(queries, tile, first_row,
                                                                           threadIdx.x);
  PortableRows<config> own(tile, queries, first_row); // reads the queries behind a barrier
  own.attend(stream);
  own.store(tile);
}

} // namespace qopt::cuda
