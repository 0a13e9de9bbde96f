//===- gemm_epilogue.cuh - From sums to the output ----------------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Token and channel scales, the emitted function, and the stores. An emitted epilogue:
//
//   struct Epilogue {
//     using Output = bf16;                        // or float
//     static constexpr int output_stride = 4096;  // elements
//     Output *output;
//     static constexpr int extras = 1;            // 0 to 3 more operands
//     const bf16 *extra0;                         // bf16 or float
//     static constexpr int extra0_stride = 4096;  // elements; 0: a vector [n]
//     static float apply(float acc, float e0);    // pair: (gate, up, e0)
//   };
//
//===----------------------------------------------------------------------===//

#pragma once

#include "gemm_dequantize.cuh"
#include "gemm_pipeline.cuh"

namespace qopt::cuda {

/// Eight consecutive elements in 16-byte accesses.
__device__ __forceinline__ void load_eight(float (&values)[8], const bf16 *source) {
  const Vec16 v = *reinterpret_cast<const Vec16 *>(source);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    values[2 * i] = low_to_float(v.words[i]);
    values[2 * i + 1] = high_to_float(v.words[i]);
  }
}
__device__ __forceinline__ void load_eight(float (&values)[8], const float *source) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const Vec16 v = reinterpret_cast<const Vec16 *>(source)[half];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      values[4 * half + i] = bits_to_float(v.words[i]);
  }
}
__device__ __forceinline__ void store_eight(bf16 *destination, const float (&values)[8]) {
  Vec16 v;
#pragma unroll
  for (int i = 0; i < 4; ++i)
    v.words[i] = pack_bf16(values[2 * i], values[2 * i + 1]);
  *reinterpret_cast<Vec16 *>(destination) = v;
}
__device__ __forceinline__ void store_eight(float *destination, const float (&values)[8]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    Vec16 v;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      v.words[i] = float_to_bits(values[4 * half + i]);
    reinterpret_cast<Vec16 *>(destination)[half] = v;
  }
}

/// The extra operands of `count` consecutive outputs.
template <class Epilogue, int count> struct Extras {
  float values[Epilogue::extras > 0 ? Epilogue::extras : 1][count];

  __device__ __forceinline__ void load(const Epilogue &epilogue, int64_t token, int channel) {
    if constexpr (Epilogue::extras > 0)
      load(values[0], epilogue.extra0 + token * Epilogue::extra0_stride + channel);
    if constexpr (Epilogue::extras > 1)
      load(values[1], epilogue.extra1 + token * Epilogue::extra1_stride + channel);
    if constexpr (Epilogue::extras > 2)
      load(values[2], epilogue.extra2 + token * Epilogue::extra2_stride + channel);
    static_assert(Epilogue::extras <= 3);
  }

  template <class... Sums> __device__ __forceinline__ float apply(int i, Sums... sums) const {
    if constexpr (Epilogue::extras == 0)
      return Epilogue::apply(sums...);
    else if constexpr (Epilogue::extras == 1)
      return Epilogue::apply(sums..., values[0][i]);
    else if constexpr (Epilogue::extras == 2)
      return Epilogue::apply(sums..., values[0][i], values[1][i]);
    else
      return Epilogue::apply(sums..., values[0][i], values[1][i], values[2][i]);
  }

private:
  template <class T>
  __device__ __forceinline__ static void load(float (&to)[count], const T *from) {
    if constexpr (count == 8)
      load_eight(to, from);
    else
      to[0] = to_float(*from);
  }
};

/// Where a block's outputs are, and the scales of its operands.
template <GemmConfig config, class Epilogue> struct OutputTile {
  using Output = typename Epilogue::Output;
  static constexpr int kOutputs = config.pair ? config.n / 2 : config.n; // channels

  const Epilogue &epilogue;
  const float *token_scales;     // [rows]
  const uint8_t *channel_scales; // [n padded]
  int64_t rows, first_row;
  int first_unit;

  __device__ __forceinline__ float token_scale(int64_t row) const {
    return has_channel_scales(config) ? token_scales[row] : 1.0f;
  }
  __device__ __forceinline__ float channel_scale(int channel) const {
    if constexpr (has_channel_scales(config))
      return load_number<config.scale>(channel_scales + int64_t(channel) * bytes(config.scale));
    return 1.0f;
  }
  __device__ __forceinline__ static float scaled(float sum, float token, float channel) {
    return has_channel_scales(config) ? __fmul_rn(__fmul_rn(sum, token), channel) : sum;
  }

  /// Few tokens: each thread stores its own elements.
  template <class Sum>
  __device__ __forceinline__ void store(const Sum (&sums)[config.tile_t / 2], int unit) const {
    const int channel = (first_unit + unit) * kUnit + lane_index() / 4;
    float scales[2];
#pragma unroll
    for (int half = 0; half < 2; ++half)
      scales[half] = channel + half * 8 < config.n ? channel_scale(channel + half * 8) : 0.0f;
#pragma unroll
    for (int i = 0; i < config.tile_t / 4; ++i) {
      const int64_t row = first_row + i / 2 * 8 + lane_index() % 4 * 2 + i % 2;
      if (row >= rows)
        continue;
      const float token = token_scale(row);
      const float low = scaled(float(sums[i / 2 * 4 + i % 2]), token, scales[0]);
      const float high = scaled(float(sums[i / 2 * 4 + 2 + i % 2]), token, scales[1]);
      if constexpr (config.pair) {
        store_one(row, (first_unit + unit) * 8 + lane_index() / 4, low, high);
      } else {
        store_one(row, channel, low);
        store_one(row, channel + 8, high);
      }
    }
  }

  /// Many tokens: a warpgroup's sums [tile_t, 64] go to shared memory at `staging`, and
  /// from there in rows of 16 bytes a thread. `barrier` is the warpgroup's own.
  template <class Sum>
  __device__ __forceinline__ void store_staged(const Sum (&sums)[config.tile_t / 2],
                                               uint32_t staging, int group, int barrier) const {
    const int warp = warp_index() % 4;
    const uint32_t corner =
        staging + (lane_index() % 4 * 2 * kStagedRow + warp * 16 + lane_index() / 4) * 4;
#pragma unroll
    for (int i = 0; i < config.tile_t / 2; ++i)
      store_shared_4(corner + ((i / 4 * 8 + i % 2) * kStagedRow + i / 2 % 2 * 8) * 4,
                     float_to_bits(float(sums[i])));
    named_barrier_sync(barrier, 128);
    store_rows(staging, group);
  }

private:
  template <class... Sums>
  __device__ __forceinline__ void store_one(int64_t row, int channel, Sums... sums) const {
    if (channel >= kOutputs)
      return;
    Extras<Epilogue, 1> extras;
    extras.load(epilogue, row, channel);
    epilogue.output[row * Epilogue::output_stride + channel] =
        from_float<Output>(extras.apply(0, sums...));
  }

  __device__ __forceinline__ void store_rows(uint32_t staging, int group) const {
    constexpr int kWidth = config.pair ? 16 : 8; // staged channels of a thread
    constexpr int kThreads = 64 / kWidth;        // threads of a row
    const int thread = threadIdx.x % 128, column = thread % kThreads * kWidth;
    const int channel = (first_unit + group * 4) * kUnit + column;
    const int output = config.pair ? channel / 2 : channel;
    if (output >= kOutputs)
      return;
    float scales[kWidth];
#pragma unroll
    for (int i = 0; i < kWidth; ++i)
      scales[i] = channel_scale(channel + i);
#pragma unroll 4
    for (int t = thread / kThreads; t < config.tile_t; t += 128 / kThreads) {
      const int64_t row = first_row + t;
      if (row >= rows)
        return;
      Extras<Epilogue, 8> extras;
      extras.load(epilogue, row, output);
      const float token = token_scale(row);
      float sums[kWidth], results[8];
#pragma unroll
      for (int i = 0; i < kWidth / 4; ++i) {
        const Vec16 v = load_shared_16(staging + (t * kStagedRow + column + 4 * i) * 4);
#pragma unroll
        for (int j = 0; j < 4; ++j)
          sums[4 * i + j] = scaled(bits_to_float(v.words[j]), token, scales[4 * i + j]);
      }
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        if constexpr (config.pair)
          results[i] = extras.apply(i, sums[i], sums[i + 8]);
        else
          results[i] = extras.apply(i, sums[i]);
      }
      store_eight(epilogue.output + row * Epilogue::output_stride + output, results);
    }
  }
};

} // namespace qopt::cuda
