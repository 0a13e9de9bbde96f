//===- attention_tile_sums.cuh - What the rows of a tile have seen -*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row r of a tile is token r / group, head r % group. A warp holds rows as accumulators
// of m16n8k16 (attention_page_sums.cuh): 16 for each of its fragments.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_page_sums.cuh"

namespace qopt::cuda {

/// A query tile: consecutive tokens of a sequence, and the heads of a KV head.
template <AttentionConfig config> struct QueryTile {
  const bf16 *query;        // first token, first head
  bf16 *output;             // the same
  const int32_t *positions; // of the first token
  int rows, last_position;  // rows that exist; position of the last

  __device__ __forceinline__ const bf16 *query_row(int row) const {
    return query + row / group(config) * int64_t(config.query_stride) +
           row % group(config) * config.head_dim;
  }
  __device__ __forceinline__ bf16 *output_row(int row) const {
    return output + row / group(config) * int64_t(config.output_stride) +
           row % group(config) * config.head_dim;
  }
};

/// The tile's query rows from `first` on, [count][head_dim], in the order of a page, by
/// `threads` threads. Rows that don't exist are zero.
template <AttentionConfig config, int count, int threads>
__device__ void load_query_rows(uint32_t to, const QueryTile<config> &tile, int first, int thread) {
  constexpr int chunks = config.head_dim / 8, total = count * chunks;
  constexpr int batch = 8; // loads under way
  for (int begin = thread; begin < total; begin += batch * threads) {
    Vec16 values[batch];
#pragma unroll
    for (int i = 0; i < batch; ++i) {
      int at = begin + i * threads, row = first + at / chunks;
      values[i] = {{0, 0, 0, 0}};
      if (at < total && row < tile.rows)
        values[i] = *reinterpret_cast<const Vec16 *>(tile.query_row(row) + at % chunks * 8);
    }
#pragma unroll
    for (int i = 0; i < batch; ++i) {
      int at = begin + i * threads;
      if (at < total)
        store_shared_16(to + chunk_offset<config.head_dim, count>(at / chunks, at % chunks),
                        values[i]);
    }
  }
}

/// Positions of `count` rows from the tile's row `first_row` on. Only pages that hold a row's
/// last token need each row's position, so these are looked up there.
template <AttentionConfig config> class RowPositions {
public:
  int first, last; // of these rows; last is -1 if there are none

  __device__ RowPositions(const QueryTile<config> &tile, int first_row, int count)
      : positions(tile.positions), rows(tile.rows) {
    int end = min(first_row + count, rows);
    first = first_row < end ? positions[first_row / group(config)] : 0;
    last = first_row < end ? positions[(end - 1) / group(config)] : -1;
  }

  /// Pages that these rows see.
  __device__ __forceinline__ int pages() const { return last < 0 ? 0 : last / page_tokens + 1; }

  /// Whether some of these rows do not see all of the page.
  __device__ __forceinline__ bool cut(int page) const {
    return first < page * page_tokens + page_tokens - 1;
  }

  /// Of a row of the tile; -1 beyond it.
  __device__ __forceinline__ int of(int row) const {
    return row < rows ? positions[row / group(config)] : -1;
  }

private:
  const int32_t *positions; // of the tile
  int rows;
};

/// A page's scores to weights, for the 16 rows from `first_row` on.
template <AttentionConfig config>
__device__ __forceinline__ PageSums page_scores_to_weights(float (&s)[8][4], int page,
                                                           const RowPositions<config> &positions,
                                                           int first_row) {
  if (positions.cut(page)) {
    int row = first_row + int(lane_index()) / 4, start = page * page_tokens;
    int lasts[2] = {positions.of(row) - start, positions.of(row + 8) - start};
    mask_scores(s, lasts);
  }
  return page_weights(s, config.scale * log2_e);
}

/// Running maximum, sum and values of 16 rows.
template <AttentionConfig config> struct RowSums {
  float max[2], sum[2];
  float o[config.head_dim / 8][4];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      max[r] = minus_infinity();
      sum[r] = 0.0f;
    }
#pragma unroll
    for (int n = 0; n < config.head_dim / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        o[n][e] = 0.0f;
  }

  /// Takes a page's maxima and lanes' sums in; the values follow by these factors.
  __device__ __forceinline__ void merge_sums(PageSums page, MergeFactors (&factors)[2]) {
    add_lanes(page);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      factors[r] = merge_factors(max[r], page.max[r]);
      max[r] = factors[r].max;
      sum[r] = merge(factors[r], sum[r], page.sum[r]);
    }
  }
  /// Both at once: scores to weights, and the page's sums.
  __device__ __forceinline__ void take_scores(float (&s)[8][4], int page,
                                              const RowPositions<config> &positions, int first_row,
                                              MergeFactors (&factors)[2]) {
    merge_sums(page_scores_to_weights(s, page, positions, first_row), factors);
  }

  /// o = o a + page b for `count` columns of 8 from column 8 `first`.
  template <int count>
  __device__ __forceinline__ void merge_values(const float (&page)[count][4], int first,
                                               const MergeFactors (&factors)[2]) {
#pragma unroll
    for (int n = 0; n < count; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        o[first + n][e] = merge(factors[e / 2], o[first + n][e], page[n][e]);
  }

  /// The first `half` times 16 columns and the next change places.
  __device__ __forceinline__ void swap_halves(int half) {
#pragma unroll
    for (int n = 0; n < 2 * half; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        float first = o[n][e];
        o[n][e] = o[2 * half + n][e];
        o[2 * half + n][e] = first;
      }
  }

  __device__ __forceinline__ void store(const QueryTile<config> &tile, int first_row) const {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      int row = first_row + 8 * r + int(lane_index()) / 4;
      if (row >= tile.rows)
        continue;
      uint32_t *to = reinterpret_cast<uint32_t *>(tile.output_row(row)) + lane_index() % 4;
      Normalizer by = normalizer(sum[r]);
#pragma unroll
      for (int n = 0; n < config.head_dim / 8; ++n)
        to[4 * n] = pack_bf16(by(o[n][2 * r]), by(o[n][2 * r + 1]));
    }
  }
};

} // namespace qopt::cuda
