//===- FuseGateUp.cpp - One linear layer for gate and up ------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MergeLinears.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "qopt/Transforms/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_FUSEGATEUP
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// [x g^T, x u^T] = x [g; u]^T
struct MergeGateUp : OpRewritePattern<SiluMulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SiluMulOp op, PatternRewriter &rewriter) const override {
    auto gate = op.getGate().getDefiningOp<LinearOp>();
    auto up = op.getUp().getDefiningOp<LinearOp>();
    if (!gate || !up)
      return rewriter.notifyMatchFailure(op, "gate and up are not two linear layers");
    return mergeLinears(rewriter, op, {gate, up});
  }
};

struct FuseGateUp : public qopt::impl::FuseGateUpBase<FuseGateUp> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<MergeGateUp>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
