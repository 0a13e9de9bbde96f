//===- ThreadPoolTest.cpp - Jobs and barriers -----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Runtime/Device/ThreadPool.h"
#include <gtest/gtest.h>

using namespace qopt;

namespace {

TEST(ThreadPool, EveryWorkerRunsEachJobOnce) {
  for (unsigned threads : {1u, 2u, 5u}) {
    ThreadPool pool(threads);
    std::vector<int> runs(threads);
    for (int i = 0; i < 100; ++i)
      pool.run([&](unsigned worker) { ++runs[worker]; });
    for (int count : runs)
      EXPECT_EQ(count, 100);
  }
}

TEST(ThreadPool, BarrierOrdersWrites) {
  constexpr unsigned threads = 4;
  ThreadPool pool(threads);
  std::vector<int> values(threads);
  std::atomic<int> wrong{0};
  pool.run([&](unsigned worker) {
    for (int round = 1; round <= 200; ++round) {
      values[worker] = round;
      pool.barrier();
      for (int value : values)
        wrong += value != round;
      pool.barrier();
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST(ThreadPool, JobsOfDifferentCallersDontOverlap) {
  ThreadPool pool(2);
  std::atomic<int> inside{0}, overlaps{0}, jobs{0};
  auto caller = [&] {
    for (int i = 0; i < 50; ++i)
      pool.run([&](unsigned worker) {
        if (worker != 0)
          return;
        overlaps += inside++ != 0;
        ++jobs;
        --inside;
      });
  };
  std::thread other(caller);
  caller();
  other.join();
  EXPECT_EQ(overlaps, 0);
  EXPECT_EQ(jobs, 100);
}

TEST(ThreadPool, SleepingWorkersWake) {
  ThreadPool pool(2);
  std::atomic<int> runs{0};
  pool.run([&](unsigned) { ++runs; });
  std::this_thread::sleep_for(std::chrono::milliseconds(20)); // longer than they spin
  pool.run([&](unsigned worker) {
    if (worker == 0) // the other sleeps at the barrier
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    pool.barrier();
    ++runs;
  });
  EXPECT_EQ(runs, 4);
}

TEST(CPUSet, HasAtLeastOneOfEach) {
  CPUSet set = usableCPUs();
  EXPECT_GE(set.cpus.size(), set.cores);
  EXPECT_GE(set.cores, set.threads);
  EXPECT_GE(set.threads, 1u);
}

} // namespace
