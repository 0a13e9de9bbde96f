//===- CacheSizeTest.cpp - The size of the cache --------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Runtime/Engine/CacheSize.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <unistd.h>

using namespace qopt;

namespace {

// 1000 tokens, pages of 64 tokens and 1024 bytes: 16 pages a sequence.
CacheLimits limits(uint64_t availablePages) { return {1000, 64, 1024, availablePages * 1024}; }

std::string failure(const ExecutorOptions &options, const CacheLimits &limits) {
  Result<CacheSize> size = planCache(options, limits);
  EXPECT_FALSE(size);
  return size.status().message();
}

TEST(CacheSize, DefaultIsSixteenFullSequences) {
  Result<CacheSize> size = planCache({}, limits(1000));
  ASSERT_TRUE(size);
  EXPECT_EQ(size->maxContext, 1000u);
  EXPECT_EQ(size->pages, 256u);
}

TEST(CacheSize, DefaultsShrinkToWhatFits) {
  Result<CacheSize> size = planCache({}, limits(40));
  ASSERT_TRUE(size);
  EXPECT_EQ(size->maxContext, 1000u);
  EXPECT_EQ(size->pages, 40u);
  size = planCache({}, limits(3));
  ASSERT_TRUE(size);
  EXPECT_EQ(size->maxContext, 192u);
  EXPECT_EQ(size->pages, 3u);
}

TEST(CacheSize, BytesAreUsedWhole) {
  Result<CacheSize> size = planCache({.kvCacheBytes = 100 * 1024 + 5}, limits(1000));
  ASSERT_TRUE(size);
  EXPECT_EQ(size->pages, 100u);
}

TEST(CacheSize, ErrorsNameTheLargestSettingThatFits) {
  EXPECT_EQ(failure({.maxContext = 1001}, limits(1000)),
            "context of 1001 tokens, expected at most the model's 1000");
  EXPECT_EQ(failure({.maxContext = 1000}, limits(10)),
            "a sequence of 1000 tokens needs 16384 bytes of KV cache, but 10240 are available: the "
            "largest context that fits is 640");
  EXPECT_EQ(failure({.maxContext = 640, .maxSequences = 4}, limits(25)),
            "4 sequences of 640 tokens need 40960 bytes of KV cache, but 25600 are available: at "
            "most 2 sequences, or a context of 384, fit");
  EXPECT_EQ(failure({.kvCacheBytes = 4096}, limits(3)),
            "a KV cache of 4096 bytes doesn't fit in the available 3072 bytes");
  EXPECT_EQ(failure({}, limits(0)),
            "a sequence of 64 tokens needs 1024 bytes of KV cache, but 0 are available");
}

TEST(CacheSize, MachineHasMemory) { EXPECT_GT(availableMemory(), uint64_t(1) << 20); }

TEST(CacheSize, AvailableMemoryIsTheLessOfMachineAndGroup) {
  std::filesystem::path root =
      std::filesystem::path(testing::TempDir()) / ("qopt-memory-" + std::to_string(::getpid()));
  auto write = [&](const char *path, const char *text) {
    std::filesystem::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  };
  EXPECT_EQ(availableMemory(root), std::numeric_limits<uint64_t>::max());
  write("proc/meminfo", "MemTotal:  900 kB\nMemFree:  1 kB\nMemAvailable:  800 kB\nCached: 7 kB\n");
  EXPECT_EQ(availableMemory(root), 800u * 1024);
  write("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(availableMemory(root), 800u * 1024);
  write("sys/fs/cgroup/memory.max", "500000\n");
  write("sys/fs/cgroup/memory.current", "400000\n");
  EXPECT_EQ(availableMemory(root), 100000u);
  // The pages of a model that was read are no reason to refuse it.
  write("sys/fs/cgroup/memory.stat", "anon 50000\ninactive_file 250000\nactive_file 60000\n");
  EXPECT_EQ(availableMemory(root), 410000u);
  write("sys/fs/cgroup/memory.current", "900000\n");
  EXPECT_EQ(availableMemory(root), 0u);
  std::filesystem::remove_all(root);
}

} // namespace
