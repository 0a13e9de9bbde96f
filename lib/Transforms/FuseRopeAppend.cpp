//===- FuseRopeAppend.cpp - Rope with the cache write ---------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "qopt/Transforms/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_FUSEROPEAPPEND
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// kv_append(rope(k), v) and rope(q) = rope_append(q, k, v)
struct RopeIntoAppend : OpRewritePattern<KVAppendOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(KVAppendOp op, PatternRewriter &rewriter) const override {
    auto keyRope = op.getKey().getDefiningOp<RopeOp>();
    if (!keyRope)
      return rewriter.notifyMatchFailure(op, "key is not a rope");
    if (!keyRope->hasOneUse())
      return rewriter.notifyMatchFailure(op, "the rotated key has another use");
    PagedAttentionOp attention;
    for (Operation *user : op.getCache().getUsers())
      if (auto candidate = dyn_cast<PagedAttentionOp>(user))
        if (candidate.getLayer() == op.getLayer())
          attention = candidate;
    if (!attention)
      return rewriter.notifyMatchFailure(op, "the layer has no paged_attention");
    auto queryRope = attention.getQuery().getDefiningOp<RopeOp>();
    if (!queryRope || queryRope.getRope() != keyRope.getRope())
      return rewriter.notifyMatchFailure(op, "query and key have different ropes");
    if (queryRope.getPositions() != op.getBatch() || keyRope.getPositions() != op.getBatch())
      return rewriter.notifyMatchFailure(op, "positions are not the batch's");
    if (llvm::any_of(ArrayRef<Operation *>{keyRope, queryRope, attention},
                     [&](Operation *part) { return part->getBlock() != op->getBlock(); }))
      return rewriter.notifyMatchFailure(op, "the layer is spread over blocks");
    Operation *queryDef = queryRope.getInput().getDefiningOp();
    if (queryDef && queryDef->getBlock() == op->getBlock() && !queryDef->isBeforeInBlock(op))
      return rewriter.notifyMatchFailure(op, "query comes after the cache write");
    if (llvm::any_of(queryRope->getUsers(), [&](Operation *user) {
          return user->getBlock() == op->getBlock() && user->isBeforeInBlock(op);
        }))
      return rewriter.notifyMatchFailure(op, "the rotated query is used before the cache write");

    Location loc = rewriter.getFusedLoc({queryRope.getLoc(), keyRope.getLoc(), op.getLoc()});
    auto fused = RopeAppendOp::create(rewriter, loc, queryRope.getType(), queryRope.getInput(),
                                      keyRope.getInput(), op.getValue(), op.getCache(),
                                      op.getBatch(), op.getLayer(), keyRope.getRope());
    rewriter.replaceOp(queryRope, fused.getResult());
    rewriter.eraseOp(op);
    rewriter.eraseOp(keyRope);
    return success();
  }
};

struct FuseRopeAppend : public qopt::impl::FuseRopeAppendBase<FuseRopeAppend> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RopeIntoAppend>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
