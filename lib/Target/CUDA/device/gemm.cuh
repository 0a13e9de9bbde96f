//===- gemm.cuh - The linear layers of Hopper ---------------------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// y [t, n] = epilogue(x [t, k] w [n, k]) for every format of weights (gemm_config.h).
// blockIdx.x is the tile of tokens, blockIdx.y the tile of channels; a block has
// threads(config) threads, `__launch_bounds__(threads(config), 1)`, and
// shared_bytes(config) bytes of dynamic shared memory.
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
#include "gemm_wgmma.cuh"

namespace qopt::cuda {

template <Codes codes> struct SumOf {
  using Type = float;
};
template <> struct SumOf<Codes::s8> {
  using Type = int32_t;
};

/// A computing warp, from the first stage to the outputs.
template <GemmConfig config, class Epilogue>
__device__ __forceinline__ void compute(const Ring<config> &ring, const float *x_scales,
                                        const uint8_t *weight, const Epilogue &epilogue,
                                        int64_t rows) {
  constexpr int kTileUnits = config.tile_n / kUnit;
  const int first_unit = blockIdx.y * kTileUnits;
  typename SumOf<config.codes>::Type sums[config.tile_t / 2] = {};
  // Zeros that are made here, and not where the copying warp would have to keep them too.
  hold(sums);
  if constexpr (config.wgmma)
    sum_with_wgmma(sums, ring, weight, first_unit);
  else
    sum_with_mma(sums, ring, weight, first_unit);

  wait_for_predecessors();
  const OutputTile<config, Epilogue> tile{epilogue,
                                          x_scales,
                                          weight + channel_scales_offset(config),
                                          rows,
                                          int64_t(blockIdx.x) * config.tile_t,
                                          first_unit};
  if constexpr (stages_output(config)) {
    // The ring is free once every warpgroup has read its last stage.
    const int group = warp_index() / 4;
    named_barrier_sync(1, 32 * consumer_warps(config));
    tile.store_staged(sums, ring.base + group * config.tile_t * kStagedRow * 4, group, 2 + group);
  } else if (warp_index() % config.k_warps == 0 && warp_index() / config.k_warps < kTileUnits) {
    tile.store(sums, warp_index() / config.k_warps);
  }
}

template <GemmConfig config, class Epilogue>
__device__ __forceinline__ void gemm(const TensorMap &x, const float *x_scales, const void *weight,
                                     const Epilogue &epilogue, int64_t rows) {
  static_assert(reason_invalid(config) == nullptr);
  extern __shared__ __align__(1024) uint8_t shared[];
  const Ring<config> ring{shared_address(shared)};
  const uint8_t *image = static_cast<const uint8_t *>(weight);

  launch_dependents();
  if (threadIdx.x == 0) {
    prefetch_tensor_map(&x);
    ring.init();
  }
  __syncthreads();

  if (warp_index() >= consumer_warps(config)) {
    if constexpr (shares_registers(config))
      decrease_registers<producer_registers(config)>();
    constexpr int kTileUnits = config.tile_n / kUnit;
    const int64_t first_unit = int64_t(blockIdx.y) * kTileUnits;
    const int64_t left = units(config) - first_unit;
    const Producer<config> producer{ring, &x, image + first_unit * unit_bytes(config),
                                    int(left < kTileUnits ? left : kTileUnits),
                                    int(blockIdx.x) * config.tile_t};
    if (warp_index() == consumer_warps(config))
      producer.run();
  } else {
    if constexpr (shares_registers(config))
      increase_registers<consumer_registers(config)>();
    compute<config>(ring, x_scales, image, epilogue, rows);
  }
}

} // namespace qopt::cuda
