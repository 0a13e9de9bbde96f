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
// back when it has read it, and the first warp has it filled again. Products are those
// of warpgroups (64 rows) where a head's rows have whole 128 bytes, else of warps: their
// bits are the same.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_decode.cuh"

namespace qopt::cuda {

/// The half pages k0, v0, k1, v1, ... of a block, read by every warp.
template <AttentionConfig config> class SharedPageStream {
public:
  /// keys: of the KV head in the pool's first page.
  __device__ SharedPageStream(const uint8_t *keys, const int32_t *block_table, int pages,
                              uint32_t ring)
      : keys(keys), block_table(block_table), pages(pages), ring(ring), ahead(block_table[0]) {}

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

  /// Waits for the next half page; its address in shared memory.
  __device__ uint32_t wait() const {
    barrier_wait(full(next % config.stages), next / config.stages % 2);
    return ring + next % config.stages * half_page_bytes(config.head_dim);
  }

  /// The warp has read the half page. The first warp also has the place of the one
  /// before filled again, which the others have read by now.
  __device__ void release(int warp) {
    __syncwarp();
    if (lane_index() == 0)
      barrier_arrive(empty(next % config.stages));
    if (warp == 0 && next > 0)
      request(next - 1 + config.stages);
    ++next;
  }

  /// Gives back all that is left unread.
  __device__ void drain(int warp) {
    while (next < 2 * pages) {
      wait();
      release(warp);
    }
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
    bool values = index % 2;
    if (!values) {
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
                keys + int64_t(page) * config.page_bytes + values_offset(config) * values, bytes,
                full(to));
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
    store_shared_16(to + chunk_offset<config.head_dim, tile_rows>(row, chunk), v);
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

/// Positions of the rows of a warp, or of a warpgroup, which goes together. Only pages that hold a
/// row's last token need each row's position, so these are looked up there.
template <AttentionConfig config> class WarpPositions {
public:
  int first, last; // of these rows; last is -1 if there are none

  __device__ WarpPositions(const int32_t *positions, int first_token, int first_row, int rows)
      : positions(positions), first_token(first_token), first_row(first_row), rows(rows) {
    constexpr int together = tiles_by_warpgroup(config.head_dim) ? 64 : 16 * tile_fragments(config);
    int begin = first_row / together * together, end = min(begin + together, rows);
    first = begin < end ? positions[first_token + begin / group(config)] : 0;
    last = begin < end ? positions[first_token + (end - 1) / group(config)] : -1;
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

/// Products of warps.
template <AttentionConfig config> class WarpProducts {
public:
  static constexpr int head_dim = config.head_dim, fragments = tile_fragments(config);

  __device__ WarpProducts(uint32_t queries, int first_row)
      : queries(queries), first_row(first_row) {}

  __device__ __forceinline__ void scores(float (&s)[fragments][8][4], uint32_t keys) const {
    auto query = [&](int f, int k, uint32_t (&a)[4]) {
      load_matrices(a, query_rows.address(queries, first_row / 16 + f, k));
    };
    page_scores<head_dim, fragments>(s, query, key_rows, keys);
  }

  /// o = o a + (p v) b for all columns.
  __device__ __forceinline__ void merge_values(TileSums<config> &sums,
                                               const uint32_t (&p)[fragments][4][4],
                                               const MergeFactors (&factors)[fragments][2],
                                               uint32_t values) const {
    constexpr int count = head_dim / 16;
    // Four independent products at a time; with large heads the registers are for o.
    constexpr int width = fragments == 1 && head_dim <= 160 ? 2 : 1;
#pragma unroll
    for (int columns = 0; columns + width <= count; columns += width) {
      merge_columns<width>(sums, p, factors, value_rows, values, columns);
      // Keeps the loads of later columns from taking the last registers.
      if (head_dim > 176)
        __syncwarp();
    }
    if constexpr (count % width != 0)
      merge_columns<1>(sums, p, factors, value_rows, values, count - 1);
  }

  /// After ordinary stores to a half page.
  __device__ __forceinline__ void order_stores() const { __syncwarp(); }

private:
  uint32_t queries;
  int first_row;
  FragmentReader<head_dim, tile_rows> query_rows = row_reader<head_dim, tile_rows>();
  FragmentReader<head_dim> key_rows = key_reader<head_dim>(), value_rows = row_reader<head_dim>();
};

/// Products of warpgroups, a panel of 64 columns at a time.
template <AttentionConfig config> class GroupProducts {
public:
  static constexpr int panels = config.head_dim / 64;

  __device__ GroupProducts(uint32_t queries, int first_row)
      : queries(queries + first_row / 64 * 64 * 128) {
    auto rows = row_reader<config.head_dim, tile_rows>();
    if constexpr (queries_in_registers)
#pragma unroll
      for (int k = 0; k < config.head_dim / 16; ++k)
        load_matrices(fragments[k], rows.address(queries, first_row / 16, k));
  }

  __device__ __forceinline__ void scores(float (&s)[1][8][4], uint32_t keys) {
    float (&d)[32] = reinterpret_cast<float (&)[32]>(s);
    hold(d);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < config.head_dim / 16; ++k) {
      uint64_t b = matrix_descriptor(keys + k / 4 * page_tokens * 128 + k % 4 * 32);
      if constexpr (queries_in_registers)
        wgmma_bf16<64>(d, fragments[k], b, k > 0);
      else
        wgmma_bf16<64>(d, matrix_descriptor(queries + k / 4 * tile_rows * 128 + k % 4 * 32), b,
                       k > 0);
    }
    wgmma_commit();
    wgmma_wait<0>();
    hold(d);
  }

  /// o = o a + (p v) b for all columns.
  __device__ __forceinline__ void merge_values(TileSums<config> &sums, uint32_t (&p)[1][4][4],
                                               const MergeFactors (&factors)[1][2],
                                               uint32_t values) const {
    // Two panels are multiplied at the same time, where o leaves the registers.
    constexpr int ahead = panels <= 2 ? panels : 1;
    float page[ahead][32];
#pragma unroll
    for (int step = 0; step < 4; ++step)
      hold(p[0][step]);
#pragma unroll
    for (int panel = 0; panel < ahead; ++panel)
      multiply(page[panel], p[0], values, panel);
#pragma unroll
    for (int panel = 0; panel < panels; ++panel) {
      float (&o)[32] = page[panel % ahead];
      if (panel + 1 < panels)
        wgmma_wait<ahead - 1>();
      else
        wgmma_wait<0>();
      hold(o);
#pragma unroll
      for (int i = 0; i < 32; ++i) {
        float &sum = sums.o[0][8 * panel + i / 4][i % 4];
        sum = merge(factors[0][i % 4 / 2], sum, o[i]);
      }
      if (panel + ahead < panels)
        multiply(o, p[0], values, panel + ahead);
    }
  }

  /// After ordinary stores to a half page, which the products read as asynchronous ones.
  __device__ __forceinline__ void order_stores() const {
    fence_async_shared();
    named_barrier_sync(1 + threadIdx.x / 128, 128);
  }

private:
  /// o = p v for the panel's columns: v [64 tokens][64 columns] is b by rows.
  __device__ __forceinline__ static void multiply(float (&o)[32], const uint32_t (&p)[4][4],
                                                  uint32_t values, int panel) {
    hold(o);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < 4; ++step)
      wgmma_bf16_by_rows(o, p[step],
                         matrix_descriptor(values + (panel * page_tokens + step * 16) * 128),
                         step > 0);
    wgmma_commit();
  }

  /// A from registers leaves the bandwidth of shared memory to b. Smaller heads rather
  /// have two blocks in a multiprocessor, larger ones have no registers left.
  static constexpr bool queries_in_registers = config.head_dim == 128;
  uint32_t queries;
  uint32_t fragments[queries_in_registers ? config.head_dim / 16 : 1][4];
};

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

/// What the rows of a warp (or its warpgroup) have seen.
template <AttentionConfig config> struct TileWarp {
  static constexpr int fragments = tile_fragments(config);
  int warp, first_row, last_position; // last_position: of the tile
  WarpPositions<config> position;
  TileSums<config> sums;

  /// Pages that these rows see.
  __device__ int pages() const { return position.last < 0 ? 0 : position.last / page_tokens + 1; }

  /// Scores of a page to weights, with running maxima and sums.
  __device__ __forceinline__ void take_scores(float (&s)[8][4], int f, int page,
                                              uint32_t (&p)[4][4], MergeFactors (&factors)[2]) {
    int start = page * page_tokens;
    if (position.first < start + page_tokens - 1) {
      int lasts[2] = {position.of(f, 0) - start, position.of(f, 1) - start};
      mask_scores(s, lasts);
    }
    PageSums page_sums = page_softmax(s, config.scale * log2_e, p);
#pragma unroll
    for (int r = 0; r < 2; ++r)
      factors[r] = sums.add(f, r, page_sums);
  }

  /// Zeros behind the tile's last token. Every warp writes the same ones; nobody reads
  /// anything else there.
  template <class Products>
  __device__ __forceinline__ void clear_behind_last(uint32_t values, int page,
                                                    const Products &products) const {
    int last = last_position - page * page_tokens;
    if (last < page_tokens - 1) {
      clear_values_from<config.head_dim>(values, last + 1);
      products.order_stores();
    }
  }
};

/// Attention of the rows to the pages that they see.
template <AttentionConfig config, class Products>
__device__ __forceinline__ void attend(SharedPageStream<config> &stream, TileWarp<config> &own,
                                       Products &&products) {
  constexpr int fragments = tile_fragments(config);
  for (int page = 0; page < own.pages(); ++page) {
    float s[fragments][8][4];
    products.scores(s, stream.wait());
    stream.release(own.warp);
    uint32_t p[fragments][4][4];
    MergeFactors factors[fragments][2];
#pragma unroll
    for (int f = 0; f < fragments; ++f)
      own.take_scores(s[f], f, page, p[f], factors[f]);
    uint32_t values = stream.wait();
    own.clear_behind_last(values, page, products);
    products.merge_values(own.sums, p, factors, values);
    stream.release(own.warp);
  }
}

/// A tile of one token: every warp has pages of its own. `block_table` is the sequence's,
/// `query` and `output` are the token's first head.
template <AttentionConfig config>
__device__ void attend_single_token(const bf16 *query, const uint8_t *keys,
                                    const int32_t *block_table, int position, bf16 *output,
                                    uint8_t *shared_memory) {
  DecodeShared<config> shared(shared_memory);
  shared.init_barriers();
  PageList list(block_table, warp_index(), config.warps, position / page_tokens + 1);
  HalfPageStream<config> stream(keys, list, shared.ring(), shared.barriers());
  DecodeQuery<config> own(query);
  decode_in_block(stream, own, position, shared.scratch(), reinterpret_cast<uint32_t *>(output));
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
  static_assert(config.stages >= 2);
  static_assert(config.scale > 0, "the maximum is taken before the scale");
  extern __shared__ __align__(1024) uint8_t attention_shared[];
  uint32_t queries = shared_address(attention_shared);
  uint32_t ring = queries + tile_rows * config.head_dim * 2;

  launch_dependents();
  wait_for_predecessors();
  int64_t tile = tile_count - 1 - blockIdx.x;
  if (tile < 0)
    return;
  int first_token = tiles[2 * tile], tokens = tiles[2 * tile + 1], kv_head = blockIdx.y;
  int last_position = positions[first_token + tokens - 1];
  if constexpr (has_single_tokens(config))
    if (tokens == 1) {
      int first_column = kv_head * group(config) * config.head_dim;
      return attend_single_token<single_token(config)>(
          query + int64_t(first_token) * config.query_stride + first_column,
          head_keys<config>(pool, kv_head), block_tables + sequences[first_token] * max_pages,
          last_position, output + int64_t(first_token) * config.output_stride + first_column,
          attention_shared);
    }
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
  fence_async_shared();
  __syncthreads();
  int rows = tokens * group(config), warp = warp_index();
  int first_row = warp * tile_fragments(config) * 16;
  TileWarp<config> own = {warp, first_row, last_position,
                          WarpPositions<config>(positions, first_token, first_row, rows)};
  own.sums.clear();
  if constexpr (tiles_by_warpgroup(config.head_dim))
    attend(stream, own, GroupProducts<config>(queries, first_row));
  else
    attend(stream, own, WarpProducts<config>(queries, first_row));
  stream.drain(warp);
  // The pointer is computed here: no registers hold it through the loop.
  store_tile(own.sums,
             output + int64_t(first_token) * config.output_stride +
                 kv_head * group(config) * config.head_dim,
             first_row, rows);
}

} // namespace qopt::cuda
