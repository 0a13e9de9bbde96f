//===- CPUTarget.h - Machine code for the CPU -------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// From `kernel` plans to a shared object: every launch becomes a function
///
///   void entry(const uint64_t *args, uint64_t worker, uint64_t workers);
///
/// whose arguments are described in KernelDialect.td. Worker w of n does its
/// fixed share of the launch's units.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_TARGET_CPU_CPUTARGET_H
#define QOPT_TARGET_CPU_CPUTARGET_H

#include "mlir/IR/BuiltinOps.h"
#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include "qopt/Target/Target.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <vector>

namespace qopt {

/// What code may use. The arithmetic of a model depends on it alone.
struct CPUTarget {
  std::string name;                  ///< as given: cpu:x86-64-v4
  std::string triple;                ///< x86_64-unknown-linux-gnu
  std::string cpu;                   ///< LLVM's name
  std::vector<std::string> features; ///< what the code needs, as the artifact checks: avx512f, ...
  bool avx2 = false, avx512 = false, vnni = false;
  int64_t vectorLanes = 4; ///< float32 lanes of the widest vector

  /// Parses `cpu`, `cpu:native`, `cpu:x86-64-v2`, `-v3`, `-v4`, `cpu:znver4`.
  static llvm::Expected<CPUTarget> parse(llvm::StringRef name);
};

/// The CPU by name: see CPUTarget::parse().
llvm::Expected<std::unique_ptr<Target>> createCPUTarget(llvm::StringRef name);

LaunchUnits launchUnits(mlir::Operation *launch);

/// Gives every launch of every plan its `entry` (launches that do the same share
/// one) and adds the functions to the module in the LLVM dialect.
mlir::LogicalResult lowerToLLVM(mlir::ModuleOp module, const CPUTarget &target);

/// The optimised LLVM IR of the functions, as text (`--emit llvm`).
llvm::Expected<std::string> emitLLVM(mlir::ModuleOp module, const CPUTarget &target);

/// What emitSharedObject() did.
struct CodegenStatistics {
  unsigned kernels = 0;
  unsigned cached = 0; ///< that were there already
};

/// The shared object of the functions, compiled one by one on all cores and
/// linked in process. Objects are kept in `cacheFolder` and taken from there, by
/// the hash of their LLVM IR; the result does not depend on it.
llvm::Expected<std::string> emitSharedObject(mlir::ModuleOp module, const CPUTarget &target,
                                             llvm::StringRef cacheFolder = {},
                                             CodegenStatistics *statistics = nullptr);

} // namespace qopt

#endif // QOPT_TARGET_CPU_CPUTARGET_H
