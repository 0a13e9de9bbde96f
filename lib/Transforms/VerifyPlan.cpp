//===- VerifyPlan.cpp - Checks that plans do what they say ----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Walks each plan in order, as the runtime does, with what it knows of its
/// buffers: which columns are written, which bytes are taken.
///
//===----------------------------------------------------------------------===//

#include "VerifyLaunch.h"
#include "qopt/Transforms/Passes.h"
#include "llvm/ADT/STLExtras.h"

namespace qopt {
#define GEN_PASS_DEF_VERIFYPLAN
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

constexpr int64_t alignment = 64;

/// Elements [begin, end) of each row of a buffer.
struct Columns {
  int64_t begin, end;
};

/// A buffer of the plan and what is known of it before a launch.
struct Buffer {
  kernel::AllocOp alloc;
  int64_t begin = 0, end = 0;        ///< bytes of the arena, or of the state if persistent
  int64_t firstUse = 0, lastUse = 0; ///< numbers of launches
  SmallVector<Columns> written;      ///< apart and ascending

  bool overlaps(const Buffer &other) const { return begin < other.end && other.begin < end; }

  void write(Columns columns) {
    SmallVector<Columns> merged;
    for (Columns old : written)
      if (old.end < columns.begin || columns.end < old.begin)
        merged.push_back(old);
      else
        columns = {std::min(old.begin, columns.begin), std::max(old.end, columns.end)};
    merged.push_back(columns);
    llvm::sort(merged, [](Columns a, Columns b) { return a.begin < b.begin; });
    written = std::move(merged);
  }

  bool isWritten(Columns columns) const {
    return llvm::any_of(written, [&](Columns done) {
      return done.begin <= columns.begin && columns.end <= done.end;
    });
  }
};

int64_t rowElements(MemRefType type) {
  int64_t elements = 1;
  for (int64_t dim : type.getShape().drop_front())
    elements *= dim;
  return elements;
}

/// "buffer %3 : memref<?x64xbf16> at bytes [0, 512)"
std::string nameOf(const Buffer &buffer) {
  Value value = kernel::AllocOp(buffer.alloc).getResult();
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << "buffer ";
  value.printAsOperand(stream, OpPrintingFlags());
  stream << " : " << value.getType() << " at bytes [" << buffer.begin << ", " << buffer.end
         << ")";
  return text;
}

class PlanChecker {
public:
  PlanChecker(kernel::PlanOp plan, const LaunchChecker &launches) : plan(plan), launches(launches) {}

  LogicalResult check() {
    if (failed(findBuffers()))
      return failure();
    findLives();
    SmallVector<Buffer *> live;
    for (auto [number, op] : llvm::enumerate(steps))
      if (failed(checkMemory(op, number, live)) || failed(checkReads(op)) ||
          failed(checkCache(op)) || failed(launches.check(op, plan)))
        return failure();
    return success();
  }

private:
  /// Every buffer has a place, inside the arena.
  LogicalResult findBuffers() {
    for (auto alloc : plan.getOps<kernel::AllocOp>()) {
      if (!alloc.getOffset())
        return alloc.emitOpError("has no offset: kernel-plan-memory must run first");
      int64_t begin = *alloc.getOffset();
      if (begin < 0 || begin % alignment != 0)
        return alloc.emitOpError("has offset ")
               << begin << ", expected a multiple of " << alignment << " bytes";
      Buffer &buffer = buffers[alloc];
      buffer = {alloc, begin, begin + bufferBytes(alloc, plan)};
      order.push_back(alloc);
      if (!alloc.getPersistent() && buffer.end > plan.getArenaBytes().value_or(0))
        return alloc.emitOpError("ends at byte ") << buffer.end << " of an arena of "
                                                  << plan.getArenaBytes().value_or(0);
    }
    return success();
  }

  /// From the first to the last launch that touches it; -1 where none does.
  void findLives() {
    for (Buffer &buffer : llvm::make_second_range(buffers))
      buffer.firstUse = buffer.lastUse = -1;
    for (Operation &op : plan.getBody().front()) {
      if (!kernel::isLaunch(&op) && !isa<kernel::OutputOp>(op))
        continue;
      for (Value operand : op.getOperands())
        if (Buffer *buffer = find(operand)) {
          buffer->lastUse = static_cast<int64_t>(steps.size());
          if (buffer->firstUse < 0)
            buffer->firstUse = buffer->lastUse;
        }
      steps.push_back(&op);
    }
    for (kernel::AllocOp alloc : order)
      if (Buffer &buffer = buffers[alloc]; buffer.firstUse >= 0)
        starting[buffer.firstUse].push_back(&buffer);
  }

  Buffer *find(Value operand) {
    auto alloc = allocOf(operand);
    return alloc ? &buffers[alloc] : nullptr;
  }

  static Columns columnsOf(Value operand) {
    auto slice = operand.getDefiningOp<kernel::SliceOp>();
    int64_t begin = slice ? slice.getOffset() : 0;
    return {begin, begin + rowElements(cast<MemRefType>(operand.getType()))};
  }

  /// Buffers that live at the same time are apart.
  LogicalResult checkMemory(Operation *op, int64_t number, SmallVector<Buffer *> &live) {
    for (Buffer *buffer : starting[number]) {
      for (Buffer *other : live)
        if (buffer->alloc.getPersistent() == other->alloc.getPersistent() &&
            buffer->overlaps(*other))
          return op->emitOpError() << "uses " << nameOf(*buffer) << ", which overlaps "
                                   << nameOf(*other) << " that is still in use";
      live.push_back(buffer);
    }
    // The state's content outlives the step.
    llvm::erase_if(live, [&](Buffer *buffer) {
      return buffer->lastUse == number && !buffer->alloc.getPersistent();
    });
    return success();
  }

  /// What is read was written by a launch before, in all its columns.
  LogicalResult checkReads(Operation *op) {
    SmallPtrSet<Value, 4> writes;
    for (Value out : writtenBy(op))
      writes.insert(out);
    for (Value operand : op->getOperands()) {
      Buffer *buffer = find(operand);
      if (!buffer || buffer->alloc.getPersistent() || writes.contains(operand))
        continue;
      Columns columns = columnsOf(operand);
      if (!buffer->isWritten(columns))
        return op->emitOpError() << "reads columns [" << columns.begin << ", " << columns.end
                                 << ") of " << nameOf(*buffer)
                                 << ", which no launch before has written";
    }
    for (Value out : writtenBy(op))
      if (Buffer *buffer = find(out))
        buffer->write(columnsOf(out));
    return success();
  }

  /// A layer's keys and values are written once, before they are read.
  LogicalResult checkCache(Operation *op) {
    auto attention = dyn_cast<kernel::AttentionOp>(op);
    if (!attention && !isa<kernel::KVAppendOp, kernel::RopeAppendOp>(op))
      return success();
    int64_t layer = op->getAttrOfType<IntegerAttr>("layer").getInt();
    const char *&user = cacheUses[layer];
    if (attention && !attention.hasRopeAppend()) {
      user = "read";
      return success();
    }
    if (user)
      return op->emitOpError("writes the keys and values of layer ")
             << layer << ", which a launch before has " << user;
    user = "written";
    return success();
  }

  kernel::PlanOp plan;
  const LaunchChecker &launches;
  DenseMap<Operation *, Buffer> buffers;
  SmallVector<kernel::AllocOp> order;
  SmallVector<Operation *> steps; ///< launches, and what reads outputs
  DenseMap<int64_t, SmallVector<Buffer *>> starting; ///< by the number of their first launch
  DenseMap<int64_t, const char *> cacheUses; ///< of a layer: the last, "read" or "written"
};

struct VerifyPlan : public qopt::impl::VerifyPlanBase<VerifyPlan> {
  using VerifyPlanBase::VerifyPlanBase;

  void runOnOperation() override {
    llvm::Expected<std::unique_ptr<Target>> parsed = Target::parse(target);
    if (!parsed) {
      getOperation().emitError(llvm::toString(parsed.takeError()));
      return signalPassFailure();
    }
    LaunchChecker launches(**parsed);
    for (auto plan : getOperation().getOps<kernel::PlanOp>())
      if (failed(PlanChecker(plan, launches).check()))
        return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
