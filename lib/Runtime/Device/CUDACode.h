//===- CUDACode.h - Cubins and the kernels in them --------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_DEVICE_CUDACODE_H
#define QOPT_RUNTIME_DEVICE_CUDACODE_H

#include "CUDAContext.h"
#include "qopt/Runtime/Device.h"
#include <map>

namespace qopt::cuda {

/// A code section in host memory. A cubin goes to the GPU when one of its
/// kernels is first launched: most plans of an artifact never run.
class CUDACode : public DeviceCode {
public:
  /// The context must outlive the code. Entries name cubins, or PTX.
  CUDACode(const CUDAContext &context, std::vector<std::byte> section,
           std::vector<KernelEntry> entries);
  ~CUDACode() override;

  /// The kernel of \p command, ready to be launched with its parameters and
  /// shared memory. The context must be current.
  Result<CUfunction> prepare(const LaunchCommand &command);

  size_t size() const { return entries_.size(); }
  const std::string &nameOf(const LaunchCommand &command) const {
    return entries_[command.entry].name;
  }

private:
  struct Kernel {
    CUfunction function = nullptr;
    uint32_t sharedBytes = 0;  ///< that it may ask for
    size_t args = 0, maps = 0; ///< that were compared with its parameters
  };

  Status load(Kernel &kernel, const KernelEntry &entry);
  Result<CUmodule> module(const KernelEntry &entry);
  Status checkParameters(Kernel &kernel, const LaunchCommand &command);

  const CUDAContext &context_;
  const CUDADriver &driver_;
  std::vector<std::byte> section_;
  std::vector<KernelEntry> entries_;
  std::vector<Kernel> kernels_;          ///< as entries_
  std::map<uint64_t, CUmodule> modules_; ///< by offset in the section
};

} // namespace qopt::cuda

#endif // QOPT_RUNTIME_DEVICE_CUDACODE_H
