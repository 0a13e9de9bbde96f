//===- Commands.h - The commands of qopt ------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Each function adds one command to the program. A chosen command runs while
/// the arguments are parsed and throws a CLI::RuntimeError with its exit code
/// when it fails: 1 the input is wrong, 2 usage, 3 the machine can't.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_COMMANDS_H
#define QOPT_DRIVER_COMMANDS_H

namespace CLI {
class App;
}

namespace qopt {

void addCompileCommand(CLI::App &program);
void addRunCommand(CLI::App &program);
void addInspectCommand(CLI::App &program);
void addEvalCommand(CLI::App &program);
void addBenchCommand(CLI::App &program);
void addTuneCommand(CLI::App &program);

} // namespace qopt

#endif // QOPT_DRIVER_COMMANDS_H
