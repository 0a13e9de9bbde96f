//===- attention_pages.cuh - Where a token's keys and values are -*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A page holds, layer after layer, keys [kv_heads][64][head_dim], then values in the
// same shape. The 16-byte chunks of a row are permuted so that eight rows at one column
// lie in different banks once the block is in shared memory.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_config.h"
#include "ptx.cuh"

namespace qopt::cuda {

/// Chunk i of token t stands at i ^ (t & mask).
QOPT_BOTH_SIDES constexpr int swizzle_mask(int head_dim) {
  int chunks = head_dim / 8;
  if (chunks == 2 || chunks == 4)
    return chunks - 1;
  return chunks % 8 == 0 ? 7 : 0;
}

/// Bytes from the start of a half page to chunk `chunk` of token `token`.
template <int head_dim> __device__ __forceinline__ int32_t chunk_offset(int token, int chunk) {
  return token * head_dim * 2 + (chunk ^ (token & swizzle_mask(head_dim))) * 16;
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
      entry = page < pages ? table[page] : 0;
    }
    return __shfl_sync(0xffffffffu, entry, index % 32);
  }

private:
  const int32_t *table; // [pages]
  int first, step, pages;
  int held = -1;
  int32_t entry = 0;
};

/// How `ldmatrix` finds 16 x 16 elements of rows in the order of a page (or of query
/// rows in the same order). Blocks start at multiples of 128 bytes.
template <int head_dim> class FragmentReader {
public:
  /// The lane names row `row` (0 to 15) of a fragment and the chunk `half` (0, 1) of
  /// the fragment's two.
  __device__ FragmentReader(int row, int half) : lane(chunk_offset<head_dim>(row, half)) {}

  /// Columns 16 `columns` and rows 16 `rows` of the block at `base`. The permutation
  /// repeats after `period` fragments; within, it changes the chunk's bits alone.
  __device__ __forceinline__ uint32_t address(uint32_t base, int rows, int columns) const {
    return ((base + lane) ^ (columns % period * 32)) + columns / period * period * 32 +
           rows * 16 * head_dim * 2;
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
template <int head_dim> __device__ FragmentReader<head_dim> row_reader() {
  int lane = lane_index();
  return {lane / 8 % 2 * 8 + lane % 8, lane / 16};
}

} // namespace qopt::cuda
