//===- OrderedPipelineTest.cpp - Made in parallel, used in order ----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OrderedPipeline.h"
#include <atomic>
#include <gtest/gtest.h>

using namespace qopt;

namespace {

TEST(OrderedPipeline, GivesAllItemsInOrder) {
  for (unsigned threads : {0u, 1u, 2u, 7u})
    for (size_t count : {0u, 1u, 3u, 100u}) {
      std::vector<size_t> used;
      llvm::Error error = runInOrder<size_t>(
          count, threads,
          [](size_t index) -> llvm::Expected<size_t> {
            if (index % 5 == 0) // others overtake it
              std::this_thread::sleep_for(std::chrono::milliseconds(1));
            return index * index;
          },
          [&](size_t item) {
            used.push_back(item);
            return llvm::Error::success();
          });
      EXPECT_FALSE(static_cast<bool>(error));
      ASSERT_EQ(used.size(), count);
      for (size_t i = 0; i < count; ++i)
        EXPECT_EQ(used[i], i * i);
    }
}

TEST(OrderedPipeline, MakesOnlyTwoItemsAThreadAhead) {
  std::atomic<size_t> made = 0;
  size_t used = 0, most = 0;
  llvm::Error error = runInOrder<size_t>(
      50, 2,
      [&](size_t index) -> llvm::Expected<size_t> {
        ++made;
        return index;
      },
      [&](size_t) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        most = std::max(most, made - used);
        ++used;
        return llvm::Error::success();
      });
  EXPECT_FALSE(static_cast<bool>(error));
  EXPECT_LE(most, 5u); // four ahead and the one in use
}

TEST(OrderedPipeline, TheFirstErrorInOrderEndsIt) {
  for (int repeat = 0; repeat < 20; ++repeat) {
    size_t used = 0;
    llvm::Error error = runInOrder<size_t>(
        100, 4,
        [](size_t index) -> llvm::Expected<size_t> {
          if (index == 10)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
          if (index >= 10)
            return llvm::createStringError("item " + std::to_string(index));
          return index;
        },
        [&](size_t) {
          ++used;
          return llvm::Error::success();
        });
    EXPECT_EQ(llvm::toString(std::move(error)), "item 10");
    EXPECT_EQ(used, 10u);
  }
}

TEST(OrderedPipeline, AnErrorOfTheUserEndsIt) {
  llvm::Error error = runInOrder<size_t>(
      1000, 3, [](size_t index) -> llvm::Expected<size_t> { return index; },
      [](size_t item) {
        return item == 7 ? llvm::createStringError("no more") : llvm::Error::success();
      });
  EXPECT_EQ(llvm::toString(std::move(error)), "no more");
}

} // namespace
