//===- GemmReference.cuh - What linear layers are compared with ---*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#pragma once

#include "GemmLayer.cuh"

//===- The reference ------------------------------------------------------===//

/// The layer in float64, before the epilogue: sums [t, n].
__global__ void reference(double *sums, const float *x, const float *x_scales, const float *codes,
                          const float *scales, const float *minima, GemmConfig c, int columns,
                          bool scaled, int tokens) {
  __shared__ float xs[16][33], ws[16][33];
  int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  int n0 = blockIdx.x * 16, t0 = blockIdx.y * 16;
  int n = n0 + tx, t = t0 + ty, groups = (c.k + columns - 1) / columns;
  double total = 0;
  for (int g = 0; g < groups; ++g) {
    double sum = 0, x_sum = 0;
    int end = min(c.k, (g + 1) * columns);
    for (int k0 = g * columns; k0 < end; k0 += 32) {
      for (int i = threadIdx.x; i < 512; i += 256) {
        int r = i / 32, k = k0 + i % 32;
        xs[r][i % 32] = k < end && t0 + r < tokens ? x[(long long)(t0 + r) * c.k + k] : 0;
        ws[r][i % 32] = k < end && n0 + r < c.n ? codes[(long long)(n0 + r) * c.k + k] : 0;
      }
      __syncthreads();
      for (int i = 0; i < 32; ++i) {
        sum += double(xs[ty][i]) * ws[tx][i];
        x_sum += xs[ty][i];
      }
      __syncthreads();
    }
    if (n < c.n)
      total += scaled ? scales[(long long)n * groups + g] * sum +
                            (c.affine ? minima[(long long)n * groups + g] * x_sum : 0)
                      : sum;
  }
  if (n < c.n && t < tokens)
    sums[(long long)t * c.n + n] = total * (x_scales ? x_scales[t] : 1.0f);
}

/// Errors of outputs [t, n]: sum of squares, of the reference's squares, maximum.
__global__ void compare(const void *output, const double *sums, const q::bf16 *residual,
                        const float *bias, Kind kind, bool wide, long long tokens, int n,
                        double *result) {
  double error = 0, norm = 0, worst = 0;
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < tokens * n; i += gridDim.x * 256ll) {
    long long t = i / n, c = i % n;
    double want;
    if (kind == Kind::gated) {
      long long at = t * 2 * n + c / 8 * 16 + c % 8;
      want = sums[at] / (1 + exp(-sums[at])) * sums[at + 8];
    } else {
      want = sums[i];
    }
    if (kind == Kind::residual)
      want += double(q::to_float(residual[i])) + bias[c];
    double got = wide ? ((const float *)output)[i] : q::to_float(((const q::bf16 *)output)[i]);
    double d = fabs(got - want);
    if (!(d < 1e30))
      d = 1e30;
    error += d * d;
    norm += want * want;
    worst = fmax(worst, d);
  }
  atomicAdd(&result[0], error);
  atomicAdd(&result[1], norm);
  atomicMax((unsigned long long *)&result[2], (unsigned long long)__double_as_longlong(worst));
}

/// Words that differ.
__global__ void count_differences(const unsigned *a, const unsigned *b, long long words,
                                  unsigned long long *result) {
  unsigned long long different = 0;
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < words; i += gridDim.x * 256ll)
    different += a[i] != b[i];
  if (different)
    atomicAdd(result, different);
}
