//===- CUDADeviceTest.cpp - The CUDA device on a fake driver --------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FakeCUDADriver.h"
#include "Runtime/Artifact/Format.h"
#include "ToyModel.h"
#include "qopt/Runtime/Device.h"
#include <gtest/gtest.h>
#include <numeric>

using namespace qopt;

namespace {

constexpr const char *driverLibrary = QOPT_FAKE_CUDA_DRIVER;

class CUDADevice : public testing::Test {
protected:
  CUDADevice() : driver(*qopt_fake_driver()) { qopt_fake_driver_reset(); }
  ~CUDADevice() override { qopt_fake_driver_reset(); }

  static Result<std::unique_ptr<Device>> tryCreate(unsigned ordinal = 0, bool debugSync = false) {
    return createCUDADevice({ordinal, "sm_90a", driverLibrary, debugSync});
  }
  static std::unique_ptr<Device> create(bool debugSync = false) {
    auto device = tryCreate(0, debugSync);
    EXPECT_TRUE(device) << device.status().message();
    return std::move(*device);
  }
  static std::string whyNot(unsigned ordinal = 0) {
    auto device = tryCreate(ordinal);
    EXPECT_EQ(device.status().code(), StatusCode::unavailable);
    return device.status().message();
  }

  static Result<std::unique_ptr<DeviceCode>> load(Device &device, std::vector<KernelEntry> entries,
                                                  std::string cubin = toy::fakeCubin()) {
    auto bytes = std::as_bytes(std::span<const char>(cubin));
    Hash hash = hashOf(bytes);
    for (KernelEntry &entry : entries)
      entry.size = cubin.size();
    return device.load(bytes, {reinterpret_cast<const char *>(hash.data()), hash.size()}, entries);
  }

  toy::FakeDriver &driver;
};

using CUDADeviceTest = CUDADevice;

TEST_F(CUDADeviceTest, SaysWhatIsMissing) {
  auto none = createCUDADevice({0, "sm_90a", "/nonexistent/libcuda.so.1"});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.status().code(), StatusCode::unavailable);
  EXPECT_EQ(
      none.status().message().find("the CUDA driver can't be opened: /nonexistent/libcuda.so.1: "),
      0u)
      << none.status().message();
  auto other = createCUDADevice({0, "sm_90a", QOPT_TOY_KERNELS});
  EXPECT_NE(other.status().message().find("is older than 12.0: update the NVIDIA driver"),
            std::string::npos);

  EXPECT_EQ(whyNot(1), "there is no GPU 1: this machine has 1");
  driver.devices = 0;
  EXPECT_EQ(whyNot(), "there is no NVIDIA GPU");
  driver.devices = 1;
  driver.major = 8;
  EXPECT_EQ(whyNot(), "the code is for 'sm_90a', but Fake GPU is sm_80");
  driver.major = 9;
  driver.minor = 1; // code of sm_90a runs on 9.0 only
  EXPECT_EQ(whyNot(), "the code is for 'sm_90a', but Fake GPU is sm_91");
  driver.minor = 0;
  driver.missingCall = "cuGraphLaunch";
  EXPECT_NE(whyNot().find("has no cuGraphLaunch: update the NVIDIA driver"), std::string::npos);
  driver.missingCall = "";
  driver.failingCall = "cuDevicePrimaryCtxRetain";
  EXPECT_EQ(whyNot().find("cuDevicePrimaryCtxRetain failed: CUDA_ERROR_UNKNOWN (as the test "
                          "wants) at CUDAContext.cpp:"),
            0u)
      << whyNot();
  EXPECT_EQ(driver.contexts, 0);
}

TEST_F(CUDADeviceTest, CodeWithoutALetterRunsOnLaterChips) {
  driver.minor = 3;
  EXPECT_TRUE(createCUDADevice({0, "sm_90", driverLibrary}));
  EXPECT_FALSE(createCUDADevice({0, "sm_100", driverLibrary}));
}

TEST_F(CUDADeviceTest, MemoryIsZeroAndCopied) {
  auto device = create();
  EXPECT_EQ(device->describe(), "cuda, Fake GPU (sm_90)");
  Result<DeviceMemory> memory = device->allocate(100);
  ASSERT_TRUE(memory);
  std::vector<std::byte> bytes(100, std::byte(1)), ones(100, std::byte(1));
  ASSERT_TRUE(device->copyToHost(bytes, memory->address()));
  EXPECT_EQ(bytes, std::vector<std::byte>(100));
  ASSERT_TRUE(device->copyToDevice(memory->address(), ones));
  ASSERT_TRUE(device->copyToHost(bytes, memory->address()));
  EXPECT_EQ(bytes, ones);
  EXPECT_EQ(device->hostView(memory->address()), nullptr);
}

TEST_F(CUDADeviceTest, FullMemorySaysWhatWasWanted) {
  driver.totalBytes = 1 << 20;
  auto device = create();
  Result<DeviceMemory> memory = device->allocate(1000);
  ASSERT_TRUE(memory);
  Result<DeviceMemory> more = device->allocate(1 << 20);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.status().code(), StatusCode::unavailable);
  EXPECT_EQ(more.status().message(),
            "GPU memory is full: 1048576 bytes wanted, but 1047576 of 1048576 are free");
}

TEST_F(CUDADeviceTest, AdoptsEveryByteOfEveryPiece) {
  auto device = create();
  // Chunks are of 4 MiB: several, a part of one, one byte, and none.
  std::vector<std::vector<std::byte>> pieces;
  for (size_t size : {size_t(21) << 20, size_t(1000), size_t(1), size_t(4) << 20, size_t(0)}) {
    pieces.emplace_back(size);
    for (size_t i = 0; i < size; ++i)
      pieces.back()[i] = static_cast<std::byte>(i * 2654435761u >> 13);
  }
  std::vector<std::span<const std::byte>> spans(pieces.begin(), pieces.end());
  auto addresses = device->adopt(spans);
  ASSERT_TRUE(addresses) << addresses.status().message();
  ASSERT_EQ(addresses->size(), pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_EQ((*addresses)[i] % 256, 0u);
    std::vector<std::byte> copy(pieces[i].size());
    ASSERT_TRUE(device->copyToHost(copy, (*addresses)[i]));
    EXPECT_TRUE(copy == pieces[i]) << i;
  }
  EXPECT_EQ(driver.hostMemories, 0);
  driver.failingCall = "cuMemHostAlloc";
  EXPECT_FALSE(device->adopt(spans));
}

/// y[i] = 10 + i, by the table: two launches, the second reads what the first wrote.
struct Line {
  explicit Line(Device &device) : memory(*device.allocate(4096)) {
    uint64_t at = memory.address();
    // int32 tokens [3] at 0, table [3, 2] at 64, x [3, 2] at 128, y at 192
    const int32_t tokens[] = {2, 0, 1};
    const float table[] = {1, 2, 3, 4, 5, 6};
    EXPECT_TRUE(device.copyToDevice(at, std::as_bytes(std::span(tokens))));
    EXPECT_TRUE(device.copyToDevice(at + 64, std::as_bytes(std::span(table))));
    EXPECT_TRUE(device.synchronize());
    commands = {{0, {at, at + 64, at + 128, 3, 2}, 0, {2, 3, 1, 64, 1000}, {}, "first"},
                {0, {at, at + 128, at + 192, 3, 2}, 0, {1, 1, 1, 32, 0}, {}, "second"},
                {0, {0, 0, 0, 0, 0}, 0, {0, 1, 1, 32, 0}, {}, "nothing to do"}};
  }
  std::vector<float> result(Device &device) const {
    std::vector<float> y(6);
    EXPECT_TRUE(device.copyToHost(std::as_writable_bytes(std::span(y)), memory.address() + 192));
    return y;
  }
  DeviceMemory memory;
  std::vector<LaunchCommand> commands;
};

const std::vector<float> expectedLine = {3, 4, 5, 6, 1, 2};

TEST_F(CUDADeviceTest, LaunchesInOrderAndOverlaps) {
  auto device = create();
  auto code = load(*device, {{"toy_embed"}});
  ASSERT_TRUE(code) << code.status().message();
  EXPECT_EQ(driver.modules, 0) << "cubins are loaded when they are used";
  Line line(*device);
  ASSERT_TRUE(device->launch(**code, line.commands));
  EXPECT_EQ(line.result(*device), expectedLine);
  ASSERT_EQ(driver.ran.size(), 2u);
  const toy::FakeLaunch &first = driver.ran[0];
  EXPECT_EQ(first.grid[0], 2u);
  EXPECT_EQ(first.grid[1], 3u);
  EXPECT_EQ(first.threads, 64u);
  EXPECT_EQ(first.sharedBytes, 1000u);
  EXPECT_TRUE(first.overlaps);
  EXPECT_EQ(driver.modules, 1);
}

TEST_F(CUDADeviceTest, RecordsOnceAndReplays) {
  auto device = create();
  auto code = load(*device, {{"toy_embed"}});
  Line line(*device);
  {
    auto recording = device->record(**code, line.commands);
    ASSERT_TRUE(recording) << recording.status().message();
    EXPECT_EQ(driver.ran.size(), 0u);
    for (int i = 0; i < 3; ++i)
      ASSERT_TRUE(device->replay(**recording));
    EXPECT_EQ(line.result(*device), expectedLine);
    Result<double> seconds = device->time(**recording);
    ASSERT_TRUE(seconds);
    EXPECT_FLOAT_EQ(*seconds, 2e-3);
    EXPECT_EQ(driver.ran.size(), 8u);
    EXPECT_EQ(driver.captures, 1);
    EXPECT_EQ(driver.graphLaunches, 4);
    EXPECT_EQ(driver.executables, 1);
    EXPECT_EQ(driver.graphs, 0);
    EXPECT_EQ(driver.events, 0);
  }
  EXPECT_EQ(driver.executables, 0);
}

TEST_F(CUDADeviceTest, FailedRecordingsLeaveNothing) {
  auto device = create();
  auto code = load(*device, {{"toy_embed"}});
  Line line(*device);
  for (const char *call : {"cuStreamBeginCapture", "cuLaunchKernelEx", "cuStreamEndCapture",
                           "cuGraphInstantiateWithFlags", "cuGraphUpload"}) {
    driver.failingCall = call;
    auto recording = device->record(**code, line.commands);
    ASSERT_FALSE(recording) << call;
    EXPECT_NE(recording.status().message().find(std::string(call) + " failed: "), std::string::npos)
        << recording.status().message();
    EXPECT_EQ(driver.graphs, 0) << call;
    EXPECT_EQ(driver.executables, 0) << call;
  }
  driver.failingCall = "";
  EXPECT_TRUE(device->record(**code, line.commands));
}

TEST_F(CUDADeviceTest, RefusesKernelsThatDontFitTheLaunch) {
  auto device = create();
  auto code = load(*device, {{"toy_embed"}, {"toy_nothing"}});
  ASSERT_TRUE(code);
  Line line(*device);
  auto message = [&](LaunchCommand command) {
    Status status = device->launch(**code, {&command, 1});
    EXPECT_EQ(status.code() == StatusCode::ok, false);
    return status.message();
  };
  LaunchCommand command = line.commands[1];
  command.args.resize(6);
  EXPECT_EQ(message(command), "kernel 'toy_embed' of 'second': kernel 'toy_embed' has other "
                              "parameters than the 6 arguments and 0 tensor maps of its launch");
  command = line.commands[1];
  command.maps.emplace_back();
  EXPECT_NE(message(command).find("5 arguments and 1 tensor maps"), std::string::npos);
  command = line.commands[1];
  command.entry = 1;
  EXPECT_NE(message(command).find("the code section has no kernel 'toy_nothing': "
                                  "CUDA_ERROR_NOT_FOUND"),
            std::string::npos);
  command.entry = 2;
  EXPECT_EQ(message(command), "launch of kernel 2, expected less than 2");
  command = line.commands[1];
  command.grid.sharedBytes = 200000;
  driver.failingCall = "cuFuncSetAttribute";
  EXPECT_NE(message(command).find("kernel 'toy_embed' can't have 200000 bytes of shared memory"),
            std::string::npos);
}

TEST_F(CUDADeviceTest, AsksForNoParameterThatAKernelLacks) {
  auto device = create();
  auto code = load(*device, {{"toy_embed"}});
  ASSERT_TRUE(code);
  Line line(*device);
  ASSERT_TRUE(device->launch(**code, line.commands));
  ASSERT_TRUE(device->synchronize());
  EXPECT_EQ(driver.missingParameters, 0);

  // A kernel that has more than the launch finds zeros.
  LaunchCommand command = line.commands[1];
  driver.ran.clear();
  command.args.pop_back();
  ASSERT_TRUE(device->launch(**code, {&command, 1}));
  ASSERT_TRUE(device->synchronize());
  EXPECT_EQ(driver.ran.at(0).args.back(), 0u);
  EXPECT_EQ(driver.missingParameters, 0);
}

TEST_F(CUDADeviceTest, RefusesDamagedCode) {
  auto device = create();
  std::string cubin = toy::fakeCubin();
  auto wrong = device->load(std::as_bytes(std::span<const char>(cubin)), std::string(16, 'x'), {});
  EXPECT_EQ(wrong.status().message(),
            "the code section is damaged: it has another hash than the manifest says");
  Line line(*device);
  const std::pair<std::string, const char *> damages[] = {
      {"\x7f"
       "ELF no cubin",
       "can't be loaded: CUDA_ERROR_INVALID_IMAGE"},
      {std::string("no PTX\0", 7), "can't be translated from PTX: CUDA_ERROR_INVALID_IMAGE"},
      {"no end", "is neither a cubin nor PTX"}};
  for (auto &[text, reason] : damages) {
    auto code = load(*device, {{"toy_embed"}}, text);
    ASSERT_TRUE(code);
    std::string message = device->launch(**code, line.commands).message();
    EXPECT_NE(message.find("the code of kernel 'toy_embed' " + std::string(reason)),
              std::string::npos)
        << message;
  }
}

/// Portable code: a cubin for GPUs of its major version, PTX for later ones.
class CUDAPortableTest : public CUDADevice {
protected:
  static Result<std::unique_ptr<Device>> tryCreate() {
    return createCUDADevice({0, "sm_80", driverLibrary});
  }
  /// The section has `cubin`, then `ptx`.
  static std::string run(const std::string &cubin, const std::string &ptx) {
    auto device = tryCreate();
    if (!device)
      return device.status().message();
    std::string section = cubin + ptx;
    auto bytes = std::as_bytes(std::span<const char>(section));
    Hash hash = hashOf(bytes);
    std::vector<KernelEntry> entries{
        {"toy_embed", 0, cubin.size(), ptx.empty() ? 0 : cubin.size(), ptx.size()}};
    auto code =
        (*device)->load(bytes, {reinterpret_cast<const char *>(hash.data()), hash.size()}, entries);
    if (!code)
      return code.status().message();
    Line line(**device);
    if (Status status = (*device)->launch(**code, line.commands); !status)
      return status.message();
    EXPECT_EQ(line.result(**device), expectedLine);
    return (*device)->describe();
  }
};

TEST_F(CUDAPortableTest, TakesTheCubinOrPTX) {
  const std::string good = toy::fakeCubin(), bad("bad\0", 4);
  driver.major = 8;
  driver.minor = 6;
  EXPECT_EQ(run(good, bad), "cuda, Fake GPU (sm_86)");
  ASSERT_FALSE(driver.ran.empty());
  EXPECT_FALSE(driver.ran[0].overlaps) << "kernels of sm_80 don't wait for predecessors";
  driver.major = 12;
  driver.minor = 0;
  EXPECT_EQ(run(bad, good), "cuda, Fake GPU (sm_120, from PTX of sm_80)");
  EXPECT_EQ(run(good, ""),
            "kernel 'toy_embed' has no PTX, which Fake GPU needs to run code of sm_80");
}

TEST_F(CUDAPortableTest, RefusesOlderGPUs) {
  driver.major = 7;
  driver.minor = 5;
  auto device = tryCreate();
  ASSERT_FALSE(device);
  EXPECT_EQ(device.status().code(), StatusCode::unavailable);
  EXPECT_EQ(device.status().message(),
            "the code is for 'sm_80' and later GPUs, but Fake GPU is sm_75");
}

TEST_F(CUDAPortableTest, FindsTheBestArchitecture) {
  const std::vector<std::string> all = {"sm_80", "sm_90a", "sm_86"};
  auto best = [&](int major, int minor) -> std::string {
    driver.major = major;
    driver.minor = minor;
    Result<size_t> index = bestArchitecture(all, 0, driverLibrary);
    return index ? all[*index] : index.status().message();
  };
  EXPECT_EQ(best(9, 0), "sm_90a");
  EXPECT_EQ(best(8, 0), "sm_80");
  EXPECT_EQ(best(8, 9), "sm_86");
  EXPECT_EQ(best(10, 0), "sm_86");
  EXPECT_EQ(best(7, 5), "the code is for 'sm_80' and later GPUs, but Fake GPU is sm_75");
  EXPECT_EQ(driver.contexts, 0);
}

TEST_F(CUDADeviceTest, FailingKernelsShowWhenWaitedFor) {
  auto device = create();
  auto code = load(*device, {{"toy_embed"}});
  Line line(*device);
  driver.failingKernel = "toy_embed";
  EXPECT_TRUE(device->launch(**code, line.commands));
  Status status = device->synchronize();
  EXPECT_EQ(status.code(), StatusCode::unavailable);
  EXPECT_EQ(status.message().find("the GPU's work failed: CUDA_ERROR_ILLEGAL_ADDRESS"), 0u);
  EXPECT_NE(status.message().find("; with QOPT_DEBUG_SYNC=1 the error names the kernel"),
            std::string::npos);
  EXPECT_FALSE(device->launch(**code, line.commands)) << "the error stays";
}

TEST_F(CUDADeviceTest, DebugSyncNamesTheFailingKernel) {
  auto device = create(/*debugSync=*/true);
  auto code = load(*device, {{"toy_embed"}});
  Line line(*device);
  auto recording = device->record(**code, line.commands);
  ASSERT_TRUE(recording);
  EXPECT_EQ(driver.captures, 0) << "each launch is waited for";
  ASSERT_TRUE(device->replay(**recording));
  EXPECT_EQ(line.result(*device), expectedLine);
  driver.failingKernel = "toy_embed";
  Status status = device->replay(**recording);
  EXPECT_EQ(status.message().find("kernel 'toy_embed' of 'first': the GPU's work failed: "
                                  "CUDA_ERROR_ILLEGAL_ADDRESS"),
            0u)
      << status.message();
}

TEST_F(CUDADeviceTest, GivesEverythingBack) {
  {
    auto device = create();
    auto code = load(*device, {{"toy_embed"}});
    Line line(*device);
    auto host = device->allocateHost(1000);
    auto recording = device->record(**code, line.commands);
    std::vector<std::byte> weights(5000);
    std::span<const std::byte> piece(weights);
    ASSERT_TRUE(device->adopt({&piece, 1}));
    ASSERT_TRUE(device->replay(**recording));
  }
  EXPECT_EQ(driver.usedBytes, 0u);
  for (int left : {driver.contexts, driver.streams, driver.events, driver.modules, driver.graphs,
                   driver.executables, driver.memories, driver.hostMemories})
    EXPECT_EQ(left, 0);
}

} // namespace
