//===- portable_gemm_sums.cuh - Products of the warps of a block --*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A warp's walk over the stages of portable_gemm.cuh, by what weights store: SwizzledSums,
// GroupedSums, SharedGroupedSums (by warps that share a unit's columns) or ChannelSums. Each
// has
//
//   kReadsLate                        whether a stage is read in the next turn, too
//   add_stage(tokens, units, index)   the stage's products
//   finish(image, count)              all sums, for the warp whose part is 0
//   sums.units                        [units of the warp][accumulators]
//
// sums[unit][4 i + r] of a thread is (channel lane / 4 + 8 (r / 2), token 8 i + 2 (lane % 4)
// + r % 2), as in gemm_mma.cuh.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "gemm_dequantize.cuh"
#include "portable_gemm_config.h"

namespace qopt::cuda {

//===- Fragments and accumulators -----------------------------------------===//

/// B fragments of a warp's tokens: 64 bytes of K of eight tokens in one ldmatrix.
template <PortableGemmConfig config> struct WarpTokens {
  static constexpr int kTiles = config.warp_t / 8;

  uint32_t row, chunk; // of this lane: row lane % 8, 16-byte chunk lane / 8 of four

  __device__ __forceinline__ WarpTokens(uint32_t stage, int first_token)
      : row(stage + (first_token + lane_index() % 8) * kRowBytes),
        chunk((lane_index() / 8 ^ lane_index() % 8) * 16) {}

  /// Half `half` of the rows of a box; registers 0 and 1 of b[i] are of the first 32 bytes,
  /// 2 and 3 of the next.
  __device__ __forceinline__ void load(uint32_t (&b)[kTiles][4], int box, int half) const {
#pragma unroll
    for (int i = 0; i < kTiles; ++i)
      load_matrices(b[i],
                    row + (box * config.layer.tile_t + i * 8) * kRowBytes + (chunk ^ half * 64));
  }
};

/// Sums of a warp: its units, and for each the accumulators of a thread.
template <PortableGemmConfig config, class Sum> struct WarpSums {
  static constexpr int kUnits = config.warp_n / kUnit, kTiles = config.warp_t / 8;
  Sum units[kUnits][4 * kTiles] = {};

  __device__ __forceinline__ Sum (&eight_tokens(int unit, int i))[4] {
    return *reinterpret_cast<Sum(*)[4]>(&units[unit][4 * i]);
  }
  /// 32 bytes of K of one unit; `step` is the half of b that they are.
  __device__ __forceinline__ void add(int unit, const uint32_t (&a)[4],
                                      const uint32_t (&b)[kTiles][4], int step) {
#pragma unroll
    for (int i = 0; i < kTiles; ++i)
      multiply(eight_tokens(unit, i), a, b[i][2 * step], b[i][2 * step + 1]);
  }
};

/// Where warps that share a unit's columns give each other their sums: rows of 32 lanes.
template <PortableGemmConfig config> struct WarpExchange {
  static constexpr int kSums = config.warp_t / 2; // accumulators of a unit

  uint32_t base;
  int part; // which of them this warp is

  __device__ __forceinline__ WarpExchange(uint32_t ring, int warp)
      : base(ring + exchange_offset(config) +
             warp / config.layer.k_warps * portable_exchange_bytes(config) +
             lane_index() * 4),
        part(warp % config.layer.k_warps) {}

  __device__ __forceinline__ void put(int slot, int i, uint32_t value) const {
    store_shared_4(base + (slot * kSums + i) * kRowBytes, value);
  }
  __device__ __forceinline__ uint32_t get(int slot, int i) const {
    return load_shared_4(base + (slot * kSums + i) * kRowBytes);
  }
};

/// Swizzled weights: bf16, or s8 with exact sums in 32-bit integers. The fragments of the
/// next 64 bytes of K are under way while those of some are multiplied.
template <PortableGemmConfig config, class Sum> struct SwizzledSums {
  static constexpr int kUnits = config.warp_n / kUnit, kTiles = config.warp_t / 8;
  static constexpr int kParts = config.layer.k_warps;
  static constexpr int kHalves = 2 * stage_blocks(config.layer) / kParts; // of a stage
  static constexpr bool kReadsLate = false;
  static constexpr int kAhead = kUnits * kTiles <= 2 ? 3 : 1;
  struct Fragments {
    uint32_t a[2][kUnits][4], b[kTiles][4];
  };

  WarpSums<config, Sum> sums;
  WarpExchange<config> exchange;

  __device__ __forceinline__ explicit SwizzledSums(const WarpExchange<config> &exchange)
      : exchange(exchange) {}

  /// `units`: of the warp, in the stage. Warps that share them have every k_warps-th block.
  __device__ __forceinline__ void add_stage(const WarpTokens<config> &tokens, uint32_t units,
                                            int index) {
    const int count = blocks(config.layer) - index * stage_blocks(config.layer) - exchange.part;
    Fragments fragments[kAhead + 1];
#pragma unroll
    for (int half = 0; half < kAhead && half < kHalves; ++half)
      load(fragments[half], tokens, units, half);
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
      if (half / 2 * kParts >= count)
        break;
      if (half + kAhead < kHalves)
        load(fragments[(half + kAhead) % (kAhead + 1)], tokens, units, half + kAhead);
      const Fragments &now = fragments[half % (kAhead + 1)];
#pragma unroll
      for (int step = 0; step < 2; ++step)
#pragma unroll
        for (int unit = 0; unit < kUnits; ++unit)
          sums.add(unit, now.a[step][unit], now.b, step);
    }
  }

  /// Integers of warps that share a unit are added by the first.
  __device__ __forceinline__ void finish(const uint8_t *, int) {
    if constexpr (kParts > 1) {
#pragma unroll
      for (int i = 0; i < exchange.kSums; ++i)
        exchange.put(exchange.part, i, uint32_t(sums.units[0][i]));
      __syncthreads();
#pragma unroll
      for (int i = 0; i < exchange.kSums; ++i) {
        sums.units[0][i] = 0;
#pragma unroll
        for (int part = 0; part < kParts; ++part)
          sums.units[0][i] += Sum(exchange.get(part, i));
      }
    }
  }

private:
  __device__ __forceinline__ void load(Fragments &f, const WarpTokens<config> &tokens,
                                       uint32_t units, int half) const {
    // Row lane % 16 of a unit, chunk lane / 16 of each step's two.
    const int block = half / 2 * kParts + exchange.part;
    const uint32_t row = units + lane_index() % 16 * kRowBytes + block * kBlockBytes;
    const uint32_t chunk = (lane_index() / 16 ^ lane_index() % 8) * 16;
    tokens.load(f.b, block, half % 2);
#pragma unroll
    for (int step = 0; step < 2; ++step)
#pragma unroll
      for (int unit = 0; unit < kUnits; ++unit)
        load_matrices(f.a[step][unit], row + unit * stage_unit_bytes(config.layer) +
                                           (chunk ^ (half % 2 * 2 + step) * 32));
  }
};

/// Products of one or more groups of columns that a warp sums side by side, which makes
/// independent chains of them.
template <PortableGemmConfig config, int groups> struct WarpGroups {
  static constexpr GemmConfig kLayer = config.layer;
  static constexpr int kUnits = config.warp_n / kUnit, kTiles = config.warp_t / 8;
  using Block = FragmentBlock<kLayer>;

  WarpSums<config, float> products[groups];
  float tokens[groups][kLayer.affine ? 4 * kTiles : 1] = {}; // sum(x), all rows alike

  /// `columns` columns of each group: codes at `codes` + g x block_bytes (+ unit x
  /// stage_unit_bytes), tokens from column `first_column` + g x `columns` of the stage.
  template <int columns>
  __device__ __forceinline__ void add(const WarpTokens<config> &x, uint32_t codes,
                                      int first_column) {
#pragma unroll
    for (int load = 0; load < columns / 16 / Block::kLoadSteps; ++load) {
      Block words[groups][kUnits];
#pragma unroll
      for (int g = 0; g < groups; ++g)
#pragma unroll
        for (int unit = 0; unit < kUnits; ++unit)
          words[g][unit].load(codes + g * block_bytes(kLayer) + unit * stage_unit_bytes(kLayer),
                              load);
#pragma unroll
      for (int pair = 0; pair < Block::kLoadSteps / 2; ++pair) {
        uint32_t b[groups][kTiles][4];
#pragma unroll
        for (int g = 0; g < groups; ++g) {
          const int column =
              first_column + g * columns + (load * Block::kLoadSteps + pair * 2) * 16;
          x.load(b[g], column / 64, column / 32 % 2);
        }
#pragma unroll
        for (int step = 0; step < 2; ++step)
#pragma unroll
          for (int g = 0; g < groups; ++g)
            add_step(words[g], b[g], g, pair * 2 + step, step);
      }
    }
  }

  /// totals += scale * products + minimum * tokens, of group g.
  __device__ __forceinline__ void promote(float (&totals)[4 * kTiles], int unit, int g,
                                          const GroupScales<kLayer> &scales) const {
#pragma unroll
    for (int i = 0; i < 4 * kTiles; ++i)
      totals[i] = scales.add(totals[i], products[g].units[unit][i],
                             kLayer.affine ? tokens[g][i] : 0.0f, i / 2 % 2);
  }

private:
  __device__ __forceinline__ void add_step(const Block (&words)[kUnits],
                                           const uint32_t (&b)[kTiles][4], int g, int step,
                                           int half) {
#pragma unroll
    for (int unit = 0; unit < kUnits; ++unit) {
      uint32_t a[4];
      words[unit].fragment(a, step);
      products[g].add(unit, a, b, half);
    }
    if constexpr (kLayer.affine) {
      constexpr uint32_t kOnes[4] = {0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80};
#pragma unroll
      for (int i = 0; i < kTiles; ++i)
        mma_bf16(*reinterpret_cast<float (*)[4]>(&tokens[g][4 * i]), kOnes, b[i][2 * half],
                 b[i][2 * half + 1]);
    }
  }
};

/// Groups of a warp's `count` that are summed side by side, as registers allow.
template <PortableGemmConfig config> __device__ constexpr int portable_parallel_groups(int count) {
  constexpr int kProducts = config.warp_n / kUnit + (config.layer.affine ? 1 : 0);
  constexpr int kSums = kProducts * config.warp_t / 2; // accumulators of a group
  int groups = kSums <= 8 ? 4 : kSums <= 16 ? 2 : 1;
  while (count % groups)
    --groups;
  return groups;
}

/// Fragment weights with scales by group.
template <PortableGemmConfig config> struct GroupedSums {
  static constexpr GemmConfig kLayer = config.layer;
  static constexpr int kUnits = config.warp_n / kUnit;
  static constexpr bool kReadsLate = false;
  WarpSums<config, float> sums;

  __device__ __forceinline__ explicit GroupedSums(const WarpExchange<config> &) {}

  __device__ __forceinline__ void add_stage(const WarpTokens<config> &tokens, uint32_t units,
                                            int index) {
    constexpr int kGroups = portable_parallel_groups<config>(stage_blocks(kLayer));
    const int count = blocks(kLayer) - index * stage_blocks(kLayer);
#pragma unroll 2
    for (int first = 0; first < stage_blocks(kLayer); first += kGroups) {
      if (first >= count)
        break;
      const uint32_t block = units + first * block_bytes(kLayer);
      WarpGroups<config, kGroups> groups;
      groups.template add<kLayer.group>(tokens, block, first * kLayer.group);
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
        if (first + g >= count)
          break;
#pragma unroll
        for (int unit = 0; unit < kUnits; ++unit) {
          GroupScales<kLayer> scales;
          scales.load(block + g * block_bytes(kLayer) + unit * stage_unit_bytes(kLayer));
          groups.promote(sums.units[unit], unit, g, scales);
        }
      }
    }
  }

  __device__ __forceinline__ void finish(const uint8_t *, int) {}
};

/// The same by warps that share a unit: each sums some groups of a stage and gives them to
/// the others; one turn later each adds all groups, in order, for its part of the
/// accumulators.
template <PortableGemmConfig config> struct SharedGroupedSums {
  static constexpr GemmConfig kLayer = config.layer;
  static constexpr bool kReadsLate = true;
  static constexpr int kSums = config.warp_t / 2, kOwn = kSums / kLayer.k_warps;
  static constexpr int kOfStage = stage_blocks(kLayer), kOfWarp = kOfStage / kLayer.k_warps;
  static constexpr int kSlots = kOfStage * (kLayer.affine ? 2 : 1);
  static_assert(kOwn >= 1, "each warp adds some accumulators");

  WarpSums<config, float> sums;
  WarpExchange<config> exchange;
  float totals[kOwn] = {}; // accumulators part * kOwn and on
  uint32_t previous = 0;   // the unit in the stage before

  __device__ __forceinline__ explicit SharedGroupedSums(const WarpExchange<config> &exchange)
      : exchange(exchange) {}

  __device__ __forceinline__ void add_stage(const WarpTokens<config> &tokens, uint32_t unit,
                                            int index) {
    if (index > 0)
      add_groups<kOfStage>((index - 1) % 2 * kSlots);
    sum_own_groups(tokens, unit, index % 2 * kSlots);
    previous = unit;
  }

  __device__ __forceinline__ void finish(const uint8_t *, int) {
    constexpr int kLast = stage_count(kLayer) - 1, kFree = (kLast + 1) % 2 * kSlots;
    __syncthreads();
    add_groups<blocks(kLayer) - kLast * kOfStage>(kLast % 2 * kSlots);
#pragma unroll
    for (int i = 0; i < kOwn; ++i)
      exchange.put(kFree, exchange.part * kOwn + i, float_to_bits(totals[i]));
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kSums; ++i)
      sums.units[0][i] = bits_to_float(exchange.get(kFree, i));
  }

private:
  __device__ __forceinline__ void sum_own_groups(const WarpTokens<config> &tokens, uint32_t unit,
                                                 int slots) const {
    constexpr int kGroups = portable_parallel_groups<config>(kOfWarp);
#pragma unroll
    for (int first = 0; first < kOfWarp; first += kGroups) {
      const int group = exchange.part * kOfWarp + first;
      WarpGroups<config, kGroups> groups;
      groups.template add<kLayer.group>(tokens, unit + group * block_bytes(kLayer),
                                        group * kLayer.group);
#pragma unroll
      for (int g = 0; g < kGroups; ++g)
#pragma unroll
        for (int i = 0; i < kSums; ++i) {
          exchange.put(slots + group + g, i, float_to_bits(groups.products[g].units[0][i]));
          if constexpr (kLayer.affine)
            exchange.put(slots + kOfStage + group + g, i, float_to_bits(groups.tokens[g][i]));
        }
    }
  }

  /// The first `count` groups of the stage before.
  template <int count> __device__ __forceinline__ void add_groups(int slots) {
    // Fewer than four accumulators are of one row, and need the scale of one.
    const int half = kOwn < 4 ? exchange.part * kOwn / 2 % 2 : 0;
#pragma unroll
    for (int g = 0; g < count; ++g) {
      GroupScales<kLayer> scales;
      scales.template load < kOwn<4 ? 1 : 2>(previous + g * block_bytes(kLayer), half);
#pragma unroll
      for (int i = 0; i < kOwn; ++i) {
        const int sum = exchange.part * kOwn + i;
        const float product = bits_to_float(exchange.get(slots + g, sum));
        const float tokens =
            kLayer.affine ? bits_to_float(exchange.get(slots + kOfStage + g, sum)) : 0.0f;
        totals[i] = scales.add(totals[i], product, tokens, kOwn < 4 ? 0 : i / 2 % 2);
      }
    }
  }
};

/// Fragment weights with one scale for a channel: the sums go on over stages.
template <PortableGemmConfig config> struct ChannelSums {
  static constexpr GemmConfig kLayer = config.layer;
  static constexpr bool kReadsLate = false;
  WarpSums<config, float> sums;
  WarpGroups<config, 1> products;

  __device__ __forceinline__ explicit ChannelSums(const WarpExchange<config> &) {}

  __device__ __forceinline__ void add_stage(const WarpTokens<config> &tokens, uint32_t units,
                                            int index) {
    const int left = block_columns(kLayer) - index * kLayer.k_stage;
#pragma unroll 2
    for (int column = 0; column < kLayer.k_stage; column += 64) {
      if (column >= left)
        break;
      products.template add<64>(tokens, units + code_bytes(config.layer, column), column);
    }
  }

  /// `image`: of the warp's first unit; `count`: units that it has.
  __device__ __forceinline__ void finish(const uint8_t *image, int count) {
#pragma unroll
    for (int unit = 0; unit < config.warp_n / kUnit; ++unit) {
      if (unit >= count)
        break;
      GroupScales<kLayer> scales;
      scales.load(image + unit * unit_bytes(kLayer));
      products.promote(sums.units[unit], unit, 0, scales);
    }
  }
};

template <PortableGemmConfig config> __device__ constexpr auto portable_sums_of() {
  if constexpr (config.layer.codes == Codes::bf16)
    return static_cast<SwizzledSums<config, float> *>(nullptr);
  else if constexpr (config.layer.codes == Codes::s8)
    return static_cast<SwizzledSums<config, int32_t> *>(nullptr);
  else if constexpr (is_per_channel(config.layer))
    return static_cast<ChannelSums<config> *>(nullptr);
  else if constexpr (config.layer.k_warps > 1)
    return static_cast<SharedGroupedSums<config> *>(nullptr);
  else
    return static_cast<GroupedSums<config> *>(nullptr);
}
template <class T> struct Pointed;
template <class T> struct Pointed<T *> {
  using Type = T;
};
template <PortableGemmConfig config>
using PortableSums = typename Pointed<decltype(portable_sums_of<config>())>::Type;

} // namespace qopt::cuda
