//===- portable_gemm.cuh - The linear layers of sm_80 and later ---*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   grid x: tiles of tokens      y: tiles of channels      block: threads(config)
//
// y [t, n] = epilogue(x [t, k] w [n, k]) as in gemm.cuh, from the same images, by
// instructions that every GPU since sm_80 has. All threads copy the stages of a ring
// (cp.async), and each warp multiplies its channels and tokens (mma.sync). K is walked in
// the order of gemm_mma.cuh, with the same borders of partial sums: on the same GPU both
// give the same bits.
//
// Sums of a unit are as in gemm_mma.cuh: sums[4 i + r] of a thread is (channel lane / 4 +
// 8 (r / 2), token 8 i + 2 (lane % 4) + r % 2).
//
//===----------------------------------------------------------------------===//

#pragma once

#include "gemm_dequantize.cuh"
#include "gemm_epilogue.cuh"
#include "portable_gemm_config.h"

namespace qopt::cuda {

//===- The ring of stages -------------------------------------------------===//

/// What the threads of a block copy, each every threads(config)-th piece of 16 bytes.
template <PortableGemmConfig config> struct PortableCopies {
  static constexpr GemmConfig kLayer = config.layer;
  static constexpr int kStages = kLayer.stages, kThreads = threads(config);
  static constexpr int kRowOfStage = kLayer.k_stage * bytes(token_number(kLayer)); // bytes
  static constexpr int kRowOfToken = kLayer.k * bytes(token_number(kLayer));       // bytes

  uint32_t ring;
  const uint8_t *tokens; // [rows], of the tile's first row
  int64_t token_stride;  // bytes
  int rows;              // that are left from the first row of the tile on
  const uint8_t *image;  // of the tile's first unit
  int units;             // that the image has from there on

  __device__ __forceinline__ static uint32_t stage_of(uint32_t ring, int index) {
    return ring + index % kStages * stage_bytes(config);
  }

  /// Asks for stage `index` of the walk; what K or the matrices lack is zero.
  __device__ __forceinline__ void start(int index) const {
    if (index < stage_count(kLayer)) {
      copy_tokens(stage_of(ring, index), index);
      copy_units(stage_of(ring, index) + portable_token_bytes(config), index);
    }
    copy_async_commit(); // a group for each stage, also for those that are not there
  }

private:
  __device__ __forceinline__ void copy_tokens(uint32_t to, int index) const {
    constexpr int kChunks = kRowOfStage / 16; // of a row
#pragma unroll 8
    for (int first = 0; first < kLayer.tile_t * kChunks; first += kThreads) {
      const int i = first + threadIdx.x;
      if (kLayer.tile_t * kChunks % kThreads && i >= kLayer.tile_t * kChunks)
        break;
      const int row = i / kChunks, chunk = i % kChunks;
      const int column = index * kRowOfStage + chunk * 16;
      const bool exists = row < rows && column < kRowOfToken;
      copy_16_or_zero(to + (chunk / 8 * kLayer.tile_t + row) * kRowBytes +
                          (chunk % 8 ^ row % 8) * 16,
                      exists ? tokens + row * token_stride + column : tokens, exists);
    }
  }

  /// Bytes of a unit that stage `index` has.
  __device__ __forceinline__ static int unit_piece(int index) {
    const int64_t left = codes_end() - int64_t(index) * stage_unit_bytes(kLayer);
    return left < stage_unit_bytes(kLayer) ? int(left) : stage_unit_bytes(kLayer);
  }
  /// Bytes of a unit that stages have: scales of channels stand behind.
  __device__ static constexpr int64_t codes_end() {
    return is_per_channel(kLayer) ? code_bytes(kLayer, block_columns(kLayer)) : unit_bytes(kLayer);
  }

  __device__ __forceinline__ void copy_units(uint32_t to, int index) const {
    constexpr int kChunks = stage_unit_bytes(kLayer) / 16, kUnits = kLayer.tile_n / kUnit;
    const uint8_t *from = image + int64_t(index) * stage_unit_bytes(kLayer);
    const int piece = unit_piece(index);
#pragma unroll 8
    for (int first = 0; first < kUnits * kChunks; first += kThreads) {
      const int i = first + threadIdx.x;
      if (kUnits * kChunks % kThreads && i >= kUnits * kChunks)
        break;
      const int unit = i / kChunks, at = i % kChunks * 16;
      const bool exists = unit < units && at < piece;
      copy_16_or_zero(to + i * 16, exists ? from + unit * unit_bytes(kLayer) + at : image, exists);
    }
  }
};

//===- A warp's products --------------------------------------------------===//

__device__ __forceinline__ void multiply_warp(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                              uint32_t b1) {
  mma_bf16(d, a, b0, b1);
}
__device__ __forceinline__ void multiply_warp(int32_t (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                              uint32_t b1) {
  mma_s8(d, a, b0, b1);
}

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
      multiply_warp(eight_tokens(unit, i), a, b[i][2 * step], b[i][2 * step + 1]);
  }
};

/// Swizzled weights: bf16, or s8 with exact sums in 32-bit integers.
template <PortableGemmConfig config, class Sum> struct SwizzledSums {
  WarpSums<config, Sum> sums;

  /// `units`: of the warp, in the stage.
  __device__ __forceinline__ void add_stage(const WarpTokens<config> &tokens, uint32_t units,
                                            int index) {
    constexpr int kUnits = config.warp_n / kUnit;
    // Row lane % 16 of a unit, chunk lane / 16 of each step's two.
    const uint32_t row = units + lane_index() % 16 * kRowBytes;
    const uint32_t chunk = (lane_index() / 16 ^ lane_index() % 8) * 16;
    const int count = blocks(config.layer) - index * stage_blocks(config.layer);
#pragma unroll
    for (int block = 0; block < stage_blocks(config.layer); ++block) {
      if (block >= count)
        break;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        uint32_t b[config.warp_t / 8][4];
        tokens.load(b, block, half);
#pragma unroll
        for (int step = 0; step < 2; ++step)
#pragma unroll
          for (int unit = 0; unit < kUnits; ++unit) {
            uint32_t a[4];
            load_matrices(a, row + unit * stage_unit_bytes(config.layer) + block * kBlockBytes +
                                 (chunk ^ (half * 2 + step) * 32));
            sums.add(unit, a, b, step);
          }
      }
    }
  }

  __device__ __forceinline__ void finish(const uint8_t *, int) {}
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

/// Groups of a stage that are summed side by side, as registers allow.
template <PortableGemmConfig config> __device__ constexpr int portable_parallel_groups() {
  constexpr int kSums = config.warp_n / kUnit * config.warp_t / 2; // accumulators of a group
  int groups = kSums <= 8 ? 4 : kSums <= 16 ? 2 : 1;
  while (stage_blocks(config.layer) % groups)
    --groups;
  return groups;
}

/// Fragment weights with scales by group.
template <PortableGemmConfig config> struct GroupedSums {
  static constexpr GemmConfig kLayer = config.layer;
  static constexpr int kUnits = config.warp_n / kUnit;
  WarpSums<config, float> sums;

  __device__ __forceinline__ void add_stage(const WarpTokens<config> &tokens, uint32_t units,
                                            int index) {
    constexpr int kGroups = portable_parallel_groups<config>();
    const int count = blocks(kLayer) - index * stage_blocks(kLayer);
#pragma unroll
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

/// Fragment weights with one scale for a channel: the sums go on over stages.
template <PortableGemmConfig config> struct ChannelSums {
  static constexpr GemmConfig kLayer = config.layer;
  WarpSums<config, float> sums;
  WarpGroups<config, 1> products;

  __device__ __forceinline__ void add_stage(const WarpTokens<config> &tokens, uint32_t units,
                                            int index) {
    const int left = block_columns(kLayer) - index * kLayer.k_stage;
#pragma unroll
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

template <PortableGemmConfig config, Codes codes = config.layer.codes,
          bool per_channel = is_per_channel(config.layer)>
struct PortableSums {
  using Type = GroupedSums<config>;
};
template <PortableGemmConfig config> struct PortableSums<config, Codes::bf16, false> {
  using Type = SwizzledSums<config, float>;
};
template <PortableGemmConfig config> struct PortableSums<config, Codes::s8, false> {
  using Type = SwizzledSums<config, int32_t>;
};
template <PortableGemmConfig config, Codes codes> struct PortableSums<config, codes, true> {
  using Type = ChannelSums<config>;
};

//===- The kernel ---------------------------------------------------------===//

/// The layer as a warp's outputs see it.
__device__ constexpr GemmConfig warp_layer(const PortableGemmConfig &config) {
  GemmConfig layer = config.layer;
  layer.tile_n = config.warp_n;
  layer.tile_t = config.warp_t;
  return layer;
}

/// tokens [rows, k], `token_stride` bytes from row to row, a multiple of 16; `weight` is a
/// packed image, `x_scales` [rows] the scales of tokens (s8).
template <PortableGemmConfig config, class Epilogue>
__device__ __forceinline__ void portable_gemm(const void *tokens, int64_t token_stride,
                                              const float *x_scales, const void *weight,
                                              const Epilogue &epilogue, int64_t rows) {
  static_assert(reason_invalid(config) == nullptr);
  constexpr GemmConfig kLayer = config.layer;
  constexpr int kStages = kLayer.stages;
  extern __shared__ __align__(1024) uint8_t shared[];
  const uint32_t ring = shared_address(shared);
  const uint8_t *image = static_cast<const uint8_t *>(weight);
  const int64_t first_row = int64_t(blockIdx.x) * kLayer.tile_t;
  const int first_unit = blockIdx.y * (kLayer.tile_n / kUnit);

  launch_dependents();
  wait_for_predecessors();
  const PortableCopies<config> copies{ring,
                                      static_cast<const uint8_t *>(tokens) +
                                          first_row * token_stride,
                                      token_stride,
                                      int(min(rows - first_row, int64_t(kLayer.tile_t))),
                                      image + first_unit * unit_bytes(kLayer),
                                      units(kLayer) - first_unit};
#pragma unroll
  for (int index = 0; index < kStages - 1; ++index)
    copies.start(index);

  const int warp = warp_index();
  const int unit = warp / token_warps(config) * (config.warp_n / kUnit); // of the block
  const int token = warp % token_warps(config) * config.warp_t;
  typename PortableSums<config>::Type warp_sums;
#pragma unroll 1
  for (int index = 0; index < stage_count(kLayer); ++index) {
    copy_async_wait<kStages - 2>();
    __syncthreads(); // the stage has come, and everyone has read the one before
    copies.start(index + kStages - 1);
    const uint32_t stage = copies.stage_of(ring, index);
    warp_sums.add_stage(WarpTokens<config>(stage, token),
                        stage + portable_token_bytes(config) + unit * stage_unit_bytes(kLayer),
                        index);
  }
  warp_sums.finish(copies.image + unit * unit_bytes(kLayer), copies.units - unit);

  const OutputTile<warp_layer(config), Epilogue> output{
      epilogue, x_scales,          image + channel_scales_offset(kLayer),
      rows,     first_row + token, first_unit + unit};
#pragma unroll
  for (int i = 0; i < config.warp_n / kUnit; ++i)
    output.store(warp_sums.sums.units[i], i);
}

} // namespace qopt::cuda
