//===- KernelNames.h - Readable names of CUDA kernels -----------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_CUDA_KERNELNAMES_H
#define QOPT_LIB_TARGET_CUDA_KERNELNAMES_H

#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include <string>

namespace qopt {

/// gemm_w4a16_g64_k576_n960_c64_t8 (channels and tokens of a block, mma.sync), ..._w64
/// (wgmma); norm_int8_k576. Different kernels may share one.
std::string cudaKernelName(mlir::Operation *launch);

} // namespace qopt

#endif // QOPT_LIB_TARGET_CUDA_KERNELNAMES_H
