//===- FakeCUDADriver.h - A CUDA driver without a GPU -----------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What a test sets and sees of the fake driver, a shared library with the calls
/// that the runtime looks up. Its device memory is the host's; its kernels are
/// ToyKernels.c; its cubins are text that lists them. Work of a stream runs when
/// somebody waits for it, not before, so that a host buffer that is given back
/// too early shows.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_UNIT_RUNTIME_FAKECUDADRIVER_H
#define QOPT_TEST_UNIT_RUNTIME_FAKECUDADRIVER_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace qopt::toy {

struct FakeLaunch {
  std::string kernel;
  unsigned grid[3], threads, sharedBytes;
  bool overlaps; ///< programmatic stream serialization
  std::vector<uint64_t> args;
  std::vector<std::vector<uint64_t>> maps; ///< address, row bytes, rows, stride, box rows, swizzle
};

struct FakeDriver {
  // What a test sets.
  int devices = 1, major = 9, minor = 0;
  size_t totalBytes = size_t(1) << 32;
  std::string failingCall; ///< fails with failure
  int failure = 999;
  std::string failingKernel;  ///< fails when it runs; then everything fails
  std::string missingCall;    ///< that cuGetProcAddress doesn't find
  std::vector<float> elapsed; ///< milliseconds between events, in order; then 2

  // What a test sees.
  size_t usedBytes = 0;
  int contexts = 0, streams = 0, events = 0, modules = 0, graphs = 0, executables = 0;
  int memories = 0, hostMemories = 0;
  int missingParameters = 0; ///< that were asked for
  int captures = 0, graphLaunches = 0, kernelLaunches = 0, copiesToDevice = 0, copiesToHost = 0;
  int copiesInside = 0;        ///< from device memory to device memory
  std::vector<FakeLaunch> ran; ///< kernels, in order
};

} // namespace qopt::toy

/// The library's one driver; reset() gives it its first values.
extern "C" qopt::toy::FakeDriver *qopt_fake_driver();
extern "C" void qopt_fake_driver_reset();

#endif // QOPT_TEST_UNIT_RUNTIME_FAKECUDADRIVER_H
