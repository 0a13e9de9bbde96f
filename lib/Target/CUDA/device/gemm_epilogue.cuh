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

/// One element that is in a register already.
template <class T> struct Held {
  float value;

  __device__ __forceinline__ float get(int) const { return value; }
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

  /// Many tokens: a warpgroup's outputs [tile_t, 64] (or, of pairs, 32) are made in registers
  /// and go through shared memory at `staging`, some tokens at a time and in its buffers by
  /// turns, and from there in rows of 16 bytes a thread. A matrix that is an operand goes the
  /// other way before. `barrier` is the warpgroup's own.
  template <class Sum>
  __device__ __forceinline__ void store_staged(const Sum (&sums)[thread_sums(config)],
                                               uint32_t staging, int group, int barrier) const {
    constexpr int kTokens = staged_tokens(config), kChunks = config.tile_t / kTokens;
    const StagedRows rows(*this, group);
    const Channels channels(*this, group);
    typename StagedRows::Pieces pieces;
    float scales[2][kTokens / 4];
    load_token_scales(scales[0], 0);
    if constexpr (kMatrix >= 0)
      rows.load(pieces, 0);
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const uint32_t buffer = staging + chunk % staged_buffers(config) * kStagedBytes;
      if (staged_buffers(config) == 1 || (chunk == 0 && kChunks % 2))
        named_barrier_sync(barrier, 128); // what was there has left
      if constexpr (kMatrix >= 0) {
        rows.stage(pieces, buffer);
        named_barrier_sync(barrier, 128);
      }
      if (chunk + 1 < kChunks) { // what the next tokens need is on its way meanwhile
        load_token_scales(scales[(chunk + 1) % 2], (chunk + 1) * kTokens);
        if constexpr (kMatrix >= 0)
          rows.load(pieces, (chunk + 1) * kTokens);
      }
      make_outputs(&sums[chunk * kTokens / 2], scales[chunk % 2], channels, buffer);
      named_barrier_sync(barrier, 128);
      rows.store(buffer, chunk * kTokens);
    }
  }

  /// Whether outputs can go that way: bf16, of one matrix of bf16 at most.
  __device__ static constexpr bool can_stage() {
    if constexpr (sizeof(Output) != 2 || kMatrices > 1)
      return false;
    else if constexpr (kMatrices == 1)
      return sizeof(typename ExtraOperand<Epilogue, kMatrix>::Type) == 2;
    else
      return true;
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

  template <int index>
  static constexpr bool kIsMatrix = extra_kind<Epilogue, index>() == ExtraKind::matrix;
  static constexpr int kMatrices = int(kIsMatrix<0>) + int(kIsMatrix<1>) + int(kIsMatrix<2>);
  static constexpr int kMatrix = kIsMatrix<0> ? 0 : kIsMatrix<1> ? 1 : kIsMatrix<2> ? 2 : -1;

  static constexpr int kGroupOutputs = config.pair ? 32 : 64; // of a token, of a warpgroup
  static constexpr int kStagedRow = kGroupOutputs * 2;        // bytes of a staged row
  static constexpr int kPieces = kStagedRow / 16;             // of a row
  static constexpr int kChannels = config.pair ? 1 : 2;       // outputs of a thread for a token

  /// Piece `piece` of staged row `token`: eight rows of eight outputs are in different banks.
  __device__ __forceinline__ static uint32_t staged_at(uint32_t buffer, int token, int piece) {
    const int turn = config.pair ? token / 2 % 4 : token % 8;
    return buffer + token * kStagedRow + (piece ^ turn) * 16;
  }

  /// What belongs to the channels of a thread, lane / 4 of its warp's unit and eight further.
  struct Channels {
    float scales[2];
    Extras<Epilogue, ExtraKind::vector, One> vectors[kChannels];

    __device__ __forceinline__ Channels(const OutputTile &tile, int group) {
      const int unit = tile.first_unit + group * 4 + warp_index() % 4, lane = lane_index() / 4;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int channel = unit * kUnit + half * 8 + lane;
        scales[half] = channel < config.n ? tile.channel_scale(channel) : 0.0f;
      }
#pragma unroll
      for (int half = 0; half < kChannels; ++half) {
        const int output = config.pair ? unit * 8 + lane : unit * kUnit + half * 8 + lane;
        if (output < kOutputs)
          vectors[half].load(tile.epilogue, 0, output);
      }
    }
  };

  /// Scales of the tokens of a thread's sums, of staged_tokens() from `first`.
  template <int count>
  __device__ __forceinline__ void load_token_scales(float (&scales)[count], int first) const {
    if constexpr (has_channel_scales(config))
#pragma unroll
      for (int i = 0; i < count; ++i) {
        const int64_t row = first_row + first + i / 2 * 8 + lane_index() % 4 * 2 + i % 2;
        scales[i] = row < rows ? token_scales[row] : 0.0f;
      }
  }

  /// The outputs of a thread's `sums`, by fours of 8 x 8 (channel, token) to `buffer`; the
  /// matrix's elements are there before.
  template <class Sum, int count>
  __device__ __forceinline__ void make_outputs(const Sum *sums, const float (&scales)[count],
                                               const Channels &channels, uint32_t buffer) const {
    constexpr int kEights = 4 / kChannels; // of tokens, in four matrices
#pragma unroll
    for (int first = 0; first < count / 2; first += kEights) {
      const int matrix = lane_index() / 8;
      const uint32_t address =
          staged_at(buffer, (first + matrix / kChannels) * 8 + lane_index() % 8,
                    warp_index() % 4 * kChannels + matrix % kChannels);
      uint32_t elements[4] = {}, packed[4];
      if constexpr (kMatrix >= 0)
        load_matrices_transposed(elements, address);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int eight = first + i / kChannels;
        float results[2];
#pragma unroll
        for (int e = 0; e < 2; ++e)
          results[e] = output_of(
              sums + 4 * eight + e, has_channel_scales(config) ? scales[2 * eight + e] : 1.0f,
              channels, i % kChannels, e ? high_to_float(elements[i]) : low_to_float(elements[i]));
        packed[i] = pack_bf16(results[0], results[1]);
      }
      store_matrices_transposed(address, packed);
    }
  }

  /// The output of sums[0] and sums[2], channels that are eight apart: of both if they are a
  /// pair, else of one.
  template <class Sum>
  __device__ __forceinline__ static float
  output_of(const Sum *sums, float token_scale, const Channels &channels, int half, float element) {
    Extras<Epilogue, ExtraKind::matrix, Held> matrices;
    if constexpr (kMatrix == 0)
      matrices.extra0.elements.value = element;
    else if constexpr (kMatrix == 1)
      matrices.extra1.elements.value = element;
    else if constexpr (kMatrix == 2)
      matrices.extra2.elements.value = element;
    const float sum = scaled(float(sums[2 * half]), token_scale, channels.scales[half]);
    if constexpr (config.pair)
      return apply<Epilogue>(matrices, channels.vectors[0], 0, sum,
                             scaled(float(sums[2]), token_scale, channels.scales[1]));
    else
      return apply<Epilogue>(matrices, channels.vectors[half], 0, sum);
  }

  /// A thread's pieces, 16 bytes each, of the rows of a warpgroup.
  struct StagedRows {
    static constexpr int kCount = staged_tokens(config) * kPieces / 128;
    using Pieces = Vec16[kCount];

    const OutputTile &tile;
    int output; // the first channel of the warpgroup's outputs

    __device__ __forceinline__ StagedRows(const OutputTile &tile, int group)
        : tile(tile), output((tile.first_unit + group * 4) * (kGroupOutputs / 4)) {}

    /// Calls `act` (row, channel, address of the piece) for the pieces that exist.
    template <class Act>
    __device__ __forceinline__ void for_each(uint32_t buffer, int first, const Act &act) const {
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        const int piece = threadIdx.x % 128 + 128 * i, token = piece / kPieces;
        const int64_t row = tile.first_row + first + token;
        const int channel = output + piece % kPieces * 8;
        if (row < tile.rows && channel < kOutputs)
          act(i, row, channel, staged_at(buffer, token, piece % kPieces));
      }
    }

    /// Of the matrix that is an operand.
    __device__ __forceinline__ void load(Pieces &pieces, int first) const {
      using Operand = ExtraOperand<Epilogue, kMatrix>;
      for_each(0, first, [&](int i, int64_t row, int channel, uint32_t) {
        pieces[i] = *reinterpret_cast<const Vec16 *>(Operand::pointer(tile.epilogue) +
                                                     row * Operand::kStride + channel);
      });
    }
    __device__ __forceinline__ void stage(const Pieces &pieces, uint32_t buffer) const {
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        const int piece = threadIdx.x % 128 + 128 * i;
        store_shared_16(staged_at(buffer, piece / kPieces, piece % kPieces), pieces[i]);
      }
    }
    __device__ __forceinline__ void store(uint32_t buffer, int first) const {
      for_each(buffer, first, [&](int, int64_t row, int channel, uint32_t address) {
        *reinterpret_cast<Vec16 *>(tile.epilogue.output + row * Epilogue::output_stride + channel) =
            load_shared_16(address);
      });
    }
  };
};

} // namespace qopt::cuda
