//===- FakeDriver.cpp - The fake driver's library, from a test ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FakeCUDADriver.h"
#include <dlfcn.h>
#include <stdexcept>

using namespace qopt;

static void *find(const char *name) {
  // The same library that the runtime opens, so the same state.
  static void *library = ::dlopen(QOPT_FAKE_CUDA_DRIVER, RTLD_NOW | RTLD_LOCAL);
  void *address = library ? ::dlsym(library, name) : nullptr;
  if (!address)
    throw std::runtime_error(::dlerror());
  return address;
}

extern "C" toy::FakeDriver *qopt_fake_driver() {
  return reinterpret_cast<decltype(&qopt_fake_driver)>(find("qopt_fake_driver"))();
}

extern "C" void qopt_fake_driver_reset() {
  reinterpret_cast<decltype(&qopt_fake_driver_reset)>(find("qopt_fake_driver_reset"))();
}
