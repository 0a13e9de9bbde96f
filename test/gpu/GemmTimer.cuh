//===- GemmTimer.cuh - How linear layers are timed ----------------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Graphs of launches, and the rate at which the card reads.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "GemmLayer.cuh"

/// Median microseconds of `count` launches of a graph, divided by `count`.
static double graph_us(cudaStream_t stream, int count, const std::function<void(int)> &call) {
  cudaGraph_t graph;
  cudaGraphExec_t ready;
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  for (int i = 0; i < count; ++i)
    call(i);
  CHECK(cudaStreamEndCapture(stream, &graph));
  CHECK(cudaGraphInstantiate(&ready, graph, 0));
  cudaEvent_t begin, end;
  CHECK(cudaEventCreate(&begin));
  CHECK(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < 9; ++i) {
    CHECK(cudaEventRecord(begin, stream));
    CHECK(cudaGraphLaunch(ready, stream));
    CHECK(cudaEventRecord(end, stream));
    CHECK(cudaStreamSynchronize(stream));
    float ms;
    CHECK(cudaEventElapsedTime(&ms, begin, end));
    times.push_back(ms);
  }
  std::sort(times.begin(), times.end());
  CHECK(cudaGraphExecDestroy(ready));
  CHECK(cudaGraphDestroy(graph));
  CHECK(cudaEventDestroy(begin));
  CHECK(cudaEventDestroy(end));
  return times[times.size() / 2] * 1e3 / count;
}

__global__ void read_all(const uint4 *p, size_t n, unsigned *out) {
  size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x, s = (size_t)gridDim.x * blockDim.x;
  unsigned a = 0;
  for (; i + 3 * s < n; i += 4 * s)
    for (int j = 0; j < 4; ++j) {
      uint4 v = __ldcs(p + i + j * s);
      a ^= v.x ^ v.y ^ v.z ^ v.w;
    }
  if (a == 0x12345678u)
    *out = a;
}

/// The best rate at which this card reads 4 GB, in GB/s.
static double read_ceiling(cudaStream_t stream) {
  const size_t size = 4000000000;
  auto *memory = allocate<unsigned char>(size);
  auto *out = allocate<unsigned>(1);
  CHECK(cudaMemset(memory, 0x5a, size));
  double best = 0;
  for (int blocks : {4, 8, 16})
    best = std::max(best, size * 1e-3 / graph_us(stream, 1, [&](int) {
                            read_all<<<132 * blocks, 512, 0, stream>>>((uint4 *)memory, size / 16,
                                                                       out);
                          }));
  CHECK(cudaFree(memory));
  CHECK(cudaFree(out));
  return best;
}
