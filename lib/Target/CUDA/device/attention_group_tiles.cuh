//===- attention_group_tiles.cuh - Tiles by warpgroups ---------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Heads of whole rows of 128 bytes: a warpgroup has 64 rows of the tile, warp w of it 16
// of them. A warp of its own copies pages. While one warpgroup turns scores into weights,
// the tensor cores have the products of the other:
//
//   scores s of page i ── weights p ──┬── p v ────── o ── o = o a + (p v) b ──► page i + 1
//                                     └── scores of page i + 1 ── ...
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_page_ring.cuh"
#include "attention_tile_sums.cuh"

namespace qopt::cuda {

/// Products of a warpgroup's rows with a page, asynchronous.
template <AttentionConfig config> class GroupProducts {
public:
  /// Columns of values that are multiplied at the same time: where o leaves the registers, all.
  static constexpr int columns = config.head_dim <= 128 ? config.head_dim : 64;
  static constexpr int parts = config.head_dim / columns;
  using Scores = float[8][4];
  using Weights = uint32_t[4][4];
  using PageValues = float[columns / 8][4];

  /// `shared`: room for [64][head_dim] of this warpgroup, if queries are not in registers.
  __device__ __forceinline__ GroupProducts(const QueryTile<config> &tile, int first_row,
                                           uint32_t shared)
      : queries(shared) {
    if constexpr (in_registers) {
      load_fragments(tile, first_row);
    } else {
      load_query_rows<config, 64, 128>(shared, tile, first_row / 64 * 64, threadIdx.x % 128);
      fence_async_shared();
      named_barrier_sync(1 + threadIdx.x / 128, 128);
    }
  }

  /// s = q k^T.
  __device__ __forceinline__ void start_scores(Scores &s, uint32_t keys) {
    float (&d)[32] = reinterpret_cast<float (&)[32]>(s);
    const uint64_t a = matrix_descriptor(queries), b = matrix_descriptor(keys);
    hold(d);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < config.head_dim / 16; ++k) {
      const int step = (k / 4 * 64 * 128 + k % 4 * 32) / 16; // in both operands
      if constexpr (in_registers)
        wgmma_bf16<64>(d, fragments[k], b + step, k > 0);
      else
        wgmma_bf16<64>(d, a + step, b + step, k > 0);
    }
    wgmma_commit();
  }

  /// page = p v for the part's columns.
  __device__ __forceinline__ void start_values(PageValues &page, const Weights &p, uint32_t values,
                                               int part) const {
    constexpr int panel_bytes = page_tokens * 128;
    float (&d)[columns / 2] = reinterpret_cast<float (&)[columns / 2]>(page);
    const uint64_t b = panels_descriptor(values + part * (columns / 64) * panel_bytes, panel_bytes);
    hold(d);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < 4; ++step)
      wgmma_bf16_panels<columns>(d, p[step], b + step * 16 * 128 / 16, step > 0);
    wgmma_commit();
  }

  /// Waits for all but the `pending` (0 or 1) products started last; `result` may be read then.
  template <int count>
  __device__ __forceinline__ static void finish(float (&result)[count][4], int pending = 0) {
    if (pending == 0)
      wgmma_wait<0>();
    else
      wgmma_wait<1>();
    hold(reinterpret_cast<float (&)[count * 4]>(result));
  }

private:
  /// A from registers leaves the bandwidth of shared memory to b.
  static constexpr bool in_registers = queries_in_registers(config.head_dim);

  __device__ __forceinline__ void load_fragments(const QueryTile<config> &tile, int first_row) {
    const bf16 *rows[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      int row = first_row + 8 * r + int(lane_index()) / 4;
      rows[r] = row < tile.rows ? tile.query_row(row) + 2 * (lane_index() % 4) : nullptr;
    }
#pragma unroll
    for (int k = 0; k < config.head_dim / 16; ++k)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const bf16 *from = rows[i % 2];
        fragments[k][i] =
            from ? *reinterpret_cast<const uint32_t *>(from + 16 * k + 8 * (i / 2)) : 0;
      }
  }

  uint32_t queries;
  uint32_t fragments[in_registers ? config.head_dim / 16 : 1][4];
};

/// A warp's part in the attention of its warpgroup's 64 rows.
template <AttentionConfig config> class GroupTile {
public:
  __device__ __forceinline__ GroupTile(const QueryTile<config> &tile, PageReader<config> pages,
                                       int first_row, uint32_t shared)
      : pages(pages), positions(tile, first_row / 64 * 64, 64), first_row(first_row),
        products(tile, first_row, shared) {
    sums.clear();
  }

  __device__ __forceinline__ void attend(int tile_pages) {
    int count = positions.pages();
    if (count > 0) {
      products.start_scores(s, pages.keys(0));
      values = pages.values(0);
      finish_scores(0);
    }
    for (int page = 0; page < count - 1; ++page)
      add_page<false>(page);
    if (count > 0)
      add_page<true>(count - 1);
    for (int page = count; page < tile_pages; ++page)
      pages.skip(page);
  }

  __device__ __forceinline__ void store(const QueryTile<config> &tile) const {
    sums.store(tile, first_row);
  }

private:
  using Products = GroupProducts<config>;

  /// The page's scores and `values` are there. After it so are those of the next page, unless
  /// this is the last.
  template <bool last> __device__ __forceinline__ void add_page(int page) {
    PageSums page_sums = page_scores_to_weights(s, page, positions, first_row);
    typename Products::Weights p;
    pack_weights(s, p);
#pragma unroll
    for (int step = 0; step < 4; ++step)
      hold(p[step]);
    MergeFactors factors[2];
#pragma unroll
    for (int part = 0; part < Products::parts; ++part) {
      typename Products::PageValues o;
      const bool before_next = part == Products::parts - 1 && !last;
      products.start_values(o, p, values, part);
      if (before_next)
        products.start_scores(s, pages.keys(page + 1));
      if (part == 0)
        sums.merge_sums(page_sums, factors);
      products.finish(o, before_next ? 1 : 0);
      if (part == Products::parts - 1)
        pages.release_values(page);
      sums.merge_values(o, part * (Products::columns / 8), factors);
    }
    if (!last) {
      // The branch in this wait keeps ptxas from waiting for the scores before it merges.
      values = pages.values(page + 1);
      finish_scores(page + 1);
    }
  }

  __device__ __forceinline__ void finish_scores(int page) {
    products.finish(s);
    pages.release_keys(page);
  }

  PageReader<config> pages;
  RowPositions<config> positions; // of the warpgroup
  int first_row;                  // of the warp
  uint32_t values;                // of the page at hand
  Products products;
  typename Products::Scores s;
  RowSums<config> sums;
};

} // namespace qopt::cuda
