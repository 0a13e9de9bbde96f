//===- Compile.h - From a model to an artifact ------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `qopt compile` as a function: import, passes, code, packed weights, one file.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_COMPILE_H
#define QOPT_DRIVER_COMPILE_H

#include "qopt/Driver/Progress.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qopt {

struct CompileOptions {
  std::string model;                  ///< file, folder or ready configuration
  std::string output;                 ///< empty: named after the model
  std::string format;                 ///< empty: keep what a quantized source stores, else bf16
  std::string target = "cpu";         ///< or several with commas, of each kind one
  int64_t groupSize = 0;              ///< w4a16; 0 chooses
  bool asymmetric = false;            ///< w4a16
  std::string lmHead = "native";      ///< or 8bit: codes per channel
  int64_t maxContext = 0;             ///< tokens; 0: what the model says
  int64_t maxTokens = 0;              ///< tokens of one step; 0: the target's
  std::vector<int64_t> buckets;       ///< empty: the target's
  std::string schedule;               ///< a table of measured schedules; empty: the target's
  std::vector<std::string> disabledFusions;
  std::optional<uint64_t> randomSeed;
  bool codeOnly = false;              ///< generate code and the report, but write no artifact
  bool importCheck = true;
  std::string emit = "artifact";      ///< qopt, kernel, llvm, cuda, cubin or artifact
  std::string dumpFolder;             ///< the IR after every pass, one file each
  std::string reportFile;             ///< the report as JSON
  std::string cacheFolder;            ///< objects made before, by content; empty: no cache
  unsigned threads = 0;               ///< that pack weights; 0: as many as there are cores
  bool timing = false;
};

/// Compiles and writes the artifact, or prints what `emit` asks for to the
/// output (standard output where it is empty or "-"). Gives the path written, empty
/// where there is none.
llvm::Expected<std::string> compileModel(const CompileOptions &options, Progress &progress);

/// The user's cache of objects: $XDG_CACHE_HOME/qopt/objects, or the same in
/// ~/.cache. Empty where there is neither.
std::string defaultCacheFolder();

} // namespace qopt

#endif // QOPT_DRIVER_COMPILE_H
