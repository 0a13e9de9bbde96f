//===- EmitPass.cpp - kernel-emit-cuda ------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/CUDA/Passes.h"
#include "llvm/Support/ToolOutputFile.h"

namespace qopt {
#define GEN_PASS_DEF_EMITCUDA
#include "qopt/Target/CUDA/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

struct EmitCUDA : public qopt::impl::EmitCUDABase<EmitCUDA> {
  using EmitCUDABase::EmitCUDABase;

  void runOnOperation() override {
    if (failed(assignCUDAEntries(getOperation())))
      return signalPassFailure();
    FailureOr<std::vector<KernelSource>> sources = emitCUDA(getOperation());
    if (failed(sources))
      return signalPassFailure();
    llvm::Error error = llvm::writeToOutput(output, [&](llvm::raw_ostream &os) {
      os << joinSources(*sources);
      return llvm::Error::success();
    });
    if (!error)
      return;
    getOperation().emitError(llvm::toString(std::move(error)));
    signalPassFailure();
  }
};

} // namespace
