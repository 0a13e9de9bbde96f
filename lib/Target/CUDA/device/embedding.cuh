//===- embedding.cuh - Rows of a table, by token ---------------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   grid x: rows      block: row_threads(columns)
//
// The table may be the image that the output layer streams (RFC 1): then a row is a
// channel of it. scale * code + minimum, each rounded, is rounded to bf16.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "row.cuh"

namespace qopt::cuda {

/// A row's token. Where sampling found none (-1), nobody reads what the step computes.
__device__ __forceinline__ int32_t token_of(const int32_t *tokens, int64_t row) {
  return max(tokens[row], 0);
}

/// A channel of a swizzled image: chunk c of 16 bytes of a 128-byte row stands at
/// c ^ (channel % 8).
template <GemmConfig table> class SwizzledChannel {
public:
  __device__ SwizzledChannel(const uint8_t *image, int token)
      : row(image + token / kUnit * unit_bytes(table) + token % kUnit * kRowBytes),
        swizzle(token % 8) {
    if constexpr (has_channel_scales(table))
      scale = load_number<table.scale>(image + channel_scales_offset(table) +
                                       int64_t(token) * bytes(table.scale));
  }

  /// Eight elements from `column` on, 16 bytes of bf16 or half a chunk of codes.
  __device__ __forceinline__ void load(int column, float (&y)[8]) const {
    constexpr int element = code_bits(table) / 8;
    int byte = column * element, chunk = byte % kRowBytes / 16;
    const uint8_t *from = row + byte / kRowBytes * kBlockBytes + (chunk ^ swizzle) * 16 + byte % 16;
    if constexpr (table.codes == Codes::bf16) {
      load_eight(y, reinterpret_cast<const bf16 *>(from));
    } else {
#pragma unroll
      for (int i = 0; i < 8; ++i)
        y[i] = __fmul_rn(code(from[i]), scale);
    }
  }

private:
  __device__ __forceinline__ static float code(uint8_t bits) {
    return table.codes == Codes::e4m3 ? to_float(e4m3{bits}) : float(int8_t(bits));
  }

  const uint8_t *row;
  int swizzle;
  float scale = 1.0f;
};

/// A channel of a fragment image: row g + 8 high of the A fragments of 16 columns.
template <GemmConfig table> class FragmentChannel {
public:
  __device__ FragmentChannel(const uint8_t *image, int token)
      : unit(image + token / kUnit * unit_bytes(table)), channel(token % kUnit) {}

  /// Eight elements from `column` on: half a step of 16 columns, so one register of each
  /// of four lanes.
  __device__ __forceinline__ void load(int column, float (&y)[8]) const {
    constexpr int columns = block_columns(table), scale_bytes = bytes(table.scale);
    const uint8_t *block = unit + int64_t(column / columns) * block_bytes(table);
    int step = column % columns / 16, index = channel / 8 + column % 16 / 8 * 2;
    const uint8_t *scales = block + code_bytes(table, columns);
    float scale = load_number<table.scale>(scales + channel * scale_bytes);
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float code = float(int32_t(code_of(block, step, channel % 8 * 4 + j, index, e)) - offset);
        y[2 * j + e] = __fmul_rn(scale, code);
      }
    if constexpr (table.affine) {
      float minimum = load_number<table.scale>(scales + (kUnit + channel) * scale_bytes);
#pragma unroll
      for (int i = 0; i < 8; ++i)
        y[i] = __fadd_rn(y[i], minimum);
    }
  }

private:
  static constexpr int offset = table.codes == Codes::s4 ? 8 : table.codes == Codes::u4 ? 0 : 128;
  static constexpr int step_words = code_bits(table) / 4; // of a lane
  static constexpr int words = block_columns(table) / 16 * step_words;
  static constexpr int load_words = words < 4 ? words : 4; // side by side

  /// The stored code of register `index` of a lane, the low or high half.
  __device__ __forceinline__ static uint32_t code_of(const uint8_t *block, int step, int lane,
                                                     int index, int half) {
    int word = step * step_words + (step_words == 2 ? index / 2 : 0);
    uint32_t bits = reinterpret_cast<const uint32_t *>(
        block)[(word / load_words * 32 + lane) * load_words + word % load_words];
    if constexpr (step_words == 1)
      return bits >> (4 * index + 16 * half) & 15u;
    return bits >> (8 * (index % 2 * 2 + half)) & 255u;
  }

  const uint8_t *unit;
  int channel;
};

/// A row of a row_major table.
template <RowConfig config> struct PlainChannel {
  const bf16 *row;
  __device__ __forceinline__ void load(int column, float (&y)[8]) const {
    load_eight(y, row + column);
  }
};

template <RowConfig config, class Channel>
__device__ __forceinline__ void store_channel(const Channel &channel, bf16 *output) {
  for (int column = threadIdx.x * 8; column < config.columns;
       column += row_threads(config.columns) * 8) {
    float y[8];
    channel.load(column, y);
    store_eight(output + column, y);
  }
}

/// tokens [rows], a packed table of `table.n` tokens, output [rows, table.k].
template <RowConfig config, GemmConfig table>
__device__ void embedding(const int32_t *tokens, const void *image, bf16 *output, int64_t rows) {
  static_assert(!table.pair, "a table has one source");
  launch_dependents();
  wait_for_predecessors();
  int64_t row = blockIdx.x;
  if (row >= rows)
    return;
  const uint8_t *bytes = static_cast<const uint8_t *>(image);
  if constexpr (is_fragment(table))
    store_channel<config>(FragmentChannel<table>(bytes, token_of(tokens, row)),
                          output + row * config.output_stride);
  else
    store_channel<config>(SwizzledChannel<table>(bytes, token_of(tokens, row)),
                          output + row * config.output_stride);
}

/// The same from a row_major bf16 table, whose stride is the config's input stride.
template <RowConfig config>
__device__ void embedding(const int32_t *tokens, const bf16 *table, bf16 *output, int64_t rows) {
  launch_dependents();
  wait_for_predecessors();
  int64_t row = blockIdx.x;
  if (row < rows)
    store_channel<config>(
        PlainChannel<config>{table + int64_t(token_of(tokens, row)) * config.input_stride},
        output + row * config.output_stride);
}

} // namespace qopt::cuda
