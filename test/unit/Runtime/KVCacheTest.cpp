//===- KVCacheTest.cpp - Pages and their holders --------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Runtime/Engine/KVCache.h"
#include <cstring>
#include <gtest/gtest.h>

using namespace qopt;

namespace {

constexpr uint64_t pageBytes = 256;

TEST(KVCache, HandsOutEveryPageOnce) {
  auto device = *createCPUDevice({.threads = 1});
  auto cache = KVCache::create(*device, 5, pageBytes);
  ASSERT_TRUE(cache);
  std::vector<bool> seen(5);
  for (int i = 0; i < 5; ++i) {
    int32_t page = (*cache)->allocate();
    ASSERT_GE(page, 0);
    ASSERT_LT(page, 5);
    EXPECT_FALSE(seen[page]);
    seen[page] = true;
  }
  EXPECT_EQ((*cache)->allocate(), -1);
  EXPECT_EQ((*cache)->freePages(), 0u);
}

TEST(KVCache, LastHolderFrees) {
  auto device = *createCPUDevice({.threads = 1});
  auto cache = KVCache::create(*device, 1, pageBytes);
  ASSERT_TRUE(cache);
  int32_t page = (*cache)->allocate();
  (*cache)->retain(page);
  (*cache)->release(page);
  EXPECT_EQ((*cache)->freePages(), 0u);
  (*cache)->release(page);
  EXPECT_EQ((*cache)->freePages(), 1u);
}

TEST(KVCache, PagesAreZeroEachTime) {
  auto device = *createCPUDevice({.threads = 1});
  auto cache = KVCache::create(*device, 2, pageBytes);
  ASSERT_TRUE(cache);
  for (int round = 0; round < 3; ++round) {
    int32_t page = (*cache)->allocate();
    auto *bytes = reinterpret_cast<unsigned char *>((*cache)->address() + page * pageBytes);
    for (uint64_t i = 0; i < pageBytes; ++i)
      ASSERT_EQ(bytes[i], 0) << "round " << round;
    std::memset(bytes, 0xff, pageBytes); // NaN in every type
    (*cache)->release(page);
  }
}

} // namespace
