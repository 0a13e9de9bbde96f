//===- attention_tiles.cuh - Attention of runs of tokens -------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   grid x: query tiles, the last (which see most) first      y: KV heads
//
// A tile is up to 128 rows, token after token, the heads that share the KV head side by
// side:
//
//   warp w has rows [w * rows_of_warp, ...), 16 for each of its fragments
//   row r is token r / group, head r % group
//
// The block streams the tile's pages through one ring of half pages; a warp gives each
// back when it has read it, and the first warp has it filled again.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_page_sums.cuh"

namespace qopt::cuda {

/// The half pages k0, v0, k1, v1, ... of a block, read by every warp.
template <AttentionConfig config> class SharedPageStream {
public:
  /// keys: of the KV head in the pool's first page.
  __device__ SharedPageStream(const uint8_t *keys, const int32_t *block_table, int pages,
                              uint32_t ring)
      : keys(keys), block_table(block_table), pages(pages), ring(ring),
        ahead(block_table[0]) {}

  /// By one thread, before the block synchronizes.
  __device__ void init_barriers() const {
    for (int i = 0; i < config.stages; ++i) {
      barrier_init(full(i), 1);
      barrier_init(empty(i), config.warps);
    }
    fence_barrier_init();
  }

  /// By the first warp.
  __device__ void start() {
    for (int i = 0; i < config.stages; ++i)
      request(i);
  }

  /// Waits for the next half page; its address in shared memory. The first warp also
  /// asks for the one that takes the place of the half page before.
  __device__ uint32_t wait(int warp) {
    if (warp == 0 && next > 0)
      request(next - 1 + config.stages);
    barrier_wait(full(next % config.stages), next / config.stages % 2);
    return ring + next % config.stages * half_page_bytes(config.head_dim);
  }

  /// The warp has read the half page.
  __device__ void release() {
    __syncwarp();
    if (lane_index() == 0)
      barrier_arrive(empty(next % config.stages));
    ++next;
  }

private:
  __device__ uint32_t full(uint32_t stage) const {
    return ring + config.stages * half_page_bytes(config.head_dim) + 8 * stage;
  }
  __device__ uint32_t empty(uint32_t stage) const { return full(config.stages + stage); }

  /// Starts the copy of half page `index`, once its place is free. Called in order: the
  /// block table is read a page ahead.
  __device__ void request(uint32_t index) {
    if (index >= 2 * pages)
      return;
    if (index % 2 == 0) {
      page = ahead;
      if (index / 2 + 1 < pages)
        ahead = block_table[index / 2 + 1];
    }
    if (lane_index() == 0) {
      uint32_t to = index % config.stages, turn = index / config.stages;
      constexpr int bytes = half_page_bytes(config.head_dim);
      if (turn > 0)
        barrier_wait(empty(to), (turn - 1) % 2);
      barrier_arrive_expect(full(to), bytes);
      bulk_copy(ring + to * bytes,
                keys + int64_t(page) * config.page_bytes + values_offset(config) * (index % 2),
                bytes, full(to));
    }
    __syncwarp();
  }

  const uint8_t *keys;
  const int32_t *block_table; // [pages]
  uint32_t pages, ring, next = 0;
  int32_t page = 0, ahead; // numbers in the pool of the page asked for, and of the next
};

/// The tile's query rows [128][head_dim] in shared memory, in the order of a page.
template <AttentionConfig config>
__device__ void load_tile_queries(uint32_t to, const bf16 *query /* first token and head */,
                                  int rows) {
  constexpr int chunks = config.head_dim / 8;
  for (int i = threadIdx.x; i < tile_rows * chunks; i += tile_threads(config)) {
    int row = i / chunks, chunk = i % chunks;
    Vec16 v = {{0, 0, 0, 0}};
    if (row < rows)
      v = *reinterpret_cast<const Vec16 *>(query +
                                           row / group(config) * int64_t(config.query_stride) +
                                           row % group(config) * config.head_dim + chunk * 8);
    store_shared_16(to + chunk_offset<config.head_dim>(row, chunk), v);
  }
}

/// A warp's rows of a tile: running maximum, sum and values.
template <AttentionConfig config> struct TileSums {
  static constexpr int fragments = tile_fragments(config);
  float max[fragments][2], sum[fragments][2];
  float o[fragments][config.head_dim / 8][4];

  __device__ void clear() {
#pragma unroll
    for (int f = 0; f < fragments; ++f) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        max[f][r] = minus_infinity();
        sum[f][r] = 0.0f;
      }
#pragma unroll
      for (int n = 0; n < config.head_dim / 8; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          o[f][n][e] = 0.0f;
    }
  }

  /// Takes the page's maximum and sum in; the values follow by the same factors.
  __device__ __forceinline__ MergeFactors add(int f, int r, const PageSums &page) {
    MergeFactors factors = merge_factors(max[f][r], page.max[r]);
    max[f][r] = factors.max;
    sum[f][r] = merge(factors, sum[f][r], page.sum[r]);
    return factors;
  }
};

/// Positions of a warp's rows of a tile. Only pages that hold a row's last token need
/// each row's position, so these are looked up there.
template <AttentionConfig config> class WarpPositions {
public:
  int first, last; // of the warp's rows; last is -1 for a warp without rows

  __device__ WarpPositions(const int32_t *positions, int first_token, int first_row, int rows)
      : positions(positions), first_token(first_token), first_row(first_row), rows(rows) {
    int end = min(first_row + 16 * tile_fragments(config), rows);
    first = first_row < end ? positions[first_token + first_row / group(config)] : 0;
    last = first_row < end ? positions[first_token + (end - 1) / group(config)] : -1;
  }

  /// Of row g (r = 0) or g + 8 (r = 1) of fragment f; -1 beyond the tile.
  __device__ __forceinline__ int of(int f, int r) const {
    int row = first_row + 16 * f + 8 * r + int(lane_index()) / 4;
    return row < rows ? positions[first_token + row / group(config)] : -1;
  }

private:
  const int32_t *positions; // of the step
  int first_token, first_row, rows;
};

/// o = o a + (p v) b for `width` times 16 columns from 16 `columns`.
template <int width, AttentionConfig config>
__device__ __forceinline__ void
merge_columns(TileSums<config> &sums, const uint32_t (&p)[tile_fragments(config)][4][4],
              const MergeFactors (&factors)[tile_fragments(config)][2],
              const FragmentReader<config.head_dim> &reader, uint32_t values, int columns) {
  constexpr int fragments = tile_fragments(config);
  float page[fragments][width][2][4];
  page_values<config.head_dim, fragments, width>(page, p, reader, values, columns);
#pragma unroll
  for (int f = 0; f < fragments; ++f)
#pragma unroll
    for (int w = 0; w < width; ++w)
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          float &o = sums.o[f][2 * (columns + w) + n][e];
          o = merge(factors[f][e / 2], o, page[f][w][n][e]);
        }
}

/// The same for all columns.
template <AttentionConfig config>
__device__ __forceinline__ void
merge_values(TileSums<config> &sums, const uint32_t (&p)[tile_fragments(config)][4][4],
             const MergeFactors (&factors)[tile_fragments(config)][2],
             const FragmentReader<config.head_dim> &reader, uint32_t values) {
  constexpr int count = config.head_dim / 16;
  // Four independent products at a time; with large heads the registers are for o.
  constexpr int width = tile_fragments(config) == 1 && config.head_dim < 256 ? 2 : 1;
#pragma unroll
  for (int columns = 0; columns + width <= count; columns += width)
    merge_columns<width>(sums, p, factors, reader, values, columns);
  if constexpr (count % width != 0)
    merge_columns<1>(sums, p, factors, reader, values, count - 1);
}

template <AttentionConfig config>
__device__ void store_tile(const TileSums<config> &sums, bf16 *output /* first token and head */,
                           int first_row, int rows) {
#pragma unroll
  for (int f = 0; f < tile_fragments(config); ++f)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      int row = first_row + 16 * f + 8 * r + int(lane_index()) / 4;
      if (row >= rows)
        continue;
      uint32_t *to = reinterpret_cast<uint32_t *>(
          output + row / group(config) * int64_t(config.output_stride) +
          row % group(config) * config.head_dim);
#pragma unroll
      for (int n = 0; n < config.head_dim / 8; ++n)
        to[4 * n + lane_index() % 4] =
            pack_bf16(normalize(sums.o[f][n][2 * r], sums.sum[f][r]),
                      normalize(sums.o[f][n][2 * r + 1], sums.sum[f][r]));
    }
}

/// Attention of the tile's `rows` rows from `first_token` on; pages are those up to its
/// last token's. Pointers are the kernel's own parameters, which need no registers.
template <AttentionConfig config>
__device__ __forceinline__ void attend_tile(SharedPageStream<config> &stream, uint32_t queries,
                                            const int32_t *positions, bf16 *output,
                                            int first_token, int rows, int last_position) {
  constexpr int head_dim = config.head_dim, fragments = tile_fragments(config);
  int warp = warp_index(), first_row = warp * fragments * 16;
  WarpPositions<config> position(positions, first_token, first_row, rows);
  auto key_rows = key_reader<head_dim>();
  auto row_rows = row_reader<head_dim>();
  auto query = [&](int f, int k, uint32_t (&a)[4]) {
    load_matrices(a, row_rows.address(queries, first_row / 16 + f, k));
  };
  TileSums<config> sums;
  sums.clear();
  for (int page_start = 0; page_start <= last_position; page_start += page_tokens) {
    uint32_t keys = stream.wait(warp);
    bool sees_page = position.last >= page_start;
    uint32_t p[fragments][4][4];
    MergeFactors factors[fragments][2];
    if (sees_page) {
      float s[fragments][8][4] = {};
      page_scores<head_dim, fragments>(s, query, key_rows, keys);
      stream.release();
#pragma unroll
      for (int f = 0; f < fragments; ++f) {
        if (position.first < page_start + page_tokens - 1) {
          int lasts[2] = {position.of(f, 0) - page_start, position.of(f, 1) - page_start};
          mask_scores(s[f], lasts);
        }
        PageSums page = page_softmax(s[f], config.scale * log2_e, p[f]);
#pragma unroll
        for (int r = 0; r < 2; ++r)
          factors[f][r] = sums.add(f, r, page);
      }
    } else {
      stream.release();
    }
    uint32_t values = stream.wait(warp);
    if (sees_page) {
      if (last_position < page_start + page_tokens - 1) {
        // Every warp writes the same zeros; nobody reads anything else there.
        clear_values_from<head_dim>(values, last_position - page_start + 1);
        __syncwarp();
      }
      merge_values(sums, p, factors, row_rows, values);
    }
    stream.release();
  }
  store_tile(sums,
             output + int64_t(first_token) * config.output_stride +
                 blockIdx.y * group(config) * config.head_dim,
             first_row, rows);
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
  static_assert(config.scale > 0, "the maximum is taken before the scale");
  extern __shared__ __align__(128) uint8_t attention_shared[];
  uint32_t queries = shared_address(attention_shared);
  uint32_t ring = queries + tile_rows * config.head_dim * 2;

  launch_dependents();
  wait_for_predecessors();
  int64_t tile = tile_count - 1 - blockIdx.x;
  if (tile < 0)
    return;
  int first_token = tiles[2 * tile], tokens = tiles[2 * tile + 1], kv_head = blockIdx.y;
  int last_position = positions[first_token + tokens - 1];
  SharedPageStream<config> stream(head_keys<config>(pool, kv_head),
                                  block_tables + sequences[first_token] * max_pages,
                                  last_position / page_tokens + 1, ring);
  if (threadIdx.x == 0)
    stream.init_barriers();
  __syncthreads();
  if (warp_index() == 0)
    stream.start();
  load_tile_queries<config>(queries,
                            query + int64_t(first_token) * config.query_stride +
                                kv_head * group(config) * config.head_dim,
                            tokens * group(config));
  __syncthreads();
  attend_tile(stream, queries, positions, output, first_token, tokens * group(config),
              last_position);
}

} // namespace qopt::cuda
