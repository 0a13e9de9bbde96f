//===- attention_decode.cuh - Attention of single tokens -------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   grid x: rows      y: KV heads      z: splits, the blocks of a cluster
//
// The query heads that share a KV head are the 16 rows of a fragment. Every warp of a
// cluster streams pages of its own: warp w of block b has page w * splits + b of each
// round of warps * splits pages. The partial results of a round go to the blocks that
// merge them, each some columns of every head, page by page in order.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_page_sums.cuh"

namespace qopt::cuda {

/// The half pages k0, v0, k1, v1, ... of a warp's pages, through a ring of stages.
template <AttentionConfig config> class HalfPageStream {
public:
  /// keys: of the KV head in the pool's first page.
  __device__ HalfPageStream(const uint8_t *keys, const PageList &pages, uint32_t ring,
                            uint32_t barriers)
      : keys(keys), pages(pages), ring(ring), barriers(barriers) {
    for (int i = 0; i < config.stages; ++i)
      request(i);
  }

  /// Waits for the next half page; its address in shared memory.
  __device__ uint32_t wait() const {
    barrier_wait(barriers + 8 * slot, parity);
    return ring + slot * half_page_bytes(config.head_dim);
  }

  /// The warp has read it: its place is filled again, once all loads have come.
  __device__ void release() {
    fence_async_shared();
    __syncwarp();
    request(next + config.stages);
    ++next;
    if (++slot == config.stages) {
      slot = 0;
      parity ^= 1;
    }
  }

private:
  /// Starts the copy of half page `index`; its slot is that of `index - stages`.
  __device__ void request(int index) {
    if (index >= 2 * pages.size())
      return;
    const uint8_t *from =
        keys + int64_t(pages[index / 2]) * config.page_bytes + values_offset(config) * (index % 2);
    if (lane_index() == 0) {
      int to = index % config.stages;
      constexpr int bytes = half_page_bytes(config.head_dim);
      barrier_arrive_expect(barriers + 8 * to, bytes);
      bulk_copy(ring + to * bytes, from, bytes, barriers + 8 * to);
    }
    __syncwarp();
  }

  const uint8_t *keys;
  PageList pages;
  uint32_t ring, barriers;
  int next = 0, slot = 0;
  uint32_t parity = 0;
};

/// The A fragments of the heads that share a KV head; rows beyond them are zero. Those
/// of large heads are read again for each page: registers are short.
template <AttentionConfig config, int stride = config.head_dim> class DecodeQuery {
public:
  /// query: [group][head_dim], `stride` elements apart.
  __device__ explicit DecodeQuery(const bf16 *query)
      : lane(query + lane_index() / 4 * stride + 2 * (lane_index() % 4)) {
    if constexpr (in_registers)
#pragma unroll
      for (int k = 0; k < config.head_dim / 16; ++k)
        load(k, registers[k]);
  }
  __device__ __forceinline__ void operator()(int, int k, uint32_t (&a)[4]) const {
    if constexpr (in_registers) {
#pragma unroll
      for (int i = 0; i < 4; ++i)
        a[i] = registers[k][i];
    } else {
      load(k, a);
    }
  }

private:
  static constexpr bool in_registers = config.head_dim <= 128;

  __device__ __forceinline__ void load(int k, uint32_t (&a)[4]) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      bool exists = lane_index() / 4 + i % 2 * 8 < group(config);
      a[i] = exists ? *reinterpret_cast<const volatile uint32_t *>(
                          lane + i % 2 * 8 * stride + 16 * k + i / 2 * 8)
                    : 0;
    }
  }

  const bf16 *lane; // of this lane's first row
  uint32_t registers[in_registers ? config.head_dim / 16 : 1][4];
};

/// A page in whose copy nothing is missing.
struct CompletePage {
  __device__ __forceinline__ void add_key(uint32_t, int) const {}
  __device__ __forceinline__ void add_value(uint32_t, int) const {}
};

/// Puts two floats into block `rank` of the cluster, at the address that they have there.
template <AttentionConfig config>
__device__ __forceinline__ void store_in_block(uint32_t address, int rank, float2 values) {
  if constexpr (config.splits == 1)
    store_shared_8(address, values);
  else
    store_cluster_8(cluster_address(address, rank), values);
}

/// O of 16 columns of the heads, to the block that merges them.
template <AttentionConfig config>
__device__ __forceinline__ void store_page_values(const float (&o)[2][4], int columns,
                                                  uint32_t partial) {
  constexpr int fragments = merge_columns(config) / 16, stride = 4 * partial_floats(config);
  int row = lane_index() / 4, column = 2 * (lane_index() % 4);
#pragma unroll
  for (int r = 0; r < 2; ++r)
    if (row + 8 * r < group(config))
#pragma unroll
      for (int n = 0; n < 2; ++n)
        store_in_block<config>(partial + (row + 8 * r) * stride +
                                   4 * (columns % fragments * 16 + 8 * n + column),
                               columns / fragments, make_float2(o[n][2 * r], o[n][2 * r + 1]));
}

/// The heads' maxima and sums, to every block.
template <AttentionConfig config>
__device__ __forceinline__ void store_page_sums(const PageSums &sums, uint32_t partial) {
  int row = lane_index() / 4;
#pragma unroll
  for (int r = 0; r < 2; ++r)
    if (lane_index() % 4 == 0 && row + 8 * r < group(config))
#pragma unroll
      for (int rank = 0; rank < config.splits; ++rank)
        store_in_block<config>(
            partial + 4 * ((row + 8 * r) * partial_floats(config) + merge_columns(config)), rank,
            make_float2(sums.max[r], sums.sum[r]));
}

/// One page: its partial result goes to `partial` [group][partial_floats] of the blocks
/// that merge. `last`: the last token that counts, if it is in the page; `token` adds to
/// the page's copies what they lack of it.
template <AttentionConfig config, template <AttentionConfig> class Stream, class Query,
          class Token>
__device__ __forceinline__ void decode_page(Stream<config> &stream, const Query &query,
                                            const FragmentReader<config.head_dim> &key_rows,
                                            const FragmentReader<config.head_dim> &value_rows,
                                            int last, const Token &token, uint32_t partial) {
  constexpr int head_dim = config.head_dim;
  bool ends = last < page_tokens;
  uint32_t keys = stream.wait();
  if (ends)
    token.add_key(keys, last);
  float s[1][8][4];
  page_scores<head_dim, 1>(s, query, key_rows, keys);
  stream.release();
  if (ends) {
    int lasts[2] = {last, last};
    mask_scores(s[0], lasts);
  }
  uint32_t p[1][4][4];
  PageSums sums = page_softmax(s[0], config.scale * log2_e, p[0]);
  store_page_sums<config>(sums, partial);

  uint32_t values = stream.wait();
  if (ends) {
    token.add_value(values, last);
    clear_values_from<head_dim>(values, last + 1);
    __syncwarp();
  }
#pragma unroll
  for (int columns = 0; columns < head_dim / 16; ++columns) {
    float o[1][1][2][4];
    page_values<head_dim, 1, 1>(o, p, value_rows, values, columns);
    store_page_values<config>(o[0][0], columns, partial);
  }
  stream.release();
}

/// Running sums of two columns of a head.
struct RunningPair {
  float max, sum;
  float2 o;

  /// Adds a page's partial result of the head: `head_dim` values, maximum and sum.
  __device__ __forceinline__ void add(float2 page_o, float2 max_and_sum) {
    MergeFactors f = merge_factors(max, max_and_sum.x);
    max = f.max;
    sum = merge(f, sum, max_and_sum.y);
    o = make_float2(merge(f, o.x, page_o.x), merge(f, o.y, page_o.y));
  }
  __device__ __forceinline__ uint32_t result() const {
    Normalizer by = normalizer(sum);
    return pack_bf16(by(o.x), by(o.y));
  }
};
__device__ __forceinline__ RunningPair empty_pair() {
  return {minus_infinity(), 0.0f, make_float2(0.0f, 0.0f)};
}

/// The block's shared memory: each warp's stages, then what merges, the token's rows,
/// and each warp's mbarriers.
template <AttentionConfig config> class DecodeShared {
public:
  __device__ explicit DecodeShared(uint8_t *base) : base(base) {}

  /// Of this warp's stages.
  __device__ uint32_t ring() const {
    return shared_address(base) + warp_index() * config.stages * half_page_bytes(config.head_dim);
  }
  __device__ uint32_t barriers() const {
    return shared_address(base + token_end) + warp_index() * config.stages * 8;
  }
  __device__ float *scratch() const { return reinterpret_cast<float *>(base + rings_end); }
  __device__ bf16 *token() const { return reinterpret_cast<bf16 *>(base + merge_end); }

  __device__ void init_barriers() const {
    uint32_t own = barriers();
    if (lane_index() == 0) {
      for (int i = 0; i < config.stages; ++i)
        barrier_init(own + 8 * i, 1);
      fence_barrier_init();
    }
    __syncwarp();
  }

private:
  static constexpr int rings_end = config.warps * config.stages * half_page_bytes(config.head_dim);
  static constexpr int merge_end = rings_end + decode_merge_bytes(config);
  static constexpr int token_end = merge_end + decode_token_bytes(config);
  static_assert(merge_end % 16 == 0 && token_end % 8 == 0);
  uint8_t *base;
};

/// What a block merges: its columns of every head, of all pages in order.
template <AttentionConfig config> class DecodeMerger {
public:
  /// scratch: decode_merge_bytes; rank: of the block in its cluster.
  __device__ DecodeMerger(float *scratch, int rank)
      : partials(scratch), running(reinterpret_cast<float2 *>(scratch + 2 * round_floats)),
        running_sums(running + heads * columns / 2), first_column(rank * columns) {}

  /// Where a page's partial result goes, in every block; rounds take turns.
  __device__ uint32_t partial(int turn, int page_of_round) const {
    return shared_address(partials + turn * round_floats + page_of_round * heads * stride);
  }

  /// Adds the first `pages` of a round to the running result; `output` [group][head_dim / 2]
  /// of pairs gets the result if it is the last one.
  __device__ void merge(int turn, int pages, bool is_first, bool is_last, uint32_t *output) {
    int pairs = min(columns, config.head_dim - first_column) / 2; // none, perhaps
    for (int i = threadIdx.x; i < heads * pairs; i += decode_threads(config)) {
      int head = i / pairs, pair = i % pairs;
      RunningPair sums = empty_pair();
      if (!is_first)
        sums = {running_sums[turn * heads + head].x, running_sums[turn * heads + head].y,
                running[i]};
      const float *from = partials + turn * round_floats + head * stride;
#pragma unroll 4
      for (int page = 0; page < pages; ++page, from += heads * stride)
        sums.add(*reinterpret_cast<const float2 *>(from + 2 * pair),
                 *reinterpret_cast<const float2 *>(from + columns));
      if (is_last) {
        output[(head * config.head_dim + first_column) / 2 + pair] = sums.result();
        continue;
      }
      running[i] = sums.o;
      if (pair == 0)
        running_sums[(turn ^ 1) * heads + head] = make_float2(sums.max, sums.sum);
    }
  }

private:
  static constexpr int heads = group(config), columns = merge_columns(config);
  static constexpr int stride = partial_floats(config);
  static constexpr int round_floats = round_pages(config) * heads * stride;

  float *partials;      // [2][round_pages][heads][stride]
  float2 *running;      // [heads][columns / 2]
  float2 *running_sums; // [2][heads]: maximum, sum
  int first_column;
};

/// All blocks that share the row: what they have written is visible to the others.
template <AttentionConfig config> __device__ __forceinline__ void sync_splits() {
  if constexpr (config.splits == 1) {
    __syncthreads();
  } else {
    cluster_arrive();
    cluster_wait();
  }
}

/// The pages of warp `warp` of block `rank`.
template <AttentionConfig config>
__device__ PageList pages_of_warp(const int32_t *block_table, int rank, int position) {
  return {block_table, int(warp_index()) * config.splits + rank, round_pages(config),
          position / page_tokens + 1};
}

/// A row, by the blocks of a cluster: in each round their warps compute a page each,
/// then every block merges its columns. A round's partial results are overwritten two
/// rounds later, when all blocks have passed the barrier after merging them.
template <AttentionConfig config, template <AttentionConfig> class Stream, class Query,
          class Token>
__device__ void decode_row(Stream<config> &stream, const Query &query, const Token &token,
                           int position, float *scratch, int rank, uint32_t *output) {
  constexpr int step = round_pages(config);
  auto key_rows = key_reader<config.head_dim>();
  auto value_rows = row_reader<config.head_dim>();
  DecodeMerger<config> merger(scratch, rank);
  int own = warp_index() * config.splits + rank, pages = position / page_tokens + 1;
  for (int first = 0, turn = 0; first < pages; first += step, turn ^= 1) {
    int page = first + own;
    if (page < pages)
      decode_page(stream, query, key_rows, value_rows, position - page * page_tokens, token,
                  merger.partial(turn, own));
    sync_splits<config>();
    merger.merge(turn, min(step, pages - first), first == 0, first + step >= pages, output);
  }
}

/// The row, KV head and block of a cluster that a block works on.
template <AttentionConfig config> struct DecodePlace {
  static constexpr int columns = group(config) * config.head_dim;
  static_assert(config.head_dim % 16 == 0 && config.head_dim <= 256);
  static_assert(config.heads % config.kv_heads == 0 && group(config) <= 16);
  static_assert(config.splits >= 1 && config.splits <= max_splits);
  static_assert(config.scale > 0, "the maximum is taken before the scale");

  int64_t row = blockIdx.x;
  int kv_head = blockIdx.y, rank = blockIdx.z;

  /// The KV head's query heads and results in the row.
  __device__ const bf16 *query(const bf16 *rows) const {
    return rows + row * config.query_stride + kv_head * columns;
  }
  __device__ uint32_t *output(bf16 *rows) const {
    return reinterpret_cast<uint32_t *>(rows + row * config.output_stride + kv_head * columns);
  }
  __device__ void clear(uint32_t *output) const {
    if (rank == 0)
      for (int i = threadIdx.x; i < columns / 2; i += decode_threads(config))
        output[i] = 0;
  }
};

/// query [rows, heads * head_dim] and output (the same) by their strides; pool: the
/// cache from this layer's offset on. A row without a sequence gets zeros.
template <AttentionConfig config>
__device__ void attention_decode(const bf16 *query, const void *pool, const int32_t *positions,
                                 const int32_t *sequences, const int32_t *block_tables,
                                 int64_t max_pages, bf16 *output, int64_t rows) {
  extern __shared__ __align__(1024) uint8_t attention_shared[];
  launch_dependents();
  DecodePlace<config> place;
  DecodeShared<config> shared(attention_shared);
  shared.init_barriers();
  wait_for_predecessors();
  if (place.row >= rows)
    return;
  int sequence = sequences[place.row], position = positions[place.row];
  if (sequence < 0)
    return place.clear(place.output(output));
  PageList list =
      pages_of_warp<config>(block_tables + sequence * max_pages, place.rank, position);
  HalfPageStream<config> stream(head_keys<config>(pool, place.kv_head), list, shared.ring(),
                                shared.barriers());
  DecodeQuery<config> own(place.query(query));
  // The others must run before anything is put into their shared memory.
  if constexpr (config.splits > 1)
    sync_splits<config>();
  decode_row(stream, own, CompletePage(), position, shared.scratch(), place.rank,
             place.output(output));
}

/// A token among the tiles of a mixed plan, by one block: every warp has pages of its own.
/// `block_table` is the sequence's, `query` and `output` are the token's first head.
template <AttentionConfig config>
__device__ void attend_single_token(const bf16 *query, const uint8_t *keys,
                                    const int32_t *block_table, int position, bf16 *output,
                                    uint8_t *shared_memory) {
  DecodeShared<config> shared(shared_memory);
  shared.init_barriers();
  HalfPageStream<config> stream(keys, pages_of_warp<config>(block_table, 0, position),
                                shared.ring(), shared.barriers());
  DecodeQuery<config> own(query);
  decode_row(stream, own, CompletePage(), position, shared.scratch(), 0,
             reinterpret_cast<uint32_t *>(output));
}

} // namespace qopt::cuda
