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

/// A stage is free for the copying warps, which copy into all blocks of the cluster, when every
/// computing warp says so.
template <GemmConfig config>
__device__ __forceinline__ void release(const Ring<config> &ring, int stage) {
  if constexpr (config.cluster > 1) {
    if (lane_index() < config.cluster)
      barrier_arrive_cluster(ring.empty(stage), lane_index());
  } else if (lane_index() == 0) {
    barrier_arrive(ring.empty(stage));
  }
}

/// The turns of two warpgroups: the products of one are under way while the other adds.
template <GemmConfig config> struct Turn {
  static constexpr int kFirstBarrier = 1 + 2; // behind those of outputs
  int group;

  /// Before the first turn of a block, and after the last.
  __device__ __forceinline__ void open() const {
    if (takes_turns(config) && group == 1)
      end();
  }
  __device__ __forceinline__ void close() const {
    if (takes_turns(config) && group == 0)
      begin();
  }

  __device__ __forceinline__ void begin() const {
    if constexpr (takes_turns(config))
      named_barrier_sync(kFirstBarrier + group, 256);
  }
  /// Its products are given to the tensor cores: the other's come behind them.
  __device__ __forceinline__ void end() const {
    if constexpr (takes_turns(config))
      named_barrier_arrive(kFirstBarrier + (group ^ 1), 256);
  }
};

/// Descriptors of a warpgroup's operands in a stage.
template <GemmConfig config> struct Operands {
  uint64_t channels, tokens;

  /// Stage `stage` of the ring, which is stage `index` of the walk.
  __device__ __forceinline__ Operands(const Ring<config> &ring, int stage, int index, int group)
      : channels(matrix_descriptor(ring.weights(stage) + group * 4 * kBlockBytes)),
        tokens(matrix_descriptor(ring.tokens(stage, index))) {}

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
                                                 const Ring<config> &ring,
                                                 RingPosition<config> &position, int group) {
  constexpr int kWhole = blocks(config) / stage_blocks(config);
  constexpr int kRest = blocks(config) % stage_blocks(config);
  int previous = -1;
#pragma unroll 1
  for (int index = 0; index < kWhole; ++index) {
    barrier_wait(ring.full(position.stage), position.parity);
    start_rows<config, stage_blocks(config)>(sums, {ring, position.stage, index, group});
    wgmma_wait<1>();
    if (previous >= 0)
      release(ring, previous);
    previous = position.stage;
    position.advance();
  }
  if constexpr (kRest > 0) {
    barrier_wait(ring.full(position.stage), position.parity);
    start_rows<config, kRest>(sums, {ring, position.stage, kWhole, group});
    wgmma_wait<1>();
    if (previous >= 0)
      release(ring, previous);
    previous = position.stage;
    position.advance();
  }
  wgmma_wait<0>();
  hold(sums);
  release(ring, previous);
}

/// e4m3: a tensor core keeps few bits of a sum, so rows of 128 columns are summed apart
/// and added in float32. `kParallel` rows are in flight (few tokens), or a row's tokens
/// are done in `kParts` parts (many tokens), as registers allow.
template <GemmConfig config>
__device__ __forceinline__ void sum_promoted(float (&totals)[thread_sums(config)],
                                             const Ring<config> &ring,
                                             RingPosition<config> &position, int group) {
  constexpr int kParts = config.tile_t > 128 ? 2 : 1;
  constexpr int kTokens = product_tokens(config) / kParts;
  constexpr int kFit = kTokens <= 16 ? 4 : kTokens <= 32 ? 2 : 1;
  constexpr int kParallel = stage_blocks(config) % kFit == 0 ? kFit : 1;
  const Turn<config> turn{group};
#pragma unroll 1
  for (int index = 0; index < stage_count(config); ++index) {
    barrier_wait(ring.full(position.stage), position.parity);
    const Operands<config> operands(ring, position.stage, index, group);
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
        turn.begin();
        wgmma_fence();
#pragma unroll
        for (int step = 0; step < 4; ++step)
#pragma unroll
          for (int i = 0; i < kParallel; ++i)
            wgmma_e4m3<kTokens>(sums[i], operands.channel_step(first + i, step),
                                operands.token_step(first + i, step, part * kTokens), step > 0);
        wgmma_commit();
        turn.end();
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

/// Weight-only: a warpgroup's walk over K in chunks of columns whose fragments are
/// dequantized together, those of the next chunk while the products of one are in flight.
/// The products of a group are summed apart.
template <GemmConfig config> struct FragmentWalk {
  static constexpr int kSums = config.tile_t / 2;
  static constexpr bool kPerChannel = is_per_channel(config);
  /// Columns of a chunk: a group, or a part of it.
  static constexpr int kColumns = block_columns(config) == 32 ? 32 : 64;
  static constexpr int kSteps = kColumns / 16;
  static constexpr int kOfBlock = block_columns(config) / kColumns; // chunks
  static constexpr int kOfStage = config.k_stage / kColumns;
  static constexpr int kCount = blocks(config) * kOfBlock;
  using Block = FragmentBlock<config>;
  using Fragments = uint32_t[kSteps][4];

  const Ring<config> &ring;
  RingPosition<config> &position;
  int unit;
  float products[kSums];
  float tokens[config.affine ? kSums : 1]; // sum(x), all rows alike

  __device__ __forceinline__ FragmentWalk(const Ring<config> &ring, RingPosition<config> &position,
                                          int unit)
      : ring(ring), position(position), unit(unit) {}

  /// `image_unit` is the unit in global memory, for the scales of channels.
  __device__ __forceinline__ void run(float (&totals)[kSums], const uint8_t *image_unit) {
    Fragments even, odd;
    barrier_wait(ring.full(position.stage), position.parity);
    dequantize(even, 0);
#pragma unroll 1
    for (int chunk = 0; chunk < kCount; chunk += 2) {
      add_chunk(totals, even, odd, chunk);
      if (chunk + 1 < kCount)
        add_chunk(totals, odd, even, chunk + 1);
    }
    finish();
    release(ring, previous);
    if constexpr (kPerChannel) {
      GroupScales<config> scales;
      scales.load(image_unit);
      promote(totals, scales);
    }
  }

private:
  int previous = 0; // stage of the chunk before
  /// The block of chunk `chunk` (of the stage) in the current stage.
  __device__ __forceinline__ uint32_t block(int chunk) const {
    return ring.weights(position.stage) + unit * stage_unit_bytes(config) +
           (kPerChannel ? 0 : chunk / kOfBlock * block_bytes(config));
  }

  __device__ __forceinline__ void dequantize(Fragments &a, int chunk) const {
    const int in_block = kPerChannel ? chunk : chunk % kOfBlock;
    const uint32_t codes = block(chunk) + code_bytes(config, kColumns) * in_block;
#pragma unroll
    for (int load = 0; load < kSteps / Block::kLoadSteps; ++load) {
      Block words;
      words.load(codes, load);
#pragma unroll
      for (int step = 0; step < Block::kLoadSteps; ++step)
        words.fragment(a[load * Block::kLoadSteps + step], step);
    }
#pragma unroll
    for (int step = 0; step < kSteps; ++step)
      hold(a[step]);
  }

  /// Starts the products of a chunk of the current stage.
  __device__ __forceinline__ void start(Fragments &a, int chunk, bool fresh) {
    const Operands<config> x(ring, position.stage, 0, 0);
    const uint64_t first = x.tokens + chunk * kColumns / 64 * (config.tile_t * kRowBytes / 16) +
                           chunk * kColumns % 64 * 2 / 16;
    hold(products);
    hold(tokens);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      constexpr uint32_t kOnes[4] = {0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80};
      const uint64_t b = first + (step / 4 * config.tile_t * kRowBytes + step % 4 * 32) / 16;
      const int32_t accumulate = !(fresh && step == 0);
      wgmma_bf16<config.tile_t>(products, a[step], b, accumulate);
      if constexpr (config.affine)
        wgmma_bf16<config.tile_t>(tokens, kOnes, b, accumulate);
    }
    wgmma_commit();
  }

  /// The products of chunk `index` of the walk, whose fragments are in `now`; leaves the
  /// next chunk's in `next`, and the ring at its stage.
  __device__ __forceinline__ void add_chunk(float (&totals)[kSums], Fragments &now, Fragments &next,
                                            int index) {
    const int chunk = index % kOfStage;
    const bool ends_stage = chunk == kOfStage - 1 || index == kCount - 1;
    const Turn<config> turn{unit / 4};
    if (chunk % kOfBlock == 0)
      turn.begin();
    start(now, chunk, kPerChannel ? index == 0 : chunk % kOfBlock == 0);
    if (chunk % kOfBlock == kOfBlock - 1)
      turn.end();
    GroupScales<config> scales;
    if constexpr (!kPerChannel)
      scales.load(block(chunk));
    // The chunk before is complete: its fragments and, if it was the last, its stage are free.
    wgmma_wait<1>();
#pragma unroll
    for (int step = 0; step < kSteps; ++step)
      hold(next[step]);
    if (chunk == 0 && index > 0)
      release(ring, previous);
    previous = position.stage;
    if (ends_stage)
      position.advance();
    if (index + 1 < kCount) {
      if (ends_stage)
        barrier_wait(ring.full(position.stage), position.parity);
      dequantize(next, ends_stage ? 0 : chunk + 1);
    }
    if constexpr (!kPerChannel)
      if (chunk % kOfBlock == kOfBlock - 1) {
        finish();
        promote(totals, scales);
      }
  }

  __device__ __forceinline__ void finish() {
    wgmma_wait<0>();
    hold(products);
    hold(tokens);
  }

  __device__ __forceinline__ void promote(float (&totals)[kSums],
                                          const GroupScales<config> &scales) const {
#pragma unroll
    for (int i = 0; i < kSums; ++i)
      totals[i] = scales.add(totals[i], products[i], config.affine ? tokens[i] : 0.0f, i / 2 % 2);
  }
};

/// A computing warpgroup's walk over K. `image` is the start of the image.
template <GemmConfig config, class Sum>
__device__ __forceinline__ void
sum_with_wgmma(Sum (&sums)[thread_sums(config)], const Ring<config> &ring,
               RingPosition<config> &position, const uint8_t *image, int64_t first_unit) {
  const int group = warp_index() / 4;
  if constexpr (is_fragment(config)) {
    // Units that the image lacks are computed from what is in shared memory, and dropped.
    const int64_t last = units(config) - 1, unit = first_unit + warp_index();
    FragmentWalk<config> walk(ring, position, warp_index());
    walk.run(sums, image + (unit < last ? unit : last) * unit_bytes(config));
  } else if constexpr (config.codes == Codes::e4m3) {
    sum_promoted(sums, ring, position, group);
  } else {
    sum_in_one_chain(sums, ring, position, group);
  }
}

} // namespace qopt::cuda
