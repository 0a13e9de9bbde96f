//===- Bench.h - How fast an artifact runs here -----------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Times steps and kernels of a loaded model beside what the same cores could do
/// at most: read memory in a stream, and multiply and add in registers.
///
///   Ceilings ceilings = measureCeilings(model, threads);
///   Result<Timing> decode = benchDecode(model, {.context = 512, .batch = 1});
///   double ratio = decode->seconds / memorySeconds(decode->work, ceilings);
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_BENCH_BENCH_H
#define QOPT_BENCH_BENCH_H

#include "qopt/Runtime/Model.h"
#include "qopt/Runtime/Status.h"
#include <cstdint>
#include <string>
#include <vector>

namespace qopt {

/// What the cores in use could do at most, as measured; 0 where it is unknown. On
/// a GPU reading is what a copy within its memory reads and writes together.
struct Ceilings {
  std::string device;
  unsigned threads = 0;          ///< 0 on a GPU
  uint64_t cacheBytes = 0;       ///< of the last level
  double readBytesPerSecond = 0; ///< a streaming read, larger than the cache
  double floatsPerSecond = 0;    ///< float32 operations, a multiply-add is two
  double shortsDotPerSecond = 0; ///< int16 operations of vpdpwssd
  double bytesDotPerSecond = 0;  ///< int8 operations of vpdpbusd
};

/// Measures with the instructions that \p model may use.
Ceilings measureCeilings(const Model &model, unsigned threads);

/// What something reads and computes.
struct Work {
  double weightBytes = 0, cacheBytes = 0; ///< of weights and of the KV cache
  double floatOperations = 0;             ///< of float32, a multiply-add is two
  double shortOperations = 0;             ///< of 4-bit codes x 16-bit activations
  double byteOperations = 0;              ///< of int8 x int8
  Work &operator+=(const Work &other);
  double bytes() const { return weightBytes + cacheBytes; }
  double operations() const { return floatOperations + shortOperations + byteOperations; }
};

/// The least time for it; 0 where the ceiling is unknown.
double memorySeconds(const Work &work, const Ceilings &ceilings);
double computeSeconds(const Work &work, const Ceilings &ceilings);

struct BenchOptions {
  uint32_t tokens = 0; ///< decode: steps of a repeat; prefill: of the prompt; kernels: a sequence's
  uint32_t context = 0; ///< tokens that each sequence has before
  uint32_t batch = 1;   ///< sequences
  uint32_t repeat = 5;
};

/// The median of the repeats.
struct Timing {
  double seconds = 0;        ///< of a step (decode), of the prompts (prefill)
  double fastestSeconds = 0; ///< of the fastest repeat, as others on the machine disturb it least
  double tokensPerSecond = 0;
  Work work; ///< in that time
};

/// Decodes `tokens` steps of `batch` sequences, again and again; the context
/// grows from `context`, and `work` is that of the middle step.
Result<Timing> benchDecode(const Model &model, const BenchOptions &options);

/// Runs a prompt of `tokens` tokens in each of `batch` sequences.
Result<Timing> benchPrefill(const Model &model, const BenchOptions &options);

/// One kernel of the plan that such a step takes.
struct ThroughputOptions {
  uint32_t requests = 256;
  uint32_t promptTokens = 128, generatedTokens = 128; ///< of each request
  uint32_t maxSequences = 256;                        ///< that run at once
};

struct Throughput {
  double seconds = 0; ///< until the last request is done
  uint64_t promptTokens = 0, generatedTokens = 0;
  uint64_t prefillSteps = 0, decodeSteps = 0;
  double prefillSeconds = 0, decodeSeconds = 0, sampleSeconds = 0;
};

/// Requests that all arrive at once, continuously batched.
Result<Throughput> benchThroughput(const Model &model, const ThroughputOptions &options);

struct KernelTiming {
  std::string entry, schedule;
  uint32_t launches = 0; ///< in a step
  double seconds = 0;    ///< of them all, run one after the other by themselves
  double fastestSeconds = 0;
  Work work; ///< of them all
};

/// Times every kernel alone, over all its launches, so that each reads its own
/// weights. The step has `tokens` tokens of each of `batch` sequences.
Result<std::vector<KernelTiming>> benchKernels(const Model &model, const BenchOptions &options);

} // namespace qopt

#endif // QOPT_BENCH_BENCH_H
