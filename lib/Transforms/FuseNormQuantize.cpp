//===- FuseNormQuantize.cpp - RMSNorm that quantizes its result -----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "qopt/Transforms/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_FUSENORMQUANTIZE
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// quantize(norm(x)) = norm with a quantized result
struct QuantizeNorm : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizeOp op, PatternRewriter &rewriter) const override {
    auto norm = op.getInput().getDefiningOp<RMSNormOp>();
    if (!norm)
      return rewriter.notifyMatchFailure(op, "input is not an rms_norm");
    if (!norm->hasOneUse())
      return rewriter.notifyMatchFailure(op, "the norm has another use");
    if (llvm::any_of(op->getUsers(), [](Operation *user) { return isa<LogitsOp>(user); }))
      return rewriter.notifyMatchFailure(op, "logits quantize the rows that are asked for");
    auto fused =
        RMSNormOp::create(rewriter, rewriter.getFusedLoc({norm.getLoc(), op.getLoc()}),
                          op.getType(), norm.getInput(), norm.getWeight(), norm.getEpsAttr());
    rewriter.replaceOp(op, fused);
    return success();
  }
};

struct FuseNormQuantize : public qopt::impl::FuseNormQuantizeBase<FuseNormQuantize> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<QuantizeNorm>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
