//===- PtxasLog.h - What the assembler says of a kernel ---------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_CUDA_PTXASLOG_H
#define QOPT_LIB_TARGET_CUDA_PTXASLOG_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>

namespace qopt {

struct KernelResources {
  uint32_t registers = 0;   ///< of a thread
  uint32_t spillBytes = 0;  ///< of a thread
  uint32_t sharedBytes = 0; ///< of a block, static
};

/// Reads the log of `ptxas -v` for one kernel. Spilled registers and the notes of
/// serialised wgmma or dropped setmaxnreg (C7504, C7508, C7510, C7515, C7519) are
/// errors: such a kernel is right, but as slow as if nobody had written it.
llvm::Expected<KernelResources> readPtxasLog(llvm::StringRef log, llvm::StringRef kernel);

} // namespace qopt

#endif // QOPT_LIB_TARGET_CUDA_PTXASLOG_H
