//===- FuseQKV.cpp - One linear layer for queries, keys and values --------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MergeLinears.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "qopt/Transforms/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_FUSEQKV
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// The linear layer that `value` is, before its rope if it has one.
LinearOp projection(Value value) {
  if (auto rope = value.getDefiningOp<RopeOp>())
    value = rope.getInput();
  return value.getDefiningOp<LinearOp>();
}

/// [x q^T, x k^T, x v^T] = x [q; k; v]^T
struct MergeProjections : OpRewritePattern<PagedAttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(PagedAttentionOp op, PatternRewriter &rewriter) const override {
    KVAppendOp append;
    for (Operation *user : op.getCache().getUsers())
      if (auto candidate = dyn_cast<KVAppendOp>(user))
        if (candidate.getLayer() == op.getLayer())
          append = candidate;
    if (!append)
      return rewriter.notifyMatchFailure(op, "the layer has no kv_append");
    LinearOp query = projection(op.getQuery());
    LinearOp key = projection(append.getKey()), value = projection(append.getValue());
    if (!query || !key || !value)
      return rewriter.notifyMatchFailure(op, "query, key and value are not linear layers");
    return mergeLinears(rewriter, op, {query, key, value});
  }
};

struct FuseQKV : public qopt::impl::FuseQKVBase<FuseQKV> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<MergeProjections>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
