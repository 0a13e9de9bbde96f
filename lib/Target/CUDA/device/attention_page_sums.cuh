//===- attention_page_sums.cuh - Attention to one page ---------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The arithmetic of every attention kernel, in one order, so that a query has the same
// bits in each. For a row q and the 64 keys and values of a page, c = scale log2(e):
//
//   s = q . k,  m = c max(s),  p = exp2(c s - m),  l = sum p,  o = bf16(p) v
//
// and, page after page from the first,
//
//   m' = max(m, m_p),  a = exp2(m - m'),  b = exp2(m_p - m')
//   l' = l a + l_p b,  o' = o a + o_p b;  at the end o / l
//
// A warp holds scores and sums as accumulators of m16n8k16: lane 4 g + j has rows g and
// g + 8, columns 2 j and 2 j + 1 of each 8.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "attention_pages.cuh"

namespace qopt::cuda {

constexpr float log2_e = 1.4426950408889634f;

__device__ __forceinline__ float minus_infinity() { return bits_to_float(0xff800000u); }

/// A maximum to subtract: rows without a score have none.
__device__ __forceinline__ float finite_max(float m) { return m == minus_infinity() ? 0.0f : m; }

/// What brings running sums and a page's to one maximum.
struct MergeFactors {
  float max, running, page; // m', a, b
};
__device__ __forceinline__ MergeFactors merge_factors(float running_max, float page_max) {
  float max = fmaxf(running_max, page_max), subtract = finite_max(max);
  return {max, exp2_approx(running_max - subtract), exp2_approx(page_max - subtract)};
}
__device__ __forceinline__ float merge(const MergeFactors &f, float running, float page) {
  return __fmaf_rn(page, f.page, __fmul_rn(running, f.running));
}

/// o / l as a division rounds it; zero for a row that saw no token. The remainder of
/// round(o round(1 / l)) is exact, and corrects it (row.cuh has the source): l is zero, or
/// near one at least, since some weight is one. The sign and infinity need no correction.
struct Normalizer {
  float l, inverse;

  __device__ __forceinline__ float operator()(float o) const {
    float q = __fmul_rn(o, inverse);
    float corrected = __fmaf_rn(__fmaf_rn(-l, q, o), inverse, q);
    return fabsf(q) == -minus_infinity() ? q : copysignf(corrected, o);
  }
};
__device__ __forceinline__ Normalizer normalizer(float l) {
  return {l, l == 0.0f ? 0.0f : __frcp_rn(l)};
}

/// d = a b if it is the first product, else d += a b.
__device__ __forceinline__ void add_product(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                            uint32_t b1, bool first) {
  if (first)
    mma_bf16_from_zero(d, a, b0, b1);
  else
    mma_bf16(d, a, b0, b1);
}

/// s[f][n][e] = q . k for `fragments` fragments of 16 rows and 64 keys;
/// `query(f, k)` gives the A fragment of columns 16 k.
template <int head_dim, int fragments, class Query>
__device__ __forceinline__ void page_scores(float (&s)[fragments][8][4], Query &&query,
                                            const FragmentReader<head_dim> &reader, uint32_t keys) {
#pragma unroll
  for (int k = 0; k < head_dim / 16; ++k) {
    uint32_t a[fragments][4];
#pragma unroll
    for (int f = 0; f < fragments; ++f)
      query(f, k, a[f]);
#pragma unroll
    for (int tokens = 0; tokens < 4; ++tokens) {
      uint32_t b[4];
      load_matrices(b, reader.address(keys, tokens, k));
#pragma unroll
      for (int f = 0; f < fragments; ++f) {
        add_product(s[f][2 * tokens], a[f], b[0], b[1], k == 0);
        add_product(s[f][2 * tokens + 1], a[f], b[2], b[3], k == 0);
      }
    }
  }
}

/// Scores of the page's tokens beyond `last` (by row g, g + 8) do not count.
__device__ __forceinline__ void mask_scores(float (&s)[8][4], const int (&last)[2]) {
  int column = 2 * (lane_index() % 4);
#pragma unroll
  for (int n = 0; n < 8; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      if (8 * n + column + e % 2 > last[e / 2])
        s[n][e] = minus_infinity();
}

/// Maximum and sum of a page, by row g, g + 8.
struct PageSums {
  float max[2], sum[2];
};

/// Scores become weights. The sums are those of this lane's columns.
__device__ __forceinline__ PageSums page_weights(float (&s)[8][4], float c) {
  PageSums sums;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float max = minus_infinity();
#pragma unroll
    for (int n = 0; n < 8; ++n)
      max = fmaxf(max, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
    max = fmaxf(max, __shfl_xor_sync(0xffffffffu, max, 1));
    max = fmaxf(max, __shfl_xor_sync(0xffffffffu, max, 2));
    sums.max[r] = __fmul_rn(max, c);
    float subtract = -finite_max(sums.max[r]), sum = 0.0f;
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      float &low = s[n][2 * r], &high = s[n][2 * r + 1];
      low = exp2_approx(__fmaf_rn(low, c, subtract));
      high = exp2_approx(__fmaf_rn(high, c, subtract));
      sum = __fadd_rn(__fadd_rn(sum, low), high);
    }
    sums.sum[r] = sum;
  }
  return sums;
}

/// The sums of a row's four lanes.
__device__ __forceinline__ void add_lanes(PageSums &sums) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float sum = __fadd_rn(sums.sum[r], __shfl_xor_sync(0xffffffffu, sums.sum[r], 1));
    sums.sum[r] = __fadd_rn(sum, __shfl_xor_sync(0xffffffffu, sum, 2));
  }
}

/// The weights as A fragments of p v, 16 tokens each.
__device__ __forceinline__ void pack_weights(const float (&s)[8][4], uint32_t (&p)[4][4]) {
#pragma unroll
  for (int n = 0; n < 8; ++n)
#pragma unroll
    for (int r = 0; r < 2; ++r)
      p[n / 2][n % 2 * 2 + r] = pack_bf16(s[n][2 * r], s[n][2 * r + 1]);
}

/// Scores become the A fragments of p v.
__device__ __forceinline__ PageSums page_softmax(float (&s)[8][4], float c, uint32_t (&p)[4][4]) {
  PageSums sums = page_weights(s, c);
  add_lanes(sums);
  pack_weights(s, p);
  return sums;
}

/// o[f][w][n] = p v for `width` times 16 columns from 16 `columns`.
template <int head_dim, int fragments, int width>
__device__ __forceinline__ void
page_values(float (&o)[fragments][width][2][4], const uint32_t (&p)[fragments][4][4],
            const FragmentReader<head_dim> &reader, uint32_t values, int columns) {
#pragma unroll
  for (int tokens = 0; tokens < 4; ++tokens)
#pragma unroll
    for (int w = 0; w < width; ++w) {
      uint32_t b[4];
      load_matrices_transposed(b, reader.address(values, tokens, columns + w));
#pragma unroll
      for (int f = 0; f < fragments; ++f) {
        add_product(o[f][w][0], p[f][tokens], b[0], b[1], tokens == 0);
        add_product(o[f][w][1], p[f][tokens], b[2], b[3], tokens == 0);
      }
    }
}

/// Zeros for the tokens from `first` on of a half page of values: a weight of zero
/// times what an unused slot holds could be a NaN. The warp must synchronize after.
template <int head_dim>
__device__ __forceinline__ void clear_values_from(uint32_t values, int first) {
  constexpr int chunks = head_dim / 8;
#pragma unroll 1 // registers
  for (int i = first * chunks + int(lane_index()); i < page_tokens * chunks; i += 32)
    store_shared_16(values + chunk_offset<head_dim>(i / chunks, i % chunks), Vec16{{0, 0, 0, 0}});
}

} // namespace qopt::cuda
