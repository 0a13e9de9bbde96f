//===- Passes.h - Code for NVIDIA Hopper ------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_TARGET_CUDA_PASSES_H
#define QOPT_TARGET_CUDA_PASSES_H

#include "mlir/Pass/Pass.h"
#include "qopt/Target/CUDA/CUDATarget.h"

namespace qopt {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "qopt/Target/CUDA/Passes.h.inc"

} // namespace qopt

#endif // QOPT_TARGET_CUDA_PASSES_H
