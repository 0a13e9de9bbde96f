//===- gemm_pipeline.cuh - The ring of stages of a linear layer ---*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One warp copies, the others compute. A stage in shared memory:
//
//   tokens   [boxes][tile_t][128 bytes], 128-byte swizzle; or, by row copies,
//            [tile_t][bytes of k_stage columns + 16]
//   weights  fragment, and swizzled for mma.sync: [units][bytes of a unit]
//            swizzled for wgmma: [rows of 128 bytes][units][16][128 bytes], so that the
//            channels of a warpgroup stand together
//
// A prologue's tokens stand before the ring, all columns of them: as rows [tile_t][bytes of
// K + 16], or (wgmma) in boxes.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "gemm_config.h"
#include "ptx.cuh"

namespace qopt::cuda {

/// Addresses of the ring in shared memory.
template <GemmConfig config> struct Ring {
  uint32_t base;

  __device__ uint32_t stage(int stage) const {
    return base + prologue_bytes(config) + stage * stage_bytes(config);
  }
  /// The tokens of stage `stage` of the ring, which is stage `index` of the walk.
  __device__ uint32_t tokens(int stage, int index) const {
    if constexpr (!has_prologue(config))
      return this->stage(stage);
    constexpr int kColumnBytes = has_token_rows(config) ? 1 : config.tile_t;
    return base + index * config.k_stage * bytes(token_number(config)) * kColumnBytes;
  }
  __device__ uint32_t weights(int stage) const {
    return this->stage(stage) + stage_token_bytes(config);
  }
  /// Where a warpgroup stages its outputs.
  __device__ uint32_t output_stage(int group) const {
    return base + output_stage_offset(config) + group * staged_buffers(config) * kStagedBytes;
  }
  /// Where the warps of a unit give each other their sums.
  __device__ uint32_t exchange(int unit) const {
    return base + exchange_offset(config) + unit * unit_exchange_bytes(config);
  }
  /// Complete when a stage's bytes have come.
  __device__ uint32_t full(int stage) const { return base + barriers_offset(config) + stage * 8; }
  /// Complete when every computing warp, of all blocks of the cluster, has read a stage.
  __device__ uint32_t empty(int stage) const { return full(stage) + config.stages * 8; }

  __device__ void init() const {
    for (int stage = 0; stage < config.stages; ++stage) {
      barrier_init(full(stage), 1);
      barrier_init(empty(stage), consumer_warps(config) * config.cluster);
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

/// The tile that a block is at. Persistent blocks go through bands of token tiles, in a band
/// through the channels, tokens fastest: the blocks at work share weights and tokens.
template <GemmConfig config> struct Tile {
  int64_t first_unit;
  int unit_count;
  int first_row;

  __device__ __forceinline__ explicit Tile(int64_t rows)
      : index(is_persistent(config) ? blockIdx.y / config.cluster
                                    : blockIdx.y * gridDim.x + blockIdx.x),
        row_tiles(int((rows + config.tile_t - 1) / config.tile_t)) {
    if constexpr (is_persistent(config))
      place_in_band();
    else
      place(blockIdx.x, blockIdx.y);
  }
  __device__ __forceinline__ bool valid() const {
    return !is_persistent(config) ? index >= 0 : index < row_tiles * kChannelTiles;
  }
  __device__ __forceinline__ void next() {
    index = is_persistent(config) ? index + int(gridDim.y) / config.cluster : -1;
    if constexpr (is_persistent(config))
      place_in_band();
  }

private:
  static constexpr int kChannelTiles = channel_tiles(config) / config.cluster; // of a cluster
  int index, row_tiles; // the tile of the cluster

  __device__ __forceinline__ void place_in_band() {
    const int first = index / (kBandTiles * kChannelTiles) * kBandTiles;
    const int in_band = index - first * kChannelTiles;
    const int tiles = min(row_tiles - first, kBandTiles); // of the last band perhaps fewer
    place(first + in_band % tiles,
          in_band / tiles * config.cluster + int(blockIdx.y) % config.cluster);
  }

  __device__ __forceinline__ void place(int row_tile, int channel_tile) {
    first_row = row_tile * config.tile_t;
    first_unit = cuda::first_unit(config, channel_tile);
    const int next = config.spread ? cuda::first_unit(config, channel_tile + 1)
                                   : int(first_unit) + config.tile_n / kUnit;
    unit_count = min(next, units(config)) - int(first_unit);
  }
};

/// The copying thread of a block.
template <GemmConfig config> struct Producer {
  static constexpr int kUnits = config.tile_n / kUnit;
  /// wgmma reads the rows of its units side by side: copies of one block each.
  static constexpr bool kBlockwise = config.wgmma && !is_fragment(config);
  /// Weights that no other block of the launch reads may leave the cache at once.
  static constexpr bool kReadOnce = config.tile_t <= 32;

  Ring<config> ring;
  const TensorMap *map;
  const uint8_t *image;
  int64_t rows;
  const uint8_t *tokens; // row copies: the first token
  int64_t token_stride;  // bytes

  /// Bytes of a unit that stage `index` brings.
  __device__ int unit_piece(int index) const {
    if constexpr (is_per_channel(config)) {
      int left = block_columns(config) - index * config.k_stage;
      return code_bytes(config, left < config.k_stage ? left : config.k_stage);
    } else {
      return blocks_of_stage<config>(index) * block_bytes(config);
    }
  }

  __device__ __forceinline__ void copy_weights(const Tile<config> &tile, int index, int stage,
                                               uint64_t policy) const {
    const int piece = unit_piece(index), blocks = blocks_of_stage<config>(index);
    barrier_arrive_expect(ring.full(stage), token_bytes(index) + tile.unit_count * piece);
    const uint8_t *source =
        image + tile.first_unit * unit_bytes(config) + int64_t(index) * stage_unit_bytes(config);
    const uint32_t to = ring.weights(stage);
    if constexpr (!kBlockwise) {
#pragma unroll
      for (int unit = 0; unit < kUnits; ++unit)
        if (unit < tile.unit_count)
          copy(to + unit * stage_unit_bytes(config), source + unit * unit_bytes(config), piece,
               stage, policy);
    } else {
#pragma unroll
      for (int block = 0; block < stage_blocks(config); ++block)
#pragma unroll
        for (int unit = 0; unit < kUnits; ++unit)
          if (block < blocks && unit < tile.unit_count)
            copy(to + (block * kUnits + unit) * kBlockBytes,
                 source + unit * unit_bytes(config) + block * kBlockBytes, kBlockBytes, stage,
                 policy);
    }
  }
  __device__ __forceinline__ void copy(uint32_t to, const uint8_t *from, int size, int stage,
                                       uint64_t policy) const {
    if constexpr (kReadOnce)
      bulk_copy(to, from, size, ring.full(stage), policy);
    else
      bulk_copy(to, from, size, ring.full(stage));
  }

  /// Bytes of a token's row that stage `index` has.
  __device__ static int row_piece(int index) {
    const int left = config.k - index * config.k_stage;
    return (left < config.k_stage ? left : config.k_stage) * bytes(token_number(config));
  }
  __device__ static int token_bytes(int index) {
    return config.row_copies ? config.tile_t * row_piece(index) : stage_token_bytes(config);
  }

  /// A box takes the copy engine about as long as a row of many columns: few tokens come
  /// faster row by row.
  __device__ __forceinline__ void copy_tokens(const Tile<config> &tile, int index,
                                              int stage) const {
    const uint32_t to = ring.tokens(stage, index), barrier = ring.full(stage);
    if constexpr (has_prologue(config)) {
      return;
    } else if constexpr (config.row_copies) {
      const int64_t first = int64_t(index) * config.k_stage * bytes(token_number(config));
#pragma unroll
      for (int t = 0; t < config.tile_t; ++t) {
        const int64_t row = tile.first_row + t < rows ? tile.first_row + t : rows - 1;
        bulk_copy(to + t * token_row_bytes(config), tokens + row * token_stride + first,
                  row_piece(index), barrier);
      }
    } else {
      const int first = index * stage_boxes(config); // a box is 128 bytes of a row
      const int part = int(blockIdx.y) % config.cluster * box_tokens(config);
#pragma unroll
      for (int box = 0; box < stage_boxes(config); ++box) {
        const uint32_t at = to + (box * config.tile_t + part) * kRowBytes;
        if constexpr (config.cluster > 1)
          tensor_copy_to_cluster<config.cluster>(at, map, (first + box) * kRowBytes,
                                                 tile.first_row + part, barrier);
        else
          tensor_copy(at, map, (first + box) * kRowBytes, tile.first_row, barrier);
      }
    }
  }

  /// Weights do not depend on the kernels before this one: the first stages of them are
  /// on their way before the tokens are there.
  __device__ void run() const {
    constexpr int kCount = stage_count(config);
    constexpr int kFirst = kCount < config.stages ? kCount : config.stages;
    const uint64_t policy = kReadOnce ? evict_first_policy() : 0;
    Tile<config> tile(rows);
    if (tile.valid())
      for (int index = 0; index < kFirst; ++index)
        copy_weights(tile, index, index, policy);
    wait_for_predecessors();
    int done = kFirst; // stages of the tile whose weights are under way
    RingPosition<config> position;
    bool wrapped = false; // stages are free at first, later when they have been read
    for (; tile.valid(); tile.next(), done = 0) {
#pragma unroll 1
      for (int index = 0; index < kCount; ++index) {
        if (index >= done) {
          if (wrapped)
            barrier_wait(ring.empty(position.stage), position.parity ^ 1);
          copy_weights(tile, index, position.stage, policy);
        }
        copy_tokens(tile, index, position.stage);
        position.advance();
        wrapped |= position.stage == 0;
      }
    }
    // The block must stay until the others of its cluster have released its stages.
    if constexpr (config.cluster > 1)
      for (int i = 0; i < config.stages; ++i) {
        if (wrapped)
          barrier_wait(ring.empty(position.stage), position.parity ^ 1);
        position.advance();
        wrapped |= position.stage == 0;
      }
  }
};

} // namespace qopt::cuda
