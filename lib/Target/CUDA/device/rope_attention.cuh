//===- rope_attention.cuh - Rope, cache write and attention ----*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   grid x: rows      y: KV heads      z: splits, the blocks of a cluster
//
// attention_decode of raw rows: rope_append in the same launch. Pages hold the tokens of
// earlier steps, which no kernel of this one writes, so that their copies start while
// predecessors still run. What they lack, the row of the step's own token, comes from
// the block that has the sequence's last page: it rotates the key, writes key and value
// into the cache, and puts them into its copies.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_decode.cuh"
#include "rope.cuh"

namespace qopt::cuda {

/// The cache write of attention's configuration.
QOPT_BOTH_SIDES constexpr AppendConfig append_config(const AttentionConfig &c) {
  return {c.kv_heads, c.head_dim, c.key_stride, c.value_stride, c.page_bytes};
}

/// A row's query heads of one KV head, rotated, and where this block has the last page its
/// key and value, in shared memory.
template <AttentionConfig config> class DecodeToken {
public:
  static constexpr int query_stride = token_query_stride(config);

  /// rows: [group][query_stride] of the query, then key and value [head_dim].
  __device__ explicit DecodeToken(bf16 *rows)
      : rows(rows), key(rows + heads * query_stride), value(key + head_dim) {}

  __device__ const bf16 *query() const { return rows; }

  /// query [group][head_dim] as the layer before gave it, its row of the rotary table.
  /// All threads share the work, which is visible after the next barrier.
  __device__ void rotate_query(const bf16 *query, const float *table) const {
    for (int i = threadIdx.x; i < heads * pieces; i += decode_threads(config)) {
      int head = i / pieces, column = i % pieces * 8;
      rotate(query + head * head_dim, table, column, rows + head * query_stride);
    }
  }

  /// The same for key and value [head_dim], which go to the cache, too. The threads
  /// behind those of the query begin.
  __device__ void append(const bf16 *raw_key, const bf16 *raw_value, const float *table,
                         const CacheSlot<append_config(config)> &slot, int kv_head) const {
    constexpr int threads = decode_threads(config);
    int first = (threadIdx.x + threads - heads * pieces % threads) % threads;
    for (int i = first; i < 3 * pieces; i += threads) {
      if (i < pieces) {
        RotatedEight y = rotate(raw_key, table, i * 8, key);
        store_eight(slot.at(false, kv_head, i * 8), y.low);
        store_eight(slot.at(false, kv_head, i * 8 + head_dim / 2), y.high);
        continue;
      }
      int column = (i - pieces) * 8;
      Vec16 v = *reinterpret_cast<const Vec16 *>(raw_value + column);
      *reinterpret_cast<Vec16 *>(value + column) = v;
      *reinterpret_cast<Vec16 *>(slot.at(true, kv_head, column)) = v;
    }
  }

  /// Puts the token's row into a warp's copy of the last page.
  __device__ __forceinline__ void add_key(uint32_t keys, int token) const {
    add_row(keys, token, key);
  }
  __device__ __forceinline__ void add_value(uint32_t values, int token) const {
    add_row(values, token, value);
  }

private:
  static constexpr int heads = group(config), head_dim = config.head_dim;
  static constexpr int pieces = head_dim / 16; // 8 columns of each half

  __device__ __forceinline__ static RotatedEight rotate(const bf16 *head, const float *table,
                                                        int column, bf16 *to) {
    RotatedEight y = rotate_eight<head_dim>(head, table, column);
    store_eight(to + column, y.low);
    store_eight(to + column + head_dim / 2, y.high);
    return y;
  }

  __device__ __forceinline__ static void add_row(uint32_t half_page, int token, const bf16 *row) {
    int chunk = lane_index();
    if (chunk < head_dim / 8)
      store_shared_16(half_page + chunk_offset<head_dim>(token, chunk),
                      reinterpret_cast<const Vec16 *>(row)[chunk]);
    fence_async_shared(); // before a later copy to the same place
    __syncwarp();
  }

  bf16 *rows, *key, *value;
};

/// query [rows, heads * head_dim], key and value [rows, kv_heads * head_dim] by their
/// strides, not rotated; table [rows, head_dim] of the step's positions; output like the
/// query; pool: the cache from this layer's offset on. Every row is of another sequence;
/// one without a sequence gets zeros and writes nothing.
template <AttentionConfig config>
__device__ void rope_attention(const bf16 *query, const bf16 *key, const bf16 *value,
                               const float *table, void *pool, const int32_t *positions,
                               const int32_t *sequences, const int32_t *block_tables,
                               int64_t max_pages, bf16 *output, int64_t rows) {
  extern __shared__ __align__(1024) uint8_t attention_shared[];
  launch_dependents();
  DecodePlace<config> place;
  if (place.row >= rows)
    return;
  // Inputs of the step were there before its first kernel began.
  int sequence = __ldcg(sequences + place.row), position = __ldcg(positions + place.row);
  if (sequence < 0) {
    wait_for_predecessors();
    return place.clear(place.output(output));
  }
  DecodeShared<config> shared(attention_shared);
  shared.init_barriers();
  if constexpr (config.splits > 1)
    cluster_arrive();
  block_tables += sequence * max_pages;
  PageList list = pages_of_warp<config>(block_tables, place.rank, position);
  HalfPageStream<config> stream(head_keys<config>(pool, place.kv_head), list, shared.ring(),
                                shared.barriers());
  wait_for_predecessors();

  DecodeToken<config> token(shared.token());
  table += place.row * config.head_dim;
  token.rotate_query(place.query(query), table);
  if (position / page_tokens % config.splits == place.rank) {
    int column = place.kv_head * config.head_dim;
    token.append(key + place.row * config.key_stride + column,
                 value + place.row * config.value_stride + column, table,
                 CacheSlot<append_config(config)>(pool, block_tables, position), place.kv_head);
  }
  __syncthreads();
  // The other blocks run: their shared memory is there.
  if constexpr (config.splits > 1)
    cluster_wait();
  DecodeQuery<config, DecodeToken<config>::query_stride> own(token.query());
  decode_row(stream, own, token, position, shared.scratch(), place.rank, place.output(output));
}

} // namespace qopt::cuda
