//===- PackWeights.cpp - Choose the byte image of every weight ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/Target.h"
#include "qopt/Transforms/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_PACKWEIGHTS
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

struct PackWeights : public qopt::impl::PackWeightsBase<PackWeights> {
  using PackWeightsBase::PackWeightsBase;

  void runOnOperation() override {
    llvm::Expected<std::unique_ptr<Target>> parsed = Target::parse(target);
    if (!parsed) {
      getOperation().emitError(llvm::toString(parsed.takeError()));
      return signalPassFailure();
    }
    WalkResult result = getOperation().walk([&](WeightOp weight) -> WalkResult {
      auto type = cast<RankedTensorType>(weight.getType());
      if (type.getRank() != 2)
        return WalkResult::advance();
      kernel::LayoutAttr layout = (*parsed)->layout(type);
      if (!layout)
        return weight.emitError("no kernel of target '") << target << "' reads " << type;
      weight->setAttr("kernel.layout", layout);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace
