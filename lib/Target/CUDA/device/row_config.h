//===- row_config.h - What the kernels of single rows work on --*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every kernel here has a block for each row (token): norm, quantize, elementwise,
// embedding, gather, rope and the cache write. Columns and strides are in elements;
// columns, strides and offsets of slices are multiples of 8 (16 bytes of bf16).
//
//===----------------------------------------------------------------------===//

#pragma once

// Kernels call these functions too.
#ifdef __CUDACC__
#define QOPT_BOTH_SIDES __host__ __device__
#else
#define QOPT_BOTH_SIDES
#endif

namespace qopt::cuda {

struct NormConfig {
  int columns;
  int input_stride, output_stride;
  float eps;
};

/// Quantize, elementwise, gather and embedding: `columns` of output. The input's stride
/// is of no use to elementwise (each operand has its own) and embedding.
struct RowConfig {
  int columns;
  int input_stride, output_stride;
};

struct RopeConfig {
  int heads, head_dim;
  int input_stride, output_stride;
};

/// The cache write, alone or with the rope of queries (`heads`, `query_stride`,
/// `output_stride`) and keys.
struct AppendConfig {
  int kv_heads, head_dim;
  int key_stride, value_stride;
  long long page_bytes; ///< of a page with all its layers
  int heads = 0, query_stride = 0, output_stride = 0;
};

/// Threads of a block whose row is `columns` long: 8 columns each, so that a row is one
/// load in flight for as many threads as there are.
QOPT_BOTH_SIDES constexpr int row_threads(int columns) {
  int threads = (columns / 8 + 31) / 32 * 32;
  return threads < 32 ? 32 : threads > 1024 ? 1024 : threads;
}

/// Elementwise with one output: columns of a block of grid.y.
constexpr int elementwise_block_columns = 1024;
QOPT_BOTH_SIDES constexpr int elementwise_blocks(int columns) {
  return (columns + elementwise_block_columns - 1) / elementwise_block_columns;
}
QOPT_BOTH_SIDES constexpr int elementwise_threads(int columns) {
  return row_threads(columns < elementwise_block_columns ? columns : elementwise_block_columns);
}

/// Threads of rope, kv_append and rope_append: half a head's 16 columns, or 8 values,
/// are one piece of work.
QOPT_BOTH_SIDES constexpr int rope_threads(int heads, int kv_heads, int head_dim) {
  int threads = ((heads + 3 * kv_heads) * head_dim / 16 + 31) / 32 * 32;
  return threads > 256 ? 256 : threads;
}

} // namespace qopt::cuda
