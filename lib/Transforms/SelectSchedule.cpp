//===- SelectSchedule.cpp - Choose how each launch is cut -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/Target.h"
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
    llvm::Expected<std::unique_ptr<Target>> parsed = Target::parse(target, schedule);
    if (!parsed) {
      getOperation().emitError(llvm::toString(parsed.takeError()));
      return signalPassFailure();
    }
    for (auto plan : llvm::make_early_inc_range(getOperation().getOps<kernel::PlanOp>())) {
      FailureOr<std::vector<Bucket>> wanted = bucketsOf(plan, **parsed);
      if (failed(wanted))
        return signalPassFailure();
      for (Bucket bucket : *wanted)
        createBucket(plan, bucket, **parsed);
      plan.erase();
    }
  }

private:
  /// The plans that `plan` becomes: of each kind ascending, the last its own.
  FailureOr<std::vector<Bucket>> bucketsOf(kernel::PlanOp plan, const Target &target) {
    int64_t max = plan.getMaxTokens();
    std::vector<Bucket> result;
    for (int64_t tokens : buckets) {
      if (tokens <= 0 || tokens > max)
        return plan.emitError("bucket of ") << tokens << " tokens, expected 1 to " << max;
      for (kernel::PlanKind kind : target.planKinds())
        result.push_back({tokens, kind});
    }
    if (buckets.empty())
      result = target.defaultBuckets(max);
    result.push_back({max});
    auto order = [](Bucket a) { return std::make_pair(a.kind != kernel::PlanKind::Decode, a.tokens); };
    llvm::sort(result, [&](Bucket a, Bucket b) { return order(a) < order(b); });
    result.erase(llvm::unique(result, [&](Bucket a, Bucket b) { return order(a) == order(b); }),
                 result.end());
    return result;
  }

  void createBucket(kernel::PlanOp plan, Bucket wanted, const Target &target) {
    OpBuilder builder(plan);
    auto bucket = cast<kernel::PlanOp>(builder.clone(*plan));
    bool isDecode = wanted.kind == kernel::PlanKind::Decode;
    bucket.setSymName(
        (plan.getSymName() + (isDecode ? "_decode_" : "_") + Twine(wanted.tokens)).str());
    bucket.setKind(wanted.kind);
    bucket.setMaxTokens(wanted.tokens);
    bucket.setMaxLogitRows(std::min<int64_t>(wanted.tokens, plan.getMaxLogitRows()));
    if (int64_t tile = target.queryTile(wanted.kind, headsOfKVHead(bucket)))
      bucket.setQueryTile(std::min(tile, wanted.tokens));
    for (Operation &op : bucket.getBody().front())
      if (kernel::ScheduleAttr schedule = target.schedule(&op, bucket))
        op.setAttr("schedule", schedule);
  }

  /// Heads that share a KV head; 1 without attention.
  static int64_t headsOfKVHead(kernel::PlanOp plan) {
    for (auto attention : plan.getOps<kernel::AttentionOp>())
      return attention.getNumHeads() / attention.getCache().getType().getKvHeads();
    return 1;
  }
};

} // namespace
