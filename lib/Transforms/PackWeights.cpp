//===- PackWeights.cpp - Choose the byte image of every weight ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TargetChoices.h"
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
    std::unique_ptr<TargetChoices> choices = TargetChoices::create(getOperation(), target);
    if (!choices)
      return signalPassFailure();
    getOperation().walk([&](WeightOp weight) {
      auto type = cast<RankedTensorType>(weight.getType());
      if (type.getRank() == 2)
        weight->setAttr("kernel.layout", choices->layout(type));
    });
  }
};

} // namespace
