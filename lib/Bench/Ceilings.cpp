//===- Ceilings.cpp - What the cores could do at most ---------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ceilings.h"
#include "../Runtime/Device/ThreadPool.h"
#include <algorithm>
#include <chrono>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>
#ifdef __x86_64__
#include <immintrin.h>
#endif

using namespace qopt;

namespace {

/// The best of a few runs: a ceiling is what nothing disturbed.
template <typename Body> double bestSeconds(const Body &body) {
  double best = 1e30;
  for (int i = 0; i < 5; ++i) {
    auto start = std::chrono::steady_clock::now();
    body();
    std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    best = std::min(best, passed.count());
  }
  return best;
}

/// Keeps \p value, and what it was computed from, alive.
template <typename T> void keep(const T &value) { asm volatile("" : : "m"(value) : "memory"); }

uint64_t lastLevelCacheBytes() {
#ifdef _SC_LEVEL3_CACHE_SIZE
  for (int level : {_SC_LEVEL4_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE, _SC_LEVEL2_CACHE_SIZE})
    if (long bytes = ::sysconf(level); bytes > 0)
      return static_cast<uint64_t>(bytes);
#endif
  return 0;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// Reads that a core has under way at once: the processor's own prefetching stops
/// at a page's end, so that several streams and prefetches of our own read faster.
constexpr size_t streams = 4, bytesAhead = 2 << 10, bytesAtOnce = 256;

/// Reads `streams` parts of \p bytes, a multiple of `streams * bytesAtOnce`.
using Read = void (*)(const char *from, size_t bytes);

void readWords(const char *from, size_t bytes) {
  uint64_t sums[16] = {};
  auto *words = reinterpret_cast<const uint64_t *>(from);
  for (size_t i = 0; i < bytes / sizeof(uint64_t); i += 16)
    for (size_t j = 0; j < 16; ++j)
      sums[j] += words[i + j];
  keep(sums);
}

#ifdef __x86_64__

__attribute__((target("avx2"))) void readStreams256(const char *from, size_t bytes) {
  __m256i sums[8] = {};
  for (size_t i = 0; i < bytes / streams; i += bytesAtOnce)
    for (size_t stream = 0; stream < streams; ++stream) {
      const char *at = from + stream * (bytes / streams) + i;
      for (size_t line = 0; line < bytesAtOnce; line += 64)
        _mm_prefetch(at + bytesAhead + line, _MM_HINT_T0);
      for (size_t j = 0; j < 8; ++j)
        sums[j] = _mm256_add_epi64(
            sums[j], _mm256_load_si256(reinterpret_cast<const __m256i *>(at + 32 * j)));
    }
  keep(sums);
}

__attribute__((target("avx512f"))) void readStreams512(const char *from, size_t bytes) {
  __m512i sums[4] = {};
  for (size_t i = 0; i < bytes / streams; i += bytesAtOnce)
    for (size_t stream = 0; stream < streams; ++stream) {
      const char *at = from + stream * (bytes / streams) + i;
      for (size_t line = 0; line < bytesAtOnce; line += 64)
        _mm_prefetch(at + bytesAhead + line, _MM_HINT_T0);
      for (size_t j = 0; j < 4; ++j)
        sums[j] = _mm512_add_epi64(sums[j], _mm512_load_si512(at + 64 * j));
    }
  keep(sums);
}

#endif

/// What code of these instructions may read with; the best of them counts.
std::vector<Read> readsOf([[maybe_unused]] const Instructions &instructions) {
  std::vector<Read> reads{readWords};
#ifdef __x86_64__
  if (instructions.fma)
    reads.push_back(readStreams256);
  if (instructions.avx512)
    reads.push_back(readStreams512);
#endif
  return reads;
}

double measureRead(ThreadPool &pool, uint64_t cacheBytes, const Instructions &instructions) {
  constexpr uint64_t smallest = 256 << 20, largest = uint64_t(1) << 30;
  uint64_t bytes = std::clamp(2 * cacheBytes, smallest, largest);
  void *memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return 0;
  ::madvise(memory, bytes, MADV_HUGEPAGE); // best effort
  constexpr uint64_t unit = 4096 * streams;
  uint64_t share = bytes / pool.size() / unit * unit;
  auto own = [&](unsigned worker) { return static_cast<char *>(memory) + worker * share; };
  pool.run([&](unsigned worker) { std::memset(own(worker), 1, share); });
  double seconds = 1e30;
  for (Read read : readsOf(instructions))
    seconds = std::min(seconds, bestSeconds([&] {
                         pool.run([&](unsigned worker) { read(own(worker), share); });
                       }));
  ::munmap(memory, bytes);
  return static_cast<double>(share * pool.size()) / seconds;
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

constexpr int rounds = 4'000'000;

#ifdef __x86_64__

// Enough accumulators to hide the latency of two instructions a cycle.
constexpr int chains = 12;

__attribute__((target("avx512f"))) double multiplyAdd512() {
  __m512 sums[chains], x = _mm512_set1_ps(1e-9f);
  for (__m512 &sum : sums)
    sum = x;
  for (int i = 0; i < rounds; ++i) {
    for (__m512 &sum : sums)
      sum = _mm512_fmadd_ps(x, x, sum);
    asm volatile("" : "+v"(x));
  }
  keep(sums);
  return 2.0 * 16 * chains * rounds;
}

__attribute__((target("avx2,fma"))) double multiplyAdd256() {
  __m256 sums[chains], x = _mm256_set1_ps(1e-9f);
  for (__m256 &sum : sums)
    sum = x;
  for (int i = 0; i < rounds; ++i) {
    for (__m256 &sum : sums)
      sum = _mm256_fmadd_ps(x, x, sum);
    asm volatile("" : "+x"(x));
  }
  keep(sums);
  return 2.0 * 8 * chains * rounds;
}

double multiplyAdd128() {
  __m128 sums[chains], x = _mm_set1_ps(1e-9f);
  for (__m128 &sum : sums)
    sum = x;
  for (int i = 0; i < rounds; ++i) {
    for (__m128 &sum : sums)
      sum = _mm_add_ps(_mm_mul_ps(x, x), sum);
    asm volatile("" : "+x"(x)); // no product is the same twice
  }
  keep(sums);
  return 2.0 * 4 * chains * rounds;
}

__attribute__((target("avx512f,avx512vnni"))) double dotBytes512() {
  __m512i sums[chains], x = _mm512_set1_epi32(0x01010101);
  for (__m512i &sum : sums)
    sum = x;
  for (int i = 0; i < rounds; ++i) {
    for (__m512i &sum : sums)
      sum = _mm512_dpbusd_epi32(sum, x, x);
    asm volatile("" : "+v"(x));
  }
  keep(sums);
  return 2.0 * 64 * chains * rounds;
}

__attribute__((target("avx512f,avx512vnni"))) double dotShorts512() {
  __m512i sums[chains], x = _mm512_set1_epi32(0x00010001);
  for (__m512i &sum : sums)
    sum = x;
  for (int i = 0; i < rounds; ++i) {
    for (__m512i &sum : sums) // the instruction itself: compilers split the intrinsic
      asm volatile("vpdpwssd %1, %1, %0" : "+v"(sum) : "v"(x));
  }
  keep(sums);
  return 2.0 * 32 * chains * rounds;
}

#endif

template <typename Body> double measureOperations(ThreadPool &pool, const Body &body) {
  std::vector<double> operations(pool.size());
  double seconds =
      bestSeconds([&] { pool.run([&](unsigned worker) { operations[worker] = body(); }); });
  return operations[0] * pool.size() / seconds;
}

} // namespace

Ceilings qopt::measureCeilings(unsigned threads, const Instructions &instructions) {
  CPUSet set = usableCPUs();
  Ceilings ceilings;
  ceilings.threads = threads ? threads : set.threads;
  bool whole = ceilings.threads >= set.cores && ceilings.threads <= set.cpus.size();
  ThreadPool pool(ceilings.threads, whole ? set.cpus : std::vector<int>());
  ceilings.cacheBytes = lastLevelCacheBytes();
  ceilings.readBytesPerSecond = measureRead(pool, ceilings.cacheBytes, instructions);
#ifdef __x86_64__
  ceilings.floatsPerSecond = measureOperations(pool, instructions.avx512 ? multiplyAdd512
                                                     : instructions.fma  ? multiplyAdd256
                                                                         : multiplyAdd128);
  if (instructions.vnni) {
    ceilings.shortsDotPerSecond = measureOperations(pool, dotShorts512);
    ceilings.bytesDotPerSecond = measureOperations(pool, dotBytes512);
  }
#endif
  return ceilings;
}
