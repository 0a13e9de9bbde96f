//===- sample_group.cuh - The blocks that sample a row --------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#pragma once

#include "ptx.cuh"
#include "sample_config.h"

namespace qopt::cuda {

/// Larger for larger floats; both zeros are the same.
__device__ __forceinline__ uint32_t ordered_bits(float x) {
  uint32_t bits = float_to_bits(__fadd_rn(x, 0.0f));
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float from_ordered_bits(uint32_t ordered) {
  return bits_to_float(ordered & 0x80000000u ? ordered & 0x7fffffffu : ~ordered);
}

/// What a block shares, with its cluster where there is one. What blocks read of each other
/// is there twice: who writes one again has met all others since they read it.
struct SampleShared {
  uint32_t low[2][256], high[2][256]; // words of sums of intervals
  uint64_t sums[256];                 // of the cluster
  uint64_t totals[2];                 // of the block
  uint64_t warps[32];
  uint64_t list[sample_list]; // candidates, in the first block
  uint32_t candidates;        // that wanted into the list
  uint64_t found, before;
};

/// The threads of the blocks that share a row, which are a cluster along z. All of them call
/// its functions, but for add_to_first.
template <SampleConfig config> class SampleGroup {
public:
  __device__ explicit SampleGroup(SampleShared &shared) : shared(shared) {}

  __device__ static int rank() { return config.blocks > 1 ? int(blockIdx.z) : 0; }

  /// Everything written before is visible to all after.
  __device__ static void sync() {
    if constexpr (config.blocks > 1) {
      __syncwarp();
      cluster_arrive();
      cluster_wait();
    } else {
      __syncthreads();
    }
  }

  /// Sum, or maximum, of a value of each thread, for every thread.
  __device__ __forceinline__ uint64_t sum(uint64_t value) {
    exchange(block_sum(value));
    uint64_t total = 0;
    for (int block = 0; block < config.blocks; ++block)
      total += other(shared.totals[turn], block);
    return total;
  }
  __device__ __forceinline__ uint64_t max(uint64_t value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
      value = ::max(value, __shfl_xor_sync(0xffffffffu, value, distance));
    gather_warps(value);
    for (int w = 0; w < sample_threads(config) / 32; ++w)
      value = ::max(value, shared.warps[w]);
    exchange(value);
    for (int block = 0; block < config.blocks; ++block)
      value = ::max(value, other(shared.totals[turn], block));
    return value;
  }
  /// Sum in float64: threads of a warp, warps, blocks, in this order.
  __device__ __forceinline__ double sum(double value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
      value += __shfl_xor_sync(0xffffffffu, value, distance);
    gather_warps(__double_as_longlong(value));
    value = 0;
    for (int w = 0; w < sample_threads(config) / 32; ++w)
      value += __longlong_as_double(shared.warps[w]);
    exchange(__double_as_longlong(value));
    value = 0;
    for (int block = 0; block < config.blocks; ++block)
      value += __longlong_as_double(other(shared.totals[turn], block));
    return value;
  }
  /// The sum of what the threads before this thread's warp have: of earlier blocks, and of
  /// earlier warps of this one. `own` becomes the sum of the warp.
  __device__ __forceinline__ uint64_t sum_before_warp(uint64_t &own) {
    exchange(block_sum(own));
    uint64_t before = 0;
    for (int block = 0; block < rank(); ++block)
      before += other(shared.totals[turn], block);
    for (int w = 0; w < int(threadIdx.x / 32); ++w)
      before += shared.warps[w];
    own = shared.warps[threadIdx.x / 32];
    return before;
  }
  /// The sum of what the threads of this block before this one have.
  __device__ __forceinline__ uint64_t block_sum_before(uint64_t own) {
    uint64_t through = warp_sum_through(own);
    __syncthreads();
    if (lane_index() == 31)
      shared.warps[threadIdx.x / 32] = through;
    __syncthreads();
    for (int w = 0; w < int(threadIdx.x / 32); ++w)
      through += shared.warps[w];
    return through - own;
  }

  /// Sums of 256 intervals over the cluster: clear, add_to_interval, sum_intervals.
  __device__ __forceinline__ void clear_intervals() {
    turn ^= 1;
    if (threadIdx.x < 256)
      shared.low[turn][threadIdx.x] = shared.high[turn][threadIdx.x] = 0;
    __syncthreads();
  }
  /// In two words, which multiprocessors add to without a loop.
  __device__ __forceinline__ void add_to_interval(int interval, uint64_t value) {
    uint32_t low = uint32_t(value), high = uint32_t(value >> 32);
    if (uint32_t old = atomicAdd(&shared.low[turn][interval], low); old + low < old)
      ++high;
    if (high != 0)
      atomicAdd(&shared.high[turn][interval], high);
  }
  __device__ __forceinline__ void count_in_interval(int interval) {
    atomicAdd(&shared.low[turn][interval], 1u);
  }
  /// Into shared.sums.
  __device__ __forceinline__ void sum_intervals() {
    sync();
    if (threadIdx.x < 256) {
      uint64_t total = 0;
#pragma unroll
      for (int block = 0; block < config.blocks; ++block)
        total += (uint64_t(other(shared.high[turn][threadIdx.x], block)) << 32) +
                 other(shared.low[turn][threadIdx.x], block);
      shared.sums[threadIdx.x] = total;
    }
    __syncthreads();
  }
  /// The sum of shared.sums.
  __device__ __forceinline__ uint64_t sum_of_intervals() {
    uint64_t total = 0;
#pragma unroll
    for (int i = 0; i < 8; ++i)
      total += shared.sums[lane_index() * 8 + i];
    return warp_sum(total);
  }
  /// The interval at which `before` plus the running sum over shared.sums exceeds `target`;
  /// `before` becomes the sum up to it.
  __device__ __forceinline__ int interval_beyond(uint64_t target, uint64_t &before) {
    __syncthreads();
    if (threadIdx.x < 32)
      find_interval(target, before);
    __syncthreads();
    before = shared.before;
    return int(shared.found);
  }

  /// Adds to a word of the first block; returns what it was.
  __device__ __forceinline__ static uint32_t add_to_first(uint32_t &word, uint32_t value) {
    uint32_t old = 0;
    if constexpr (config.blocks > 1)
      asm volatile("atom.relaxed.cluster.shared::cluster.add.u32 %0, [%1], %2;"
                   : "=r"(old)
                   : "r"(cluster_address(shared_address(&word), 0)), "r"(value)
                   : "memory");
    else
      old = atomicAdd(&word, value);
    return old;
  }
  __device__ __forceinline__ static void store_to_first(uint64_t &word, uint64_t value) {
    if constexpr (config.blocks > 1)
      asm volatile(
          "st.shared::cluster.u64 [%0], %1;" ::"r"(cluster_address(shared_address(&word), 0)),
          "l"(value)
          : "memory");
    else
      word = value;
  }
  /// What block `block` has at this block's `word`.
  __device__ __forceinline__ static uint64_t other(const uint64_t &word, int block) {
    uint64_t value = word;
    if constexpr (config.blocks > 1)
      asm volatile("ld.shared::cluster.u64 %0, [%1];"
                   : "=l"(value)
                   : "r"(cluster_address(shared_address(&word), block))
                   : "memory");
    return value;
  }
  __device__ __forceinline__ static uint32_t other(const uint32_t &word, int block) {
    uint32_t value = word;
    if constexpr (config.blocks > 1)
      asm volatile("ld.shared::cluster.u32 %0, [%1];"
                   : "=r"(value)
                   : "r"(cluster_address(shared_address(&word), block))
                   : "memory");
    return value;
  }

  __device__ __forceinline__ static uint64_t warp_sum(uint64_t value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
      value += __shfl_xor_sync(0xffffffffu, value, distance);
    return value;
  }
  /// The sum of the lanes up to this one.
  __device__ __forceinline__ static uint64_t warp_sum_through(uint64_t value) {
#pragma unroll
    for (int distance = 1; distance < 32; distance *= 2) {
      uint64_t before = __shfl_up_sync(0xffffffffu, value, distance);
      if (int(lane_index()) >= distance)
        value += before;
    }
    return value;
  }

  SampleShared &shared;

private:
  /// A value of each warp, into shared.warps.
  __device__ __forceinline__ void gather_warps(uint64_t value) {
    __syncthreads();
    if (lane_index() == 0)
      shared.warps[threadIdx.x / 32] = value;
    __syncthreads();
  }
  __device__ __forceinline__ uint64_t block_sum(uint64_t value) {
    gather_warps(warp_sum(value));
    uint64_t total = 0;
    for (int w = 0; w < sample_threads(config) / 32; ++w)
      total += shared.warps[w];
    return total;
  }
  /// Shows the block's value to the cluster, in shared.totals[turn].
  __device__ __forceinline__ void exchange(uint64_t value) {
    turn ^= 1;
    if (threadIdx.x == 0)
      shared.totals[turn] = value;
    sync();
  }
  /// By one warp, of which a lane has eight intervals.
  __device__ __forceinline__ void find_interval(uint64_t target, uint64_t before) {
    int first = int(lane_index()) * 8;
    uint64_t own = 0;
#pragma unroll
    for (int i = 0; i < 8; ++i)
      own += shared.sums[first + i];
    uint64_t start = before + warp_sum_through(own) - own;
    if (start > target || start + own <= target)
      return;
    int interval = first;
    while (start + shared.sums[interval] <= target)
      start += shared.sums[interval++];
    shared.found = interval;
    shared.before = start;
  }

  int turn = 0; // of what is there twice
};

} // namespace qopt::cuda
