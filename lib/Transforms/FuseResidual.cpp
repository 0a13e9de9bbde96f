//===- FuseResidual.cpp - Linear layer that adds the residual -------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "qopt/Transforms/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_FUSERESIDUAL
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// r + x w^T = linear with a residual
struct AddToLinear : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AddOp op, PatternRewriter &rewriter) const override {
    // The residual stream is the first operand as a rule, the layer the second.
    auto linear = op.getRhs().getDefiningOp<LinearOp>();
    Value residual = op.getLhs();
    if (!linear || !linear->hasOneUse()) {
      if (auto other = op.getLhs().getDefiningOp<LinearOp>()) {
        linear = other;
        residual = op.getRhs();
      }
    }
    if (!linear)
      return rewriter.notifyMatchFailure(op, "no operand is a linear layer");
    if (!linear->hasOneUse())
      return rewriter.notifyMatchFailure(op, "the linear layer has another use");
    if (linear.getResidual())
      return rewriter.notifyMatchFailure(op, "the linear layer has a residual already");
    auto fused = LinearOp::create(rewriter, rewriter.getFusedLoc({linear.getLoc(), op.getLoc()}),
                                  op.getType(), linear.getInput(), linear.getWeight(),
                                  linear.getBias(), residual);
    rewriter.replaceOp(op, fused);
    return success();
  }
};

struct FuseResidual : public qopt::impl::FuseResidualBase<FuseResidual> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<AddToLinear>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
