//===- portable_decode.cuh - Attention of single tokens on sm_80 -*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   grid x: rows      y: KV heads      block: portable_threads
//
// attention_decode.cuh with one block for a row and KV head, whose pages come by the warps'
// own copies (cp.async). Tokens behind the last one that counts come as zeros.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_decode.cuh"
#include "portable_attention_config.h"

namespace qopt::cuda {

//===- Copies of half pages -----------------------------------------------===//

/// Starts the copy of tokens 0 to `last` of a half page, by `threads` threads; zeros follow.
template <int head_dim, int threads>
__device__ __forceinline__ void copy_half_page(uint32_t to, const uint8_t *from, int last,
                                               int thread) {
  constexpr int total = half_page_bytes(head_dim) / 16;
  // 16-byte chunks stand in panels of 64 columns, or in rows.
  constexpr int row_chunks = head_dim % 64 == 0 ? 8 : head_dim / 8;
#pragma unroll 8
  for (int i = thread; i < total; i += threads)
    copy_16_or_zero(to + i * 16, from + i * 16, i / row_chunks % page_tokens <= last);
}

/// Half page `index` (keys, then values, of page index / 2) in the pool's page `number`.
template <AttentionConfig config>
__device__ __forceinline__ const uint8_t *half_page(const uint8_t *keys, int number, int index) {
  return keys + int64_t(number) * config.page_bytes + values_offset(config) * (index % 2);
}

//===- Pages of warps -----------------------------------------------------===//

/// HalfPageStream (attention_decode.cuh) by the copies of a warp.
template <AttentionConfig config> class WarpPageStream {
public:
  /// keys: of the KV head in the pool's first page; `first` is the first page of the list,
  /// `step` the distance of its pages, `position` the last token.
  __device__ WarpPageStream(const uint8_t *keys, const PageList &pages, int first, int step,
                            int position, uint32_t ring)
      : keys(keys), pages(pages), ring(ring), position(position - first * page_tokens),
        step(step * page_tokens) {
    for (int i = 0; i < config.stages; ++i)
      request(i);
  }

  __device__ uint32_t wait() const {
    copy_async_wait<config.stages - 1>();
    __syncwarp();
    return ring + next % config.stages * half_page_bytes(config.head_dim);
  }

  __device__ void release() {
    __syncwarp();
    request(next + config.stages);
    ++next;
  }

private:
  __device__ void request(int index) {
    if (index < 2 * pages.size())
      copy_half_page<config.head_dim, 32>(ring + index % config.stages *
                                                     half_page_bytes(config.head_dim),
                                          half_page<config>(keys, pages[index / 2], index),
                                          position - index / 2 * step, lane_index());
    copy_async_commit();
  }

  const uint8_t *keys;
  PageList pages;
  uint32_t ring;
  int position, step; // of the last token in the list's first page; tokens from page to page
  int next = 0;
};

//===- A row --------------------------------------------------------------===//

/// The heads of a token by the warps of a block, as decode_row has it. `block_table` is the
/// sequence's.
template <AttentionConfig config>
__device__ void portable_decode_row(const bf16 *query, const uint8_t *keys,
                                    const int32_t *block_table, int position, uint32_t *output,
                                    uint8_t *shared_memory) {
  DecodeShared<config> shared(shared_memory);
  WarpPageStream<config> stream(keys, pages_of_warp<config>(block_table, 0, position), warp_index(),
                                round_pages(config), position, shared.ring());
  DecodeQuery<config> own(query);
  decode_row(stream, own, CompletePage(), position, shared.scratch(), 0, output);
}

/// As attention_decode, with one block for each row and KV head.
template <AttentionConfig config>
__device__ void portable_attention_decode(const bf16 *query, const void *pool,
                                          const int32_t *positions, const int32_t *sequences,
                                          const int32_t *block_tables, int64_t max_pages,
                                          bf16 *output, int64_t rows) {
  static_assert(config.splits == 1, "there are no clusters of blocks");
  static_assert(decode_shared_bytes(config) <= portable_shared_bytes);
  extern __shared__ __align__(1024) uint8_t attention_shared[];
  launch_dependents();
  wait_for_predecessors();
  DecodePlace<config> place;
  if (place.row >= rows)
    return;
  int sequence = sequences[place.row];
  if (sequence < 0)
    return place.clear(place.output(output));
  portable_decode_row<config>(place.query(query), head_keys<config>(pool, place.kv_head),
                              block_tables + sequence * max_pages, positions[place.row],
                              place.output(output), attention_shared);
}

} // namespace qopt::cuda
