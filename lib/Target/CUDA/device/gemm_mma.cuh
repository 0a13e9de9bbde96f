//===- gemm_mma.cuh - Sums of a warp with mma.sync ----------------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For few tokens: a warp has one unit, 16 channels, and all tokens of the tile; or
// k_warps warps share the columns of a unit, since one warp's chain of products is too
// slow for long K: integers are added at the end, sums of groups in the order of groups.
// sums[4 i + r] of a thread is (channel lane / 4 + 8 (r / 2), token 8 i + 2 (lane % 4) +
// r % 2), as in wgmma.cuh.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "gemm_dequantize.cuh"
#include "gemm_pipeline.cuh"

namespace qopt::cuda {

/// A stage that a warp has read is free for the copying warp. The fence waits for the loads: the
/// barrier does not, and a copy could come before what a load still waits for has been read.
template <GemmConfig config>
__device__ __forceinline__ void release_read(const Ring<config> &ring, int stage) {
  fence_async_shared();
  __syncwarp();
  if (lane_index() == 0)
    barrier_arrive(ring.empty(stage));
}

/// The four accumulators of eight tokens.
template <class T, int count>
__device__ __forceinline__ T (&eight_tokens(T (&sums)[count], int i))[4] {
  return *reinterpret_cast<T(*)[4]>(&sums[4 * i]);
}

/// B fragments of a stage's tokens: 64 bytes of K of eight tokens in one ldmatrix. Tiles
/// of 1, 2 and 4 tokens fill the eight with copies, whose products nobody reads.
template <GemmConfig config> struct TokenFragments {
  static constexpr int kRows = config.tile_t < 8 ? config.tile_t : 8;

  uint32_t row;   // row lane % kRows of box `first_box`
  uint32_t chunk; // 16 x (chunk lane / 8, swizzled)

  __device__ __forceinline__ explicit TokenFragments(uint32_t tokens, int first_box = 0) {
    const uint32_t token = lane_index() % kRows, part = lane_index() / 8;
    if constexpr (has_token_rows(config)) {
      row = tokens + token * token_row_bytes(config) + first_box * kRowBytes;
      chunk = part * 16;
    } else {
      row = tokens + (first_box * config.tile_t + token) * kRowBytes;
      chunk = (part ^ token ^ first_box * config.tile_t % 8) * 16;
    }
  }

  /// Half `half` (0, 1) of the rows of a box (counted from the first); registers 0 and 1
  /// are of the first 32 bytes, 2 and 3 of the next. Swizzled by the row in the stage.
  __device__ __forceinline__ void load(uint32_t (&b)[4], int box, int half, int i) const {
    if constexpr (has_token_rows(config))
      load_matrices(b, row + box * kRowBytes + half * 64 + chunk);
    else
      load_matrices(b, row + (box * config.tile_t + i * 8) * kRowBytes +
                           (chunk ^ half * 64 ^ box * config.tile_t % 8 * 16));
  }
};

/// Swizzled weights: bf16, or s8 with exact sums in 32-bit integers.
template <GemmConfig config, class Sum>
__device__ __forceinline__ void sum_swizzled_stage(Sum (&sums)[thread_sums(config)],
                                                   const Ring<config> &ring, int stage, int unit,
                                                   int part, int index) {
  constexpr int kTiles = thread_sums(config) / 4;
  const TokenFragments<config> tokens(ring.tokens(stage, index));
  // Row lane % 16 of the unit, chunk lane / 16 of each step's two.
  const uint32_t row =
      ring.weights(stage) + unit * stage_unit_bytes(config) + lane_index() % 16 * kRowBytes;
  const uint32_t chunk = (lane_index() / 16 ^ lane_index() % 8) * 16;
  const int count = blocks_of_stage<config>(index);
#pragma unroll
  for (int i = 0; i < stage_blocks(config) / config.k_warps; ++i) {
    const int block = i * config.k_warps + part;
    if (block >= count)
      break;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t a[2][4], b[kTiles][4];
#pragma unroll
      for (int i = 0; i < kTiles; ++i)
        tokens.load(b[i], block, half, i);
#pragma unroll
      for (int step = 0; step < 2; ++step)
        load_matrices(a[step], row + block * kBlockBytes + (chunk ^ (half * 2 + step) * 32));
#pragma unroll
      for (int step = 0; step < 2; ++step)
#pragma unroll
        for (int i = 0; i < kTiles; ++i)
          multiply(eight_tokens(sums, i), a[step], b[i][2 * step], b[i][2 * step + 1]);
    }
  }
}

/// Accumulators of `groups` groups of columns that are summed side by side.
template <GemmConfig config, int groups> struct GroupSums {
  float products[groups][thread_sums(config)] = {};
  float tokens[groups][config.affine ? thread_sums(config) : 1] = {}; // sum(x), all rows alike

  /// Columns `column` to `column + columns` (of the stage) of each group, whose codes are
  /// at `block` + g x `block_distance`; the columns of groups are `group_columns` apart.
  template <int columns, int group_columns>
  __device__ __forceinline__ void add(const TokenFragments<config> &x, uint32_t block,
                                      int block_distance, int first_column) {
    using Block = FragmentBlock<config>;
    constexpr int kTiles = thread_sums(config) / 4;
    constexpr int kLoads = columns / 16 / Block::kLoadSteps;
    constexpr uint32_t kOnes[4] = {0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80};
#pragma unroll
    for (int load = 0; load < kLoads; ++load) {
      Block codes[groups];
#pragma unroll
      for (int g = 0; g < groups; ++g)
        codes[g].load(block + g * block_distance, load);
#pragma unroll
      for (int pair = 0; pair < Block::kLoadSteps / 2; ++pair) {
        uint32_t b[groups][kTiles][4];
#pragma unroll
        for (int g = 0; g < groups; ++g) {
          const int column =
              first_column + g * group_columns + (load * Block::kLoadSteps + pair * 2) * 16;
#pragma unroll
          for (int i = 0; i < kTiles; ++i)
            x.load(b[g][i], column / 64, column / 32 % 2, i);
        }
#pragma unroll
        for (int step = 0; step < 2; ++step)
#pragma unroll
          for (int g = 0; g < groups; ++g) {
            uint32_t a[4];
            codes[g].fragment(a, pair * 2 + step);
#pragma unroll
            for (int i = 0; i < kTiles; ++i) {
              const uint32_t b0 = b[g][i][2 * step], b1 = b[g][i][2 * step + 1];
              mma_bf16(eight_tokens(products[g], i), a, b0, b1);
              if constexpr (config.affine)
                mma_bf16(eight_tokens(tokens[g], i), kOnes, b0, b1);
            }
          }
      }
    }
  }

  /// totals += scale * products + minimum * tokens of group g.
  __device__ __forceinline__ void promote(float (&totals)[thread_sums(config)], int g,
                                          const GroupScales<config> &scales) const {
#pragma unroll
    for (int i = 0; i < thread_sums(config); ++i)
      totals[i] =
          scales.add(totals[i], products[g][i], config.affine ? tokens[g][i] : 0.0f, i / 2 % 2);
  }
};

/// Groups that a warp sums side by side, for independent chains of products.
template <GemmConfig config> __device__ constexpr int parallel_groups() {
  constexpr int kOfWarp = stage_blocks(config) / config.k_warps;
  constexpr int kFit = config.tile_t <= 16 ? 4 : config.tile_t <= 32 ? 2 : 1;
  int groups = kOfWarp < kFit ? kOfWarp : kFit;
  while (kOfWarp % groups)
    --groups;
  return groups;
}

/// Fragment weights with scales by group, one warp a unit.
template <GemmConfig config>
__device__ __forceinline__ void sum_fragment_stage(float (&totals)[thread_sums(config)],
                                                   const Ring<config> &ring, int stage, int unit,
                                                   int index) {
  constexpr int kGroups = parallel_groups<config>();
  const TokenFragments<config> tokens(ring.tokens(stage, index));
  const uint32_t blocks_of_unit = ring.weights(stage) + unit * stage_unit_bytes(config);
  const int count = blocks_of_stage<config>(index);
#pragma unroll
  for (int first = 0; first < stage_blocks(config); first += kGroups) {
    if (first >= count)
      break;
    const uint32_t block = blocks_of_unit + first * block_bytes(config);
    GroupSums<config, kGroups> sums;
    sums.template add<config.group, config.group>(tokens, block, block_bytes(config),
                                                  first * config.group);
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      if (first + g >= count)
        break;
      GroupScales<config> scales;
      scales.load(block + g * block_bytes(config));
      sums.promote(totals, g, scales);
    }
  }
}

/// The warps of a unit give each other sums: row i of a slot is accumulator i of 32 lanes.
template <GemmConfig config> struct Exchange {
  static constexpr int kSums = thread_sums(config);

  uint32_t base;
  int barrier; // the unit's own

  __device__ __forceinline__ Exchange(const Ring<config> &ring, int unit)
      : base(ring.exchange(unit) + lane_index() * 4), barrier(1 + unit) {}

  __device__ __forceinline__ void put(int slot, int i, uint32_t value) const {
    store_shared_4(base + (slot * kSums + i) * kRowBytes, value);
  }
  __device__ __forceinline__ uint32_t get(int slot, int i) const {
    return load_shared_4(base + (slot * kSums + i) * kRowBytes);
  }
  __device__ __forceinline__ void sync() const { named_barrier_sync(barrier, 32 * config.k_warps); }
};

/// Fragment weights with scales by group, k_warps warps a unit: each sums some groups of a
/// stage and gives them to the others; then each adds all groups, in order, for its part
/// of the accumulators.
template <GemmConfig config> struct SharedGroups {
  static constexpr int kSums = thread_sums(config), kOwn = kSums / config.k_warps;
  static constexpr int kOfStage = stage_blocks(config), kOfWarp = kOfStage / config.k_warps;
  static constexpr int kSlots = kOfStage * (config.affine ? 2 : 1);

  Exchange<config> exchange;
  int unit, part;
  float totals[kOwn] = {}; // accumulators part * kOwn and on

  __device__ __forceinline__ SharedGroups(const Ring<config> &ring, int unit, int part)
      : exchange(ring, unit), unit(unit), part(part) {}

  /// The walk over K. A stage's groups are added while those of the next are summed.
  __device__ __forceinline__ void run(const Ring<config> &ring) {
    constexpr int kCount = stage_count(config);
    constexpr int kLast = blocks(config) - (kCount - 1) * kOfStage; // groups of the last
    RingPosition<config> position;
    int previous = 0;
#pragma unroll 1
    for (int index = 0; index < kCount; ++index) {
      barrier_wait(ring.full(position.stage), position.parity);
      sum_own_groups(ring, position.stage, index, index % 2 * kSlots);
      if (index > 0) {
        add_groups<kOfStage>(ring, previous, (index - 1) % 2 * kSlots);
        release_read(ring, previous);
      }
      exchange.sync();
      previous = position.stage;
      position.advance();
    }
    add_groups<kLast>(ring, previous, (kCount - 1) % 2 * kSlots);
  }

  /// All totals, for the first warp of the unit.
  __device__ __forceinline__ void gather(float (&sums)[kSums]) const {
    constexpr int kFree = stage_count(config) % 2 * kSlots;
#pragma unroll
    for (int i = 0; i < kOwn; ++i)
      exchange.put(kFree, part * kOwn + i, float_to_bits(totals[i]));
    exchange.sync();
#pragma unroll
    for (int i = 0; i < kSums; ++i)
      sums[i] = bits_to_float(exchange.get(kFree, i));
  }

private:
  __device__ __forceinline__ uint32_t block(const Ring<config> &ring, int stage, int group) const {
    return ring.weights(stage) + unit * stage_unit_bytes(config) + group * block_bytes(config);
  }

  __device__ __forceinline__ void sum_own_groups(const Ring<config> &ring, int stage, int index,
                                                 int buffer) const {
    constexpr int kGroups = parallel_groups<config>();
    const TokenFragments<config> x(ring.tokens(stage, index), part * (kOfWarp * config.group / 64));
    const uint32_t own = block(ring, stage, part * kOfWarp);
#pragma unroll
    for (int first = 0; first < kOfWarp; first += kGroups) {
      GroupSums<config, kGroups> sums;
      sums.template add<config.group, config.group>(x, own + first * block_bytes(config),
                                                    block_bytes(config), first * config.group);
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
        const int slot = buffer + part * kOfWarp + first + g;
#pragma unroll
        for (int i = 0; i < kSums; ++i) {
          exchange.put(slot, i, float_to_bits(sums.products[g][i]));
          if constexpr (config.affine)
            exchange.put(slot + kOfStage, i, float_to_bits(sums.tokens[g][i]));
        }
      }
    }
  }

  /// The first `count` groups of a stage.
  template <int count>
  __device__ __forceinline__ void add_groups(const Ring<config> &ring, int stage, int buffer) {
    // Fewer than four accumulators are of one row, and need the scale of one.
    const int half = kOwn < 4 ? part * kOwn / 2 % 2 : 0;
#pragma unroll
    for (int g = 0; g < count; ++g) {
      GroupScales<config> scales;
      scales.template load < kOwn<4 ? 1 : 2>(block(ring, stage, g), half);
#pragma unroll
      for (int i = 0; i < kOwn; ++i) {
        const int sum = part * kOwn + i;
        const float product = bits_to_float(exchange.get(buffer + g, sum));
        const float tokens =
            config.affine ? bits_to_float(exchange.get(buffer + kOfStage + g, sum)) : 0.0f;
        totals[i] = scales.add(totals[i], product, tokens, kOwn < 4 ? 0 : i / 2 % 2);
      }
    }
  }
};

/// The same for few tokens: the warps keep the sums and scales of all groups, and the first
/// warp adds them at the end, in order. Until then no warp of a unit waits for another.
template <GemmConfig config> struct KeptGroups {
  static constexpr int kOfStage = stage_blocks(config), kOfWarp = kOfStage / config.k_warps;
  static constexpr int kScales = kUnit * config.tile_t, kMinima = kScales + kUnit;
  static constexpr int kTokenSums = kMinima + kUnit;

  uint32_t kept; // of the unit: kept_group_floats() for each group
  int unit, part;

  __device__ __forceinline__ KeptGroups(const Ring<config> &ring, int unit, int part)
      : kept(ring.exchange(unit)), unit(unit), part(part) {}

  __device__ __forceinline__ void run(const Ring<config> &ring) const {
    RingPosition<config> position;
#pragma unroll 1
    for (int index = 0; index < stage_count(config); ++index) {
      barrier_wait(ring.full(position.stage), position.parity);
      sum_own_groups(ring, position.stage, index);
      release_read(ring, position.stage);
      position.advance();
    }
    named_barrier_sync(1 + unit, 32 * config.k_warps);
  }

  /// The totals of the unit: lane l adds channel l % 16, of every second token.
  __device__ __forceinline__ void add_all(float (&sums)[thread_sums(config)]) const {
    const int channel = lane_index() % 16;
#pragma unroll
    for (int pair = 0; pair < (config.tile_t + 1) / 2; ++pair) {
      const int token = config.tile_t == 1 ? 0 : 2 * pair + int(lane_index()) / 16;
      const float total = add_channel(channel, token);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float sum =
            __shfl_sync(0xffffffffu, total, lane_index() / 4 + i / 2 * 8 + i % 2 * 16);
        if (lane_index() % 4 == pair)
          sums[i] = sum;
      }
    }
  }

private:
  __device__ __forceinline__ uint32_t group_address(int group) const {
    return kept + group * kept_group_floats(config) * 4;
  }

  __device__ __forceinline__ void sum_own_groups(const Ring<config> &ring, int stage,
                                                 int index) const {
    constexpr int kGroups = parallel_groups<config>();
    const TokenFragments<config> x(ring.tokens(stage, index), part * (kOfWarp * config.group / 64));
    const uint32_t own =
        ring.weights(stage) + unit * stage_unit_bytes(config) + part * kOfWarp * block_bytes(config);
    const int count = blocks_of_stage<config>(index) - part * kOfWarp;
    const int first_group = index * kOfStage + part * kOfWarp;
#pragma unroll
    for (int first = 0; first < kOfWarp; first += kGroups) {
      if (first >= count)
        break;
      const uint32_t block = own + first * block_bytes(config);
      GroupSums<config, kGroups> sums;
      sums.template add<config.group, config.group>(x, block, block_bytes(config),
                                                    first * config.group);
#pragma unroll
      for (int g = 0; g < kGroups; ++g)
        if (first + g < count)
          keep(first_group + first + g, sums, g, block + g * block_bytes(config));
    }
  }

  template <int groups>
  __device__ __forceinline__ void keep(int group, const GroupSums<config, groups> &sums, int g,
                                       uint32_t block) const {
    const uint32_t to = group_address(group);
    constexpr int kBytes = bytes(config.scale);
    const uint32_t scales = block + code_bytes(config, block_columns(config));
    const int channel = lane_index() / 4, token = lane_index() % 4 * 2;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (token + i % 2 < config.tile_t) {
        store_shared_4(to + ((token + i % 2) * kUnit + channel + i / 2 * 8) * 4,
                       float_to_bits(sums.products[g][i]));
        if constexpr (config.affine)
          if (channel == 0 && i < 2)
            store_shared_4(to + (kTokenSums + token + i) * 4, float_to_bits(sums.tokens[g][i]));
      }
    // Scales, and minima behind them.
    if (lane_index() < kUnit * (config.affine ? 2 : 1))
      store_shared_4(to + (kScales + lane_index()) * 4,
                     float_to_bits(load_shared_number<config.scale>(
                         scales + lane_index() * kBytes)));
  }

  __device__ __forceinline__ float add_channel(int channel, int token) const {
    float total = 0.0f;
#pragma unroll 8
    for (int group = 0; group < blocks(config); ++group) {
      const uint32_t from = group_address(group);
      auto kept_float = [&](int i) { return bits_to_float(load_shared_4(from + i * 4)); };
      GroupScales<config> scales;
      scales.scale[0] = kept_float(kScales + channel);
      if constexpr (config.affine)
        scales.minimum[0] = kept_float(kMinima + channel);
      total = scales.add(total, kept_float(token * kUnit + channel),
                         config.affine ? kept_float(kTokenSums + token) : 0.0f, 0);
    }
    return total;
  }
};

/// Integers of the warps of a unit, added by the first.
template <GemmConfig config>
__device__ __forceinline__ void gather_integers(int32_t (&sums)[thread_sums(config)],
                                                const Exchange<config> &exchange, int part) {
#pragma unroll
  for (int i = 0; i < thread_sums(config); ++i)
    exchange.put(part, i, uint32_t(sums[i]));
  exchange.sync();
#pragma unroll
  for (int i = 0; i < thread_sums(config); ++i) {
    sums[i] = 0;
#pragma unroll
    for (int warp = 0; warp < config.k_warps; ++warp)
      sums[i] += int32_t(exchange.get(warp, i));
  }
}

/// Fragment weights with one scale for a channel: the sums go on over stages.
template <GemmConfig config>
__device__ __forceinline__ void sum_channel_stage(GroupSums<config, 1> &sums,
                                                  const Ring<config> &ring, int stage, int unit,
                                                  int index) {
  const TokenFragments<config> tokens(ring.tokens(stage, index));
  const uint32_t codes = ring.weights(stage) + unit * stage_unit_bytes(config);
  const int left = block_columns(config) - index * config.k_stage;
#pragma unroll
  for (int column = 0; column < config.k_stage; column += 64) {
    if (column >= left)
      break;
    sums.template add<64, 64>(tokens, codes + code_bytes(config, column), 0, column);
  }
}

/// A computing warp's walk over K. `weight` is the start of the image. The sums are
/// complete in the first warp of a unit.
template <GemmConfig config, class Sum>
__device__ __forceinline__ void sum_with_mma(Sum (&sums)[thread_sums(config)],
                                             const Ring<config> &ring, const uint8_t *weight,
                                             int64_t first_unit) {
  constexpr bool kShared = is_fragment(config) && config.k_warps > 1;
  const int unit = warp_index() / config.k_warps, part = warp_index() % config.k_warps;
  if constexpr (keeps_groups(config)) {
    const KeptGroups<config> groups(ring, unit, part);
    groups.run(ring);
    if (part == 0)
      groups.add_all(sums);
    return;
  } else if constexpr (kShared) {
    SharedGroups<config> groups(ring, unit, part);
    groups.run(ring);
    groups.gather(sums);
    return;
  }
  RingPosition<config> position;
  [[maybe_unused]] GroupSums<config, 1> channel_sums;
#pragma unroll 1
  for (int index = 0; index < stage_count(config); ++index) {
    barrier_wait(ring.full(position.stage), position.parity);
    if constexpr (!is_fragment(config))
      sum_swizzled_stage(sums, ring, position.stage, unit, part, index);
    else if constexpr (is_per_channel(config))
      sum_channel_stage(channel_sums, ring, position.stage, unit, index);
    else if constexpr (!kShared)
      sum_fragment_stage(sums, ring, position.stage, unit, index);
    release_read(ring, position.stage);
    position.advance();
  }
  if constexpr (is_per_channel(config)) {
    if (first_unit + unit >= units(config))
      return;
    GroupScales<config> scales;
    scales.load(weight + (first_unit + unit) * unit_bytes(config));
    channel_sums.promote(sums, 0, scales);
  } else if constexpr (!is_fragment(config) && config.k_warps > 1) {
    gather_integers(sums, Exchange<config>(ring, unit), part);
  }
}

} // namespace qopt::cuda
