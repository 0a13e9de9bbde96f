//===- Schedule.h - How the CPU cuts a launch -------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The schedule parameters of the CPU's kernels. No result depends on them.
///
///   tile_m   rows of activations that a micro-kernel takes at once
///   tiles    tiles of channels that it takes at once when it has one row
///   block    tiles of channels for which the rows' activations are staged once
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_TARGET_CPU_SCHEDULE_H
#define QOPT_TARGET_CPU_SCHEDULE_H

#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include "qopt/Target/CPU/CPUTarget.h"

namespace qopt {

/// The schedule of `launch` in a plan for up to `maxTokens` rows, with its
/// reason; null for launches that have nothing to choose (all but gemm).
kernel::ScheduleAttr cpuSchedule(mlir::Operation *launch, int64_t maxTokens,
                                 const CPUTarget &target);

} // namespace qopt

#endif // QOPT_TARGET_CPU_SCHEDULE_H
