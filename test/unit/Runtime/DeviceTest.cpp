//===- DeviceTest.cpp - The CPU device ------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Device.h"
#include "Runtime/Artifact/Format.h"
#include "ToyModel.h"
#include <cstring>
#include <gtest/gtest.h>
#include <pthread.h>

using namespace qopt;

namespace {

std::string kernels() { return toy::read(QOPT_TOY_KERNELS); }

std::string hashText(const std::string &bytes) {
  Hash hash = hashOf(std::as_bytes(std::span<const char>(bytes)));
  return std::string(reinterpret_cast<const char *>(hash.data()), hash.size());
}

Result<std::unique_ptr<DeviceCode>> load(Device &device, const std::string &bytes,
                                         const std::string &hash, const char *entry) {
  return device.load(std::as_bytes(std::span<const char>(bytes)), hash, {KernelEntry{entry}});
}

TEST(CPUDevice, MemoryIsZeroAndCopied) {
  auto device = *createCPUDevice({.threads = 1});
  Result<DeviceMemory> memory = device->allocate(100);
  ASSERT_TRUE(memory);
  std::vector<std::byte> bytes(100, std::byte(1));
  ASSERT_TRUE(device->copyToHost(bytes, memory->address()));
  EXPECT_EQ(bytes, std::vector<std::byte>(100));
  std::vector<std::byte> ones(100, std::byte(1));
  ASSERT_TRUE(device->copyToDevice(memory->address(), ones));
  ASSERT_TRUE(device->copyToHost(bytes, memory->address()));
  EXPECT_EQ(bytes, ones);
}

TEST(CPUDevice, LaunchesAndReplaysALine) {
  for (unsigned threads : {1u, 2u, 3u}) {
    auto device = *createCPUDevice({.threads = threads});
    std::string bytes = kernels();
    auto code = load(*device, bytes, hashText(bytes), "toy_embed");
    ASSERT_TRUE(code) << code.status().message();
    const int32_t tokens[] = {2, 0, 1};
    const float table[] = {1, 2, 3, 4, 5, 6};
    float x[6] = {}, y[6] = {};
    auto address = [](const void *pointer) { return reinterpret_cast<uint64_t>(pointer); };
    const int32_t identity[] = {0, 1, 2};
    std::vector<LaunchCommand> line = {
        {0, {address(tokens), address(table), address(x), 3, 2}, 3},
        {0, {address(identity), address(x), address(y), 3, 2}, 2}, // needs the first complete
        {0, {0, 0, 0, 1, 1}, 0}};                                  // nothing to do
    ASSERT_TRUE(device->launch(**code, line));
    const float expected[] = {5, 6, 1, 2, 3, 4};
    EXPECT_EQ(std::memcmp(y, expected, sizeof(y)), 0);
    auto recording = device->record(**code, line);
    ASSERT_TRUE(recording);
    std::memset(y, 0, sizeof(y));
    ASSERT_TRUE(device->replay(**recording));
    EXPECT_EQ(std::memcmp(y, expected, sizeof(y)), 0);
    line[0].entry = 1;
    EXPECT_EQ(device->launch(**code, line).message(), "launch of kernel 1, expected less than 1");
  }
}

TEST(CPUDevice, RefusedThreadsAreAnError) {
  // No address space holds these stacks.
  pthread_attr_t before, huge;
  ASSERT_EQ(pthread_getattr_default_np(&before), 0);
  pthread_attr_init(&huge);
  ASSERT_EQ(pthread_attr_setstacksize(&huge, size_t(1) << 47), 0);
  ASSERT_EQ(pthread_setattr_default_np(&huge), 0);
  Result<std::unique_ptr<Device>> device = createCPUDevice({.threads = 2});
  pthread_setattr_default_np(&before);
  ASSERT_FALSE(device);
  EXPECT_EQ(device.status().code(), StatusCode::unavailable);
  EXPECT_EQ(device.status().message().find("can't start 2 threads: "), 0u)
      << device.status().message();
}

TEST(CPUDevice, TwoLibrariesStayApart) {
  auto device = *createCPUDevice({.threads = 1});
  std::string bytes = kernels();
  auto first = load(*device, bytes, hashText(bytes), "toy_embed");
  auto second = load(*device, bytes, hashText(bytes), "toy_embed");
  ASSERT_TRUE(first);
  ASSERT_TRUE(second);
  first->reset();
  auto third = load(*device, bytes, hashText(bytes), "toy_project");
  EXPECT_TRUE(third);
}

TEST(CPUDevice, RefusesDamagedCode) {
  auto device = *createCPUDevice({.threads = 1});
  std::string bytes = kernels();
  std::string hash = hashText(bytes);
  auto missing = load(*device, bytes, hash, "toy_nothing");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.status().message(), "the code section has no kernel 'toy_nothing'");
  bytes[100] ^= 1;
  auto damaged = load(*device, bytes, hash, "toy_embed");
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.status().message(),
            "the code section is damaged: it has another hash than the manifest says");
  std::string text = "no code";
  auto noCode = load(*device, text, hashText(text), "toy_embed");
  ASSERT_FALSE(noCode);
  EXPECT_NE(noCode.status().message().find("the code section can't be loaded: "),
            std::string::npos);
}

TEST(CheckCPU, NamesWhatIsMissing) {
  EXPECT_TRUE(checkCPU(QOPT_TOY_TRIPLE, {}));
  std::vector<std::string> features = {"antigravity"};
  Status status = checkCPU(QOPT_TOY_TRIPLE, features);
  EXPECT_EQ(status.code(), StatusCode::invalidInput);
  EXPECT_EQ(status.message(),
            "the code needs the CPU feature 'antigravity', which this machine doesn't have");
  status = checkCPU("pdp11-dec-unix", {});
  EXPECT_EQ(status.code(), StatusCode::invalidInput);
  EXPECT_NE(status.message().find("the code is for 'pdp11', this machine is '"), std::string::npos);
}

} // namespace
