//===- qopt.cpp - The command line ----------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Driver/Commands.h"
#include <CLI/CLI.hpp>

int main(int argc, char **argv) {
  CLI::App program("qopt: compiles quantized Llama models and runs them", "qopt");
  program.set_version_flag("--version", "qopt " QOPT_VERSION);
  program.require_subcommand(1);
  qopt::addCompileCommand(program);
  qopt::addRunCommand(program);
  qopt::addInspectCommand(program);
  qopt::addEvalCommand(program);
  try {
    program.parse(argc, argv);
  } catch (const CLI::RuntimeError &error) {
    return error.get_exit_code();
  } catch (const CLI::ParseError &error) {
    return program.exit(error) == 0 ? 0 : 2;
  }
  return 0;
}
