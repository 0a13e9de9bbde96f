//===- CUDAContext.cpp - A GPU, its memory and its stream -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CUDAContext.h"
#include <algorithm>

using namespace qopt;
using namespace qopt::cuda;

Result<std::unique_ptr<CUDAContext>> CUDAContext::find(const std::string &library,
                                                       unsigned ordinal) {
  Result<CUDADriver> driver = CUDADriver::open(library.empty() ? "libcuda.so.1" : library);
  if (!driver)
    return driver.status();
  std::unique_ptr<CUDAContext> context(new CUDAContext(*driver));
  if (Status status = context->describe(ordinal); !status)
    return status;
  return context;
}

Result<std::unique_ptr<CUDAContext>> CUDAContext::create(const std::string &library,
                                                         unsigned ordinal) {
  auto context = find(library, ordinal);
  if (!context)
    return context;
  if (Status status = (*context)->start(); !status)
    return status;
  return context;
}

Status CUDAContext::describe(unsigned ordinal) {
  int count = 0;
  if (Status status = driver_.check(driver_.cuDeviceGetCount(&count), "cuDeviceGetCount"); !status)
    return status;
  if (count <= 0)
    return Status::unavailable("there is no NVIDIA GPU");
  if (ordinal >= unsigned(count))
    return Status::unavailable("there is no GPU " + std::to_string(ordinal) +
                               ": this machine has " + std::to_string(count));
  char name[256] = "";
  const std::pair<CUresult, const char *> calls[] = {
      {driver_.cuDeviceGet(&device_, static_cast<int>(ordinal)), "cuDeviceGet"},
      {driver_.cuDeviceGetName(name, sizeof(name) - 1, device_), "cuDeviceGetName"},
      {driver_.cuDeviceGetAttribute(&major_, attributeMajor, device_), "cuDeviceGetAttribute"},
      {driver_.cuDeviceGetAttribute(&minor_, attributeMinor, device_), "cuDeviceGetAttribute"},
      {driver_.cuDeviceGetAttribute(&l2Bytes_, attributeL2CacheBytes, device_),
       "cuDeviceGetAttribute"}};
  for (auto [result, call] : calls)
    if (Status status = driver_.check(result, call); !status)
      return status;
  name_ = name;
  return Status::ok();
}

Status CUDAContext::start() {
  CUresult result = driver_.cuDevicePrimaryCtxRetain(&context_, device_);
  if (result != success) {
    context_ = nullptr;
    return driver_.check(result, "cuDevicePrimaryCtxRetain");
  }
  if (Status status = enter(); !status)
    return status;
  return driver_.check(driver_.cuStreamCreate(&stream_, streamNonBlocking), "cuStreamCreate");
}

CUDAContext::~CUDAContext() {
  if (!context_)
    return;
  driver_.cuCtxSetCurrent(context_);
  if (stream_)
    driver_.cuStreamDestroy(stream_);
  driver_.cuCtxSetCurrent(nullptr);
  driver_.cuDevicePrimaryCtxRelease(device_);
}

Result<CUdeviceptr> CUDAContext::allocate(uint64_t bytes) const {
  if (Status status = enter(); !status)
    return status;
  CUdeviceptr address = 0;
  CUresult result = driver_.cuMemAlloc(&address, std::max<uint64_t>(bytes, 1));
  if (result == success)
    return address;
  if (result != errorOutOfMemory)
    return driver_.check(result, "cuMemAlloc");
  size_t free = 0, total = 0;
  (void)driver_.cuMemGetInfo(&free, &total);
  return Status::unavailable("GPU memory is full: " + std::to_string(bytes) +
                             " bytes wanted, but " + std::to_string(free) + " of " +
                             std::to_string(total) + " are free");
}

Status CUDAContext::synchronize() const {
  return driver_.check(driver_.cuStreamSynchronize(stream_), "the GPU's work");
}
