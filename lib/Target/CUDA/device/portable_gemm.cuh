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
//===----------------------------------------------------------------------===//

#pragma once

#include "gemm_epilogue.cuh"
#include "portable_gemm_sums.cuh"

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
#pragma unroll 4
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
#pragma unroll 4
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

//===- The kernel ---------------------------------------------------------===//

/// tokens [rows, k], `token_stride` bytes from row to row, a multiple of 16; `weight` is a
/// packed image, `x_scales` [rows] the scales of tokens (s8).
template <PortableGemmConfig config, class Epilogue>
__device__ __forceinline__ void portable_gemm(const void *tokens, int64_t token_stride,
                                              const float *x_scales, const void *weight,
                                              const Epilogue &epilogue, int64_t rows) {
  static_assert(reason_invalid(config) == nullptr);
  constexpr GemmConfig kLayer = config.layer;
  using Sums = PortableSums<config>;
  constexpr int kAhead = kLayer.stages - (Sums::kReadsLate ? 2 : 1); // stages under way
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
  for (int index = 0; index < kAhead; ++index)
    copies.start(index);

  const int warp = warp_index(), place = warp / kLayer.k_warps;
  const int unit = place / token_warps(config) * (config.warp_n / kUnit); // of the block
  const int token = place % token_warps(config) * config.warp_t;
  const WarpExchange<config> exchange(ring, warp);
  Sums warp_sums(exchange);
#pragma unroll 1
  for (int index = 0; index < stage_count(kLayer); ++index) {
    copy_async_wait<kAhead - 1>();
    __syncthreads(); // the stage has come, and everyone has read the one that is overwritten
    copies.start(index + kAhead);
    const uint32_t stage = copies.stage_of(ring, index);
    warp_sums.add_stage(WarpTokens<config>(stage, token),
                        stage + portable_token_bytes(config) + unit * stage_unit_bytes(kLayer),
                        index);
  }
  warp_sums.finish(copies.image + unit * unit_bytes(kLayer), copies.units - unit);
  if (exchange.part != 0)
    return;
  const OutputTile<warp_layer(config), Epilogue> output{
      epilogue, x_scales,          image + channel_scales_offset(kLayer),
      rows,     first_row + token, first_unit + unit};
#pragma unroll
  for (int i = 0; i < config.warp_n / kUnit; ++i)
    output.store(warp_sums.sums.units[i], i);
}

} // namespace qopt::cuda
