//===- FuseRopeAttention.cpp - Rope and the cache write in attention ------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/PatternMatch.h"
#include "qopt/Transforms/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_FUSEROPEATTENTION
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// attention(rope_append(q, k, v)) = attention of q that appends k and v
struct AppendInAttention {
  static LogicalResult matchAndRewrite(kernel::AttentionOp op, RewriterBase &rewriter) {
    if (op.hasRopeAppend())
      return rewriter.notifyMatchFailure(op, "appends already");
    kernel::RopeAppendOp append = writerOf(op);
    if (!append)
      return rewriter.notifyMatchFailure(op, "the query is not a rope_append's for it alone");
    if (append.getLayer() != op.getLayer() || append.getCache() != op.getCache() ||
        append.getBatch() != op.getBatch())
      return rewriter.notifyMatchFailure(op, "the rope_append is of another layer");

    Location loc = rewriter.getFusedLoc({append.getLoc(), op.getLoc()});
    kernel::AttentionOp::create(rewriter, loc, append.getQuery(), op.getCache(), op.getBatch(),
                                append.getKey(), append.getValue(), append.getTable(),
                                op.getOuts(), op.getLayerAttr(), op.getNumHeadsAttr(),
                                op.getScaleAttr(), scheduleOf(op), op.getEntryAttr());
    Operation *rotated = op.getQuery().getDefiningOp();
    rewriter.eraseOp(op);
    rewriter.eraseOp(append);
    rewriter.eraseOp(rotated);
    return success();
  }

private:
  /// What writes the query, if nothing else touches it.
  static kernel::RopeAppendOp writerOf(kernel::AttentionOp op) {
    Value query = op.getQuery();
    if (!query.getDefiningOp<kernel::AllocOp>() || !query.hasNUses(2) || op.getOuts()[0] == query)
      return {};
    for (Operation *user : query.getUsers())
      if (auto append = dyn_cast<kernel::RopeAppendOp>(user))
        return append.getOuts()[0] == query ? append : kernel::RopeAppendOp();
    return {};
  }

  static kernel::ScheduleAttr scheduleOf(kernel::AttentionOp op) {
    kernel::ScheduleAttr schedule = op.getScheduleAttr();
    if (!schedule)
      return {};
    Builder builder(op.getContext());
    return kernel::ScheduleAttr::get(
        op.getContext(), schedule.getParams(),
        builder.getStringAttr(schedule.getReason().str() +
                              "; rope and cache write in the same launch, whose pages are read "
                              "while the launch before runs"),
        schedule.getRejected());
  }
};

struct FuseRopeAttention : public qopt::impl::FuseRopeAttentionBase<FuseRopeAttention> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    for (auto plan : getOperation().getOps<kernel::PlanOp>())
      if (plan.getKind() == kernel::PlanKind::Decode)
        for (auto op : llvm::make_early_inc_range(plan.getOps<kernel::AttentionOp>())) {
          rewriter.setInsertionPoint(op);
          (void)AppendInAttention::matchAndRewrite(op, rewriter);
        }
  }
};

} // namespace
