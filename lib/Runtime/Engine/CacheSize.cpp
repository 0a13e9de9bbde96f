//===- CacheSize.cpp - How large the KV cache may be ----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CacheSize.h"
#include <algorithm>
#include <fstream>
#include <limits>

using namespace qopt;

namespace {

constexpr uint32_t defaultSequences = 16;
constexpr uint64_t unlimited = std::numeric_limits<uint64_t>::max();
constexpr uint64_t maxPages = uint64_t(1) << 30; // page numbers are int32

std::string number(uint64_t value) { return std::to_string(value); }

/// A number in a file, or \p otherwise ("max", or no such file).
uint64_t readNumber(const std::string &path, uint64_t otherwise) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : otherwise;
}

/// The number behind \p key in a file of `key number` lines, or \p otherwise.
uint64_t readField(const std::string &path, const std::string &key, uint64_t otherwise) {
  std::ifstream file(path);
  uint64_t value = 0;
  for (std::string found; file >> found; file.ignore(256, '\n'))
    if (found == key)
      return file >> value ? value : otherwise;
  return otherwise;
}

} // namespace

uint64_t qopt::availableMemory(const std::string &root) {
  uint64_t kib = readField(root + "/proc/meminfo", "MemAvailable:", unlimited);
  uint64_t available = kib == unlimited ? unlimited : kib * 1024;
  std::string group = root + "/sys/fs/cgroup/memory.";
  uint64_t limit = readNumber(group + "max", unlimited);
  if (limit == unlimited)
    return available;
  uint64_t used = readNumber(group + "current", 0);
  uint64_t cached =
      readField(group + "stat", "active_file", 0) + readField(group + "stat", "inactive_file", 0);
  used -= std::min(used, cached);
  return std::min(available, limit - std::min(limit, used));
}

Result<CacheSize> qopt::planCache(const ExecutorOptions &options, const CacheLimits &limits) {
  if (options.maxContext > limits.modelContext)
    return Status::invalid("context of " + number(options.maxContext) +
                           " tokens, expected at most the model's " + number(limits.modelContext));
  uint64_t budget = limits.availableBytes;
  if (options.kvCacheBytes > budget)
    return Status::unavailable("a KV cache of " + number(options.kvCacheBytes) +
                               " bytes doesn't fit in the available " + number(budget) + " bytes");
  if (options.kvCacheBytes)
    budget = options.kvCacheBytes;

  uint64_t fitting = std::min(budget / limits.pageBytes, maxPages);
  auto pagesOf = [&](uint64_t tokens) {
    return (tokens + limits.pageTokens - 1) / limits.pageTokens;
  };
  CacheSize size;
  size.maxContext = options.maxContext ? options.maxContext : limits.modelContext;
  if (!options.maxContext)
    size.maxContext = std::min<uint64_t>(size.maxContext, fitting * limits.pageTokens);
  uint64_t each = pagesOf(size.maxContext);
  if (size.maxContext == 0 || each > fitting) {
    std::string message =
        "a sequence of " + number(options.maxContext ? options.maxContext : limits.pageTokens) +
        " tokens needs " + number(std::max<uint64_t>(each, 1) * limits.pageBytes) +
        " bytes of KV cache, but " + number(budget) + " are available";
    if (fitting > 0)
      message += ": the largest context that fits is " + number(fitting * limits.pageTokens);
    return Status::unavailable(std::move(message));
  }
  uint64_t sequences = options.maxSequences ? options.maxSequences : defaultSequences;
  if (options.maxSequences && each * sequences > fitting)
    return Status::unavailable(
        number(sequences) + " sequences of " + number(size.maxContext) + " tokens need " +
        number(each * sequences * limits.pageBytes) + " bytes of KV cache, but " + number(budget) +
        " are available: at most " + number(fitting / each) + " sequences, or a context of " +
        number(fitting / sequences * limits.pageTokens) + ", fit");
  // Bytes that were asked for are used whole: short sequences share them.
  size.pages = options.kvCacheBytes ? fitting : std::min(each * sequences, fitting);
  return size;
}
