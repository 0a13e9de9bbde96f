//===- PageKV.cpp - From a dense model to a ragged one --------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/IRMapping.h"
#include "qopt/Dialect/QOpt/IR/Forward.h"
#include "qopt/Transforms/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_PAGEKV
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// The arguments of a dense `@forward`; the past of each layer follows.
enum DenseArgument { tokensArgument, maskArgument, positionsArgument, numFixedArguments };

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
    Operation *terminator = dense.front().getTerminator();
    auto logits = terminator->getNumOperands() > 0
                      ? terminator->getOperand(0).getDefiningOp<LogitsOp>()
                      : LogitsOp();
    if (attentions.empty() || !logits || dense.getNumArguments() < numFixedArguments)
      return dense.emitError("expected a dense model: tokens, mask and positions, attention "
                             "layers, and logits as first result");

    createFunction(attentions);
    OpBuilder builder = OpBuilder::atBlockEnd(&paged.front());
    for (Operation &op : dense.front().without_terminator())
      if (failed(convert(op, builder)))
        return failure();
    func::ReturnOp::create(builder, terminator->getLoc(), mapping.lookup(logits.getResult()));
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
    mapping.map(dense.getArgument(tokensArgument), body->getArgument(0));
    batch = body->getArgument(1);
    cache = body->getArgument(2);
  }

  /// Mask, positions and past have no value in the ragged function: only the
  /// operations that the batch and the cache serve may read them.
  LogicalResult checkOperands(Operation &op, ValueRange operands) {
    for (Value operand : operands)
      if (!mapping.contains(operand))
        return op.emitError("operand of type ") << operand.getType() << " has no ragged form";
    return success();
  }

  LogicalResult convert(Operation &op, OpBuilder &builder) {
    if (isa<WeightOp>(op)) {
      builder.clone(op, mapping);
      return success();
    }
    if (auto attention = dyn_cast<AttentionOp>(op))
      return convertAttention(attention, builder);
    if (!isa<EmbeddingOp, RMSNormOp, LinearOp, RopeOp, SiluMulOp, AddOp, SliceOp, LogitsOp>(op))
      return op.emitError("operation has no ragged form");
    auto type = cast<RankedTensorType>(op.getResult(0).getType());
    if (type.getRank() != 3)
      return op.emitError("expected a result [batch, seq, hidden], found ") << type;
    if (auto rope = dyn_cast<RopeOp>(op))
      return convertRope(rope, builder);
    if (failed(checkOperands(op, op.getOperands())))
      return failure();
    Operation *clone = builder.clone(op, mapping);
    clone->getResult(0).setType(ragged(type));
    if (auto logits = dyn_cast<LogitsOp>(clone))
      logits.getBatchMutable().assign(batch);
    return success();
  }

  LogicalResult convertRope(RopeOp op, OpBuilder &builder) {
    if (op.getPositions() != dense.getArgument(positionsArgument))
      return op.emitError("positions must be the function's positions");
    if (failed(checkOperands(*op, op.getInput())))
      return failure();
    auto rope = RopeOp::create(builder, op.getLoc(), ragged(op.getType()),
                               mapping.lookup(op.getInput()), batch, op.getRope());
    mapping.map(op.getResult(), rope.getResult());
    return success();
  }

  LogicalResult convertAttention(AttentionOp op, OpBuilder &builder) {
    if (op.getMask() != dense.getArgument(maskArgument))
      return op.emitError("mask must be the function's attention mask");
    for (Value past : {op.getPastKey(), op.getPastValue()})
      if (!isa<BlockArgument>(past) || !past.hasOneUse())
        return op.emitError("past keys and values must be function arguments of their own");
    for (Value present : {op.getPresentKey(), op.getPresentValue()})
      if (!llvm::all_of(present.getUsers(), llvm::IsaPred<func::ReturnOp>))
        return op.emitError("present keys and values must be function results only");
    if (failed(checkOperands(*op, {op.getQuery(), op.getKey(), op.getValue()})))
      return failure();
    auto cacheType = cast<KVCacheType>(cache.getType());
    auto past = cast<RankedTensorType>(op.getPastKey().getType());
    if (past.getDimSize(1) != cacheType.getKvHeads() ||
        past.getDimSize(3) != cacheType.getHeadDim())
      return op.emitError("layers differ in heads: found ") << past << " in layer " << layer;
    KVAppendOp::create(builder, op.getLoc(), mapping.lookup(op.getKey()),
                       mapping.lookup(op.getValue()), cache, batch, layer);
    auto paged = PagedAttentionOp::create(builder, op.getLoc(), ragged(op.getResult().getType()),
                                          mapping.lookup(op.getQuery()), cache, batch, layer,
                                          op.getNumHeads(), op.getScaleAttr().getValue());
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
    if (pageTokens <= 0) {
      getOperation().emitError("page holds ") << int64_t(pageTokens) << " tokens, expected some";
      return signalPassFailure();
    }
    func::FuncOp forward = lookupForward(getOperation());
    if (!forward || failed(Pager(forward, pageTokens).run()))
      signalPassFailure();
  }
};

} // namespace
