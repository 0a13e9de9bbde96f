//===- TargetChoices.h - What a target wants of the passes ------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_LIB_TRANSFORMS_TARGETCHOICES_H
#define QOPT_LIB_TRANSFORMS_TARGETCHOICES_H

#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include <memory>

namespace qopt {

/// The choices that passes leave to the target: its kernels know best.
class TargetChoices {
public:
  virtual ~TargetChoices() = default;

  /// The choices of the target `name` (`cpu:x86-64-v4`), or null after an error
  /// on `op` when there is no such target.
  static std::unique_ptr<TargetChoices> create(mlir::Operation *op, llvm::StringRef name);

  /// The order of bytes that gemms of this weight [N, K] stream.
  virtual kernel::LayoutAttr layout(mlir::RankedTensorType weight) const = 0;

  /// How `launch` is cut in steps of up to `maxTokens` tokens; null when the
  /// launch leaves nothing to choose.
  virtual kernel::ScheduleAttr schedule(mlir::Operation *launch, int64_t maxTokens) const = 0;

  /// Token counts that get a plan of their own, ascending.
  virtual llvm::ArrayRef<int64_t> buckets() const = 0;
};

} // namespace qopt

#endif // QOPT_LIB_TRANSFORMS_TARGETCHOICES_H
