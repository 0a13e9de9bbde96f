//===- gemm.cuh - The linear layers of Hopper ---------------------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// y [t, n] = epilogue(x [t, k] w [n, k]) for every format of weights (gemm_config.h).
// blockIdx.x is the tile of tokens, blockIdx.y the tile of channels, unless the blocks are
// persistent (rows_per_block(), grid_y()); a block has threads(config) threads,
// `__launch_bounds__(threads(config), 1)`, and shared_bytes(config) bytes of dynamic shared memory.
//
//            tokens [tile_t, k]  ─ tensor copies ─┐
//   channels [tile_n, k] ─ bulk copies ─► ring of stages ─► sums [tile_n, tile_t] ─► y
//            one warp                               mma.sync or wgmma
//
// No sum over K is split, and every tile walks K in the same order with the same borders
// of partial sums: a token's outputs have the same bits in all configurations of a
// format.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "gemm_epilogue.cuh"
#include "gemm_mma.cuh"
#include "gemm_prologue.cuh"
#include "gemm_wgmma.cuh"

namespace qopt::cuda {

template <Codes codes> struct SumOf {
  using Type = float;
};
template <> struct SumOf<Codes::s8> {
  using Type = int32_t;
};

/// A computing warp, from the first stage to the outputs of each tile.
template <GemmConfig config, class Epilogue>
__device__ __forceinline__ void compute(const Ring<config> &ring, const float *x_scales,
                                        const uint8_t *image, const Epilogue &epilogue,
                                        int64_t rows) {
  RingPosition<config> position;
  const Turn<config> turn{int(warp_index() / 4)};
  turn.open();
  for (Tile<config> tile(rows); tile.valid(); tile.next()) {
    typename SumOf<config.codes>::Type sums[thread_sums(config)] = {};
    // Zeros that are made here, and not where the copying warp would have to keep them too.
    hold(sums);
    if constexpr (config.wgmma)
      sum_with_wgmma(sums, ring, position, image, tile.first_unit);
    else
      sum_with_mma(sums, ring, image, tile.first_unit);

    wait_for_predecessors();
    const OutputTile<config, Epilogue> output{
        epilogue, x_scales,       image + channel_scales_offset(config),
        rows,     tile.first_row, int(tile.first_unit)};
    if constexpr (stages_output(config) && output.can_stage()) {
      const int group = warp_index() / 4;
      output.store_staged(sums, ring.output_stage(group), group, 1 + group);
    } else if (warp_index() % config.k_warps == 0 &&
               warp_index() / config.k_warps < tile.unit_count) {
      output.store(sums, warp_index() / config.k_warps);
    }
  }
  turn.close();
}

/// What a block reads its tokens from.
struct TokenSource {
  const TensorMap *map; // null with a prologue
  const void *rows;     // row copies and prologues: the first row
  int64_t stride;       // from row to row, bytes
  const float *scales;  // [rows], s8 and e4m3 without a prologue
};

template <GemmConfig config, class Epilogue, class Norm>
__device__ __forceinline__ void run_block(const TokenSource &x, const Norm &norm,
                                          const void *weight, const Epilogue &epilogue,
                                          int64_t rows) {
  static_assert(reason_invalid(config) == nullptr);
  extern __shared__ __align__(1024) uint8_t shared[];
  const Ring<config> ring{shared_address(shared)};
  const uint8_t *image = static_cast<const uint8_t *>(weight);

  launch_dependents();
  if (threadIdx.x == 0) {
    if constexpr (!has_prologue(config))
      prefetch_tensor_map(x.map);
    ring.init();
  }
  if constexpr (config.cluster > 1) { // all copy into each other's memory
    cluster_arrive_relaxed();
    cluster_wait();
  } else {
    __syncthreads();
  }

  if (warp_index() >= consumer_warps(config)) {
    if constexpr (shares_registers(config))
      decrease_registers<producer_registers(config)>();
    if (warp_index() == consumer_warps(config) && elect_lane())
      Producer<config>{ring, x.map, image, rows, static_cast<const uint8_t *>(x.rows), x.stride}
          .run();
  } else {
    if constexpr (shares_registers(config))
      increase_registers<consumer_registers(config)>();
    const float *scales = x.scales;
    if constexpr (has_prologue(config)) {
      const int64_t first_row = int64_t(blockIdx.x) * config.tile_t;
      TokenMaker<config, Norm>(ring.base, x.rows, x.stride, first_row, rows, norm).run();
      scales = reinterpret_cast<const float *>(shared + made_token_bytes(config)) - first_row;
    }
    compute<config>(ring, scales, image, epilogue, rows);
  }
}

/// `weight` is a packed image, `x_scales` [rows] the scales of tokens (s8 and e4m3).
/// Configurations with row copies read the tokens at `tokens` [rows], whose rows are
/// `token_stride` bytes apart, both multiples of 16; the others through the map `x`.
template <GemmConfig config, class Epilogue>
__device__ __forceinline__ void gemm(const TensorMap &x, const float *x_scales, const void *weight,
                                     const Epilogue &epilogue, int64_t rows,
                                     const void *tokens = nullptr, int64_t token_stride = 0) {
  static_assert(!has_prologue(config));
  run_block<config>({&x, tokens, token_stride, x_scales}, NoNorm{}, weight, epilogue, rows);
}

/// With a prologue, which makes the tokens of bf16 rows at `x` [rows], `x_stride` bytes apart,
/// both multiples of 16. `norm` is what it normalises them by.
template <GemmConfig config, class Epilogue, class Norm>
__device__ __forceinline__ void gemm_of_rows(const bf16 *x, int64_t x_stride, const Norm &norm,
                                             const void *weight, const Epilogue &epilogue,
                                             int64_t rows) {
  static_assert(has_prologue(config));
  run_block<config>({nullptr, x, x_stride, nullptr}, norm, weight, epilogue, rows);
}

} // namespace qopt::cuda
