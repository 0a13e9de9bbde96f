//===- Target.cpp - The targets by name -----------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/Target.h"
#include "qopt/Target/CPU/CPUTarget.h"
#include "qopt/Target/CUDA/CUDATarget.h"

using namespace qopt;

static llvm::Expected<std::unique_ptr<Target>> parseName(llvm::StringRef name) {
  llvm::StringRef family = name.split(':').first;
  if (family == "cuda")
    return createCUDATarget(name);
  if (family == "cpu")
    return createCPUTarget(name);
  return llvm::createStringError("unknown target '" + name +
                                 "', expected cpu, cpu:native, cpu:x86-64-v2, cpu:x86-64-v3, "
                                 "cpu:x86-64-v4, cpu:znver4, cuda:sm_80 or cuda:sm_90a");
}

llvm::Expected<std::unique_ptr<Target>> Target::parse(llvm::StringRef name,
                                                      llvm::StringRef schedule) {
  llvm::Expected<std::unique_ptr<Target>> target = parseName(name);
  if (target && !schedule.empty())
    if (llvm::Error error = (*target)->addSchedules(schedule))
      return error;
  return target;
}
