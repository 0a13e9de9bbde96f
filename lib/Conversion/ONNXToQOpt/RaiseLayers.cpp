//===- RaiseLayers.cpp - Embedding, linear, norm, SiLU and residual -------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Raiser.h"
#include <charconv>

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx_graph;

/// Gather(table, ids)
bool Raiser::raiseEmbedding(NodeOp node) {
  if (peel(node.getInputs()[1]) != inputs.ids)
    return fail(node, "its indices are not the tokens");
  auto table = peel(node.getInputs()[0]).getDefiningOp<InitializerOp>();
  if (!table || node.getInt("axis", 0) != 0)
    return fail(node, "expected rows of an embedding table");
  auto tableType = cast<RankedTensorType>(table.getType());
  if (tableType.getRank() != 2 || table.getRowOffset())
    return fail(node, "expected an embedding table of rank 2");
  WeightView view{
      table, table.getTransposed(), 0, {tableType.getDimSize(0), tableType.getDimSize(1)}};
  Value rows = weight(view, node.getLoc());
  raise(node, 0,
        EmbeddingOp::create(builder, node.getLoc(), rowsBy(view.shape[1]), target.getArgument(0),
                            rows));
  return true;
}

/// MatMul(x, w)
bool Raiser::raiseLinear(NodeOp node) {
  std::optional<WeightView> view = matrixWeight(node.getInputs()[1]);
  if (!view)
    return false; // part of an attention
  Value operand = node.getInputs()[0];
  bool isOpaque = !canonical(operand) && !raiseAttention(operand);
  if (isOpaque)
    raiseOpaque(operand, view->shape[1]);
  Value x = canonical(operand);
  if (widthOf(x) != view->shape[1])
    return fail(node, "its operand is not [batch, sequence, width]");
  Value rows = weight(*view, node.getLoc());
  raise(
      node, 0,
      LinearOp::create(builder, node.getLoc(), rowsBy(view->shape[0]), x, rows, Value(), Value()));
  if (isOpaque && (!operand.getDefiningOp<NodeOp>() || !isData(operand))) // no attention was tried
    return fail(node, "its operand is neither understood nor an attention");
  return true;
}

/// The factors of a product of products, conversions in between left aside.
void Raiser::collectFactors(Value value, SmallVectorImpl<Value> &factors) {
  constexpr size_t most = 8;
  SmallVector<Value> stack{value};
  while (!stack.empty() && factors.size() < most) {
    Value next = stack.pop_back_val();
    auto node = next.getDefiningOp<NodeOp>();
    if (node && !raised.contains(next) && (node.is("Cast") || node.is("CastLike"))) {
      stack.push_back(node.getInput(0));
    } else if (node && !raised.contains(next) && node.is("Mul")) {
      stack.push_back(node.getInput(1));
      stack.push_back(node.getInput(0));
    } else {
      factors.push_back(next);
    }
  }
}

bool Raiser::raiseProduct(NodeOp node) {
  SmallVector<Value> factors;
  collectFactors(node.getResult(0), factors);
  if (factors.size() < 3)
    return false; // part of a product to come
  for (Value factor : factors) {
    auto inner = factor.getDefiningOp<NodeOp>();
    bool isNorm = inner && inner.is("qopt", "Rsqrt");
    if (!isNorm && !(inner && inner.is("Sigmoid")))
      continue;
    if (isNorm ? raiseRMSNorm(node, factors) : raiseSiluMul(node, factors))
      return true;
    if (Shape shape = shapeAt(0, node.getResult(0)); !shape.empty())
      raiseOpaque(node.getResult(0), shape.back());
    return false;
  }
  return false;
}

/// The decimal number that a float32 stands for: 9.99999974e-06 is 1e-05.
static double shortest(double value) {
  char text[32];
  auto end = std::to_chars(text, text + sizeof(text), static_cast<float>(value)).ptr;
  double result = value;
  std::from_chars(text, end, result);
  return result;
}

/// x * rsqrt(mean(x * x) + eps) * weight
bool Raiser::raiseRMSNorm(NodeOp node, ArrayRef<Value> factors) {
  if (factors.size() != 3)
    return fail(node, "expected RMSNorm, x * rsqrt(mean(x * x) + eps) * weight");
  NodeOp inverse;
  std::optional<WeightView> scale;
  Value x;
  for (Value factor : factors) {
    auto inner = factor.getDefiningOp<NodeOp>();
    if (inner && inner.is("qopt", "Rsqrt"))
      inverse = inner;
    else if (Value value = canonical(factor))
      x = value;
    else
      scale = vectorWeight(factor);
  }
  if (!x || !scale)
    return fail(node, "RMSNorm has no weight vector, or a normalised operand that is not "
                      "understood");
  auto sum = inverse.getInput(0).getDefiningOp<NodeOp>();
  if (!sum || !sum.is("Add"))
    return fail(node, "RMSNorm has no epsilon under its root");
  std::optional<double> eps;
  NodeOp mean;
  for (Value addend : sum.getInputs()) {
    if (std::optional<double> constant = constantReal(addend))
      eps = constant;
    else
      mean = addend.getDefiningOp<NodeOp>();
  }
  if (!eps || !mean || !mean.is("ReduceMean") || mean.getInt("keepdims", 1) == 0)
    return fail(node, "RMSNorm has no mean of squares under its root");
  std::optional<SmallVector<int64_t>> axes = mean.getInts("axes");
  if (Value operand = mean.getInput(1)) {
    ElementsAttr elements = constantElements(operand);
    if (elements && elements.getElementType().isInteger(64))
      axes = SmallVector<int64_t>(elements.value_begin<int64_t>(), elements.value_end<int64_t>());
  }
  int64_t rank = shapeAt(0, mean.getInput(0)).size();
  if (!axes || axes->size() != 1 || ((*axes)[0] != -1 && (*axes)[0] != rank - 1))
    return fail(node, "RMSNorm's mean is not over the last axis");
  SmallVector<Value> squares;
  collectFactors(mean.getInput(0), squares);
  if (squares.size() != 2 || canonical(squares[0]) != x || canonical(squares[1]) != x)
    return fail(node, "RMSNorm's mean is not of the operand's squares");
  if (scale->shape[0] != widthOf(x) || shapeAt(0, mean.getInput(0)).back() != widthOf(x))
    return fail(node, "RMSNorm's weight does not have the width of its operand");
  Value vector = weight(*scale, node.getLoc());
  raise(node, 0,
        RMSNormOp::create(builder, node.getLoc(), x.getType(), x, vector,
                          builder.getF64FloatAttr(shortest(*eps))));
  return true;
}

/// gate * sigmoid(gate) * up
bool Raiser::raiseSiluMul(NodeOp node, ArrayRef<Value> factors) {
  if (factors.size() != 3)
    return fail(node, "expected gate * sigmoid(gate) * up");
  Value activated;
  SmallVector<Value, 2> rest;
  for (Value factor : factors) {
    auto inner = factor.getDefiningOp<NodeOp>();
    if (inner && inner.is("Sigmoid") && !raised.contains(factor))
      activated = canonical(inner.getInput(0));
    else
      rest.push_back(canonical(factor));
  }
  if (!activated || rest.size() != 2 || !rest[0] || !rest[1])
    return fail(node, "expected gate * sigmoid(gate) * up of two linear layers");
  if (rest[0] != activated)
    std::swap(rest[0], rest[1]);
  if (rest[0] != activated || rest[0].getType() != rest[1].getType())
    return fail(node, "the sigmoid is not of a factor beside it");
  raise(node, 0, SiluMulOp::create(builder, node.getLoc(), rest[0].getType(), rest[0], rest[1]));
  return true;
}

/// Add(x w, bias)
bool Raiser::raiseBias(NodeOp node, Value sum, Value bias) {
  auto linear = sum.getDefiningOp<LinearOp>();
  std::optional<WeightView> vector = vectorWeight(bias);
  if (!linear || linear.getBias() || !linear->use_empty() || !vector ||
      vector->shape[0] != widthOf(sum))
    return false;
  Value addend = weight(*vector, node.getLoc());
  auto biased = LinearOp::create(builder, node.getLoc(), linear.getType(), linear.getInput(),
                                 linear.getWeight(), addend, Value());
  for (auto &[value, replaced] : raised)
    if (replaced == sum)
      replaced = biased;
  raise(node, 0, biased);
  linear.erase();
  return true;
}

/// Add(x, y), the residual first
bool Raiser::raiseAdd(NodeOp node) {
  Value a = canonical(node.getInputs()[0]), b = canonical(node.getInputs()[1]);
  if (a && !b && raiseBias(node, a, node.getInputs()[1]))
    return true;
  if (b && !a && raiseBias(node, b, node.getInputs()[0]))
    return true;
  if (!a || !b || a.getType() != b.getType())
    return false; // part of a norm or of an attention
  if (a.getDefiningOp<LinearOp>() && !b.getDefiningOp<LinearOp>())
    std::swap(a, b);
  raise(node, 0, AddOp::create(builder, node.getLoc(), a.getType(), a, b));
  return true;
}
