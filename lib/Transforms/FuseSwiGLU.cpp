//===- FuseSwiGLU.cpp - silu_mul as the epilogue of gate and up -----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "qopt/Transforms/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_FUSESWIGLU
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

MemRefType bufferType(Value value) { return cast<MemRefType>(value.getType()); }

/// The one gemm that writes `buffer`, null where something else does too.
kernel::GemmOp writerOf(Value buffer) {
  kernel::GemmOp writer;
  for (Operation *user : buffer.getUsers()) {
    if (isa<kernel::SliceOp>(user))
      continue;
    auto gemm = dyn_cast<kernel::GemmOp>(user);
    if (!gemm || writer || gemm.getOuts()[0] != buffer || llvm::is_contained(gemm.getExtras(), buffer))
      return {};
    writer = gemm;
  }
  return writer;
}

/// f([x g^T, x u^T]) = f of the two sums, where they are computed
struct FusePair {
  static LogicalResult matchAndRewrite(kernel::ElementwiseOp op, RewriterBase &rewriter) {
    if (op.getInputs().size() != 2)
      return rewriter.notifyMatchFailure(op, "has not two inputs");
    auto gate = op.getInputs()[0].getDefiningOp<kernel::SliceOp>();
    auto up = op.getInputs()[1].getDefiningOp<kernel::SliceOp>();
    if (!gate || !up || gate.getInput() != up.getInput())
      return rewriter.notifyMatchFailure(op, "inputs are not slices of one buffer");
    int64_t half = bufferType(gate.getResult()).getShape().back();
    if (gate.getOffset() != 0 || int64_t(up.getOffset()) != half ||
        bufferType(gate.getInput()).getShape().back() != 2 * half)
      return rewriter.notifyMatchFailure(op, "inputs are not the halves of the buffer");
    if (!gate->hasOneUse() || !up->hasOneUse())
      return rewriter.notifyMatchFailure(op, "a half has another use");
    kernel::GemmOp gemm = writerOf(gate.getInput());
    if (!gemm)
      return rewriter.notifyMatchFailure(op, "the buffer is not written by one gemm alone");
    if (!gemm.getExtras().empty())
      return rewriter.notifyMatchFailure(op, "the gemm has extra operands");
    if (gemm.isPair() || half % 8 != 0)
      return rewriter.notifyMatchFailure(op, "the channels can't be interleaved");
    auto weight = gemm.getWeight().getDefiningOp<kernel::WeightOp>();
    if (!weight || weight.getSources().size() != 2 || !weight->hasOneUse())
      return rewriter.notifyMatchFailure(op, "the weight is not two sources of this gemm");
    kernel::LayoutKind kind = gemm.getWeight().getType().getLayout().getKind();
    if (kind != kernel::LayoutKind::Swizzled && kind != kernel::LayoutKind::Fragment)
      return rewriter.notifyMatchFailure(op, "the weight's layout can't be interleaved");

    interleave(rewriter, weight);
    rewriter.setInsertionPoint(op);
    Type rounded = gate.getType().getElementType();
    auto output = MemRefType::get({ShapedType::kDynamic, half}, rounded);
    bool isQuantized = op.getOuts().size() == 2;
    Value out = op.getOuts()[0];
    if (isQuantized)
      out = kernel::AllocOp::create(rewriter, op.getLoc(), output, gemm.getRows(), IntegerAttr());
    createPair(rewriter, op, gemm, out);
    if (isQuantized)
      kernel::QuantizeOp::create(rewriter, op.getLoc(), out, op.getOuts(), {}, {});
    rewriter.eraseOp(op);
    rewriter.eraseOp(gemm);
    return success();
  }

private:
  static void interleave(RewriterBase &rewriter, kernel::WeightOp weight) {
    auto type = cast<kernel::PackedType>(weight.getType());
    kernel::LayoutAttr layout = type.getLayout();
    layout = kernel::LayoutAttr::get(weight.getContext(), layout.getKind(), layout.getTileN(),
                                     layout.getKPack(), /*interleave=*/1);
    rewriter.modifyOpInPlace(weight, [&] {
      weight.getResult().setType(
          kernel::PackedType::get(weight.getContext(), type.getTensor(), layout));
    });
  }

  /// The epilogue is the gemm's for each sum, then the body on both: what was
  /// rounded between them still is.
  static void createPair(RewriterBase &rewriter, kernel::ElementwiseOp op, kernel::GemmOp gemm,
                         Value out) {
    Location loc = rewriter.getFusedLoc({gemm.getLoc(), op.getLoc()});
    auto pair = kernel::GemmOp::create(rewriter, loc, gemm.getInput(), gemm.getScales(),
                                       gemm.getWeight(), ValueRange(), ValueRange(out),
                                       gemm.getRows());
    Type f32 = rewriter.getF32Type();
    OpBuilder::InsertionGuard guard(rewriter);
    Block *block = rewriter.createBlock(&pair.getEpilogue(), {}, {f32, f32}, {loc, loc});
    IRMapping body;
    Block &elementwise = op.getBody().front();
    for (unsigned i = 0; i < 2; ++i) {
      IRMapping epilogue;
      epilogue.map(gemm.getEpilogue().getArgument(0), block->getArgument(i));
      Value sum = cloneInto(rewriter, gemm.getEpilogue().front(), epilogue);
      body.map(elementwise.getArgument(i), sum);
    }
    Value result = cloneInto(rewriter, elementwise, body);
    // A quantized result was widened after its rounding; here it is stored rounded.
    Type rounded = bufferType(out).getElementType();
    if (result.getType() != rounded)
      result = arith::TruncFOp::create(rewriter, loc, rounded, result);
    kernel::YieldOp::create(rewriter, loc, result);
  }

  /// Clones all but the terminator; what it would yield.
  static Value cloneInto(RewriterBase &rewriter, Block &block, IRMapping &mapping) {
    for (Operation &op : block.without_terminator())
      rewriter.clone(op, mapping);
    return mapping.lookup(cast<kernel::YieldOp>(block.getTerminator()).getValue());
  }
};

struct FuseSwiGLU : public qopt::impl::FuseSwiGLUBase<FuseSwiGLU> {
  void runOnOperation() override {
    // Not by the greedy driver: it moves the constants of regions out of them.
    IRRewriter rewriter(&getContext());
    for (auto plan : getOperation().getOps<kernel::PlanOp>())
      for (auto op : llvm::make_early_inc_range(plan.getOps<kernel::ElementwiseOp>()))
        (void)FusePair::matchAndRewrite(op, rewriter);
    removeUnused();
  }

private:
  /// The halves and their buffers, which nothing writes any more.
  void removeUnused() {
    for (auto plan : getOperation().getOps<kernel::PlanOp>())
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(plan.getBody().front())))
        if (isa<kernel::SliceOp, kernel::AllocOp>(op) && op.use_empty())
          op.erase();
  }
};

} // namespace
