//===- gemm_wgmma.cuh - Sums of a warpgroup with wgmma ------------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For many tokens, and for e4m3 always: a warpgroup has 64 channels, and all tokens of
// the tile. K is walked in the order of gemm_mma.cuh, with the same borders of partial
// sums, so that both give the same bits.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "gemm_dequantize.cuh"
#include "gemm_pipeline.cuh"
#include "wgmma.cuh"

namespace qopt::cuda {

/// A stage is free for the copying warp when every computing warp says so.
template <GemmConfig config>
__device__ __forceinline__ void release(const Ring<config> &ring, int stage) {
  if (lane_index() == 0)
    barrier_arrive(ring.empty(stage));
}

/// Descriptors of a warpgroup's operands in a stage.
template <GemmConfig config> struct Operands {
  uint64_t channels, tokens;

  __device__ __forceinline__ Operands(const Ring<config> &ring, int stage, int group)
      : channels(matrix_descriptor(ring.weights(stage) + group * 4 * kBlockBytes)),
        tokens(matrix_descriptor(ring.tokens(stage))) {}

  /// 32 bytes of K: step `step` (0 to 3) of row `row` of 128 bytes.
  __device__ __forceinline__ uint64_t channel_step(int row, int step) const {
    return channels + (row * (config.tile_n / kUnit) * kBlockBytes + step * 32) / 16;
  }
  /// `first` is a token of the tile, a multiple of 8.
  __device__ __forceinline__ uint64_t token_step(int row, int step, int first = 0) const {
    return tokens + ((row * config.tile_t + first) * kRowBytes + step * 32) / 16;
  }
};

/// Starts the products of the first `rows` rows of a stage.
template <GemmConfig config, int rows, class Sum>
__device__ __forceinline__ void start_rows(Sum (&sums)[config.tile_t / 2],
                                           const Operands<config> &operands) {
  hold(sums);
  wgmma_fence();
#pragma unroll
  for (int row = 0; row < rows; ++row)
#pragma unroll
    for (int step = 0; step < 4; ++step) {
      const uint64_t a = operands.channel_step(row, step), b = operands.token_step(row, step);
      if constexpr (config.codes == Codes::s8)
        wgmma_s8<config.tile_t>(sums, a, b, 1);
      else
        wgmma_bf16<config.tile_t>(sums, a, b, 1);
    }
  wgmma_commit();
  hold(sums);
}

/// bf16 and s8: one chain over K. The products of a stage are in flight while those of
/// the stage before end.
template <GemmConfig config, class Sum>
__device__ __forceinline__ void sum_in_one_chain(Sum (&sums)[config.tile_t / 2],
                                                 const Ring<config> &ring, int group) {
  constexpr int kWhole = blocks(config) / stage_blocks(config);
  constexpr int kRest = blocks(config) % stage_blocks(config);
  RingPosition<config> position;
  int previous = 0;
#pragma unroll 1
  for (int index = 0; index < kWhole; ++index) {
    barrier_wait(ring.full(position.stage), position.parity);
    start_rows<config, stage_blocks(config)>(sums, {ring, position.stage, group});
    wgmma_wait<1>();
    if (index > 0)
      release(ring, previous);
    previous = position.stage;
    position.advance();
  }
  if constexpr (kRest > 0) {
    barrier_wait(ring.full(position.stage), position.parity);
    start_rows<config, kRest>(sums, {ring, position.stage, group});
  }
  wgmma_wait<0>();
  hold(sums);
}

/// e4m3: a tensor core keeps few bits of a sum, so rows of 128 columns are summed apart
/// and added in float32. `kParallel` rows are in flight (few tokens), or a row's tokens
/// are done in `kParts` parts (many tokens), as registers allow.
template <GemmConfig config>
__device__ __forceinline__ void sum_promoted(float (&totals)[config.tile_t / 2],
                                             const Ring<config> &ring, int group) {
  constexpr int kParts = config.tile_t > 128 ? 2 : 1;
  constexpr int kTokens = config.tile_t / kParts;
  constexpr int kFit = kTokens <= 16 ? 4 : kTokens <= 32 ? 2 : 1;
  constexpr int kParallel = stage_blocks(config) % kFit == 0 ? kFit : 1;
  RingPosition<config> position;
#pragma unroll 1
  for (int index = 0; index < stage_count(config); ++index) {
    barrier_wait(ring.full(position.stage), position.parity);
    const Operands<config> operands(ring, position.stage, group);
    const int count = blocks_of_stage<config>(index);
#pragma unroll
    for (int first = 0; first < stage_blocks(config); first += kParallel) {
      if (first >= count)
        break;
#pragma unroll
      for (int part = 0; part < kParts; ++part) {
        float sums[kParallel][kTokens / 2];
#pragma unroll
        for (int i = 0; i < kParallel; ++i)
          hold(sums[i]);
        wgmma_fence();
#pragma unroll
        for (int step = 0; step < 4; ++step)
#pragma unroll
          for (int i = 0; i < kParallel; ++i)
            wgmma_e4m3<kTokens>(sums[i], operands.channel_step(first + i, step),
                                operands.token_step(first + i, step, part * kTokens), step > 0);
        wgmma_commit();
        wgmma_wait<0>();
#pragma unroll
        for (int i = 0; i < kParallel; ++i) {
          hold(sums[i]);
          if (first + i >= count)
            break;
#pragma unroll
          for (int j = 0; j < kTokens / 2; ++j)
            totals[part * kTokens / 2 + j] += sums[i][j];
        }
      }
    }
    release(ring, position.stage);
    position.advance();
  }
}

/// Weight-only: fragments are dequantized into registers, and a group's products are
/// summed apart.
template <GemmConfig config> struct FragmentSums {
  static constexpr int kSums = config.tile_t / 2;
  using Block = FragmentBlock<config>;

  float products[kSums];
  float tokens[config.affine ? kSums : 1]; // sum(x), all rows alike

  /// The products of `columns` columns from `column` of the stage, whose codes are at
  /// `codes`; `fresh` starts the sums. All are complete on return.
  template <int columns>
  __device__ __forceinline__ void add(const Operands<config> &x, uint32_t codes, int column,
                                      bool fresh) {
    constexpr int kSteps = columns / 16;
    uint32_t a[kSteps][4];
#pragma unroll
    for (int load = 0; load < kSteps / Block::kLoadSteps; ++load) {
      Block block;
      block.load(codes, load);
#pragma unroll
      for (int step = 0; step < Block::kLoadSteps; ++step)
        block.fragment(a[load * Block::kLoadSteps + step], step);
    }
    multiply(a, x, column, fresh);
  }

  __device__ __forceinline__ float add_to(float total, int i,
                                          const GroupScales<config> &scales) const {
    return scales.add(total, products[i], config.affine ? tokens[i] : 0.0f, i / 2 % 2);
  }

private:
  template <int steps>
  __device__ __forceinline__ void multiply(uint32_t (&a)[steps][4], const Operands<config> &x,
                                           int column, bool fresh) {
#pragma unroll
    for (int step = 0; step < steps; ++step)
      hold(a[step]);
    hold(products);
    hold(tokens);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < steps; ++step) {
      constexpr uint32_t kOnes[4] = {0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80};
      const int at = column + step * 16;
      const uint64_t b = x.token_step(at / 64, at / 16 % 4);
      const int32_t accumulate = !(fresh && step == 0);
      wgmma_bf16<config.tile_t>(products, a[step], b, accumulate);
      if constexpr (config.affine)
        wgmma_bf16<config.tile_t>(tokens, kOnes, b, accumulate);
    }
    wgmma_commit();
    wgmma_wait<0>();
    hold(products);
    hold(tokens);
#pragma unroll
    for (int step = 0; step < steps; ++step)
      hold(a[step]);
  }
};

template <GemmConfig config>
__device__ __forceinline__ void sum_by_groups(float (&totals)[config.tile_t / 2],
                                              const Ring<config> &ring, int unit,
                                              const uint8_t *image_unit) {
  constexpr bool kPerChannel = is_per_channel(config);
  // Columns that are dequantized at once: a group, or a part of it.
  constexpr int kColumns = kPerChannel           ? 64
                           : config.group <= 128 ? config.group
                           : config.group % 128  ? 64
                                                 : 128;
  RingPosition<config> position;
  FragmentSums<config> sums;
#pragma unroll 1
  for (int index = 0; index < stage_count(config); ++index) {
    barrier_wait(ring.full(position.stage), position.parity);
    const Operands<config> x(ring, position.stage, 0);
    const uint32_t codes = ring.weights(position.stage) + unit * stage_unit_bytes(config);
    if constexpr (kPerChannel) {
      const int left = block_columns(config) - index * config.k_stage;
#pragma unroll
      for (int column = 0; column < config.k_stage; column += kColumns) {
        if (column >= left)
          break;
        sums.template add<kColumns>(x, codes + code_bytes(config, column), column,
                                    index == 0 && column == 0);
      }
    } else {
      const int count = blocks_of_stage<config>(index);
#pragma unroll
      for (int g = 0; g < stage_blocks(config); ++g) {
        if (g >= count)
          break;
        const uint32_t block = codes + g * block_bytes(config);
        GroupScales<config> scales;
        scales.load(block);
#pragma unroll
        for (int column = 0; column < config.group; column += kColumns)
          sums.template add<kColumns>(x, block + code_bytes(config, column),
                                      g * config.group + column, column == 0);
#pragma unroll
        for (int i = 0; i < config.tile_t / 2; ++i)
          totals[i] = sums.add_to(totals[i], i, scales);
      }
    }
    release(ring, position.stage);
    position.advance();
  }
  if constexpr (kPerChannel) {
    GroupScales<config> scales;
    scales.load(image_unit);
#pragma unroll
    for (int i = 0; i < config.tile_t / 2; ++i)
      totals[i] = sums.add_to(totals[i], i, scales);
  }
}

/// A computing warpgroup's walk over K. `weight` is the start of the image.
template <GemmConfig config, class Sum>
__device__ __forceinline__ void sum_with_wgmma(Sum (&sums)[config.tile_t / 2],
                                               const Ring<config> &ring, const uint8_t *weight,
                                               int64_t first_unit) {
  const int group = warp_index() / 4;
  if constexpr (is_fragment(config)) {
    // Units that the image lacks are computed from what is in shared memory, and dropped.
    const int64_t last = units(config) - 1, unit = first_unit + warp_index();
    sum_by_groups(sums, ring, warp_index(),
                  weight + (unit < last ? unit : last) * unit_bytes(config));
  } else if constexpr (config.codes == Codes::e4m3) {
    sum_promoted(sums, ring, group);
  } else {
    sum_in_one_chain(sums, ring, group);
  }
}

} // namespace qopt::cuda
