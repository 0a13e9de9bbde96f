//===- PlanMemory.cpp - Offsets of buffers in the arena -------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Transforms/Passes.h"
#include "llvm/ADT/STLExtras.h"

namespace qopt {
#define GEN_PASS_DEF_PLANMEMORY
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

constexpr int64_t alignment = 64;

/// A buffer's bytes and the first and last launch (by number) of its life.
struct Life {
  kernel::AllocOp alloc;
  int64_t number = 0; ///< of the alloc in the plan
  int64_t bytes = 0;
  int64_t first = 0, last = 0;
  int64_t offset = -1;

  bool meets(const Life &other) const { return first <= other.last && other.first <= last; }
};

int64_t bytesOf(kernel::AllocOp alloc, kernel::PlanOp plan) {
  auto type = cast<MemRefType>(alloc.getType());
  int64_t rows =
      alloc.getRows() == kernel::Rows::Tokens ? plan.getMaxTokens() : plan.getMaxLogitRows();
  int64_t bits = rows * type.getElementTypeBitWidth();
  for (int64_t dim : type.getShape().drop_front())
    bits *= dim;
  return llvm::alignTo(bits / 8, alignment);
}

/// From the first to the last launch that uses the buffer, through slices too.
void findLife(Life &life, Block &plan, const DenseMap<Operation *, int64_t> &numbers) {
  SmallVector<Value> views{life.alloc.getResult()};
  while (!views.empty())
    for (Operation *user : views.pop_back_val().getUsers()) {
      if (auto slice = dyn_cast<kernel::SliceOp>(user)) {
        views.push_back(slice.getResult());
        continue;
      }
      int64_t number = numbers.at(plan.findAncestorOpInBlock(*user));
      life.first = std::min(life.first, number);
      life.last = std::max(life.last, number);
    }
}

/// The lowest offset where `life` meets no placed buffer that shares its bytes.
int64_t lowestOffset(const Life &life, ArrayRef<const Life *> placed) {
  SmallVector<std::pair<int64_t, int64_t>> taken;
  for (const Life *other : placed)
    if (life.meets(*other))
      taken.push_back({other->offset, other->offset + other->bytes});
  llvm::sort(taken);
  int64_t offset = 0;
  for (auto [begin, end] : taken) {
    if (offset + life.bytes <= begin)
      break;
    offset = std::max(offset, end);
  }
  return offset;
}

struct PlanMemory : public qopt::impl::PlanMemoryBase<PlanMemory> {
  void runOnOperation() override {
    for (kernel::PlanOp plan : getOperation().getOps<kernel::PlanOp>())
      place(plan);
  }

private:
  void place(kernel::PlanOp plan) {
    DenseMap<Operation *, int64_t> numbers;
    int64_t count = 0;
    SmallVector<Life> lives;
    int64_t state = 0;
    Builder builder(plan);
    for (Operation &op : plan.getBody().front()) {
      auto alloc = dyn_cast<kernel::AllocOp>(op);
      if (alloc && alloc.getPersistent()) {
        alloc.setOffsetAttr(builder.getI64IntegerAttr(state));
        state += bytesOf(alloc, plan);
      } else if (alloc) {
        lives.push_back({alloc, count, bytesOf(alloc, plan)});
      }
      numbers[&op] = count++;
    }
    for (Life &life : lives) {
      life.first = count;
      life.last = 0;
      findLife(life, plan.getBody().front(), numbers);
    }

    // Largest first, then in program order: the same in every run.
    llvm::sort(lives, [](const Life &a, const Life &b) {
      return std::make_pair(-a.bytes, a.number) < std::make_pair(-b.bytes, b.number);
    });
    SmallVector<const Life *> placed;
    int64_t arena = 0;
    for (Life &life : lives) {
      life.offset = lowestOffset(life, placed);
      life.alloc.setOffsetAttr(builder.getI64IntegerAttr(life.offset));
      arena = std::max(arena, life.offset + life.bytes);
      placed.push_back(&life);
    }
    plan.setArenaBytesAttr(builder.getI64IntegerAttr(arena));
  }
};

} // namespace
