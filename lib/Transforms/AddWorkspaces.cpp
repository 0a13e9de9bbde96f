//===- AddWorkspaces.cpp - Workspaces of attention in splits --------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Transforms/Passes.h"
#include "llvm/Support/MathExtras.h"

namespace qopt {
#define GEN_PASS_DEF_ADDWORKSPACES
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

struct AddWorkspaces : public qopt::impl::AddWorkspacesBase<AddWorkspaces> {
  using AddWorkspacesBase::AddWorkspacesBase;

  void runOnOperation() override {
    if (maxContext <= 0) {
      getOperation().emitError("max-context is ") << int64_t(maxContext) << ", expected 1 or more";
      return signalPassFailure();
    }
    for (auto plan : getOperation().getOps<kernel::PlanOp>())
      for (auto attention : plan.getOps<kernel::AttentionOp>()) {
        kernel::ScheduleAttr schedule = attention.getScheduleAttr();
        if (schedule && schedule.get("splits", 1) > 1 && attention.getWorkspaces().empty())
          add(plan, attention);
      }
  }

private:
  /// The layers' launches follow each other: they share the tickets, and a
  /// workspace's bytes are free between them.
  void add(kernel::PlanOp plan, kernel::AttentionOp attention) {
    KVCacheType cache = attention.getCache().getType();
    int64_t pages = llvm::divideCeil(int64_t(maxContext), cache.getPageTokens());
    int64_t columns = attention.getNumHeads() * pages * (cache.getHeadDim() + 2);
    OpBuilder builder(attention);
    Value partials = allocate(builder, attention, columns, builder.getF32Type(), UnitAttr());
    Value &ticket = tickets[{plan, cache.getKvHeads()}];
    if (!ticket) {
      builder.setInsertionPointToStart(&plan.getBody().front());
      ticket = allocate(builder, attention, cache.getKvHeads(), builder.getI32Type(),
                        builder.getUnitAttr());
    }
    attention.getWorkspacesMutable().assign({partials, ticket});
  }

  static Value allocate(OpBuilder &builder, kernel::AttentionOp op, int64_t columns, Type element,
                        UnitAttr persistent) {
    auto type = MemRefType::get({ShapedType::kDynamic, columns}, element);
    auto rows = kernel::RowsAttr::get(builder.getContext(), kernel::Rows::Tokens);
    return kernel::AllocOp::create(builder, op.getLoc(), type, rows, IntegerAttr(), persistent);
  }

  DenseMap<std::pair<Operation *, int64_t>, Value> tickets;
};

} // namespace
