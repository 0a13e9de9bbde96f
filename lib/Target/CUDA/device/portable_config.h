//===- portable_config.h - What kernels of sm_80 and later may take -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#pragma once

namespace qopt::cuda {

/// Shared memory of a block on the least of the GPUs that run the code: sm_86 and sm_89.
constexpr int portable_shared_bytes = 101376;

} // namespace qopt::cuda
