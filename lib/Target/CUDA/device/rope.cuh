//===- rope.cuh - Rotary embedding and the cache write ---------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   grid x: rows      block: rope_threads(heads, kv_heads, head_dim)
//
// A head's halves are rotated against each other, by the step's table [rows, head_dim]
// of float32: cosines of the head_dim / 2 frequencies, then their sines. Products and
// their sums are each rounded to float32, the result to bf16.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_pages.cuh"
#include "row.cuh"

namespace qopt::cuda {

struct SinCos {
  float sin, cos;
};

/// Within 2^-23 for |x| <= 2^21: reduced in float64 to |r| <= pi / 4, where the Taylor
/// polynomials are good to 1e-12.
__device__ __forceinline__ SinCos sin_cos(float angle) {
  double x = angle, quarter = rint(x * 0.63661977236758134308);
  double r = fma(quarter, -1.5707963267948966192, x);
  r = fma(quarter, -6.1232339957367660e-17, r);
  double r2 = r * r;
  double sine = fma(r2, 1.0 / 6227020800.0, -1.0 / 39916800.0);
  sine = fma(sine, r2, 1.0 / 362880.0);
  sine = fma(sine, r2, -1.0 / 5040.0);
  sine = fma(sine, r2, 1.0 / 120.0);
  sine = fma(sine, r2, -1.0 / 6.0);
  sine = fma(sine * r2, r, r);
  double cosine = fma(r2, -1.0 / 87178291200.0, 1.0 / 479001600.0);
  cosine = fma(cosine, r2, -1.0 / 3628800.0);
  cosine = fma(cosine, r2, 1.0 / 40320.0);
  cosine = fma(cosine, r2, -1.0 / 720.0);
  cosine = fma(cosine, r2, 1.0 / 24.0);
  cosine = fma(cosine, r2, -0.5);
  cosine = fma(cosine, r2, 1.0);
  int turn = int(quarter) & 3;
  double s = turn % 2 ? cosine : sine, c = turn % 2 ? sine : cosine;
  return {float(turn >= 2 ? -s : s), float(turn == 1 || turn == 2 ? -c : c)};
}

/// table [rows, head_dim]; the angle is the float32 product of position and frequency
/// (`frequencies` [head_dim / 2], constants of the module). Block: 32 to 128 threads.
template <int head_dim>
__device__ void rotary_table(const int32_t *positions, const float *frequencies, float *table,
                             int64_t rows) {
  launch_dependents();
  wait_for_predecessors();
  int64_t row = blockIdx.x;
  if (row >= rows)
    return;
  float position = float(positions[row]);
  for (int i = threadIdx.x; i < head_dim / 2; i += blockDim.x) {
    SinCos value = sin_cos(__fmul_rn(position, frequencies[i]));
    table[row * head_dim + i] = value.cos;
    table[row * head_dim + head_dim / 2 + i] = value.sin;
  }
}

/// Columns [i, i + 8) of a head's halves.
struct RotatedEight {
  float low[8], high[8];
};

/// head [head_dim], its row of the table.
template <int head_dim>
__device__ __forceinline__ RotatedEight rotate_eight(const bf16 *head, const float *table, int i) {
  float low[8], high[8], cos[8], sin[8];
  load_eight(low, head + i);
  load_eight(high, head + head_dim / 2 + i);
  load_eight(cos, table + i);
  load_eight(sin, table + head_dim / 2 + i);
  RotatedEight y;
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    y.low[k] = __fsub_rn(__fmul_rn(low[k], cos[k]), __fmul_rn(high[k], sin[k]));
    y.high[k] = __fadd_rn(__fmul_rn(high[k], cos[k]), __fmul_rn(low[k], sin[k]));
  }
  return y;
}

/// All `heads` of a row.
template <int heads, int head_dim>
__device__ __forceinline__ void rotate_row(const bf16 *input, const float *table, bf16 *output) {
  constexpr int pieces = head_dim / 16;
  for (int i = threadIdx.x; i < heads * pieces; i += blockDim.x) {
    int head = i / pieces * head_dim, column = i % pieces * 8;
    RotatedEight y = rotate_eight<head_dim>(input + head, table, column);
    store_eight(output + head + column, y.low);
    store_eight(output + head + head_dim / 2 + column, y.high);
  }
}

/// input and output [rows, heads * head_dim].
template <RopeConfig config>
__device__ void rope(const bf16 *input, const float *table, bf16 *output, int64_t rows) {
  launch_dependents();
  wait_for_predecessors();
  int64_t row = blockIdx.x;
  if (row < rows)
    rotate_row<config.heads, config.head_dim>(input + row * config.input_stride,
                                              table + row * config.head_dim,
                                              output + row * config.output_stride);
}

/// Where a token's keys and values go.
template <AppendConfig config> class CacheSlot {
public:
  __device__ CacheSlot(void *pool, const int32_t *block_table, int position)
      : page(static_cast<uint8_t *>(pool) +
             int64_t(block_table[position / page_tokens]) * config.page_bytes),
        token(position % page_tokens) {}

  /// Eight elements from `column` on of the keys, or values, of a KV head.
  __device__ __forceinline__ bf16 *at(bool values, int kv_head, int column) const {
    return reinterpret_cast<bf16 *>(
        page + ((values ? config.kv_heads : 0) + kv_head) * half_page_bytes(config.head_dim) +
        chunk_offset<config.head_dim>(token, column / 8));
  }

private:
  uint8_t *page;
  int token;
};

/// A row's values, 8 columns a piece of work.
template <AppendConfig config>
__device__ __forceinline__ void append_plain(const bf16 *row, bool values,
                                             const CacheSlot<config> &slot) {
  constexpr int pieces = config.head_dim / 8;
  for (int i = threadIdx.x; i < config.kv_heads * pieces; i += blockDim.x)
    *reinterpret_cast<Vec16 *>(slot.at(values, i / pieces, i % pieces * 8)) =
        *reinterpret_cast<const Vec16 *>(row + i * 8);
}

/// A row's keys, rotated.
template <AppendConfig config>
__device__ __forceinline__ void append_rotated(const bf16 *row, const float *table,
                                               const CacheSlot<config> &slot) {
  constexpr int head_dim = config.head_dim, pieces = head_dim / 16;
  for (int i = threadIdx.x; i < config.kv_heads * pieces; i += blockDim.x) {
    int head = i / pieces, column = i % pieces * 8;
    RotatedEight y = rotate_eight<head_dim>(row + head * head_dim, table, column);
    store_eight(slot.at(false, head, column), y.low);
    store_eight(slot.at(false, head, head_dim / 2 + column), y.high);
  }
}

/// key and value [rows, kv_heads * head_dim] into the pages; pool: the cache from this
/// layer's offset on, block_tables [sequences][max_pages]. Rows without a sequence are
/// skipped.
template <AppendConfig config>
__device__ void kv_append(const bf16 *key, const bf16 *value, void *pool, const int32_t *positions,
                          const int32_t *sequences, const int32_t *block_tables, int64_t max_pages,
                          int64_t rows) {
  launch_dependents();
  wait_for_predecessors();
  int64_t row = blockIdx.x;
  if (row >= rows || sequences[row] < 0)
    return;
  CacheSlot<config> slot(pool, block_tables + sequences[row] * max_pages, positions[row]);
  append_plain(key + row * config.key_stride, false, slot);
  append_plain(value + row * config.value_stride, true, slot);
}

/// The same with rotated keys, and the rotated query [rows, heads * head_dim].
template <AppendConfig config>
__device__ void rope_append(const bf16 *query, const bf16 *key, const bf16 *value,
                            const float *table, void *pool, const int32_t *positions,
                            const int32_t *sequences, const int32_t *block_tables,
                            int64_t max_pages, bf16 *output, int64_t rows) {
  launch_dependents();
  wait_for_predecessors();
  int64_t row = blockIdx.x;
  if (row >= rows)
    return;
  table += row * config.head_dim;
  rotate_row<config.heads, config.head_dim>(query + row * config.query_stride, table,
                                            output + row * config.output_stride);
  int sequence = sequences[row];
  if (sequence < 0)
    return;
  CacheSlot<config> slot(pool, block_tables + sequence * max_pages, positions[row]);
  append_rotated(key + row * config.key_stride, table, slot);
  append_plain(value + row * config.value_stride, true, slot);
}

} // namespace qopt::cuda
