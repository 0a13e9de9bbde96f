//===- SelectSchedule.cpp - Choose how each launch is cut -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/CPU/Schedule.h"
#include "qopt/Transforms/Passes.h"
#include "llvm/ADT/STLExtras.h"

namespace qopt {
#define GEN_PASS_DEF_SELECTSCHEDULE
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// Token counts that get a plan of their own: one sequence that decodes, a few,
/// many, beside the largest step.
constexpr int64_t defaultBuckets[] = {1, 8, 64};

struct SelectSchedule : public qopt::impl::SelectScheduleBase<SelectSchedule> {
  using SelectScheduleBase::SelectScheduleBase;

  void runOnOperation() override {
    llvm::Expected<CPUTarget> parsed = CPUTarget::parse(target);
    if (!parsed) {
      getOperation().emitError(llvm::toString(parsed.takeError()));
      return signalPassFailure();
    }
    for (auto plan : llvm::make_early_inc_range(getOperation().getOps<kernel::PlanOp>())) {
      FailureOr<SmallVector<int64_t>> counts = bucketsOf(plan);
      if (failed(counts))
        return signalPassFailure();
      for (int64_t tokens : *counts)
        createBucket(plan, tokens, *parsed);
      plan.erase();
    }
  }

private:
  /// The token counts of the plans that `plan` becomes, ascending; the last is
  /// its own.
  FailureOr<SmallVector<int64_t>> bucketsOf(kernel::PlanOp plan) {
    int64_t max = plan.getMaxTokens();
    SmallVector<int64_t> counts{max};
    for (int64_t tokens : buckets) {
      if (tokens <= 0 || tokens > max)
        return plan.emitError("bucket of ") << tokens << " tokens, expected 1 to " << max;
      counts.push_back(tokens);
    }
    if (buckets.empty())
      llvm::copy_if(defaultBuckets, std::back_inserter(counts),
                    [&](int64_t tokens) { return tokens < max; });
    llvm::sort(counts);
    counts.erase(llvm::unique(counts), counts.end());
    return counts;
  }

  void createBucket(kernel::PlanOp plan, int64_t tokens, const CPUTarget &target) {
    OpBuilder builder(plan);
    auto bucket = cast<kernel::PlanOp>(builder.clone(*plan));
    bucket.setSymName((plan.getSymName() + "_" + Twine(tokens)).str());
    bucket.setMaxTokens(tokens);
    bucket.setMaxLogitRows(std::min<int64_t>(tokens, plan.getMaxLogitRows()));
    for (Operation &op : bucket.getBody().front()) {
      bool isOfLogits = kernel::isLaunch(&op) && kernel::rowsOf(&op) == kernel::Rows::LogitRows;
      int64_t rows = isOfLogits ? bucket.getMaxLogitRows() : bucket.getMaxTokens();
      if (kernel::ScheduleAttr schedule = cpuSchedule(&op, rows, target))
        op.setAttr("schedule", schedule);
    }
  }
};

} // namespace
