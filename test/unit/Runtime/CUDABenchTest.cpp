//===- CUDABenchTest.cpp - Benchmarks on the fake driver's GPU ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FakeCUDADriver.h"
#include "ToyModel.h"
#include "qopt/Bench/Bench.h"
#include <algorithm>
#include <gtest/gtest.h>

using namespace qopt;

namespace {

class CUDABench : public testing::Test {
protected:
  CUDABench() : driver(*qopt_fake_driver()), model((qopt_fake_driver_reset(), load())) {}

  static Model load() {
    Result<Model> model =
        Model::load(toy::writeForGPU("bench"), {.cudaDriver = QOPT_FAKE_CUDA_DRIVER});
    EXPECT_TRUE(model) << model.status().message();
    return *model;
  }

  toy::FakeDriver &driver;
  Model model;
};

using CUDABenchTest = CUDABench;

TEST_F(CUDABenchTest, KernelsAreTimedByTheDevicesClock) {
  auto timings = benchKernels(model, {.tokens = 1, .context = 5, .batch = 3, .repeat = 2});
  ASSERT_TRUE(timings) << timings.status().message();
  ASSERT_EQ(timings->size(), 6u);
  for (const KernelTiming &timing : *timings) {
    EXPECT_NE(timing.entry, "toy_attend_tiles") << "a step of single tokens takes a decode plan";
    EXPECT_EQ(timing.launches, 1u);
    EXPECT_FLOAT_EQ(timing.seconds, 2e-3);
  }
  EXPECT_EQ(driver.captures, 6);
  EXPECT_EQ(driver.graphLaunches, 6 * 3) << "one replay warms";
  EXPECT_EQ(driver.ran.at(0).args.at(3), 4u) << "padded to the plan's rows";
}

TEST_F(CUDABenchTest, MixedStepsAreTimedToo) {
  auto timings = benchKernels(model, {.tokens = 4, .context = 2, .batch = 2, .repeat = 1});
  ASSERT_TRUE(timings) << timings.status().message();
  EXPECT_EQ(
      std::count_if(timings->begin(), timings->end(),
                    [](const KernelTiming &timing) { return timing.entry == "toy_attend_tiles"; }),
      1);
}

TEST_F(CUDABenchTest, TheCeilingIsACopyOnTheDevice) {
  driver.totalBytes = size_t(512) << 20;
  Ceilings ceilings = measureCeilings(model, 0);
  EXPECT_EQ(ceilings.device, "cuda, Fake GPU (sm_90)");
  EXPECT_EQ(ceilings.threads, 0u);
  EXPECT_EQ(ceilings.cacheBytes, uint64_t(1) << 20);
  // A quarter of what is free, read and written in the 2 ms of the fake clock.
  EXPECT_GT(ceilings.readBytesPerSecond, 5e10);
  EXPECT_LT(ceilings.readBytesPerSecond, 7e10);
  EXPECT_EQ(ceilings.floatsPerSecond, 0);
}

TEST_F(CUDABenchTest, ThroughputCountsEveryToken) {
  auto result = benchThroughput(
      model, {.requests = 6, .promptTokens = 10, .generatedTokens = 5, .maxSequences = 4});
  ASSERT_TRUE(result) << result.status().message();
  EXPECT_EQ(result->promptTokens, 60u);
  EXPECT_EQ(result->generatedTokens, 30u);
  EXPECT_GT(result->decodeSteps, 0u);
  EXPECT_GT(result->seconds, 0);
  EXPECT_FALSE(benchThroughput(model, {.requests = 1, .promptTokens = 1000}));
}

} // namespace
