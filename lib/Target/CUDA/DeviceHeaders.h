//===- DeviceHeaders.h - The device headers as text -------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_CUDA_DEVICEHEADERS_H
#define QOPT_LIB_TARGET_CUDA_DEVICEHEADERS_H

#include "llvm/ADT/StringRef.h"
#include <vector>

namespace qopt {

/// A file of lib/Target/CUDA/device. Both texts end in 0.
struct DeviceHeader {
  llvm::StringRef name, text;
};

/// The headers that `text` includes, and those that they include: each once, by
/// name. What is not among ours is left to the compiler to miss.
std::vector<DeviceHeader> includedHeaders(llvm::StringRef text);

} // namespace qopt

#endif // QOPT_LIB_TARGET_CUDA_DEVICEHEADERS_H
