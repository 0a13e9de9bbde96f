//===- Tuning.h - What can be measured of a plan's gemms --------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The compiler's half of `qopt tune`: which linear layers there are, how each could be
/// built, data to run them on, and the table of what was fastest.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_TARGET_CUDA_TUNING_H
#define QOPT_TARGET_CUDA_TUNING_H

#include "qopt/Target/CUDA/CUDATarget.h"
#include "llvm/ADT/StringSet.h"
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace qopt {

/// One way to build a linear layer.
struct TuningCandidate {
  std::string name;     ///< wgmma 64x32 k256 s4
  double predicted = 0; ///< seconds, by the cost model
  kernel::ScheduleAttr schedule;
  KernelSource source;
  LaunchForm form;
};

/// A linear layer, and a number of rows, that a schedule table can name.
struct TuningTask {
  std::string name;         ///< s4 28672x4096, group 128, pair, 16 rows
  kernel::GemmOp op;        ///< one of those that are so
  int64_t rows = 0;         ///< of its plan
  std::string image;        ///< tasks of the same image can share its data
  uint64_t weightBytes = 0; ///< of the image
  double operations = 0;
  std::vector<TuningCandidate> candidates; ///< the cost model's choice first
};

/// The layers of all plans of `module` whose names are not in `seen`, which gets them,
/// those of an image one after another; each with up to `count` candidates. Reports a
/// layer that has no kernel.
mlir::FailureOr<std::vector<TuningTask>> tuningTasks(mlir::ModuleOp module, size_t count,
                                                     llvm::StringSet<> &seen);

/// A packed image of random codes, and scales of about 0.01.
std::vector<std::byte> randomImage(kernel::PackedType type);

/// `count` random numbers: of integers all, of floats none but finite ones, within [-1, 1]
/// for those of 16 bits and more.
std::vector<std::byte> randomNumbers(mlir::Type element, uint64_t count);

/// The fastest candidate of a task, and the time of the first.
struct TuningResult {
  const TuningTask *task = nullptr;
  size_t best = 0;
  double seconds = 0, modelSeconds = 0;
};

/// A schedule table, as `qopt compile --schedule` reads it.
std::string printScheduleTable(llvm::ArrayRef<TuningResult> results, llvm::StringRef device);

} // namespace qopt

#endif // QOPT_TARGET_CUDA_TUNING_H
