//===- ScheduleTable.h - Schedules that were measured -----------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The JSON that `qopt tune` writes: for linear layers of a shape and format, and a
/// number of rows, the configuration that was fastest on a GPU.
///
///   {"schedules": [
///     {"op": "gemm", "codes": "s4", "n": 28672, "k": 4096, "group": 128, "affine": false,
///      "scale": "bf16", "pair": true, "output": "bf16", "rows": 16,
///      "params": {"tile_n": 64, "tile_t": 16, "k_stage": 512, "stages": 3, "k_warps": 1,
///                 "row_copies": false, "wgmma": false},
///      "us": 22.91, "model_us": 25.1, "device": "NVIDIA H200"}
///   ]}
///
/// A layer that makes its tokens itself has `"prologue": "norm"` or `"quantize"` behind `rows`.
/// `"spread": true` among `params` says that multiprocessors share out the channels.
/// `group` is k for weights without groups; `us` and `model_us` are the times of this
/// configuration and of the one that the cost model chose.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_CUDA_SCHEDULETABLE_H
#define QOPT_LIB_TARGET_CUDA_SCHEDULETABLE_H

#include "device/gemm_config.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <map>
#include <string>

namespace qopt {

/// What an entry is for: the shape and format of `config`, but not its tiles.
struct TunedLayer {
  cuda::GemmConfig config;
  bool isFloat = false; ///< output of float32, else bf16
  int64_t rows = 0;     ///< of the plan

  /// s4 28672x4096, group 128, pair, 16 rows
  std::string name() const;
};

struct ScheduleEntry {
  TunedLayer layer; ///< with the tiles
  double microseconds = 0, modelMicroseconds = 0;
  std::string device;
};

class ScheduleTable {
public:
  /// Adds the entries of a text, in place of those that are there. The error names
  /// `file`, the entry and what was expected.
  llvm::Error add(llvm::StringRef text, llvm::StringRef file);
  llvm::Error addFile(llvm::StringRef path);

  const ScheduleEntry *find(const TunedLayer &layer) const;
  size_t size() const { return entries.size(); }

private:
  std::map<std::string, ScheduleEntry> entries; // by the layer's name
};

/// The tables in lib/Target/CUDA/schedules, which are part of the compiler.
llvm::Expected<ScheduleTable> shippedSchedules();

/// Entries as the text of a table.
std::string printSchedules(llvm::ArrayRef<ScheduleEntry> entries);

} // namespace qopt

#endif // QOPT_LIB_TARGET_CUDA_SCHEDULETABLE_H
