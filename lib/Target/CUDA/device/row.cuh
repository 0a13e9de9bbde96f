//===- row.cuh - A row in the registers of a block -------------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#pragma once

#include "gemm_epilogue.cuh"
#include "row_config.h"

namespace qopt::cuda {

/// Eight consecutive elements, bf16 or float, in 16-byte accesses.
template <class T>
__device__ __forceinline__ void load_eight(float (&values)[8], const T *source) {
  Eight<T> elements;
  elements.load(source);
#pragma unroll
  for (int i = 0; i < 8; ++i)
    values[i] = elements.get(i);
}

/// The columns of a row that a thread holds: 8 consecutive ones for each turn of the
/// block. A thread's place depends on the number of columns alone, so that sums over a
/// row have one order.
template <int columns> struct RowPieces {
  static constexpr int threads = row_threads(columns);
  static constexpr int turns = (columns / 8 + threads - 1) / threads;
  float values[turns][8];

  __device__ static int column(int turn) { return (turn * threads + int(threadIdx.x)) * 8; }

  /// `piece(column, values)` for each piece inside the row.
  template <class Piece> __device__ __forceinline__ void for_each(Piece &&piece) {
#pragma unroll
    for (int turn = 0; turn < turns; ++turn)
      if (column(turn) < columns)
        piece(column(turn), values[turn]);
  }
};

/// The pieces of a row as they are stored. All loads are under way before one is needed:
/// none is behind a branch, as pieces beyond the row are its last one again.
template <int columns, class T> struct StoredPieces {
  using Row = RowPieces<columns>;
  Eight<T> pieces[Row::turns];

  __device__ __forceinline__ void load(const T *row) {
#pragma unroll
    for (int turn = 0; turn < Row::turns; ++turn)
      pieces[turn].load(row + min(Row::column(turn), columns - 8));
  }
  __device__ __forceinline__ Row values() const {
    Row row;
#pragma unroll
    for (int turn = 0; turn < Row::turns; ++turn)
#pragma unroll
      for (int i = 0; i < 8; ++i)
        row.values[turn][i] = pieces[turn].get(i);
    return row;
  }
};

/// The pieces of a row that is too long for the registers: read again each time.
template <int columns, class Input> struct ReadPieces {
  const Input *input;

  template <class Piece> __device__ __forceinline__ void for_each(Piece &&piece) const {
    for (int column = threadIdx.x * 8; column < columns; column += row_threads(columns) * 8) {
      float x[8];
      load_eight(x, input + column);
      piece(column, x);
    }
  }
};

/// The sum over a warp, in one order, for every lane.
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value += __shfl_xor_sync(0xffffffffu, value, distance);
  return value;
}

/// The sum over all threads, in one order, for every thread. `shared`: 32 elements.
template <int threads> __device__ __forceinline__ float block_sum(float value, float *shared) {
  value = warp_sum(value);
  if (threads == 32)
    return value;
  if (lane_index() == 0)
    shared[threadIdx.x / 32] = value;
  __syncthreads();
  return warp_sum(lane_index() < threads / 32 ? shared[lane_index()] : 0.0f);
}

/// The maximum over all threads, for every thread.
template <int threads>
__device__ __forceinline__ uint32_t block_max(uint32_t value, uint32_t *shared) {
  value = __reduce_max_sync(0xffffffffu, value);
  if (threads == 32)
    return value;
  if (lane_index() == 0)
    shared[threadIdx.x / 32] = value;
  __syncthreads();
  return __reduce_max_sync(0xffffffffu, lane_index() < threads / 32 ? shared[lane_index()] : 0);
}

/// The divisor of absmax of a code type, and eight codes.
template <class Code> struct CodeTraits;
template <> struct CodeTraits<int8_t> {
  static constexpr float levels = 127.5f;
  __device__ __forceinline__ static uint32_t pack(float a, float b, float c, float d) {
    return uint32_t(uint8_t(to_s8(a))) | uint32_t(uint8_t(to_s8(b))) << 8 |
           uint32_t(uint8_t(to_s8(c))) << 16 | uint32_t(uint8_t(to_s8(d))) << 24;
  }
};
template <> struct CodeTraits<e4m3> {
  static constexpr float levels = 448.0f;
  __device__ __forceinline__ static uint32_t pack(float a, float b, float c, float d) {
    return uint32_t(pack_e4m3(a, b)) | uint32_t(pack_e4m3(c, d)) << 16;
  }
};

__device__ __forceinline__ float copy_sign(float magnitude, float sign) {
  return bits_to_float((float_to_bits(magnitude) & 0x7fffffffu) |
                       (float_to_bits(sign) & 0x80000000u));
}

/// The quotients of a row by one divisor as a division rounds them. `inverse` is
/// round(1 / divisor): the remainder of round(x inverse) is exact, and corrects it (P.
/// Markstein, "Computation of elementary functions on the IBM RISC System/6000", 1990).
struct RowDivisor {
  float divisor, inverse;

  /// Whether nothing that makes a difference to a code overflows or underflows; false for
  /// a NaN. The same for all threads.
  __device__ __forceinline__ bool is_plain() const {
    return divisor >= 0x1p-80f && divisor <= 0x1p80f;
  }
  /// The correction makes 0 of -0, and of what the product underflowed to: e4m3 has both.
  __device__ __forceinline__ float plain_quotient(float x) const {
    float q = __fmul_rn(x, inverse);
    return copy_sign(__fmaf_rn(__fmaf_rn(-divisor, q, x), inverse, q), x);
  }
};

/// The largest |x| of eight, by its bits: a NaN is larger than any number.
__device__ __forceinline__ uint32_t max_bits(uint32_t absmax, const float (&x)[8]) {
#pragma unroll
  for (int i = 0; i < 8; ++i)
    absmax = max(absmax, float_to_bits(x[i]) & 0x7fffffffu);
  return absmax;
}

/// The scale of a row with the largest |x| `absmax`, in bits.
template <class Code> __device__ __forceinline__ RowDivisor row_divisor(uint32_t absmax) {
  constexpr RowDivisor kLevels{CodeTraits<Code>::levels, 1.0f / CodeTraits<Code>::levels};
  const float most = bits_to_float(absmax);
  float divisor = most >= 0x1p-80f && most <= 0x1p80f ? kLevels.plain_quotient(most)
                                                      : __fdiv_rn(most, kLevels.divisor);
  if (divisor == 0.0f)
    divisor = 1.0f;
  return {divisor, __frcp_rn(divisor)};
}

/// Eight codes, of quotients that `divide(x)` gives.
template <class Code, class Divide>
__device__ __forceinline__ uint2 eight_codes(const float (&x)[8], Divide &&divide) {
  float q[8];
#pragma unroll
  for (int i = 0; i < 8; ++i)
    q[i] = divide(x[i]);
  return make_uint2(CodeTraits<Code>::pack(q[0], q[1], q[2], q[3]),
                    CodeTraits<Code>::pack(q[4], q[5], q[6], q[7]));
}

template <class Pieces, class Code, class Divide>
__device__ __forceinline__ void store_codes(Pieces &row, Code *codes, Divide &&divide) {
  row.for_each([&](int column, const float (&x)[8]) {
    *reinterpret_cast<uint2 *>(codes + column) = eight_codes<Code>(x, divide);
  });
}

/// The row's codes and scale: absmax / levels (1 where that is 0), and x / scale, both
/// divisions. A NaN gives a NaN scale, as |x| is compared by its bits.
template <int columns, class Pieces, class Code>
__device__ __forceinline__ void quantize_pieces(Pieces &row, Code *codes, float *scale) {
  __shared__ uint32_t maxima[32];
  uint32_t absmax = 0;
  row.for_each([&](int, const float (&x)[8]) { absmax = max_bits(absmax, x); });
  const RowDivisor by =
      row_divisor<Code>(block_max<row_threads(columns)>(absmax, maxima));
  if (threadIdx.x == 0)
    *scale = by.divisor;
  if (by.is_plain())
    store_codes(row, codes, [&](float x) { return by.plain_quotient(x); });
  else
    store_codes(row, codes, [&](float x) { return __fdiv_rn(x, by.divisor); });
}

/// The squares of eight elements, added one after the other.
__device__ __forceinline__ float add_squares(float squares, const float (&x)[8]) {
#pragma unroll
  for (int i = 0; i < 8; ++i)
    squares = __fmaf_rn(x[i], x[i], squares);
  return squares;
}

/// 1 / sqrt(mean + eps) of a row with the sum of squares `squares`.
__device__ __forceinline__ float inverse_rms(float squares, int columns, float eps) {
  // By a power of two a product is the same as a quotient, and by far sooner there.
  const float mean = columns & (columns - 1) ? __fdiv_rn(squares, columns)
                                             : __fmul_rn(squares, 1.0f / columns);
  return __frcp_rn(__fsqrt_rn(__fadd_rn(mean, eps)));
}

/// x = bf16(bf16(x inverse) weight).
__device__ __forceinline__ void normalize(float (&x)[8], float inverse, const float (&weight)[8]) {
#pragma unroll
  for (int i = 0; i < 8; ++i)
    x[i] = to_float(to_bf16(__fmul_rn(to_float(to_bf16(__fmul_rn(x[i], inverse))), weight[i])));
}

template <class Code, int columns>
__device__ __forceinline__ void quantize_row(RowPieces<columns> &row, Code *codes, float *scale) {
  quantize_pieces<columns>(row, codes, scale);
}

} // namespace qopt::cuda
