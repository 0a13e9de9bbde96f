//===- Tuner.h - Tunes the linear layers of plans ---------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_TUNER_H
#define QOPT_LIB_DRIVER_TUNER_H

#include "qopt/Runtime/Device.h"
#include "qopt/Target/CUDA/Tuning.h"
#include <functional>

namespace qopt {

/// What came of a task: the result, and what was left out of it.
struct TuneOutcome {
  TuningResult result;
  std::string bestName, modelName;
  size_t timed = 0;                 ///< candidates that were
  bool differs = false;             ///< one of them gave other bits
  std::vector<std::string> refused; ///< "wgmma 64x64 k256 s4: differs from ..."
};

struct TunerOptions {
  std::string cacheFolder;                                ///< of cubins; empty: none
  std::function<bool()> goOn;                             ///< false: the time is up
  std::function<llvm::Error(const TuneOutcome &)> report; ///< of each task, as it is done
};

/// Builds and times the candidates of `tasks`. While the GPU times the layers of one image,
/// those of the next are built. What is not timed when the time is up has no outcome.
llvm::Error tune(Device &device, llvm::ArrayRef<TuningTask> tasks, const TunerOptions &options);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_TUNER_H
