//===- SelectSchedule.cpp - Choose how each launch is cut -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TargetChoices.h"
#include "qopt/Transforms/Passes.h"
#include "llvm/ADT/STLExtras.h"

namespace qopt {
#define GEN_PASS_DEF_SELECTSCHEDULE
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

struct SelectSchedule : public qopt::impl::SelectScheduleBase<SelectSchedule> {
  using SelectScheduleBase::SelectScheduleBase;

  void runOnOperation() override {
    std::unique_ptr<TargetChoices> choices = TargetChoices::create(getOperation(), target);
    if (!choices)
      return signalPassFailure();
    for (auto plan : llvm::make_early_inc_range(getOperation().getOps<kernel::PlanOp>())) {
      FailureOr<SmallVector<int64_t>> counts = bucketsOf(plan, *choices);
      if (failed(counts))
        return signalPassFailure();
      for (int64_t tokens : *counts)
        createBucket(plan, tokens, *choices);
      plan.erase();
    }
  }

private:
  /// The token counts of the plans that `plan` becomes, ascending; the last is
  /// its own.
  FailureOr<SmallVector<int64_t>> bucketsOf(kernel::PlanOp plan, const TargetChoices &choices) {
    int64_t max = plan.getMaxTokens();
    SmallVector<int64_t> counts{max};
    for (int64_t tokens : buckets) {
      if (tokens <= 0 || tokens > max)
        return plan.emitError("bucket of ") << tokens << " tokens, expected 1 to " << max;
      counts.push_back(tokens);
    }
    if (buckets.empty())
      llvm::copy_if(choices.buckets(), std::back_inserter(counts),
                    [&](int64_t tokens) { return tokens < max; });
    llvm::sort(counts);
    counts.erase(llvm::unique(counts), counts.end());
    return counts;
  }

  void createBucket(kernel::PlanOp plan, int64_t tokens, const TargetChoices &choices) {
    OpBuilder builder(plan);
    auto bucket = cast<kernel::PlanOp>(builder.clone(*plan));
    bucket.setSymName((plan.getSymName() + "_" + Twine(tokens)).str());
    bucket.setMaxTokens(tokens);
    bucket.setMaxLogitRows(std::min<int64_t>(tokens, plan.getMaxLogitRows()));
    for (Operation &op : bucket.getBody().front())
      if (kernel::ScheduleAttr schedule = choices.schedule(&op, tokens))
        op.setAttr("schedule", schedule);
  }
};

} // namespace
