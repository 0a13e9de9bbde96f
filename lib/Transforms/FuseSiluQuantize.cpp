//===- FuseSiluQuantize.cpp - silu_mul that quantizes its result ----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "qopt/Transforms/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_FUSESILUQUANTIZE
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// quantize(silu(g) * u) = silu_mul with a quantized result
struct QuantizeSiluMul : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizeOp op, PatternRewriter &rewriter) const override {
    auto product = op.getInput().getDefiningOp<SiluMulOp>();
    if (!product)
      return rewriter.notifyMatchFailure(op, "input is not a silu_mul");
    if (!product->hasOneUse())
      return rewriter.notifyMatchFailure(op, "the product has another use");
    auto fused = SiluMulOp::create(rewriter, rewriter.getFusedLoc({product.getLoc(), op.getLoc()}),
                                   op.getType(), product.getGate(), product.getUp());
    rewriter.replaceOp(op, fused);
    return success();
  }
};

struct FuseSiluQuantize : public qopt::impl::FuseSiluQuantizeBase<FuseSiluQuantize> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<QuantizeSiluMul>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
