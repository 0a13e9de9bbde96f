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

/// Eight consecutive elements as they are in memory, in 16-byte accesses.
template <class T> struct Eight {
  Vec16 raw[sizeof(T) / 2];

  __device__ __forceinline__ void load(const T *source) {
#pragma unroll
    for (int i = 0; i < int(sizeof(T) / 2); ++i)
      raw[i] = reinterpret_cast<const Vec16 *>(source)[i];
  }
  __device__ __forceinline__ float get(int i) const {
    if constexpr (sizeof(T) == 4)
      return bits_to_float(raw[i / 4].words[i % 4]);
    else
      return i % 2 ? high_to_float(raw[0].words[i / 2]) : low_to_float(raw[0].words[i / 2]);
  }
};
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

/// One element, with the interface of Eight.
template <class T> struct One {
  T value;

  __device__ __forceinline__ void load(const T *source) { value = *source; }
  __device__ __forceinline__ float get(int) const { return to_float(value); }
};

/// Extra operand `index` of an epilogue, if it has one.
template <class Epilogue, int index> struct ExtraOperand {
  static constexpr bool kExists = false;
};
template <class T> struct Pointee;
template <class T> struct Pointee<const T *> {
  using Type = T;
};
#define QOPT_EXTRA_OPERAND(index)                                                                  \
  template <class Epilogue>                                                                        \
    requires(Epilogue::extras > index)                                                             \
  struct ExtraOperand<Epilogue, index> {                                                           \
    using Type = typename Pointee<decltype(Epilogue::extra##index)>::Type;                         \
    static constexpr bool kExists = true;                                                          \
    static constexpr int kStride = Epilogue::extra##index##_stride;                                \
    __device__ __forceinline__ static const Type *pointer(const Epilogue &epilogue) {              \
      return epilogue.extra##index;                                                                \
    }                                                                                              \
  };
QOPT_EXTRA_OPERAND(0)
QOPT_EXTRA_OPERAND(1)
QOPT_EXTRA_OPERAND(2)

enum class ExtraKind { none, matrix, vector };
template <class Epilogue, int index> __device__ constexpr ExtraKind extra_kind() {
  using Operand = ExtraOperand<Epilogue, index>;
  if constexpr (!Operand::kExists)
    return ExtraKind::none;
  else
    return Operand::kStride == 0 ? ExtraKind::vector : ExtraKind::matrix;
}

/// The elements of extra operand `index` for some outputs, if it is of a kind.
template <class Epilogue, int index, ExtraKind kind, template <class> class Elements,
          bool held = extra_kind<Epilogue, index>() == kind>
struct Extra {
  __device__ __forceinline__ void load(const Epilogue &, int64_t, int) {}
};
template <class Epilogue, int index, ExtraKind kind, template <class> class Elements>
struct Extra<Epilogue, index, kind, Elements, true> {
  using Operand = ExtraOperand<Epilogue, index>;
  Elements<typename Operand::Type> elements;

  __device__ __forceinline__ void load(const Epilogue &epilogue, int64_t token, int channel) {
    elements.load(Operand::pointer(epilogue) + token * Operand::kStride + channel);
  }
};

/// All extra operands of a kind: matrices change with the token, vectors do not.
template <class Epilogue, ExtraKind kind, template <class> class Elements> struct Extras {
  static_assert(Epilogue::extras <= 3);
  Extra<Epilogue, 0, kind, Elements> extra0;
  Extra<Epilogue, 1, kind, Elements> extra1;
  Extra<Epilogue, 2, kind, Elements> extra2;

  __device__ __forceinline__ void load(const Epilogue &epilogue, int64_t token, int channel) {
    extra0.load(epilogue, token, channel);
    extra1.load(epilogue, token, channel);
    extra2.load(epilogue, token, channel);
  }
};

template <class Epilogue, int index, class Matrix, class Vector>
__device__ __forceinline__ float pick(const Matrix &matrix, const Vector &vector, int i) {
  if constexpr (extra_kind<Epilogue, index>() == ExtraKind::matrix)
    return matrix.elements.get(i);
  else
    return vector.elements.get(i);
}

/// The emitted function of output i of some.
template <class Epilogue, class Matrices, class Vectors, class... Sums>
__device__ __forceinline__ float apply(const Matrices &m, const Vectors &v, int i, Sums... sums) {
  if constexpr (Epilogue::extras == 0)
    return Epilogue::apply(sums...);
  else if constexpr (Epilogue::extras == 1)
    return Epilogue::apply(sums..., pick<Epilogue, 0>(m.extra0, v.extra0, i));
  else if constexpr (Epilogue::extras == 2)
    return Epilogue::apply(sums..., pick<Epilogue, 0>(m.extra0, v.extra0, i),
                           pick<Epilogue, 1>(m.extra1, v.extra1, i));
  else
    return Epilogue::apply(sums..., pick<Epilogue, 0>(m.extra0, v.extra0, i),
                           pick<Epilogue, 1>(m.extra1, v.extra1, i),
                           pick<Epilogue, 2>(m.extra2, v.extra2, i));
}

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
  __device__ __forceinline__ void store(const Sum (&sums)[thread_sums(config)], int unit) const {
    const int channel = (first_unit + unit) * kUnit + lane_index() / 4;
    float scales[2];
#pragma unroll
    for (int half = 0; half < 2; ++half)
      scales[half] = channel + half * 8 < config.n ? channel_scale(channel + half * 8) : 0.0f;
#pragma unroll
    for (int i = 0; i < thread_sums(config) / 2; ++i) {
      const int t = i / 2 * 8 + lane_index() % 4 * 2 + i % 2;
      const int64_t row = first_row + t;
      if (t >= config.tile_t || row >= rows)
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

  /// Many tokens: a warpgroup's sums [tile_t, 64] go through shared memory at `staging`,
  /// some tokens at a time and in its buffers by turns, and from there in rows of 16 bytes
  /// a thread. `barrier` is the warpgroup's own.
  template <class Sum>
  __device__ __forceinline__ void store_staged(const Sum (&sums)[thread_sums(config)],
                                               uint32_t staging, int group, int barrier) const {
    const RowStore store(*this, group);
    const uint32_t corner =
        staging +
        (lane_index() % 4 * 2 * kStagedRow + warp_index() % 4 * 16 + lane_index() / 4) * 4;
    // What the first tokens need is on its way before their sums are staged.
    constexpr int kChunks = config.tile_t / kStagedTokens, kWanted = RowStore::kAhead;
    constexpr int kAhead = kChunks < kWanted ? kChunks : kWanted;
    typename RowStore::RowExtras extras[kAhead];
#pragma unroll
    for (int chunk = 0; chunk < kAhead; ++chunk)
      store.load_extras(extras[chunk], chunk * kStagedTokens);
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const uint32_t buffer = chunk % staged_buffers(config) * kStagedBytes;
      if constexpr (staged_buffers(config) == 1)
        named_barrier_sync(barrier, 128); // what was there has left
#pragma unroll
      for (int i = 0; i < kStagedTokens / 2; ++i)
        store_shared_4(corner + buffer + ((i / 4 * 8 + i % 2) * kStagedRow + i / 2 % 2 * 8) * 4,
                       float_to_bits(float(sums[chunk * kStagedTokens / 2 + i])));
      named_barrier_sync(barrier, 128);
      store.run(staging + buffer, chunk * kStagedTokens, extras[chunk % kAhead]);
      if (chunk + kAhead < kChunks)
        store.load_extras(extras[chunk % kAhead], (chunk + kAhead) * kStagedTokens);
    }
  }

private:
  template <class... Sums>
  __device__ __forceinline__ void store_one(int64_t row, int channel, Sums... sums) const {
    if (channel >= kOutputs)
      return;
    Extras<Epilogue, ExtraKind::matrix, One> matrices;
    Extras<Epilogue, ExtraKind::vector, One> vectors;
    matrices.load(epilogue, row, channel);
    vectors.load(epilogue, row, channel);
    epilogue.output[row * Epilogue::output_stride + channel] =
        from_float<Output>(apply<Epilogue>(matrices, vectors, 0, sums...));
  }

  /// A thread's part of the rows of a warpgroup's 64 channels: eight outputs of every
  /// 128 / kThreads-th token.
  struct RowStore {
    static constexpr int kWidth = config.pair ? 16 : 8; // staged channels
    static constexpr int kThreads = 64 / kWidth;        // threads of a row
    static constexpr int kRows = kStagedTokens * kThreads / 128;
    using Matrices = Extras<Epilogue, ExtraKind::matrix, Eight>;
    struct RowExtras {
      Matrices rows[kRows];
      float token_scales[kRows];
    };
    /// Steps of kStagedTokens whose extras are loaded ahead, as registers allow.
    static constexpr int kMatrices = int(extra_kind<Epilogue, 0>() == ExtraKind::matrix) +
                                     int(extra_kind<Epilogue, 1>() == ExtraKind::matrix) +
                                     int(extra_kind<Epilogue, 2>() == ExtraKind::matrix);
    static constexpr int kAhead = kMatrices == 0 ? 4 : 2;

    const OutputTile &tile;
    int thread, column, output;
    float scales[kWidth];
    Extras<Epilogue, ExtraKind::vector, Eight> vectors;

    __device__ __forceinline__ RowStore(const OutputTile &tile, int group)
        : tile(tile), thread(threadIdx.x % 128), column(thread % kThreads * kWidth) {
      const int channel = (tile.first_unit + group * 4) * kUnit + column;
      output = config.pair ? channel / 2 : channel;
#pragma unroll
      for (int i = 0; i < kWidth; ++i)
        scales[i] = output < kOutputs ? tile.channel_scale(channel + i) : 0.0f;
      if (output < kOutputs)
        vectors.load(tile.epilogue, 0, output);
    }

    __device__ __forceinline__ int token(int first, int i) const {
      return first + i * (128 / kThreads) + thread / kThreads;
    }
    __device__ __forceinline__ bool exists(int token) const {
      return output < kOutputs && tile.first_row + token < tile.rows;
    }

    __device__ __forceinline__ void load_extras(RowExtras &extras, int first) const {
#pragma unroll
      for (int i = 0; i < kRows; ++i)
        if (const int t = token(first, i); exists(t)) {
          extras.rows[i].load(tile.epilogue, tile.first_row + t, output);
          extras.token_scales[i] = tile.token_scale(tile.first_row + t);
        }
    }

    /// The tokens from `first`, which are staged at `staging`.
    __device__ __forceinline__ void run(uint32_t staging, int first,
                                        const RowExtras &extras) const {
#pragma unroll
      for (int i = 0; i < kRows; ++i)
        if (const int t = token(first, i); exists(t))
          store_row(staging + ((t - first) * kStagedRow + column) * 4, tile.first_row + t,
                    extras.token_scales[i], extras.rows[i]);
    }

  private:
    __device__ __forceinline__ void store_row(uint32_t staged, int64_t row, float token_scale,
                                              const Matrices &matrices) const {
      float sums[kWidth], results[8];
#pragma unroll
      for (int i = 0; i < kWidth / 4; ++i) {
        const Vec16 v = load_shared_16(staged + 16 * i);
#pragma unroll
        for (int j = 0; j < 4; ++j)
          sums[4 * i + j] = scaled(bits_to_float(v.words[j]), token_scale, scales[4 * i + j]);
      }
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        if constexpr (config.pair)
          results[i] = apply<Epilogue>(matrices, vectors, i, sums[i], sums[i + 8]);
        else
          results[i] = apply<Epilogue>(matrices, vectors, i, sums[i]);
      }
      store_eight(tile.epilogue.output + row * Epilogue::output_stride + output, results);
    }
  };
};

} // namespace qopt::cuda
