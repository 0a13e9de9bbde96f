//===- PageKV.cpp - From a dense model to a ragged one --------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/IRMapping.h"
#include "qopt/Transforms/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace qopt {
#define GEN_PASS_DEF_PAGEKV
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// [batch, seq, ...] as [tokens, ...].
RankedTensorType ragged(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return RankedTensorType::get(tensor.getShape().drop_front(), tensor.getElementType());
}

/// Rewrites one dense `@forward` into a new ragged one, operation by operation.
class Pager {
public:
  Pager(func::FuncOp dense, int64_t pageTokens) : dense(dense), pageTokens(pageTokens) {}

  LogicalResult run() {
    SmallVector<AttentionOp> attentions(dense.getOps<AttentionOp>());
    auto logits = dense.front().getTerminator()->getNumOperands() > 0
                      ? dense.front().getTerminator()->getOperand(0).getDefiningOp<LogitsOp>()
                      : LogitsOp();
    if (attentions.empty() || !logits)
      return dense.emitError("expected a dense model: attention layers, and logits as first result");

    createFunction(attentions);
    OpBuilder builder = OpBuilder::atBlockEnd(&paged.front());
    for (Operation &op : dense.front().without_terminator())
      if (failed(convert(op, builder)))
        return failure();
    func::ReturnOp::create(builder, dense.front().getTerminator()->getLoc(),
                           mapping.lookup(logits.getResult()));
    dense.erase();
    return success();
  }

private:
  void createFunction(ArrayRef<AttentionOp> attentions) {
    MLIRContext *context = dense.getContext();
    AttentionOp first = attentions.front();
    auto past = cast<RankedTensorType>(first.getPastKey().getType());
    auto cacheType = KVCacheType::get(context, attentions.size(), first.getNumKvHeads(),
                                      past.getDimSize(3), pageTokens, past.getElementType());
    auto tokens = RankedTensorType::get({ShapedType::kDynamic}, IntegerType::get(context, 32));
    auto type = FunctionType::get(context, {tokens, BatchType::get(context), cacheType},
                                  {ragged(dense.getResultTypes()[0])});
    OpBuilder builder(dense);
    paged = func::FuncOp::create(builder, dense.getLoc(), dense.getName(), type);
    constexpr StringRef names[] = {"tokens", "batch", "cache"};
    for (auto [index, name] : llvm::enumerate(names))
      paged.setArgAttr(index, "qopt.name", builder.getStringAttr(name));
    Block *body = paged.addEntryBlock();
    mapping.map(dense.getArgument(0), body->getArgument(0));
    batch = body->getArgument(1);
    cache = body->getArgument(2);
  }

  LogicalResult convert(Operation &op, OpBuilder &builder) {
    if (isa<WeightOp>(op)) {
      builder.clone(op, mapping);
      return success();
    }
    if (auto attention = dyn_cast<AttentionOp>(op))
      return convertAttention(attention, builder);
    if (auto logits = dyn_cast<LogitsOp>(op)) {
      mapping.map(logits.getResult(),
                  LogitsOp::create(builder, op.getLoc(), ragged(logits.getType()),
                                   mapping.lookup(logits.getInput()),
                                   mapping.lookup(logits.getWeight()), batch)
                      .getResult());
      return success();
    }
    if (auto rope = dyn_cast<RopeOp>(op)) {
      mapping.map(rope.getResult(), RopeOp::create(builder, op.getLoc(), ragged(rope.getType()),
                                                   mapping.lookup(rope.getInput()), batch,
                                                   rope.getRope())
                                        .getResult());
      return success();
    }
    if (!isa<EmbeddingOp, RMSNormOp, LinearOp, SiluMulOp, AddOp, SliceOp>(op))
      return op.emitError("operation has no ragged form");
    Operation *clone = builder.clone(op, mapping);
    for (Value result : clone->getResults())
      result.setType(ragged(result.getType()));
    return success();
  }

  LogicalResult convertAttention(AttentionOp op, OpBuilder &builder) {
    if (op.getMask() != dense.getArgument(1))
      return op.emitError("mask must be the function's attention mask");
    for (Value past : {op.getPastKey(), op.getPastValue()})
      if (!isa<BlockArgument>(past))
        return op.emitError("past keys and values must be function arguments");
    auto cacheType = cast<KVCacheType>(cache.getType());
    auto past = cast<RankedTensorType>(op.getPastKey().getType());
    if (past.getDimSize(1) != cacheType.getKvHeads() ||
        past.getDimSize(3) != cacheType.getHeadDim())
      return op.emitError("layers differ in heads: found ") << past << " in layer " << layer;
    KVAppendOp::create(builder, op.getLoc(), mapping.lookup(op.getKey()),
                       mapping.lookup(op.getValue()), cache, batch, layer);
    auto paged = PagedAttentionOp::create(
        builder, op.getLoc(), ragged(op.getResult().getType()), mapping.lookup(op.getQuery()),
        cache, batch, layer, op.getNumHeads(), op.getScaleAttr().getValue());
    mapping.map(op.getResult(), paged.getResult());
    ++layer;
    return success();
  }

  func::FuncOp dense, paged;
  int64_t pageTokens;
  int64_t layer = 0;
  Value batch, cache;
  IRMapping mapping;
};

struct PageKV : public qopt::impl::PageKVBase<PageKV> {
  using PageKVBase::PageKVBase;

  void runOnOperation() override {
    auto forward = getOperation().lookupSymbol<func::FuncOp>("forward");
    if (!forward) {
      getOperation().emitError("expected a function @forward");
      return signalPassFailure();
    }
    if (failed(Pager(forward, pageTokens).run()))
      signalPassFailure();
  }
};

} // namespace
