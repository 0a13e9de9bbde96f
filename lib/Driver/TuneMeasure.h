//===- TuneMeasure.h - Timing kernels that do the same ----------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The device's half of `qopt tune`: contenders for one linear layer run on the same
/// operands, must give the same bits, and are timed as they run in a step: a recording of
/// launches one after another, each with another copy of the weight, so that weights come
/// from memory.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_TUNEMEASURE_H
#define QOPT_LIB_DRIVER_TUNEMEASURE_H

#include "qopt/Runtime/Device.h"
#include <functional>
#include <string>

namespace qopt {

/// What all contenders do.
struct TuneWork {
  std::vector<uint64_t> args;    ///< of a launch
  size_t weightArg = 0;          ///< which of them is the weight
  std::vector<uint64_t> weights; ///< copies, one for each launch of a recording
  uint64_t output = 0, outputBytes = 0;
};

/// One way to do it.
struct Contender {
  std::string name;
  uint32_t entry = 0; ///< of the code
  LaunchGrid grid;
  std::vector<TensorMap> maps;
};

struct Measurement {
  double seconds = 0;   ///< of a launch: the median of several replays
  bool agrees = true;   ///< the bits are the first contender's; else it is not timed
  bool finished = true; ///< false: given up, seconds are those of one replay
};

/// Times the contenders in turn. One whose first replay takes twice the best time is
/// given up. `goOn` is asked before each but the first: where it says no, the rest is
/// left out.
Result<std::vector<Measurement>> measureContenders(Device &device, const DeviceCode &code,
                                                   const TuneWork &work,
                                                   std::span<const Contender> contenders,
                                                   const std::function<bool()> &goOn);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_TUNEMEASURE_H
