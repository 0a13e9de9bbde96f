//===- gemm_dequantize.cuh - Fragments of integer weights ---------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Codes become bf16 exactly. The integer is put under the exponent of 128 (0x43), where a
// step of the last of bf16's seven bits is 1, and the constant is subtracted.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "gemm_config.h"
#include "ptx.cuh"

namespace qopt::cuda {

/// Weights of a fragment image, by blocks of one unit in shared memory.
template <GemmConfig config> struct FragmentBlock {
  static constexpr int kBits = code_bits(config);
  /// 32-bit words of a lane for a step of 16 columns.
  static constexpr int kStepWords = kBits / 4;
  /// Steps that one load brings: 16 bytes of a lane, or 8 if a block has no more.
  static constexpr int kLoadWords = block_columns(config) == 32 && kBits == 4 ? 2 : 4;
  static constexpr int kLoadSteps = kLoadWords / kStepWords;

  uint32_t words[kLoadWords];

  /// Load `index` of the block at `block`.
  __device__ __forceinline__ void load(uint32_t block, int index) {
    const uint32_t address = block + (index * 32 + lane_index()) * kLoadWords * 4;
    if constexpr (kLoadWords == 4) {
      const Vec16 v = load_shared_16(address);
#pragma unroll
      for (int i = 0; i < 4; ++i)
        words[i] = v.words[i];
    } else {
      load_shared_8(words, address);
    }
  }

  /// The A fragment of step `step` of the load.
  __device__ __forceinline__ void fragment(uint32_t (&a)[4], int step) const {
    if constexpr (kBits == 4) {
      // 128 + code - 136 of i4 stored offset by 8, 128 + code - 128 of ui4.
      constexpr uint32_t kBase = config.codes == Codes::s4 ? 0x43084308 : 0x43004300;
#pragma unroll
      for (int i = 0; i < 4; ++i)
        a[i] = sub_bf16(and_or(words[step] >> (4 * i), 0x000f000f, 0x43004300), kBase);
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i)
        a[i] = signed_bytes(__byte_perm(words[2 * step + i / 2], 0, i % 2 ? 0x4342 : 0x4140));
    }
  }

private:
  /// Two bytes b + 128 in the low bytes of halves: seven bits under the exponent, and 128
  /// or 256 subtracted by the eighth.
  __device__ __forceinline__ static uint32_t signed_bytes(uint32_t bytes) {
    return sub_bf16(and_or(bytes, 0x007f007f, 0x43004300), (bytes & 0x00800080) ^ 0x43804380);
  }
};

/// Scales (or minima) of a thread's two channels: rows lane / 4 and lane / 4 + 8.
template <Number number> __device__ __forceinline__ float load_shared_number(uint32_t address) {
  if constexpr (number == Number::f32)
    return bits_to_float(load_shared_4(address));
  else if constexpr (number == Number::f16)
    return to_float(f16{load_shared_2(address)});
  else
    return to_float(bf16{load_shared_2(address)});
}
template <Number number> __device__ __forceinline__ float load_number(const uint8_t *address) {
  if constexpr (number == Number::f32)
    return *reinterpret_cast<const float *>(address);
  else if constexpr (number == Number::f16)
    return to_float(*reinterpret_cast<const f16 *>(address));
  else
    return to_float(*reinterpret_cast<const bf16 *>(address));
}

/// Scales and minima of a thread's two channels.
template <GemmConfig config> struct GroupScales {
  float scale[2], minimum[2];

  /// From a block in shared memory: of both channels, or of one, the `first`.
  template <int halves = 2> __device__ __forceinline__ void load(uint32_t block, int first = 0) {
    constexpr int kBytes = bytes(config.scale);
    const uint32_t at =
        block + code_bytes(config, block_columns(config)) + (lane_index() / 4 + first * 8) * kBytes;
#pragma unroll
    for (int half = 0; half < halves; ++half) {
      scale[half] = load_shared_number<config.scale>(at + half * 8 * kBytes);
      if constexpr (config.affine)
        minimum[half] = load_shared_number<config.scale>(at + (16 + half * 8) * kBytes);
    }
  }

  /// From the image, per channel: `unit` is the start of the unit.
  __device__ __forceinline__ void load(const uint8_t *unit) {
    constexpr int kBytes = bytes(config.scale);
    const uint8_t *at =
        unit + code_bytes(config, block_columns(config)) + lane_index() / 4 * kBytes;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      scale[half] = load_number<config.scale>(at + half * 8 * kBytes);
      if constexpr (config.affine)
        minimum[half] = load_number<config.scale>(at + (16 + half * 8) * kBytes);
    }
  }

  /// total += scale * acc, then total += minimum * sum(x): in this order everywhere.
  __device__ __forceinline__ float add(float total, float acc, float sum, int half) const {
    total = __fmaf_rn(half ? scale[1] : scale[0], acc, total);
    if constexpr (config.affine)
      total = __fmaf_rn(half ? minimum[1] : minimum[0], sum, total);
    return total;
  }
};

} // namespace qopt::cuda
