//===- CanonicalOrder.cpp - Sort a model by data flow ---------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Transforms/Passes.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

namespace qopt {
#define GEN_PASS_DEF_CANONICALORDER
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// Replaces every weight by the first one of the same names, attributes and type.
void mergeEqualWeights(func::FuncOp func) {
  DenseMap<std::pair<Attribute, Type>, WeightOp> first;
  for (WeightOp weight : llvm::make_early_inc_range(func.getOps<WeightOp>())) {
    auto [entry, isNew] =
        first.try_emplace({weight->getAttrDictionary(), weight.getType()}, weight);
    if (isNew)
      continue;
    weight.replaceAllUsesWith(entry->second.getResult());
    weight.erase();
  }
}

/// The operations that `root` depends on, each after its operands.
SmallVector<Operation *> postOrder(Operation *root) {
  SmallVector<Operation *> order;
  DenseSet<Operation *> visited{root};
  SmallVector<std::pair<Operation *, unsigned>> stack{{root, 0}};
  while (!stack.empty()) {
    auto &[op, next] = stack.back();
    if (next == op->getNumOperands()) {
      order.push_back(op);
      stack.pop_back();
      continue;
    }
    Operation *def = op->getOperand(next++).getDefiningOp();
    if (def && visited.insert(def).second)
      stack.push_back({def, 0});
  }
  return order;
}

struct CanonicalOrder : public qopt::impl::CanonicalOrderBase<CanonicalOrder> {
  void runOnOperation() override {
    for (func::FuncOp func : getOperation().getOps<func::FuncOp>()) {
      if (func.isDeclaration())
        continue;
      if (!func.getBody().hasOneBlock()) {
        func.emitError("expected a body of one block");
        return signalPassFailure();
      }
      Block &body = func.front();
      for (Operation &op : body.without_terminator()) {
        if (op.getNumRegions() != 0) {
          op.emitError("expected an operation without regions");
          return signalPassFailure();
        }
        if (!isMemoryEffectFree(&op)) {
          op.emitError("expected an operation without side effects");
          return signalPassFailure();
        }
      }
      mergeEqualWeights(func);
      SmallVector<Operation *> order = postOrder(body.getTerminator());
      for (Operation *op : order)
        op->moveBefore(&body, body.end());
      // What the results do not depend on now stands first.
      while (&body.front() != order.front()) {
        Operation &dead = body.front();
        dead.dropAllUses();
        dead.erase();
      }
    }
  }
};

} // namespace
