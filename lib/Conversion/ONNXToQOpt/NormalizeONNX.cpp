//===- NormalizeONNX.cpp - Operators to one small set ---------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Canonicalize.h"
#include "Decompose.h"
#include "GraphInputs.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "qopt/Conversion/ONNXToQOpt/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_NORMALIZEONNX
#include "qopt/Conversion/ONNXToQOpt/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx_graph;

namespace {

/// Whether a value of the body reads a past, that is a floating input of rank 4.
bool readsPast(Region &body) {
  bool found = false;
  body.walk([&](NodeOp node) {
    for (Value input : node.getInputs()) {
      auto type = dyn_cast<RankedTensorType>(input.getType());
      found |= isa<BlockArgument>(input) && type && type.getRank() == 4;
    }
  });
  return found;
}

/// The branch of an If to keep: by its condition, if that is a constant, or the
/// one with a past, if the condition is a graph input (`use_cache_branch`).
Region *chooseBranch(NodeOp node) {
  if (!node.is("If") || node.getBodies().size() != 2 || !node.getInput(0))
    return nullptr;
  auto names = node.getBodyNames()->getAsRange<StringAttr>();
  bool thenFirst = (*names.begin()).getValue() == "then_branch";
  Region &thenBranch = node.getBodies()[thenFirst ? 0 : 1];
  Region &elseBranch = node.getBodies()[thenFirst ? 1 : 0];
  if (ElementsAttr condition = constantElements(node.getInput(0)))
    if (condition.getElementType().isInteger(1) && condition.getNumElements() == 1)
      return *condition.value_begin<bool>() ? &thenBranch : &elseBranch;
  Value condition = node.getInput(0);
  while (auto view = condition.getDefiningOp<NodeOp>()) {
    if (!view.is("Squeeze") && !view.is("Reshape") && !view.is("Identity") && !view.is("Cast"))
      return nullptr;
    condition = view.getInput(0);
    if (!condition)
      return nullptr;
  }
  bool thenReads = readsPast(thenBranch), elseReads = readsPast(elseBranch);
  if (!isa<BlockArgument>(condition) || thenReads == elseReads)
    return nullptr;
  return thenReads ? &thenBranch : &elseBranch;
}

/// Puts branches that are chosen in the place of their If. Whether there were any:
/// they may hold others.
bool inlineBranches(func::FuncOp func) {
  bool changed = false;
  for (NodeOp node : llvm::make_early_inc_range(func.getOps<NodeOp>())) {
    Region *branch = chooseBranch(node);
    if (!branch)
      continue;
    auto yield = cast<YieldOp>(branch->front().getTerminator());
    if (yield.getNumOperands() != node.getNumResults())
      continue;
    SmallVector<Value> results(yield.getOperands());
    yield->erase();
    node->getBlock()->getOperations().splice(node->getIterator(), branch->front().getOperations());
    node->replaceAllUsesWith(results);
    node->erase();
    changed = true;
  }
  return changed;
}

/// Drops an input that decided which branch to take and has no use now.
void dropUnusedConditions(func::FuncOp func) {
  for (unsigned i = func.getNumArguments(); i-- > 0;) {
    BlockArgument argument = func.getArgument(i);
    auto type = dyn_cast<ShapedType>(argument.getType());
    if (argument.use_empty() && type && type.getElementType().isInteger(1) && type.hasRank() &&
        type.getRank() <= 1)
      (void)func.eraseArgument(i);
  }
}

Decomposition findDecomposition(NodeOp node) {
  for (auto find : {findNormDecomposition, findRotaryDecomposition, findAttentionDecomposition,
                    findLinearDecomposition})
    if (Decomposition decomposition = find(node))
      return decomposition;
  return nullptr;
}

/// In program order, so that the shapes of a node's operands, which are made of
/// primitive nodes by then, can be asked for.
void decomposeNodes(func::FuncOp func) {
  Evaluator evaluator(shapeOptions());
  llvm::Expected<GraphInputs> inputs = GraphInputs::find(func);
  if (inputs) {
    inputs->bind(evaluator, {2, 3, 5});
  } else {
    // Small graphs of tests, and reports of qopt-raise-onnx, need no inputs' roles.
    llvm::consumeError(inputs.takeError());
    for (BlockArgument argument : func.getArguments()) {
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      if (!type)
        continue;
      Shape shape(type.getShape());
      for (int64_t &dim : shape)
        dim = ShapedType::isDynamic(dim) ? 3 : dim;
      if (isPlausible(shape))
        evaluator.bind(argument, makeUnknown(type.getElementType(), shape));
    }
  }
  ShapeOracle shapeOf(evaluator);
  for (NodeOp node : llvm::make_early_inc_range(func.getOps<NodeOp>())) {
    Decomposition decompose = findDecomposition(node);
    if (!decompose || node.getNumResults() == 0)
      continue;
    OpBuilder builder(node);
    GraphBuilder graph(builder, node.getLoc());
    std::optional<SmallVector<Value>> results = decompose(node, graph, shapeOf);
    if (!results)
      continue;
    results->resize(node.getNumResults()); // null for those that are not known
    bool replaceable = true;
    for (auto [old, value] : llvm::zip_equal(node.getResults(), *results))
      replaceable &= value || old.use_empty();
    if (!replaceable)
      continue;
    for (auto [old, value] : llvm::zip_equal(node.getResults(), *results))
      if (value)
        old.replaceAllUsesWith(value);
    node->erase();
  }
}

struct NormalizeONNX : public qopt::impl::NormalizeONNXBase<NormalizeONNX> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    populateCanonicalizePatterns(patterns);
    FrozenRewritePatternSet frozen(std::move(patterns));
    for (func::FuncOp func : getOperation().getOps<func::FuncOp>()) {
      if (func.isDeclaration())
        continue;
      while (inlineBranches(func)) {
      }
      dropUnusedConditions(func);
      decomposeNodes(func);
      // Constants aside nothing is merged: an initializer's name is its meaning.
      if (failed(applyPatternsGreedily(func, frozen)))
        return signalPassFailure();
      func.setFunctionType(FunctionType::get(&getContext(), func.getArgumentTypes(),
                                             func.front().getTerminator()->getOperandTypes()));
    }
  }
};

} // namespace
