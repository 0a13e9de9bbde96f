//===- attention_page_ring.cuh - Pages that a whole block reads -*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The half pages k0, v0, k1, v1, ... of a sequence go through a ring of stages in shared
// memory. One warp copies (PageCopies), every computing warp reads (PageReader).
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_page_sums.cuh"

namespace qopt::cuda {

/// Addresses of the ring: stages, then a pair of mbarriers for each.
template <AttentionConfig config> struct PageRing {
  /// Of a warp that has read a stage. Lanes that load order their own loads; products of
  /// warpgroups have been waited for.
  static constexpr int arrivals = tiles_by_warpgroup(config.head_dim) ? 1 : 32;

  uint32_t base;
  __device__ __forceinline__ uint32_t place(uint32_t half_page) const {
    return base + half_page % config.stages * half_page_bytes(config.head_dim);
  }
  /// Complete when the half page has come.
  __device__ __forceinline__ uint32_t full(uint32_t half_page) const {
    return base + config.stages * half_page_bytes(config.head_dim) +
           16 * (half_page % config.stages);
  }
  /// Complete when every computing warp has read it.
  __device__ __forceinline__ uint32_t empty(uint32_t half_page) const {
    return full(half_page) + 8;
  }
  /// Parity of the phase in which the half page is there.
  __device__ __forceinline__ static uint32_t parity(uint32_t half_page) {
    return half_page / config.stages % 2;
  }

  /// By one thread, before anything else.
  __device__ void init_barriers() const {
    for (int stage = 0; stage < config.stages; ++stage) {
      barrier_init(full(stage), 1);
      barrier_init(empty(stage), config.warps * arrivals);
    }
    fence_barrier_init();
  }
};

/// The copies of a sequence's half pages, started in order by a whole warp.
template <AttentionConfig config> class PageCopies {
public:
  /// keys: of the KV head in the pool's first page; last: the last token that is read.
  __device__ PageCopies(PageRing<config> ring, const uint8_t *keys, const int32_t *block_table,
                        int last)
      : ring(ring), keys(keys), block_table(block_table), last(last), ahead(block_table[0]) {}

  __device__ uint32_t pages() const { return last / page_tokens + 1; }

  /// Makes the barriers, and starts as many copies as there are stages. The block
  /// synchronizes after.
  __device__ void start_first() {
    if (lane_index() == 0)
      ring.init_barriers();
    __syncwarp();
    for (int stage = 0; stage < config.stages; ++stage)
      start();
  }

  /// All that are left.
  __device__ void run() {
    while (next < 2 * pages())
      start();
  }

  /// Starts the next copy, if there is one, once its place is free.
  __device__ __forceinline__ void start() {
    if (next >= 2 * pages())
      return;
    if (next % 2 == 0) {
      page = ahead;
      if (next / 2 + 1 < pages())
        ahead = block_table[next / 2 + 1];
    }
    if (next >= config.stages)
      barrier_wait(ring.empty(next), ring.parity(next) ^ 1);
    copy(next % 2, next == 2 * pages() - 1 ? last % page_tokens + 1 : page_tokens);
    ++next;
  }

private:
  static constexpr int head_dim = config.head_dim;

  /// Values behind the last token are zeros instead of what the pool has there: a weight of
  /// zero times an unused slot could be a NaN.
  __device__ __forceinline__ void copy(bool values, int tokens) {
    uint32_t to = ring.place(next), barrier = ring.full(next);
    const uint8_t *from =
        keys + int64_t(page) * config.page_bytes + values_offset(config) * int(values);
    if (tokens < page_tokens) {
      clear_values_from<head_dim>(to, tokens);
      fence_async_shared();
    }
    __syncwarp();
    if (lane_index() == 0) {
      constexpr int row_bytes = head_dim % 64 == 0 ? 128 : head_dim * 2;
      barrier_arrive_expect(barrier, tokens * head_dim * 2);
      if (tokens == page_tokens)
        bulk_copy(to, from, half_page_bytes(head_dim), barrier);
      else
#pragma unroll 1
        for (int part = 0; part < half_page_bytes(head_dim); part += page_tokens * row_bytes)
          bulk_copy(to + part, from + part, tokens * row_bytes, barrier);
    }
    __syncwarp();
  }

  PageRing<config> ring;
  const uint8_t *keys;
  const int32_t *block_table; // [pages]
  int last;
  uint32_t next = 0;       // half page
  int32_t page = 0, ahead; // numbers in the pool of the page asked for, and of the next
};

/// A computing warp's view of the ring.
template <AttentionConfig config> struct PageReader {
  PageRing<config> ring;

  /// Waits for the keys or values of a page; their address in shared memory.
  __device__ __forceinline__ uint32_t keys(uint32_t page) const { return wait(2 * page); }
  __device__ __forceinline__ uint32_t values(uint32_t page) const { return wait(2 * page + 1); }

  /// The warp has read them.
  __device__ __forceinline__ void release_keys(uint32_t page) const { release(2 * page); }
  __device__ __forceinline__ void release_values(uint32_t page) const { release(2 * page + 1); }

  /// Gives back unread what the other warps read.
  __device__ void skip(uint32_t page) const {
    keys(page);
    release_keys(page);
    values(page);
    release_values(page);
  }

private:
  __device__ __forceinline__ uint32_t wait(uint32_t half_page) const {
    barrier_wait(ring.full(half_page), ring.parity(half_page));
    return ring.place(half_page);
  }
  __device__ __forceinline__ void release(uint32_t half_page) const {
    if constexpr (PageRing<config>::arrivals == 32)
      fence_async_shared(); // waits for the loads
    else
      __syncwarp();
    if (PageRing<config>::arrivals == 32 || lane_index() == 0)
      barrier_arrive(ring.empty(half_page));
  }
};

} // namespace qopt::cuda
