//===- Forward.cpp - The function of a model ------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Dialect/QOpt/IR/Forward.h"

using namespace mlir;

func::FuncOp qopt::lookupForward(ModuleOp module) {
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  if (forward && forward.getBody().hasOneBlock())
    return forward;
  module.emitError("expected a function @forward with a body of one block");
  return {};
}
