//===- attention_pages.cuh - Where a token's keys and values are -*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A page holds, layer after layer, keys [kv_heads][64][head_dim], then values in the
// same shape. A (page, head) block is contiguous, and in the order in which it is read
// from shared memory: if rows are a multiple of 128 bytes, as panels of 64 columns
// [head_dim / 64][64][64] with the 128-byte swizzle of wgmma. Either way eight rows at one
// column lie in different banks, as far as the row's length allows.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_config.h"
#include "attention_ptx.cuh"

namespace qopt::cuda {

/// Chunk i of a row t (of a panel's row, if there are panels) stands at i ^ (t & mask).
QOPT_BOTH_SIDES constexpr int swizzle_mask(int head_dim) {
  int chunks = head_dim / 8;
  return chunks % 8 == 0 ? 7 : chunks == 2 || chunks == 4 ? chunks - 1 : 0;
}

/// Bytes from the start of a block of `rows` rows to 16-byte chunk `chunk` of row `row`.
template <int head_dim, int rows = page_tokens>
__device__ __forceinline__ int32_t chunk_offset(int row, int chunk) {
  int place = chunk ^ (row & swizzle_mask(head_dim));
  if constexpr (head_dim % 64 == 0)
    return (place / 8 * rows + row) * 128 + place % 8 * 16;
  return row * head_dim * 2 + place * 16;
}

/// Keys of a KV head in the pool's first page; `pool` is at the layer's offset.
template <AttentionConfig config>
__device__ __forceinline__ const uint8_t *head_keys(const void *pool, int kv_head) {
  return static_cast<const uint8_t *>(pool) + int64_t(kv_head) * half_page_bytes(config.head_dim);
}

/// The pages `first`, `first + step`, ... of a sequence, as a warp reads them: each
/// lane holds one entry of the block table ahead of time.
class PageList {
public:
  __device__ PageList(const int32_t *block_table, int first, int step, int pages)
      : table(block_table), first(first), step(step), pages(pages) {}

  /// The list's length.
  __device__ int size() const { return first < pages ? (pages - first + step - 1) / step : 0; }

  /// Number of the page in the pool of entry `index`, which never decreases.
  __device__ int32_t operator[](int index) {
    if (index / 32 != held) {
      held = index / 32;
      int page = first + (held * 32 + int(lane_index())) * step;
      entry = page < pages ? __ldcg(table + page) : 0;
    }
    return __shfl_sync(0xffffffffu, entry, index % 32);
  }

private:
  const int32_t *table; // [pages]
  int first, step, pages;
  int held = -1;
  int32_t entry = 0;
};

/// How `ldmatrix` finds 16 x 16 elements of a block of `rows` rows, which starts at a
/// multiple of 128 bytes.
template <int head_dim, int rows = page_tokens> class FragmentReader {
public:
  /// The lane names row `row` (0 to 15) of a fragment and the chunk `half` (0, 1) of
  /// the fragment's two.
  __device__ FragmentReader(int row, int half) : lane(chunk_offset<head_dim, rows>(row, half)) {}

  /// Columns 16 `column` and rows 16 `row` of the block at `base`. The permutation
  /// repeats after `period` fragments; within, it changes the chunk's bits alone.
  __device__ __forceinline__ uint32_t address(uint32_t base, int row, int column) const {
    constexpr bool panels = head_dim % 64 == 0;
    constexpr int row_bytes = panels ? 128 : head_dim * 2;
    constexpr int period_bytes = panels ? rows * 128 : period * 32;
    return ((base + lane) ^ (column % period * 32)) + column / period * period_bytes +
           row * 16 * row_bytes;
  }

private:
  static constexpr int period = swizzle_mask(head_dim) == 0 ? 1 : (swizzle_mask(head_dim) + 1) / 2;
  uint32_t lane;
};

/// B of q k^T: columns are tokens, so a fragment's two chunks come first.
template <int head_dim> __device__ FragmentReader<head_dim> key_reader() {
  int lane = lane_index();
  return {lane / 16 * 8 + lane % 8, lane / 8 % 2};
}
/// B of p v (transposed on the way), and A of q k^T: rows come first.
template <int head_dim, int rows = page_tokens>
__device__ FragmentReader<head_dim, rows> row_reader() {
  int lane = lane_index();
  return {lane / 8 % 2 * 8 + lane % 8, lane / 16};
}

} // namespace qopt::cuda
