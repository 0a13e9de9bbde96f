//===- qopt.cpp - The command line ----------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Driver/Commands.h"
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <new>
#include <string>

/// Gives the exit code: 0 done, 1 the input is wrong, 2 usage, 3 the machine can't.
static int run(int argc, char **argv) {
  CLI::App program("qopt: compiles quantized Llama models and runs them", "qopt");
  program.set_version_flag("--version", "qopt " QOPT_VERSION);
  program.require_subcommand(1);
  qopt::addCompileCommand(program);
  qopt::addRunCommand(program);
  qopt::addInspectCommand(program);
  qopt::addEvalCommand(program);
  qopt::addBenchCommand(program);
  qopt::addTuneCommand(program);
  // Its own message would be that a command is missing.
  std::string names;
  bool known = argc < 2 || argv[1][0] == '-';
  for (const CLI::App *command : program.get_subcommands({})) {
    names += " " + command->get_name();
    known |= argc > 1 && command->get_name() == argv[1];
  }
  if (!known) {
    std::fprintf(stderr, "qopt: error: '%s' is not a command, expected one of%s\n", argv[1],
                 names.c_str());
    return 2;
  }
  try {
    program.parse(argc, argv);
  } catch (const CLI::RuntimeError &error) {
    return error.get_exit_code();
  } catch (const CLI::ParseError &error) {
    return program.exit(error) == 0 ? 0 : 2;
  } catch (const std::bad_alloc &) {
    std::fprintf(stderr, "qopt: error: out of memory\n");
    return 3;
  }
  return 0;
}

int main(int argc, char **argv) {
  std::signal(SIGXFSZ, SIG_IGN); // a file as long as it may be is an error like a full disk
  int code = run(argc, argv);
  if (std::fflush(stdout) == 0 && !std::ferror(stdout))
    return code;
  std::fprintf(stderr, "qopt: error: can't write to standard output\n");
  return code ? code : 3;
}
