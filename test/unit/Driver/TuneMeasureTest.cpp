//===- TuneMeasureTest.cpp - Contenders on a fake driver ------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Driver/TuneMeasure.h"
#include "../Runtime/FakeCUDADriver.h"
#include "Runtime/Artifact/Format.h"
#include <gtest/gtest.h>

using namespace qopt;

namespace {

constexpr uint64_t hidden = 4, vocabulary = 4;
/// As FakeCUDADriver.cpp reads it: a kernel, its arguments and tensor maps.
const std::string cubin = "fake cubin\ntoy_project_map 6 1\nend\n" + std::string(1, '\0');

/// Contenders are one kernel, y = W x of a row, whose map says where x is.
class TuneMeasure : public testing::Test {
protected:
  TuneMeasure() : driver(*qopt_fake_driver()) {
    qopt_fake_driver_reset();
    device = std::move(*createCUDADevice({0, "sm_90a", QOPT_FAKE_CUDA_DRIVER}));
    auto bytes = std::as_bytes(std::span<const char>(cubin));
    Hash hash = hashOf(bytes);
    code =
        std::move(*device->load(bytes, {reinterpret_cast<const char *>(hash.data()), hash.size()},
                                {{"toy_project_map", 0, cubin.size()}}));
    rows = upload(std::vector<int32_t>{0});
    x = upload(std::vector<float>{1, 2, 3, 4});
    other = upload(std::vector<float>{1, 2, 3, 5});
    weight = upload(std::vector<float>(vocabulary * hidden, 0.5f));
    copy = upload(std::vector<float>(vocabulary * hidden, 0.5f));
    output = std::move(*device->allocate(vocabulary * sizeof(float)));
    work = {{rows.address(), 0, output.address(), 1, hidden, vocabulary},
            1,
            {weight.address(), copy.address(), weight.address()},
            output.address(),
            output.size()};
  }

  template <typename T> DeviceMemory upload(const std::vector<T> &values) {
    auto bytes = std::as_bytes(std::span<const T>(values));
    DeviceMemory memory = std::move(*device->allocate(bytes.size()));
    EXPECT_TRUE(device->copyToDevice(memory.address(), bytes));
    EXPECT_TRUE(device->synchronize());
    return memory;
  }

  static Contender contender(std::string name, const DeviceMemory &input) {
    return {std::move(name),
            0,
            {1, 1, 1, 32, 0},
            {{input.address(), hidden * sizeof(float), hidden * sizeof(float), 1, 8}}};
  }

  std::vector<Measurement> measure(
      const std::vector<Contender> &contenders,
      const std::function<bool()> &goOn = [] { return true; }) {
    auto results = measureContenders(*device, *code, work, contenders, goOn);
    EXPECT_TRUE(results) << results.status().message();
    return results ? *results : std::vector<Measurement>();
  }

  toy::FakeDriver &driver;
  std::unique_ptr<Device> device;
  std::unique_ptr<DeviceCode> code;
  DeviceMemory rows, x, other, weight, copy, output;
  TuneWork work;
};

using TuneMeasureTest = TuneMeasure;

TEST_F(TuneMeasureTest, MedianOfALaunch) {
  driver.elapsed.assign(1, 30); // warm up: long enough
  for (float milliseconds : {9, 3, 6, 3, 12, 3, 6})
    driver.elapsed.push_back(milliseconds);
  std::vector<Measurement> results = measure({contender("one", x)});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_DOUBLE_EQ(results[0].seconds, 6e-3 / 3);
  EXPECT_TRUE(results[0].agrees && results[0].finished);
  EXPECT_TRUE(driver.elapsed.empty());
  // One launch to compare, then recordings, whose launches have a weight each.
  ASSERT_EQ(driver.ran.size(), 1u + 8 * 3);
  for (size_t i = 0; i < driver.ran.size(); ++i) {
    EXPECT_EQ(driver.ran[i].args[1], i > 0 && i % 3 == 2 ? copy.address() : weight.address());
    EXPECT_TRUE(driver.ran[i].overlaps);
  }
}

TEST_F(TuneMeasureTest, OtherBitsAreNotTimed) {
  std::vector<Measurement> results =
      measure({contender("one", x), contender("two", other), contender("three", x)});
  ASSERT_EQ(results.size(), 3u);
  EXPECT_TRUE(results[0].agrees);
  EXPECT_FALSE(results[1].agrees);
  EXPECT_TRUE(results[2].agrees);
  EXPECT_GT(results[2].seconds, 0);
}

TEST_F(TuneMeasureTest, SlowOnesAreGivenUp) {
  driver.elapsed.assign(1, 30);
  driver.elapsed.insert(driver.elapsed.end(), 7, 3);
  driver.elapsed.push_back(6);                       // two: twice the best
  driver.elapsed.insert(driver.elapsed.end(), 7, 5); // three: slow, but to its end
  driver.elapsed.insert(driver.elapsed.end(), 7, 1); // four: the best
  std::vector<Measurement> results = measure(
      {contender("one", x), contender("two", x), contender("three", x), contender("four", x)});
  ASSERT_EQ(results.size(), 4u);
  EXPECT_FALSE(results[1].finished);
  EXPECT_TRUE(results[2].finished);
  EXPECT_DOUBLE_EQ(results[3].seconds, 1e-3 / 3);
  EXPECT_TRUE(driver.elapsed.empty());
}

TEST_F(TuneMeasureTest, StopsWhenTheTimeIsUp) {
  EXPECT_EQ(measure({contender("one", x), contender("two", x)}, [] { return false; }).size(), 1u);
}

TEST_F(TuneMeasureTest, FailuresNameTheContender) {
  driver.failingKernel = "toy_project_map";
  std::vector<Contender> contenders{contender("wgmma 64x64 k256 s4", x)};
  auto results = measureContenders(*device, *code, work, contenders, [] { return true; });
  ASSERT_FALSE(results);
  EXPECT_EQ(results.status().message().find("wgmma 64x64 k256 s4: "), 0u)
      << results.status().message();
}

} // namespace
