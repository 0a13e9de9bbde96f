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
///   gemm
///     tile_m   rows of activations that a micro-kernel takes at once
///     rows     rows that are staged together and share a decoded panel of weights
///     tiles    tiles of channels that are taken at once where `rows` is 1
///     block    tiles of channels for which the rows' activations are staged once
///   attention
///     queries  rows that share a pass over a sequence's pages
///     heads    heads of a unit, of those that share a KV head
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_TARGET_CPU_SCHEDULE_H
#define QOPT_TARGET_CPU_SCHEDULE_H

#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include "qopt/Target/CPU/CPUTarget.h"

namespace qopt {

/// The schedule of `launch` in a plan for up to `maxTokens` rows, with its
/// reason; null for launches that have nothing to choose (all but gemm and
/// attention).
kernel::ScheduleAttr cpuSchedule(mlir::Operation *launch, int64_t maxTokens,
                                 const CPUTarget &target);

/// `queries` and `heads` of an attention; what it has no schedule for is one row and
/// all heads of a KV head.
int64_t attentionQueries(kernel::AttentionOp op);
int64_t attentionHeads(kernel::AttentionOp op);

} // namespace qopt

#endif // QOPT_TARGET_CPU_SCHEDULE_H
