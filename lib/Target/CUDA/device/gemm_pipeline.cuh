//===- gemm_pipeline.cuh - The ring of stages of a linear layer ---*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One warp copies, the others compute. A stage in shared memory:
//
//   tokens   [boxes][tile_t][128 bytes], 128-byte swizzle
//   weights  fragment, and swizzled for mma.sync: [units][bytes of a unit]
//            swizzled for wgmma: [rows of 128 bytes][units][16][128 bytes], so that the
//            channels of a warpgroup stand together
//
//===----------------------------------------------------------------------===//

#pragma once

#include "gemm_config.h"
#include "ptx.cuh"

namespace qopt::cuda {

/// Addresses of the ring in shared memory.
template <GemmConfig config> struct Ring {
  uint32_t base;

  __device__ uint32_t tokens(int stage) const { return base + stage * stage_bytes(config); }
  __device__ uint32_t weights(int stage) const { return tokens(stage) + stage_token_bytes(config); }
  /// Where the warps of a unit give each other their sums.
  __device__ uint32_t exchange(int unit) const {
    return base + exchange_offset(config) + unit * unit_exchange_bytes(config);
  }
  /// Complete when a stage's bytes have come.
  __device__ uint32_t full(int stage) const { return base + barriers_offset(config) + stage * 8; }
  /// Complete when every computing warp has read a stage.
  __device__ uint32_t empty(int stage) const { return full(stage) + config.stages * 8; }

  __device__ void init() const {
    for (int stage = 0; stage < config.stages; ++stage) {
      barrier_init(full(stage), 1);
      barrier_init(empty(stage), consumer_warps(config));
    }
    fence_barrier_init();
  }
};

/// Where a warp is in the ring: the stage, and the parity of its current round.
template <GemmConfig config> struct RingPosition {
  int stage = 0;
  uint32_t parity = 0;

  __device__ void advance() {
    if (++stage < config.stages)
      return;
    stage = 0;
    parity ^= 1;
  }
};

/// Blocks of a unit that stage `index` of the walk has.
template <GemmConfig config> __device__ __forceinline__ int blocks_of_stage(int index) {
  constexpr int kPerStage = stage_blocks(config);
  if constexpr (is_per_channel(config) || blocks(config) % kPerStage == 0)
    return kPerStage;
  int left = blocks(config) - index * kPerStage;
  return left < kPerStage ? left : kPerStage;
}

/// The copying warp of a block.
template <GemmConfig config> struct Producer {
  static constexpr int kUnits = config.tile_n / kUnit;
  /// wgmma reads the rows of its units side by side: copies of one block each.
  static constexpr bool kBlockwise = config.wgmma && !is_fragment(config);
  /// Weights that no other block of the launch reads may leave the cache at once.
  static constexpr bool kReadOnce = config.tile_t <= 32;

  Ring<config> ring;
  const TensorMap *map;
  const uint8_t *weight; // the first unit of the block
  int units;             // units of the block that the image has
  int row;               // the first token

  /// Bytes of a unit that stage `index` brings.
  __device__ int unit_piece(int index) const {
    if constexpr (is_per_channel(config)) {
      int left = block_columns(config) - index * config.k_stage;
      return code_bytes(config, left < config.k_stage ? left : config.k_stage);
    } else {
      return blocks_of_stage<config>(index) * block_bytes(config);
    }
  }

  __device__ void copy_weights(int index, int stage, uint64_t policy) const {
    const int piece = unit_piece(index);
    if (lane_index() == 0)
      barrier_arrive_expect(ring.full(stage), stage_token_bytes(config) + units * piece);
    __syncwarp();
    const uint8_t *source = weight + int64_t(index) * stage_unit_bytes(config);
    const int copies = kBlockwise ? kUnits * blocks_of_stage<config>(index) : kUnits;
    for (int i = lane_index(); i < copies; i += 32) {
      const int unit = i % kUnits, block = i / kUnits;
      if (unit >= units)
        continue;
      const uint8_t *from = source + unit * unit_bytes(config) + block * kBlockBytes;
      const int size = kBlockwise ? kBlockBytes : piece;
      const uint32_t to =
          ring.weights(stage) + i * (kBlockwise ? kBlockBytes : stage_unit_bytes(config));
      if constexpr (kReadOnce)
        bulk_copy(to, from, size, ring.full(stage), policy);
      else
        bulk_copy(to, from, size, ring.full(stage));
    }
  }

  __device__ void copy_tokens(int index, int stage) const {
    for (int box = lane_index(); box < stage_boxes(config); box += 32)
      tensor_copy(ring.tokens(stage) + box * config.tile_t * kRowBytes, map,
                  index * config.k_stage + box * box_columns(config), row, ring.full(stage));
  }

  /// Weights do not depend on the kernels before this one: the first stages of them are
  /// on their way before the tokens are there.
  __device__ void run() const {
    constexpr int kCount = stage_count(config);
    constexpr int kFirst = kCount < config.stages ? kCount : config.stages;
    const uint64_t policy = kReadOnce ? evict_first_policy() : 0;
    for (int index = 0; index < kFirst; ++index)
      copy_weights(index, index, policy);
    wait_for_predecessors();
    for (int index = 0; index < kFirst; ++index)
      copy_tokens(index, index);
    RingPosition<config> position;
    for (int index = kFirst; index < kCount; ++index) {
      barrier_wait(ring.empty(position.stage), position.parity);
      copy_weights(index, position.stage, policy);
      copy_tokens(index, position.stage);
      position.advance();
    }
  }
};

} // namespace qopt::cuda
