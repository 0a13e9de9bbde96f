//===- CUDAUpload.h - Weights to the GPU ------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_DEVICE_CUDAUPLOAD_H
#define QOPT_RUNTIME_DEVICE_CUDAUPLOAD_H

#include "CUDAContext.h"
#include <span>
#include <vector>

namespace qopt::cuda {

/// Host bytes and their place on the GPU.
struct Transfer {
  CUdeviceptr to = 0;
  std::span<const std::byte> from;
};

/// Copies through pinned memory: several threads read the next chunks (from a
/// file's mapping, as a rule) while the last ones are on their way. Returns when
/// the last chunk is read; the copies are done in the stream's order.
Status upload(const CUDAContext &context, std::span<const Transfer> transfers);

} // namespace qopt::cuda

#endif // QOPT_RUNTIME_DEVICE_CUDAUPLOAD_H
