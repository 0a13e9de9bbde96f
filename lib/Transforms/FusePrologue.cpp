//===- FusePrologue.cpp - Norm and quantize in a linear layer's prologue ---===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/PatternMatch.h"
#include "qopt/Target/Target.h"
#include "qopt/Transforms/Passes.h"
#include "llvm/ADT/STLExtras.h"

namespace qopt {
#define GEN_PASS_DEF_FUSEPROLOGUE
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// What makes the rows of a linear layer: kernel.norm or kernel.quantize.
struct Maker {
  Operation *op;
  Value input;
  Value norm;        ///< its weight, null for kernel.quantize
  FloatAttr eps;     ///< null for kernel.quantize
  OperandRange outs; ///< values, or codes and scales
};

Maker makerOf(Operation *op) {
  if (auto norm = dyn_cast<kernel::NormOp>(op))
    return {op, norm.getInput(), norm.getWeight(), norm.getEpsAttr(), norm.getOuts()};
  auto quantize = cast<kernel::QuantizeOp>(op);
  return {op, quantize.getInput(), {}, {}, quantize.getOuts()};
}

/// gemm(norm(x)) and gemm(quantize(x)) = gemm of x with a prologue
struct MakeInPrologue {
  const Target &target;

  LogicalResult matchAndRewrite(const Maker &maker, kernel::PlanOp plan,
                                RewriterBase &rewriter) const {
    auto element = cast<MemRefType>(maker.input.getType()).getElementType();
    if (!element.isBF16())
      return rewriter.notifyMatchFailure(maker.op, "what it reads is not bf16");
    kernel::GemmOp apart = readerOf(maker);
    if (!apart)
      return rewriter.notifyMatchFailure(maker.op, "what it writes is not for one gemm alone");
    if (apart.getOuts()[0] == maker.input)
      return rewriter.notifyMatchFailure(maker.op, "the gemm writes what it would read");

    rewriter.setInsertionPoint(apart);
    kernel::GemmOp fused = createFused(maker, apart, rewriter);
    std::string reason;
    kernel::ScheduleAttr schedule = target.prologueSchedule(fused, apart, maker.op, plan, reason);
    if (!schedule) {
      rewriter.eraseOp(fused);
      rejectIn(apart, reason);
      return rewriter.notifyMatchFailure(maker.op, reason);
    }
    fused.setScheduleAttr(schedule);
    SmallVector<Value> outs(maker.outs);
    rewriter.eraseOp(apart);
    rewriter.eraseOp(maker.op);
    for (Value out : outs)
      rewriter.eraseOp(out.getDefiningOp());
    return success();
  }

private:
  /// The gemm that reads what `maker` writes, if nothing else touches it.
  static kernel::GemmOp readerOf(const Maker &maker) {
    kernel::GemmOp reader;
    for (Value out : maker.outs) {
      if (!out.getDefiningOp<kernel::AllocOp>() || !out.hasNUses(2))
        return {};
      for (Operation *user : out.getUsers())
        if (user != maker.op) {
          auto gemm = dyn_cast<kernel::GemmOp>(user);
          if (!gemm || gemm.hasPrologue() || (reader && gemm != reader))
            return {};
          reader = gemm;
        }
    }
    bool isRead =
        reader && reader.getInput() == maker.outs[0] &&
        (maker.outs.size() == 2 ? reader.getScales() == maker.outs[1] : !reader.getScales());
    return isRead ? reader : kernel::GemmOp();
  }

  static kernel::GemmOp createFused(const Maker &maker, kernel::GemmOp apart,
                                    RewriterBase &rewriter) {
    Location loc = rewriter.getFusedLoc({maker.op->getLoc(), apart.getLoc()});
    auto fused = kernel::GemmOp::create(
        rewriter, loc, maker.input, /*scales=*/Value(), apart.getWeight(), maker.norm,
        apart.getExtras(), apart.getOuts(), apart.getRows(), /*quantize=*/maker.outs.size() == 2,
        maker.eps, /*schedule=*/kernel::ScheduleAttr(), /*entry=*/FlatSymbolRefAttr());
    rewriter.cloneRegionBefore(apart.getEpilogue(), fused.getEpilogue(), fused.getEpilogue().end());
    return fused;
  }

  /// Why the launches stay apart, beside the other choices that were rejected.
  static void rejectIn(kernel::GemmOp apart, StringRef reason) {
    kernel::ScheduleAttr schedule = apart.getScheduleAttr();
    if (!schedule)
      return;
    Builder builder(apart.getContext());
    SmallVector<Attribute> rejected;
    if (schedule.getRejected())
      llvm::append_range(rejected, schedule.getRejected());
    rejected.push_back(builder.getStringAttr("prologue: " + reason));
    apart.setScheduleAttr(kernel::ScheduleAttr::get(apart.getContext(), schedule.getParams(),
                                                    schedule.getReason(),
                                                    builder.getArrayAttr(rejected)));
  }
};

struct FusePrologue : public qopt::impl::FusePrologueBase<FusePrologue> {
  using FusePrologueBase::FusePrologueBase;

  void runOnOperation() override {
    llvm::Expected<std::unique_ptr<Target>> parsed = Target::parse(target, schedule);
    if (!parsed) {
      getOperation().emitError(llvm::toString(parsed.takeError()));
      return signalPassFailure();
    }
    IRRewriter rewriter(&getContext());
    MakeInPrologue pattern{**parsed};
    for (auto plan : getOperation().getOps<kernel::PlanOp>()) {
      if (plan.getKind() != kernel::PlanKind::Decode)
        continue;
      SmallVector<Operation *> launches; // a match erases the gemm behind it
      for (Operation &op : plan.getBody().front())
        if (isa<kernel::NormOp, kernel::QuantizeOp>(op))
          launches.push_back(&op);
      for (Operation *launch : launches)
        (void)pattern.matchAndRewrite(makerOf(launch), plan, rewriter);
    }
  }
};

} // namespace
