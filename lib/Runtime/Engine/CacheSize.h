//===- CacheSize.h - How large the KV cache may be --------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_ENGINE_CACHESIZE_H
#define QOPT_RUNTIME_ENGINE_CACHESIZE_H

#include "qopt/Runtime/Executor.h"
#include <cstdint>
#include <string>

namespace qopt {

/// What the size of the cache depends on.
struct CacheLimits {
  uint32_t modelContext = 0; ///< tokens
  uint32_t pageTokens = 0;
  uint64_t pageBytes = 0;
  uint64_t availableBytes = 0; ///< memory that the cache may take
};

struct CacheSize {
  uint32_t maxContext = 0; ///< tokens
  uint32_t pages = 0;
};

/// Settings of the user are kept or refused; those left open shrink to what
/// fits, but never below one sequence. An error names the largest setting that
/// fits.
Result<CacheSize> planCache(const ExecutorOptions &options, const CacheLimits &limits);

/// Bytes that this process may still take, by proc/meminfo and by its control
/// group (version 2) below \p root. Pages of files count as available in both:
/// the system drops them when memory is short.
uint64_t availableMemory(const std::string &root = "/");

} // namespace qopt

#endif // QOPT_RUNTIME_ENGINE_CACHESIZE_H
