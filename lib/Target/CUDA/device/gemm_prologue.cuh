//===- gemm_prologue.cuh - Tokens that a linear layer makes itself -*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For few tokens each block normalises and quantizes the rows of its tokens once, while its
// first weights are on their way: a launch less. The bits are those of norm.cuh, whose blocks
// have row_threads(columns) threads. What one of their warps has of a row, a *strip*, one warp
// of this block has here; strips are shared out among its computing warps.
//
//   rows [tile_t, k] bf16 ─► registers ─► sums of strips ─► rms ─► absmax of strips ─► tokens
//                                         barrier                  barrier              barrier
//
//===----------------------------------------------------------------------===//

#pragma once

#include "gemm_pipeline.cuh"
#include "row.cuh"

namespace qopt::cuda {

/// What an emitted kernel names its norm by:
///   struct Norm { static constexpr float eps = 1e-5f; const bf16 *weight; };
struct NoNorm {
  static constexpr float eps = 0.0f;
  const bf16 *weight = nullptr;
};

template <Number number> struct TokenCode {
  using Type = bf16;
};
template <> struct TokenCode<Number::s8> {
  using Type = int8_t;
};
template <> struct TokenCode<Number::e4m3> {
  using Type = e4m3;
};

template <GemmConfig config, class Norm> struct TokenMaker {
  static constexpr bool kNorm = config.prologue == Prologue::norm;
  static constexpr bool kQuantize = token_number(config) != Number::bf16;
  using Code = typename TokenCode<token_number(config)>::Type;

  static constexpr int kWarps = consumer_warps(config);
  static constexpr int kRowWarps = row_threads(config.k) / 32; // strips of a row
  static constexpr int kTurns = RowPieces<config.k>::turns;    // pieces of a strip's lane
  static constexpr int kStrips = config.tile_t * kRowWarps;
  static constexpr int kOwn = gemm_detail::ceil_div(kStrips, kWarps);
  /// Whether a thread's pieces stay in its registers; else they are read again.
  static constexpr bool kHolds = holds_rows(config);
  static constexpr int kHeld = kHolds ? kOwn * kTurns : 1;
  /// Strips whose loads are under way together.
  static constexpr int kUnroll = kHolds ? kOwn : kOwn < 4 ? kOwn : 4;

  uint32_t base; // of the block's shared memory
  const uint8_t *input;
  int64_t stride, first_row, rows; // stride in bytes
  const bf16 *weight;
  Eight<bf16> held[kHeld], held_weight[kNorm ? kHeld : 1];

  __device__ __forceinline__ TokenMaker(uint32_t base, const void *input, int64_t stride,
                                        int64_t first_row, int64_t rows, const Norm &norm)
      : base(base), input(static_cast<const uint8_t *>(input)), stride(stride),
        first_row(first_row), rows(rows), weight(norm.weight) {}

  /// All computing warps call this; the tokens are there for all of them when it returns.
  __device__ __forceinline__ void run() {
    if constexpr (kHolds && kNorm)
      for_each_piece([&](Piece p) { held_weight[p.held].load(weight + p.loaded()); });
    wait_for_predecessors();
    if constexpr (kHolds)
      for_each_piece([&](Piece p) { held[p.held].load(row(p.token) + p.loaded()); });
    if constexpr (kNorm) {
      share_squares();
      sync();
    }
    if constexpr (kQuantize) {
      share_maxima();
      sync();
    }
    store_tokens();
    pad_tokens();
    if constexpr (config.wgmma)
      fence_async_shared();
    sync();
  }

  /// The scales of the tokens [tile_t], in shared memory.
  __device__ __forceinline__ static uint32_t scales(uint32_t base) {
    return base + made_token_bytes(config);
  }

private:
  /// Eight columns of a token that one lane has.
  struct Piece {
    int token, strip, column, held;
    __device__ bool exists() const { return column < config.k; }
    /// Beyond the row, its last columns again: no load is behind a branch.
    __device__ int loaded() const { return min(column, config.k - 8); }
  };

  __device__ __forceinline__ static void sync() { named_barrier_sync(15, 32 * kWarps); }
  __device__ __forceinline__ const bf16 *row(int token) const {
    const int64_t at = first_row + token < rows ? first_row + token : rows - 1;
    return reinterpret_cast<const bf16 *>(input + at * stride);
  }

  /// `strip(first piece, i)` for each strip of this warp, the i-th.
  template <class Strip> __device__ __forceinline__ void for_each_strip(Strip &&strip) const {
#pragma unroll kUnroll
    for (int i = 0; i < kOwn; ++i) {
      const int index = warp_index() + i * kWarps;
      if (kStrips % kWarps != 0 && index >= kStrips)
        break;
      const int of_row = index % kRowWarps;
      strip(Piece{index / kRowWarps, of_row, (of_row * 32 + int(lane_index())) * 8, i * kTurns});
    }
  }
  template <class Visit>
  __device__ __forceinline__ static void for_each_turn(Piece piece, Visit &&visit) {
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn) {
      visit(piece);
      piece.column += row_threads(config.k) * 8;
      ++piece.held;
    }
  }
  template <class Visit> __device__ __forceinline__ void for_each_piece(Visit &&visit) const {
    for_each_strip([&](Piece piece) { for_each_turn(piece, visit); });
  }

  __device__ __forceinline__ static void get(float (&x)[8], const Eight<bf16> &elements) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      x[i] = elements.get(i);
  }
  /// The elements of a piece as they were read.
  __device__ __forceinline__ void read(float (&x)[8], Piece p) const {
    if constexpr (kHolds)
      get(x, held[p.held]);
    else
      load_eight(x, row(p.token) + p.loaded());
  }
  __device__ __forceinline__ void normalize_piece(float (&x)[8], Piece p, float inverse) const {
    float w[8];
    if constexpr (kHolds)
      get(w, held_weight[p.held]);
    else
      load_eight(w, weight + p.loaded());
    normalize(x, inverse, w);
  }

  /// 32 words of a token, one for each strip, in which warps share what they have found.
  __device__ __forceinline__ uint32_t words(int token, bool maxima) const {
    return scales(base) + config.tile_t * 4 + (maxima * config.tile_t + token) * 128;
  }
  __device__ __forceinline__ uint32_t word_of_lane(int token, bool maxima) const {
    return int(lane_index()) < kRowWarps ? load_shared_4(words(token, maxima) + lane_index() * 4)
                                         : 0;
  }

  __device__ __forceinline__ void share_squares() const {
    for_each_strip([&](Piece strip) {
      float squares = 0.0f;
      for_each_turn(strip, [&](Piece p) {
        float x[8];
        read(x, p);
        squares = p.exists() ? add_squares(squares, x) : squares;
      });
      squares = warp_sum(squares);
      if (lane_index() == 0)
        store_shared_4(words(strip.token, false) + strip.strip * 4, float_to_bits(squares));
    });
  }
  /// The factor of a token's norm, the sums of its strips being shared.
  __device__ __forceinline__ float inverse(int token) const {
    if constexpr (!kNorm)
      return 1.0f;
    return inverse_rms(warp_sum(bits_to_float(word_of_lane(token, false))), config.k, Norm::eps);
  }
  /// The scale of a token's codes, the maxima of its strips being shared.
  __device__ __forceinline__ RowDivisor divisor(int token) const {
    return row_divisor<Code>(__reduce_max_sync(0xffffffffu, word_of_lane(token, true)));
  }
  /// What `of(token)` says, which is said once if there is one token.
  template <class Of> __device__ __forceinline__ static auto once(Of &&of) {
    if constexpr (config.tile_t == 1)
      return [value = of(0)](int) { return value; };
    else
      return of;
  }

  /// The elements of a piece, normalised.
  __device__ __forceinline__ void read_normalized(float (&x)[8], Piece p, float inverse) const {
    read(x, p);
    if constexpr (kNorm)
      normalize_piece(x, p, inverse);
  }

  __device__ __forceinline__ void share_maxima() {
    const auto factor_of = once([this](int token) { return inverse(token); });
    for_each_strip([&](Piece strip) {
      const float factor = factor_of(strip.token);
      uint32_t absmax = 0;
      for_each_turn(strip, [&](Piece p) {
        float x[8];
        read_normalized(x, p, factor);
        absmax = p.exists() ? max_bits(absmax, x) : absmax;
        if constexpr (kHolds && kNorm)
          hold_normalized(x, p);
      });
      absmax = __reduce_max_sync(0xffffffffu, absmax);
      if (lane_index() == 0)
        store_shared_4(words(strip.token, true) + strip.strip * 4, absmax);
    });
  }
  /// Normalised elements are bf16 as well.
  __device__ __forceinline__ void hold_normalized(const float (&x)[8], Piece p) {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      held[p.held].raw[0].words[i] = pack_bf16(x[2 * i], x[2 * i + 1]);
  }

  /// Where column `column` of a token stands, in the layouts of gemm_pipeline.cuh.
  __device__ __forceinline__ uint32_t place(int token, int column) const {
    const int byte = column * bytes(token_number(config));
    if constexpr (has_token_rows(config))
      return base + token * token_row_bytes(config) + byte;
    const int row = byte / kRowBytes * config.tile_t + token;
    return base + row * kRowBytes + (byte % kRowBytes / 16 ^ row % 8) * 16 + byte % 16;
  }

  __device__ __forceinline__ void store_tokens() const {
    if constexpr (kQuantize) {
      const auto divisor_of = once([this](int token) { return divisor(token); });
      for_each_strip([&](Piece strip) { store_codes_of(strip, divisor_of(strip.token)); });
    } else {
      const auto factor_of = once([this](int token) { return inverse(token); });
      for_each_strip([&](Piece strip) { store_normalized(strip, factor_of(strip.token)); });
    }
  }
  __device__ __forceinline__ void store_normalized(Piece strip, float factor) const {
    for_each_turn(strip, [&](Piece p) {
      float x[8];
      read_normalized(x, p, factor);
      Vec16 v;
#pragma unroll
      for (int i = 0; i < 4; ++i)
        v.words[i] = pack_bf16(x[2 * i], x[2 * i + 1]);
      if (p.exists())
        store_shared_16(place(p.token, p.column), v);
    });
  }
  __device__ __forceinline__ void store_codes_of(Piece strip, const RowDivisor &by) const {
    if (strip.strip == 0 && lane_index() == 0)
      store_shared_4(scales(base) + strip.token * 4, float_to_bits(by.divisor));
    const float factor = kHolds ? 1.0f : inverse(strip.token);
    for_each_turn(strip, [&](Piece p) {
      float x[8];
      if constexpr (kHolds)
        read(x, p); // normalised already
      else
        read_normalized(x, p, factor);
      const uint2 codes =
          by.is_plain() ? eight_codes<Code>(x, [&](float v) { return by.plain_quotient(v); })
                        : eight_codes<Code>(x, [&](float v) { return __fdiv_rn(v, by.divisor); });
      if (p.exists())
        store_shared_8(place(p.token, p.column), codes.x, codes.y);
    });
  }

  /// Zeros for the columns beyond K.
  __device__ __forceinline__ void pad_tokens() const {
    constexpr int kPieces = (padded_columns(config) - config.k) / 8;
    if constexpr (kPieces > 0)
      for (int i = threadIdx.x; i < config.tile_t * kPieces; i += 32 * kWarps) {
        const uint32_t to = place(i / kPieces, config.k + i % kPieces * 8);
        if constexpr (kQuantize)
          store_shared_8(to, 0, 0);
        else
          store_shared_16(to, Vec16{});
      }
  }
};

} // namespace qopt::cuda
