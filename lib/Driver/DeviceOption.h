//===- DeviceOption.h - Where a command runs a model ------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_DEVICEOPTION_H
#define QOPT_LIB_DRIVER_DEVICEOPTION_H

#include <CLI/App.hpp>
#include <string>

namespace qopt {

/// `--device` into \p device, for ModelOptions::device.
inline void addDeviceOption(CLI::App &command, std::string &device) {
  command.add_option("--device", device, "auto (a GPU where the artifact and the machine have one, else the CPU), cpu, cuda or cuda:N")
      ->capture_default_str();
}

} // namespace qopt

#endif // QOPT_LIB_DRIVER_DEVICEOPTION_H
