//===- attention_decode.cuh - Attention of single tokens -------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   grid x: rows      y: KV heads      z: splits of the pages
//
// The query heads that share a KV head are the 16 rows of a fragment. Every warp of
// the `z` blocks streams its own pages. One active block merges pages in shared
// memory; several leave each page's partial result in the workspace, and the one that
// arrives last merges them all. Either way pages are merged in order.
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

  /// The warp has read it: its place is filled again.
  __device__ void release() {
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
template <AttentionConfig config> class DecodeQuery {
public:
  __device__ explicit DecodeQuery(const bf16 *query /* [group][head_dim] */)
      : lane(query + lane_index() / 4 * config.head_dim + 2 * (lane_index() % 4)) {
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
                          lane + i % 2 * 8 * config.head_dim + 16 * k + i / 2 * 8)
                    : 0;
    }
  }

  const bf16 *lane; // of this lane's first row
  uint32_t registers[in_registers ? config.head_dim / 16 : 1][4];
};

/// One page: its partial result goes to `partial` [group], each head_dim values, then
/// maximum and sum. `last`: the last token of the page that counts.
template <AttentionConfig config>
__device__ __forceinline__ void decode_page(HalfPageStream<config> &stream,
                                            const DecodeQuery<config> &query,
                                            const FragmentReader<config.head_dim> &key_rows,
                                            const FragmentReader<config.head_dim> &value_rows,
                                            int last, float *partial, int64_t partial_stride) {
  constexpr int head_dim = config.head_dim;
  float s[1][8][4];
  page_scores<head_dim, 1>(s, query, key_rows, stream.wait());
  stream.release();
  bool whole = last >= page_tokens - 1;
  if (!whole) {
    int lasts[2] = {last, last};
    mask_scores(s[0], lasts);
  }
  uint32_t p[1][4][4];
  PageSums sums = page_softmax(s[0], config.scale * log2_e, p[0]);

  uint32_t values = stream.wait();
  if (!whole) {
    clear_values_from<head_dim>(values, last + 1);
    __syncwarp();
  }
  int row = lane_index() / 4, column = 2 * (lane_index() % 4);
#pragma unroll
  for (int columns = 0; columns < head_dim / 16; ++columns) {
    float o[1][1][2][4];
    page_values<head_dim, 1, 1>(o, p, value_rows, values, columns);
#pragma unroll
    for (int r = 0; r < 2; ++r)
      if (row + 8 * r < group(config))
#pragma unroll
        for (int n = 0; n < 2; ++n)
          *reinterpret_cast<float2 *>(partial + (row + 8 * r) * partial_stride + 16 * columns +
                                      8 * n + column) =
              make_float2(o[0][0][n][2 * r], o[0][0][n][2 * r + 1]);
  }
  stream.release();
#pragma unroll
  for (int r = 0; r < 2; ++r)
    if (column == 0 && row + 8 * r < group(config))
      *reinterpret_cast<float2 *>(partial + (row + 8 * r) * partial_stride + head_dim) =
          make_float2(sums.max[r], sums.sum[r]);
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

/// The block's shared memory: each warp's stages, then what merges, then each warp's
/// mbarriers and a flag.
template <AttentionConfig config> class DecodeShared {
public:
  __device__ explicit DecodeShared(uint8_t *base) : base(base) {}

  /// Of this warp's stages.
  __device__ uint32_t ring() const {
    return shared_address(base) + warp_index() * config.stages * half_page_bytes(config.head_dim);
  }
  __device__ uint32_t barriers() const {
    return shared_address(base + merge_end) + warp_index() * config.stages * 8;
  }
  __device__ float *scratch() const { return reinterpret_cast<float *>(base + rings_end); }
  __device__ uint32_t *flag() const {
    return reinterpret_cast<uint32_t *>(base + merge_end + config.warps * config.stages * 8);
  }

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
  uint8_t *base;
};

/// The one active block of a row: its warps compute a page each, then all threads merge
/// these pages into the running result, and so on.
template <AttentionConfig config>
__device__ void decode_in_block(HalfPageStream<config> &stream, const DecodeQuery<config> &query,
                                int position, float *scratch, uint32_t *output) {
  constexpr int head_dim = config.head_dim, heads = group(config), pairs = head_dim / 2;
  constexpr int stride = partial_floats(config);
  float *partials = scratch; // [2][warps][heads][stride]
  float2 *running = reinterpret_cast<float2 *>(scratch + 2 * config.warps * heads * stride);
  // [heads][pairs]
  float2 *running_sums = running + heads * pairs; // [2][heads]: maximum, sum
  auto key_rows = key_reader<head_dim>();
  auto value_rows = row_reader<head_dim>();
  int warp = warp_index(), pages = position / page_tokens + 1;
  for (int first = 0, turn = 0; first < pages; first += config.warps, turn ^= 1) {
    float *partial = partials + turn * config.warps * heads * stride;
    int page = first + warp;
    if (page < pages)
      decode_page(stream, query, key_rows, value_rows, position - page * page_tokens,
                  partial + warp * heads * stride, stride);
    __syncthreads();
    int count = min(config.warps, pages - first);
    for (int i = threadIdx.x; i < heads * pairs; i += 32 * config.warps) {
      int head = i / pairs, pair = i % pairs;
      RunningPair sums = empty_pair();
      if (first > 0)
        sums = {running_sums[turn * heads + head].x, running_sums[turn * heads + head].y,
                running[i]};
      for (int w = 0; w < count; ++w) {
        const float *from = partial + (w * heads + head) * stride;
        sums.add(*reinterpret_cast<const float2 *>(from + 2 * pair),
                 *reinterpret_cast<const float2 *>(from + head_dim));
      }
      running[i] = sums.o;
      if (pair == 0)
        running_sums[(turn ^ 1) * heads + head] = make_float2(sums.max, sums.sum);
      if (first + count == pages)
        output[i] = sums.result();
    }
  }
}

/// All pages' partial results of a (row, KV head), [heads][max_pages][head_dim + 2]. A
/// thread has several pairs of columns under way: the loads take long, the sums little.
template <AttentionConfig config>
__device__ void merge_workspace(const float *workspace, int64_t max_pages, int pages,
                                uint32_t *output) {
  constexpr int head_dim = config.head_dim, pairs = head_dim / 2, total = group(config) * pairs;
  constexpr int stride = partial_floats(config), threads = decode_threads(config);
  constexpr int needed = (total + threads - 1) / threads, width = needed < 4 ? needed : 4;
  for (int first = threadIdx.x; first < total; first += threads * width) {
    RunningPair sums[width];
    const float *heads[width];
    int pair[width];
#pragma unroll
    for (int w = 0; w < width; ++w) {
      int i = min(first + w * threads, total - 1);
      sums[w] = empty_pair();
      heads[w] = workspace + i / pairs * max_pages * stride;
      pair[w] = i % pairs * 2;
    }
#pragma unroll 8
    for (int page = 0; page < pages; ++page)
#pragma unroll
      for (int w = 0; w < width; ++w) {
        const float *from = heads[w] + int64_t(page) * stride;
        sums[w].add(__ldcg(reinterpret_cast<const float2 *>(from + pair[w])),
                    __ldcg(reinterpret_cast<const float2 *>(from + head_dim)));
      }
#pragma unroll
    for (int w = 0; w < width; ++w)
      if (first + w * threads < total)
        output[first + w * threads] = sums[w].result();
  }
}

/// Whether this block is the last of `blocks` at the ticket; all writes of the others
/// are visible then, and the ticket is zero again.
__device__ __forceinline__ bool arrives_last(uint32_t *ticket, uint32_t blocks,
                                             uint32_t *shared_flag) {
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    bool last = atomicAdd(ticket, 1u) == blocks - 1;
    if (last)
      *ticket = 0;
    __threadfence();
    *shared_flag = last;
  }
  __syncthreads();
  return *shared_flag != 0;
}

/// One of several active blocks of a row.
template <AttentionConfig config>
__device__ void decode_split(HalfPageStream<config> &stream, const DecodeQuery<config> &query,
                             int position, int blocks, float *workspace, int64_t max_pages,
                             uint32_t *ticket, uint32_t *shared_flag, uint32_t *output) {
  constexpr int stride = partial_floats(config);
  auto key_rows = key_reader<config.head_dim>();
  auto value_rows = row_reader<config.head_dim>();
  int pages = position / page_tokens + 1, step = blocks * config.warps;
  for (int page = blockIdx.z * config.warps + warp_index(); page < pages; page += step)
    decode_page(stream, query, key_rows, value_rows, position - page * page_tokens,
                workspace + page * stride, max_pages * stride);
  if (arrives_last(ticket, blocks, shared_flag))
    merge_workspace<config>(workspace, max_pages, pages, output);
}

/// query [rows, heads * head_dim] and output (the same) by their strides; pool: the
/// cache from this layer's offset on; workspace [rows][heads][max_pages][head_dim + 2];
/// tickets [rows][kv_heads]. A row without a sequence gets zeros.
template <AttentionConfig config>
__device__ void attention_decode(const bf16 *query, const void *pool, const int32_t *positions,
                                 const int32_t *sequences, const int32_t *block_tables,
                                 int64_t max_pages, bf16 *output, int64_t rows, float *workspace,
                                 uint32_t *tickets) {
  static_assert(config.head_dim % 16 == 0 && config.head_dim <= 256);
  static_assert(config.heads % config.kv_heads == 0 && group(config) <= 16);
  static_assert(config.scale > 0, "the maximum is taken before the scale");
  constexpr int heads = group(config);
  extern __shared__ __align__(1024) uint8_t attention_shared[];
  launch_dependents();
  DecodeShared<config> shared(attention_shared);
  shared.init_barriers();
  wait_for_predecessors();

  int64_t row = blockIdx.x;
  int kv_head = blockIdx.y;
  if (row >= rows)
    return;
  uint32_t *out = reinterpret_cast<uint32_t *>(output + row * config.output_stride +
                                               kv_head * heads * config.head_dim);
  int sequence = sequences[row];
  if (sequence < 0) {
    if (blockIdx.z == 0)
      for (int i = threadIdx.x; i < heads * config.head_dim / 2; i += 32 * config.warps)
        out[i] = 0;
    return;
  }
  int position = positions[row], pages = position / page_tokens + 1;
  int blocks = min(int(gridDim.z), (pages + config.warps - 1) / config.warps);
  if (int(blockIdx.z) >= blocks)
    return;
  PageList list(block_tables + sequence * max_pages, blockIdx.z * config.warps + warp_index(),
                blocks * config.warps, pages);
  HalfPageStream<config> stream(head_keys<config>(pool, kv_head), list, shared.ring(),
                                shared.barriers());
  DecodeQuery<config> own(query + row * config.query_stride + kv_head * heads * config.head_dim);
  if (blocks == 1)
    return decode_in_block(stream, own, position, shared.scratch(), out);
  int64_t first_head = row * config.heads + kv_head * heads;
  decode_split(stream, own, position, blocks,
               workspace + first_head * max_pages * partial_floats(config), max_pages,
               tickets + row * config.kv_heads + kv_head, shared.flag(), out);
}

/// A token among the tiles of a mixed plan, by one block: every warp has pages of its own.
/// `block_table` is the sequence's, `query` and `output` are the token's first head.
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

} // namespace qopt::cuda
