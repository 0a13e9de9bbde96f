//===- MergeLinears.cpp - Linear layers of one input as one ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MergeLinears.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace qopt;

static Type elementType(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}

static bool sameBiases(LinearOp a, LinearOp b) {
  if (!a.getBias() || !b.getBias())
    return !a.getBias() && !b.getBias();
  return elementType(a.getBias()) == elementType(b.getBias());
}

/// The named weights of `values` as one, concatenated along the first dimension;
/// it has the attributes that all of them share.
static Value concatenate(PatternRewriter &rewriter, Location loc, ArrayRef<Value> values) {
  SmallVector<Attribute> sources;
  int64_t rows = 0;
  for (Value value : values) {
    auto weight = value.getDefiningOp<WeightOp>();
    llvm::append_range(sources, weight.getSources());
    rows += cast<RankedTensorType>(weight.getType()).getDimSize(0);
  }
  auto first = values.front().getDefiningOp<WeightOp>();
  auto type = cast<RankedTensorType>(first.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[0] = rows;
  auto merged = WeightOp::create(rewriter, loc, type.clone(shape), rewriter.getArrayAttr(sources),
                                 TypeAttr());
  for (NamedAttribute attribute : first->getAttrs())
    if (!merged->hasAttr(attribute.getName()) && llvm::all_of(values, [&](Value value) {
          return value.getDefiningOp()->getAttr(attribute.getName()) == attribute.getValue();
        }))
      merged->setAttr(attribute.getName(), attribute.getValue());
  return merged;
}

LogicalResult qopt::mergeLinears(PatternRewriter &rewriter, Operation *anchor,
                                 ArrayRef<LinearOp> linears) {
  LinearOp first = linears.front();
  for (LinearOp linear : linears) {
    if (llvm::count(linears, linear) > 1)
      return rewriter.notifyMatchFailure(anchor, "one layer plays two parts");
    if (linear.getInput() != first.getInput())
      return rewriter.notifyMatchFailure(anchor, "layers read different inputs");
    if (linear.getResidual())
      return rewriter.notifyMatchFailure(anchor, "a layer has a residual");
    if (!linear.getWeight().getDefiningOp<WeightOp>())
      return rewriter.notifyMatchFailure(anchor, "a weight has no name");
    if (elementType(linear.getWeight()) != elementType(first.getWeight()) ||
        elementType(linear.getResult()) != elementType(first.getResult()))
      return rewriter.notifyMatchFailure(anchor, "layers have different element types");
    if (!sameBiases(linear, first))
      return rewriter.notifyMatchFailure(anchor, "layers differ in their biases");
    if (linear.getBias() && !linear.getBias().getDefiningOp<WeightOp>())
      return rewriter.notifyMatchFailure(anchor, "a bias has no name");
    if (linear->getBlock() != first->getBlock())
      return rewriter.notifyMatchFailure(anchor, "layers are in different blocks");
    if (linear->isBeforeInBlock(first))
      first = linear;
  }

  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(first);
  SmallVector<Location> locations;
  SmallVector<Value> weights, biases;
  for (LinearOp linear : linears) {
    locations.push_back(linear.getLoc());
    weights.push_back(linear.getWeight());
    if (linear.getBias())
      biases.push_back(linear.getBias());
  }
  Location loc = rewriter.getFusedLoc(locations);
  Value weight = concatenate(rewriter, loc, weights);
  Value bias = biases.empty() ? Value() : concatenate(rewriter, loc, biases);
  auto resultType = cast<RankedTensorType>(first.getType());
  SmallVector<int64_t> shape(resultType.getShape());
  shape.back() = cast<RankedTensorType>(weight.getType()).getDimSize(0);
  Value merged = LinearOp::create(rewriter, loc, resultType.clone(shape), first.getInput(), weight,
                                  bias, Value());
  int64_t offset = 0;
  for (LinearOp linear : linears) {
    Type type = linear.getType();
    Value slice = SliceOp::create(rewriter, linear.getLoc(), type, merged, offset);
    offset += cast<RankedTensorType>(type).getShape().back();
    rewriter.replaceOp(linear, slice);
  }
  return success();
}
