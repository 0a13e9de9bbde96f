//===- elementwise.cuh - An emitted function of each element ---*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The emitted function names its operands as an epilogue's extras:
//
//   struct Body {
//     static constexpr int extras = 2;            // 1 to 3 operands
//     const bf16 *extra0;                         // bf16 or float, [rows, columns]
//     static constexpr int extra0_stride = 4096;  // elements; 0: a vector [columns]
//     const bf16 *extra1;
//     static constexpr int extra1_stride = 4096;
//     static float apply(float e0, float e1);
//   };
//
//===----------------------------------------------------------------------===//

#pragma once

#include "row.cuh"

namespace qopt::cuda {

/// Eight elements from `column` on.
template <class Body>
__device__ __forceinline__ void apply_eight(const Body &body, int64_t row, int column,
                                            float (&y)[8]) {
  Extras<Body, ExtraKind::matrix, Eight> matrices;
  Extras<Body, ExtraKind::vector, Eight> vectors;
  matrices.load(body, row, column);
  vectors.load(body, row, column);
#pragma unroll
  for (int i = 0; i < 8; ++i)
    y[i] = apply<Body>(matrices, vectors, i);
}

/// output [rows, columns], bf16 or float. grid x: rows, y: elementwise_blocks(columns);
/// block: elementwise_threads(columns).
template <RowConfig config, class Body, class Output>
__device__ void elementwise(const Body &body, Output *output, int64_t rows) {
  launch_dependents();
  wait_for_predecessors();
  int64_t row = blockIdx.x;
  int first = blockIdx.y * elementwise_block_columns;
  int end = min(first + elementwise_block_columns, config.columns);
  if (row >= rows)
    return;
  for (int column = first + threadIdx.x * 8; column < end;
       column += elementwise_threads(config.columns) * 8) {
    float y[8];
    apply_eight(body, row, column, y);
    store_eight(output + row * config.output_stride + column, y);
  }
}

/// codes [rows, columns] and scales [rows] of the function's values, which it has
/// rounded to the activations' type. grid x: rows; block: row_threads(columns).
template <RowConfig config, class Body, class Code>
__device__ void elementwise_quantized(const Body &body, Code *codes, float *scales, int64_t rows) {
  launch_dependents();
  wait_for_predecessors();
  int64_t at = blockIdx.x;
  if (at >= rows)
    return;
  RowPieces<config.columns> row;
  row.for_each([&](int column, float (&y)[8]) { apply_eight(body, at, column, y); });
  quantize_row(row, codes + at * config.output_stride, scales + at);
}

/// output[r] = input[index[r]]. grid x: rows; block: row_threads(columns).
template <RowConfig config, class Element>
__device__ void gather(const Element *input, const int32_t *index, Element *output, int64_t rows) {
  launch_dependents();
  wait_for_predecessors();
  int64_t row = blockIdx.x;
  if (row >= rows)
    return;
  const Element *from = input + int64_t(index[row]) * config.input_stride;
  Element *to = output + row * config.output_stride;
  constexpr int width = 16 / sizeof(Element);
  for (int column = threadIdx.x * width; column < config.columns;
       column += row_threads(config.columns) * width)
    *reinterpret_cast<Vec16 *>(to + column) = *reinterpret_cast<const Vec16 *>(from + column);
}

} // namespace qopt::cuda
