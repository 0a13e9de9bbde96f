//===- GpuTest.cuh - Buffers, random numbers and timing of tests -*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cuda_runtime.h>
#include <string>
#include <vector>

#define CHECK_CUDA(call) gpu_test::checkCuda(call, #call, __FILE__, __LINE__)

namespace gpu_test {

inline void checkCuda(cudaError_t error, const char *call, const char *file, int line) {
  if (error == cudaSuccess)
    return;
  std::printf("%s:%d: %s: %s (%s)\n", file, line, call, cudaGetErrorName(error),
              cudaGetErrorString(error));
  std::exit(1);
}

inline int failures = 0;

/// One line of the report.
inline void report(bool ok, const std::string &what) {
  std::printf("%s  %s\n", ok ? "ok  " : "FAIL", what.c_str());
  std::fflush(stdout);
  failures += !ok;
}

/// Elements in device memory, all bits one (a NaN in every format of ours) at first.
template <class T> class Buffer {
public:
  explicit Buffer(size_t count) : count(count) {
    CHECK_CUDA(cudaMalloc(&data, count * sizeof(T)));
    poison();
  }
  explicit Buffer(const std::vector<T> &values) : Buffer(values.size()) {
    CHECK_CUDA(cudaMemcpy(data, values.data(), count * sizeof(T), cudaMemcpyHostToDevice));
  }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  ~Buffer() { cudaFree(data); }

  void poison() { CHECK_CUDA(cudaMemset(data, 0xff, count * sizeof(T))); }
  void clear() { CHECK_CUDA(cudaMemset(data, 0, count * sizeof(T))); }
  T *get() const { return data; }
  size_t size() const { return count; }
  std::vector<T> read() const {
    std::vector<T> values(count);
    CHECK_CUDA(cudaMemcpy(values.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }

private:
  T *data = nullptr;
  size_t count;
};

/// 64 random bits that depend on seed and index alone (the finaliser of splitmix64).
__host__ __device__ inline unsigned long long randomBits(unsigned long long seed,
                                                         unsigned long long index) {
  unsigned long long z = seed * 0xd1342543de82ef95ull + index * 0x9e3779b97f4a7c15ull + 1;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}
/// Near normal, mean 0 and deviation 1: four uniform numbers.
__host__ __device__ inline float randomNormal(unsigned long long seed, unsigned long long index) {
  unsigned long long bits = randomBits(seed, index);
  int sum = int(bits & 0xffff) + int(bits >> 16 & 0xffff) + int(bits >> 32 & 0xffff) +
            int(bits >> 48 & 0xffff) - 2 * 0xffff;
  return float(sum) * (1.7320508f / 65536.0f);
}

/// Bits of a bf16, rounded to nearest even.
__host__ __device__ inline unsigned short bf16Bits(float value) {
  unsigned bits;
  memcpy(&bits, &value, 4);
  return static_cast<unsigned short>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
__host__ __device__ inline float bf16Value(unsigned short bits) {
  unsigned word = unsigned(bits) << 16;
  float value;
  memcpy(&value, &word, 4);
  return value;
}
__host__ __device__ inline float roundedBf16(float value) { return bf16Value(bf16Bits(value)); }

/// Bytes from a layer's part of a page to a key's (values: a value's) element, by RFC 1.
__host__ __device__ inline size_t pageOffset(bool values, int kvHeads, int headDim, int head,
                                             int token, int column) {
  size_t block = size_t(values * kvHeads + head) * 64 * headDim * 2;
  int chunk = column / 8, chunks = headDim / 8, within = column % 8 * 2;
  if (chunks % 8 == 0) // panels of 64 columns
    return block + (chunk / 8 * 64 + token) * 128 + (chunk % 8 ^ token % 8) * 16 + within;
  int period = chunks == 2 || chunks == 4 ? chunks : 1;
  return block + token * headDim * 2 + (chunk ^ token % period) * 16 + within;
}

/// |out - reference| / |reference|; a NaN passes no bound.
inline double relativeError(const std::vector<float> &out, const std::vector<double> &reference) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    difference += (out[i] - reference[i]) * (out[i] - reference[i]);
    size += reference[i] * reference[i];
  }
  return std::sqrt(difference / size);
}

/// Microseconds of one of `count` launches by `launch(i)` in a graph, the median of
/// several replays.
template <class Launch> double microseconds(int count, Launch &&launch) {
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  CHECK_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  CHECK_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  for (int i = 0; i < count; ++i)
    launch(i, stream);
  CHECK_CUDA(cudaStreamEndCapture(stream, &graph));
  CHECK_CUDA(cudaGraphInstantiate(&exec, graph, 0));
  cudaEvent_t begin, end;
  CHECK_CUDA(cudaEventCreate(&begin));
  CHECK_CUDA(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < 9; ++i) {
    CHECK_CUDA(cudaEventRecord(begin, stream));
    CHECK_CUDA(cudaGraphLaunch(exec, stream));
    CHECK_CUDA(cudaEventRecord(end, stream));
    CHECK_CUDA(cudaEventSynchronize(end));
    float ms;
    CHECK_CUDA(cudaEventElapsedTime(&ms, begin, end));
    if (i >= 2)
      times.push_back(ms);
  }
  CHECK_CUDA(cudaGraphExecDestroy(exec));
  CHECK_CUDA(cudaGraphDestroy(graph));
  CHECK_CUDA(cudaStreamDestroy(stream));
  std::sort(times.begin(), times.end());
  return times[times.size() / 2] * 1000.0 / count;
}

/// Launches as the runtime does: the kernel may start before its predecessor has ended.
template <class... Parameters, class... Arguments>
void launchDependent(void (*kernel)(Parameters...), dim3 grid, int threads, int sharedBytes,
                     cudaStream_t stream, Arguments... arguments) {
  if (sharedBytes > 48 * 1024)
    CHECK_CUDA(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, sharedBytes));
  cudaLaunchAttribute attribute;
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = sharedBytes;
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = 1;
  CHECK_CUDA(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...));
}

/// Sums 16-byte words so that the loads stay.
__global__ void readAll(const uint4 *data, size_t count, unsigned *sink) {
  unsigned sum = 0;
  for (size_t i = blockIdx.x * size_t(blockDim.x) + threadIdx.x; i < count;
       i += 4 * size_t(gridDim.x) * blockDim.x) {
    uint4 v[4] = {};
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (i + j * size_t(gridDim.x) * blockDim.x < count)
        v[j] = data[i + j * size_t(gridDim.x) * blockDim.x];
#pragma unroll
    for (int j = 0; j < 4; ++j)
      sum += v[j].x ^ v[j].y ^ v[j].z ^ v[j].w;
  }
  if (sum == 0x12345678)
    *sink = sum;
}

/// Bytes a second that reads of 2 GiB reach.
inline double readCeiling() {
  size_t bytes = size_t(2) << 30;
  Buffer<uint4> data(bytes / 16);
  Buffer<unsigned> sink(1);
  int processors;
  CHECK_CUDA(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, 0));
  double us = microseconds(2, [&](int, cudaStream_t stream) {
    readAll<<<processors * 8, 256, 0, stream>>>(data.get(), data.size(), sink.get());
  });
  return bytes / us * 1e6;
}

} // namespace gpu_test
