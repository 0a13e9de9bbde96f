//===- CUDAContext.h - A GPU, its memory and its stream ---------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_DEVICE_CUDACONTEXT_H
#define QOPT_RUNTIME_DEVICE_CUDACONTEXT_H

#include "CUDADriver.h"
#include <memory>
#include <string>

namespace qopt::cuda {

/// The primary context of one GPU and one stream in it.
class CUDAContext {
public:
  static Result<std::unique_ptr<CUDAContext>> create(const std::string &library, unsigned ordinal);
  /// Only to ask what the GPU is: takes nothing of it.
  static Result<std::unique_ptr<CUDAContext>> find(const std::string &library, unsigned ordinal);
  ~CUDAContext();

  const CUDADriver &driver() const { return driver_; }
  CUstream stream() const { return stream_; }
  const std::string &name() const { return name_; } ///< "NVIDIA H200"
  int major() const { return major_; }              ///< of the compute capability
  int minor() const { return minor_; }
  uint64_t l2Bytes() const { return static_cast<uint64_t>(l2Bytes_); }

  /// Binds the context to the calling thread, as every call of the driver needs.
  Status enter() const {
    return driver_.check(driver_.cuCtxSetCurrent(context_), "cuCtxSetCurrent");
  }

  /// Memory as the driver gives it; an error says what was wanted and is free.
  Result<CUdeviceptr> allocate(uint64_t bytes) const;
  Status synchronize() const;

private:
  explicit CUDAContext(const CUDADriver &driver) : driver_(driver) {}
  Status describe(unsigned ordinal);
  Status start();

  CUDADriver driver_;
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  CUstream stream_ = nullptr;
  std::string name_;
  int major_ = 0, minor_ = 0, l2Bytes_ = 0;
};

} // namespace qopt::cuda

#endif // QOPT_RUNTIME_DEVICE_CUDACONTEXT_H
