//===- QOptPlugin.cpp - Dialects and passes for the stock mlir-opt --------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Passes of a plugin have no flags of their own in mlir-opt:
///
///   mlir-opt --load-dialect-plugin=libQOptPlugin.so --load-pass-plugin=libQOptPlugin.so \
///     --pass-pipeline='builtin.module(qopt-lower-model{format=w4a16})' model.mlir
///
//===----------------------------------------------------------------------===//

#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "qopt/InitAll.h"

extern "C" __attribute__((visibility("default"))) mlir::DialectPluginLibraryInfo
mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "qopt", QOPT_VERSION,
          [](mlir::DialectRegistry *registry) { qopt::registerDialects(*registry); }};
}

extern "C" __attribute__((visibility("default"))) mlir::PassPluginLibraryInfo
mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "qopt", QOPT_VERSION, [] { qopt::registerPasses(); }};
}
