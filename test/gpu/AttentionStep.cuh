//===- AttentionStep.cuh - Tokens, a cache and a step of attention -*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the tests of attention share: operands that are functions of (sequence, position,
// head, column), pages that hold them, and attention in float64.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "GpuTest.cuh"
#include "attention_config.h"
#include "types.cuh"

using namespace gpu_test;
namespace q = qopt::cuda;
using q::AttentionConfig;

struct Arguments {
  const q::bf16 *query;
  const void *pool; // at the layer's offset
  const int *positions, *sequences, *tables;
  long long maxPages;
  q::bf16 *output;
  long long rows;
  const int *tiles;
  long long tileCount;
};

__host__ __device__ constexpr AttentionConfig base(int heads, int kvHeads, int headDim) {
  AttentionConfig c = {};
  c.heads = heads;
  c.kv_heads = kvHeads;
  c.head_dim = headDim;
  c.query_stride = (heads + 2 * kvHeads) * headDim;
  c.output_stride = heads * headDim + 8;
  c.scale = headDim == 64 ? 0.125f : headDim == 256 ? 0.0625f : 0.11f;
  c.page_bytes = 2ll * 2 * kvHeads * q::half_page_bytes(headDim); // two layers
  return c;
}

//===- What the tokens hold -----------------------------------------------===//

enum Operand { queries, keys, values };

/// Element (sequence, position, head, column); a few keys are long, so that some
/// weights are near one and maxima change from page to page.
__host__ __device__ static float element(Operand what, int sequence, int position, int head,
                                         int column) {
  unsigned long long token = (unsigned long long)(sequence) << 20 | unsigned(position);
  float value = randomNormal(what + 1, (token * 64 + head) * 256 + column);
  if (what == keys && randomBits(9, token * 64 + head) % 61 == 0)
    value *= 3.0f;
  return roundedBf16(value);
}

/// A row's tokens: of which sequence, at which position.
struct Rows {
  std::vector<int> sequences, positions;
  void add(int sequence, int first, int count) {
    for (int i = 0; i < count; ++i) {
      sequences.push_back(sequence);
      positions.push_back(first + i);
    }
  }
  size_t size() const { return positions.size(); }
};

__global__ void fillQueries(q::bf16 *query, int heads, int headDim, int stride,
                            const int *sequences, const int *positions) {
  int row = blockIdx.x;
  if (sequences[row] < 0)
    return;
  for (int i = threadIdx.x; i < heads * headDim; i += blockDim.x)
    query[(long long)(row)*stride + i].bits =
        bf16Bits(element(queries, sequences[row], positions[row], i / headDim, i % headDim));
}

/// Keys and values of `length` tokens, by the layout of RFC 1.
__global__ void fillPages(unsigned char *pool, long long pageBytes, const int *table, int sequence,
                          int length, int kvHeads, int headDim) {
  int position = blockIdx.x;
  unsigned char *page = pool + table[position / 64] * pageBytes;
  for (int i = threadIdx.x; i < 2 * kvHeads * headDim; i += blockDim.x) {
    int kind = i / (kvHeads * headDim), head = i / headDim % kvHeads, column = i % headDim;
    *reinterpret_cast<unsigned short *>(
        page + pageOffset(kind, kvHeads, headDim, head, position % 64, column)) =
        bf16Bits(element(kind ? values : keys, sequence, position, head, column));
  }
}

/// softmax(q k^T scale) v in float64: a block for each (row, head), a thread for each
/// token, then for each column.
__global__ void reference(double *out, double *scores /* [rows, heads, length] */, int length,
                          int heads, int kvHeads, int headDim, float scale, const int *sequences,
                          const int *positions) {
  int row = blockIdx.x, head = blockIdx.y, kvHead = head / (heads / kvHeads);
  int sequence = sequences[row], position = positions[row];
  double *s = scores + ((long long)(row)*heads + head) * length;
  for (int token = threadIdx.x; token <= position; token += blockDim.x) {
    double sum = 0;
    for (int i = 0; i < headDim; ++i)
      sum += double(element(queries, sequence, position, head, i)) *
             element(keys, sequence, token, kvHead, i);
    s[token] = sum * scale;
  }
  __syncthreads();
  double max = -INFINITY, total = 0;
  for (int token = 0; token <= position; ++token)
    max = fmax(max, s[token]);
  for (int column = threadIdx.x; column < headDim; column += blockDim.x) {
    double sum = 0;
    total = 0;
    for (int token = 0; token <= position; ++token) {
      double weight = exp(s[token] - max);
      total += weight;
      sum += weight * element(values, sequence, token, kvHead, column);
    }
    out[((long long)(row)*heads + head) * headDim + column] = sum / total;
  }
}

/// Chunks of sequences of several lengths, single tokens among them; of these lengths.
static Rows mixedRows() {
  Rows rows;
  rows.add(0, 0, 150);   // from the start
  rows.add(1, 699, 1);   // a decode token
  rows.add(2, 250, 70);  // a chunk with a past
  rows.add(3, 63, 1);    // a page's last token
  rows.add(4, 64, 1);    // a page's first
  rows.add(5, 0, 1);     // a sequence's first
  rows.add(1, 500, 190); // earlier tokens of sequence 1, which has later ones
  return rows;
}
static const std::vector<int> mixedLengths = {150, 700, 320, 64, 65, 1};

//===- A cache with sequences ---------------------------------------------===//

template <AttentionConfig config> struct Cache {
  long long poolPages, maxPages;
  Buffer<unsigned char> pool;
  std::vector<int> hostTable; // [sequences][maxPages]
  Buffer<int> table;
  long long layerOffset;

  /// Pages of `lengths` tokens, scattered over the pool's end.
  Cache(const std::vector<int> &lengths, long long minPoolPages)
      : poolPages(std::max(minPoolPages, usedPages(lengths))),
        maxPages((*std::max_element(lengths.begin(), lengths.end()) + 63) / 64 + 1),
        pool(poolPages * config.page_bytes), hostTable(lengths.size() * maxPages, -1),
        table(place(lengths)), layerOffset(config.page_bytes / 2) {
    for (size_t s = 0; s < lengths.size(); ++s)
      fillPages<<<lengths[s], 128>>>(pool.get() + layerOffset, config.page_bytes,
                                     table.get() + s * maxPages, int(s), lengths[s],
                                     config.kv_heads, config.head_dim);
    CHECK_CUDA(cudaDeviceSynchronize());
  }

private:
  static long long usedPages(const std::vector<int> &lengths) {
    long long pages = 0;
    for (int length : lengths)
      pages += (length + 63) / 64;
    return pages;
  }
  std::vector<int> place(const std::vector<int> &lengths) {
    long long used = usedPages(lengths), step = 7;
    while (used % step == 0)
      step += 2;
    long long next = 0;
    for (size_t s = 0; s < lengths.size(); ++s)
      for (int page = 0; page < (lengths[s] + 63) / 64; ++page)
        hostTable[s * maxPages + page] = int(poolPages - 1 - next++ * step % used);
    return hostTable;
  }
};

/// Runs of rows of one sequence, cut into tiles.
static std::vector<int> tilesOf(const Rows &rows, int most) {
  std::vector<int> tiles;
  for (size_t first = 0; first < rows.size();) {
    size_t end = first + 1;
    while (end < rows.size() && end - first < size_t(most) &&
           rows.sequences[end] == rows.sequences[first] &&
           rows.positions[end] == rows.positions[end - 1] + 1)
      ++end;
    if (rows.sequences[first] >= 0)
      tiles.insert(tiles.end(), {int(first), int(end - first)});
    first = end;
  }
  return tiles;
}

/// Buffers of a step over a cache.
template <AttentionConfig config> struct Step {
  Rows rows;
  Buffer<int> sequences, positions;
  Buffer<q::bf16> query, output;
  std::vector<int> hostTiles;
  Buffer<int> tiles;
  Arguments arguments;

  Step(const Cache<config> &cache, const Rows &rows)
      : rows(rows), sequences(rows.sequences), positions(rows.positions),
        query(rows.size() * config.query_stride), output(rows.size() * config.output_stride),
        hostTiles(tilesOf(rows, q::query_tile(config.heads, config.kv_heads))), tiles(hostTiles) {
    fillQueries<<<unsigned(rows.size()), 128>>>(query.get(), config.heads, config.head_dim,
                                                config.query_stride, sequences.get(),
                                                positions.get());
    CHECK_CUDA(cudaDeviceSynchronize());
    arguments = {query.get(),       cache.pool.get() + cache.layerOffset,
                 positions.get(),   sequences.get(),
                 cache.table.get(), cache.maxPages,
                 output.get(),      (long long)rows.size(),
                 tiles.get(),       (long long)hostTiles.size() / 2};
  }

  /// The output's bits [rows, heads * head_dim] after `launch`, which finds it as NaN.
  template <class Launch> std::vector<unsigned short> run(Launch &&launch) {
    output.poison();
    launch();
    CHECK_CUDA(cudaGetLastError());
    CHECK_CUDA(cudaDeviceSynchronize());
    std::vector<q::bf16> all = output.read();
    std::vector<unsigned short> bits;
    for (size_t row = 0; row < rows.size(); ++row)
      for (int i = 0; i < config.output_stride; ++i) {
        unsigned short value = all[row * config.output_stride + i].bits;
        if (i < config.heads * config.head_dim)
          bits.push_back(value);
        else if (value != 0xffff)
          report(false, "an attention kernel wrote between rows");
      }
    return bits;
  }
};

//===- Comparisons --------------------------------------------------------===//

template <AttentionConfig config>
static std::vector<double> referenceOf(const Step<config> &step, int length) {
  size_t count = step.rows.size() * config.heads;
  Buffer<double> out(count * config.head_dim), scores(count * length);
  reference<<<dim3(unsigned(step.rows.size()), config.heads), 128>>>(
      out.get(), scores.get(), length, config.heads, config.kv_heads, config.head_dim, config.scale,
      step.sequences.get(), step.positions.get());
  CHECK_CUDA(cudaDeviceSynchronize());
  return out.read();
}

static size_t differing(const std::vector<unsigned short> &a,
                        const std::vector<unsigned short> &b) {
  size_t count = 0;
  for (size_t i = 0; i < a.size(); ++i)
    count += a[i] != b[i];
  return count;
}
