//===- attention_warp_tiles.cuh - Tiles by warps ---------------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Heads whose rows are no multiple of 128 bytes: warp w has the rows
// [w * rows_of_warp, ...) of the tile, 16 for each of its fragments. The first warp copies
// pages, too.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_page_ring.cuh"
#include "attention_tile_sums.cuh"

namespace qopt::cuda {

template <AttentionConfig config> class WarpTile {
public:
  static constexpr int head_dim = config.head_dim, fragments = tile_fragments(config);

  /// queries: [128][head_dim] in shared memory.
  __device__ __forceinline__ WarpTile(const QueryTile<config> &tile, uint32_t queries,
                                      PageReader<config> pages, PageCopies<config> &copies)
      : queries(queries), first_row(int(warp_index()) * rows_of_warp), pages(pages), copies(copies),
        positions(tile, first_row, rows_of_warp) {
#pragma unroll
    for (int f = 0; f < fragments; ++f)
      sums[f].clear();
  }

  __device__ __forceinline__ void attend(int tile_pages) {
    for (int page = 0; page < positions.pages(); ++page)
      add_page(page);
    for (int page = positions.pages(); page < tile_pages; ++page) {
      pages.keys(page);
      release_keys(page);
      pages.values(page);
      release_values(page);
    }
  }

  __device__ __forceinline__ void store(const QueryTile<config> &tile) const {
#pragma unroll
    for (int f = 0; f < fragments; ++f)
      sums[f].store(tile, first_row + 16 * f);
  }

private:
  static constexpr int rows_of_warp = 16 * fragments;
  using Weights = uint32_t[fragments][4][4];
  using Factors = MergeFactors[fragments][2];

  __device__ __forceinline__ void add_page(int page) {
    float s[fragments][8][4];
    auto query = [&](int f, int k, uint32_t (&a)[4]) {
      load_matrices(a, query_rows.address(queries, first_row / 16 + f, k));
    };
    page_scores<head_dim, fragments>(s, query, key_rows, pages.keys(page));
    release_keys(page);
    Weights p;
    Factors factors;
#pragma unroll
    for (int f = 0; f < fragments; ++f) {
      sums[f].take_scores(s[f], page, positions, first_row + 16 * f, factors[f]);
      pack_weights(s[f], p[f]);
    }
    merge_values(p, factors, pages.values(page));
    release_values(page);
  }

  /// o = o a + (p v) b for all columns.
  __device__ __forceinline__ void merge_values(const Weights &p, const Factors &factors,
                                               uint32_t values) {
    constexpr int count = head_dim / 16;
    // Four independent products at a time; with large heads the registers are for o.
    constexpr int width = fragments == 1 && head_dim <= 160 ? 2 : 1;
    if constexpr (head_dim > 176 || (fragments == 2 && head_dim > 64)) {
      merge_halves(p, factors, values);
    } else {
#pragma unroll
      for (int columns = 0; columns + width <= count; columns += width)
        merge_columns<width>(p, factors, values, columns, columns);
      if constexpr (count % width != 0)
        merge_columns<1>(p, factors, values, count - 1, count - 1);
    }
  }

  /// The same in two turns of a loop, which change places: ptxas would multiply all columns,
  /// and have no registers for the products, before it merges the first.
  __device__ __forceinline__ void merge_halves(const Weights &p, const Factors &factors,
                                               uint32_t values) {
    static_assert(swizzle_mask(head_dim) == 0);
    constexpr int half = head_dim / 32;
    if constexpr (head_dim / 16 % 2 != 0)
      merge_columns<1>(p, factors, values, 2 * half, 2 * half);
#pragma unroll 1
    for (int turn = 0; turn < 2; ++turn) {
#pragma unroll
      for (int columns = 0; columns < half; ++columns)
        merge_columns<1>(p, factors, values, turn * half + columns, columns);
#pragma unroll
      for (int f = 0; f < fragments; ++f)
        sums[f].swap_halves(half);
    }
  }

  /// `width` times 16 columns from 16 `columns`, which stand at 16 `place` of o.
  template <int width>
  __device__ __forceinline__ void merge_columns(const Weights &p, const Factors &factors,
                                                uint32_t values, int columns, int place) {
    float page[fragments][width][2][4];
    page_values<head_dim, fragments, width>(page, p, value_rows, values, columns);
#pragma unroll
    for (int f = 0; f < fragments; ++f)
#pragma unroll
      for (int w = 0; w < width; ++w)
        sums[f].merge_values(page[f][w], 2 * (place + w), factors[f]);
    // Merged before the next columns are multiplied: the page's would fill the registers.
#pragma unroll
    for (int f = 0; f < fragments; ++f)
#pragma unroll
      for (int n = 2 * place; n < 2 * (place + width); ++n)
        hold(sums[f].o[n]);
  }

  /// The first warp has the place of the half page before filled again, which the others
  /// have read by now.
  __device__ __forceinline__ void release_keys(int page) {
    pages.release_keys(page);
    if (first_row == 0 && page > 0)
      copies.start();
  }
  __device__ __forceinline__ void release_values(int page) {
    pages.release_values(page);
    if (first_row == 0)
      copies.start();
  }

  uint32_t queries;
  int first_row;
  PageReader<config> pages;
  PageCopies<config> &copies;
  RowPositions<config> positions;
  FragmentReader<head_dim, tile_rows> query_rows = row_reader<head_dim, tile_rows>();
  FragmentReader<head_dim> key_rows = key_reader<head_dim>(), value_rows = row_reader<head_dim>();
  RowSums<config> sums[fragments];
};

} // namespace qopt::cuda
