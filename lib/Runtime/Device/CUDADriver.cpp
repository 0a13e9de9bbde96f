//===- CUDADriver.cpp - The CUDA driver, opened at run time ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CUDADriver.h"
#include <cstring>
#include <dlfcn.h>

using namespace qopt;
using namespace qopt::cuda;

Result<CUDADriver> CUDADriver::open(const std::string &library) {
  // Never closed: the driver has threads and exit handlers of its own.
  void *handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = ::dlerror();
    return Status::unavailable("the CUDA driver can't be opened: " +
                               std::string(reason ? reason : library));
  }
  CUDADriver driver;
  // The second version of the call; the first has no status argument.
  driver.getProcAddress_ =
      reinterpret_cast<decltype(driver.getProcAddress_)>(::dlsym(handle, "cuGetProcAddress_v2"));
  if (!driver.getProcAddress_)
    return Status::unavailable("the CUDA driver " + library +
                               " is older than 12.0: update the NVIDIA driver");
  const char *missing = nullptr;
#define QOPT_CUDA_FIND(name, version, parameters)                                                  \
  driver.name = reinterpret_cast<decltype(driver.name)>(driver.find(#name, version));              \
  if (!driver.name && !missing)                                                                    \
    missing = #name;
  QOPT_CUDA_DRIVER_CALLS(QOPT_CUDA_FIND)
#undef QOPT_CUDA_FIND
  if (missing)
    return Status::unavailable("the CUDA driver " + library + " has no " + missing +
                               ": update the NVIDIA driver");
  driver.cuFuncGetParamInfo = reinterpret_cast<decltype(driver.cuFuncGetParamInfo)>(
      driver.find("cuFuncGetParamInfo", 12040));
  CUresult result = driver.cuInit(0);
  if (result == errorNoDevice)
    return Status::unavailable("there is no NVIDIA GPU");
  if (result != success)
    return Status::unavailable("the CUDA driver doesn't start: " + driver.describe(result));
  return driver;
}

void *CUDADriver::find(const char *name, int version) const {
  void *address = nullptr;
  int status = 0;
  return getProcAddress_(name, &address, version, 0, &status) == success ? address : nullptr;
}

std::string CUDADriver::describe(CUresult error) const {
  const char *name = nullptr, *text = nullptr;
  if (cuGetErrorName(error, &name) != success || !name)
    return "error " + std::to_string(error);
  if (cuGetErrorString(error, &text) != success || !text)
    return name;
  return std::string(name) + " (" + text + ")";
}

Status CUDADriver::check(CUresult result, const char *call, std::source_location where) const {
  if (result == success)
    return Status::ok();
  const char *file = std::strrchr(where.file_name(), '/');
  return Status::unavailable(std::string(call) + " failed: " + describe(result) + " at " +
                             (file ? file + 1 : where.file_name()) + ":" +
                             std::to_string(where.line()));
}
