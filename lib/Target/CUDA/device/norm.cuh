//===- norm.cuh - RMS normalisation and quantization of rows ---*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   grid x: rows      block: row_threads(columns)
//
//===----------------------------------------------------------------------===//

#pragma once

#include "row.cuh"

namespace qopt::cuda {

/// y = bf16(bf16(x rsqrt(mean(x^2) + eps)) weight), in the pieces of a row.
template <NormConfig config>
__device__ __forceinline__ RowPieces<config.columns>
normalized_row(const bf16 *input, const StoredPieces<config.columns, bf16> &weight) {
  __shared__ float sums[32];
  StoredPieces<config.columns, bf16> stored;
  stored.load(input);
  RowPieces<config.columns> row = stored.values();
  const RowPieces<config.columns> w = weight.values();
  float squares = 0.0f;
  row.for_each([&](int, const float (&x)[8]) { squares = add_squares(squares, x); });
  const float inverse = inverse_rms(block_sum<row_threads(config.columns)>(squares, sums),
                                    config.columns, config.eps);
#pragma unroll
  for (int turn = 0; turn < row.turns; ++turn)
    normalize(row.values[turn], inverse, w.values[turn]);
  return row;
}

/// input [rows, columns], weight [columns], output [rows, columns]. The weight is read while
/// predecessors still run: nothing writes it.
template <NormConfig config>
__device__ void rms_norm(const bf16 *input, const bf16 *weight, bf16 *output, int64_t rows) {
  launch_dependents();
  StoredPieces<config.columns, bf16> weights;
  weights.load(weight);
  wait_for_predecessors();
  int64_t at = blockIdx.x;
  if (at >= rows)
    return;
  auto row = normalized_row<config>(input + at * config.input_stride, weights);
  row.for_each([&](int column, const float (&y)[8]) {
    store_eight(output + at * config.output_stride + column, y);
  });
}

/// The same, as codes [rows, columns] (int8_t or e4m3) and scales [rows].
template <NormConfig config, class Code>
__device__ void rms_norm_quantized(const bf16 *input, const bf16 *weight, Code *codes,
                                   float *scales, int64_t rows) {
  launch_dependents();
  StoredPieces<config.columns, bf16> weights;
  weights.load(weight);
  wait_for_predecessors();
  int64_t at = blockIdx.x;
  if (at >= rows)
    return;
  auto row = normalized_row<config>(input + at * config.input_stride, weights);
  quantize_row(row, codes + at * config.output_stride, scales + at);
}

/// input [rows, columns] (bf16 or float) as codes and scales.
template <RowConfig config, class Input, class Code>
__device__ void quantize(const Input *input, Code *codes, float *scales, int64_t rows) {
  launch_dependents();
  wait_for_predecessors();
  int64_t at = blockIdx.x;
  if (at >= rows)
    return;
  input += at * config.input_stride;
  codes += at * config.output_stride;
  if constexpr (RowPieces<config.columns>::turns > 4) {
    const ReadPieces<config.columns, Input> row{input};
    quantize_pieces<config.columns>(row, codes, scales + at);
  } else {
    StoredPieces<config.columns, Input> stored;
    stored.load(input);
    RowPieces<config.columns> row = stored.values();
    quantize_row(row, codes, scales + at);
  }
}

} // namespace qopt::cuda
