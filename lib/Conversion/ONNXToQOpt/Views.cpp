//===- Views.cpp - What a value is a view of ------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Raiser.h"
#include "llvm/Support/FormatVariadic.h"
#include <numeric>

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx_graph;

/// Operators that move or convert the elements of their first operand.
static bool isView(NodeOp node) {
  return node.is("Reshape") || node.is("Squeeze") || node.is("Unsqueeze") || node.is("Flatten") ||
         node.is("Transpose") || node.is("Cast") || node.is("CastLike") || node.is("Identity") ||
         node.is("Expand") || node.is("Slice");
}

Value Raiser::peel(Value value) const {
  while (!raised.contains(value)) {
    auto node = value.getDefiningOp<NodeOp>();
    if (!node || !isView(node) || !node.getInput(0))
      break;
    value = node.getInput(0);
  }
  return value;
}

Shape Raiser::shapeAt(unsigned step, Value value) {
  // checkShapes has evaluated every value for both steps.
  llvm::Expected<TensorPtr> tensor = steps[step].evaluate(value);
  if (!tensor) {
    llvm::consumeError(tensor.takeError());
    return {};
  }
  return (*tensor)->shape;
}

bool Raiser::keepsOrder(Value root, Value value) {
  SmallVector<NodeOp> chain;
  for (Value at = value; at != root; at = chain.back().getInput(0))
    chain.push_back(at.getDefiningOp<NodeOp>());
  bool moves = llvm::any_of(chain, [](NodeOp node) {
    return !node.is("Cast") && !node.is("CastLike") && !node.is("Identity");
  });
  for (unsigned step = 0; step < (moves ? steps.size() : 0); ++step) {
    Tensor first = makeReals(builder.getF64Type(), shapeAt(step, root), {});
    llvm::Expected<int64_t> count = elementCount(first.shape);
    if (!count) {
      llvm::consumeError(count.takeError());
      return false;
    }
    first.reals.resize(*count);
    std::iota(first.reals.begin(), first.reals.end(), 0.0);
    std::vector<double> numbers = first.reals;
    for (NodeOp node : llvm::reverse(chain)) {
      SmallVector<TensorPtr> operands{std::make_shared<Tensor>(std::move(first))};
      for (Value operand : node.getInputs().drop_front())
        operands.push_back(isa<NoneType>(operand.getType())
                               ? nullptr
                               : llvm::cantFail(steps[step].evaluate(operand)));
      auto moved = evaluateNode(node, operands);
      if (!moved) {
        llvm::consumeError(moved.takeError());
        return false;
      }
      first = std::move(moved->front());
    }
    if (first.reals != numbers)
      return false;
  }
  return true;
}

Value Raiser::canonical(Value value) {
  Value root = peel(value);
  Value found = raised.lookup(root);
  return found && keepsOrder(root, value) ? found : Value();
}

std::optional<WeightView> Raiser::vectorWeight(Value value) {
  Value root = peel(value);
  auto initializer = root.getDefiningOp<InitializerOp>();
  if (!initializer || initializer.getTransposed() || initializer.getRowOffset())
    return std::nullopt;
  auto type = cast<RankedTensorType>(initializer.getType());
  Shape shape = shapeAt(0, value);
  // Along the last axis: [N], or [1, 1, N] as it is used.
  if (type.getRank() != 1 || type.getDimSize(0) < 2 ||
      !isa<mlir::FloatType>(type.getElementType()) || shape.empty() ||
      shape.back() != type.getDimSize(0) || !keepsOrder(root, value))
    return std::nullopt;
  return WeightView{initializer, false, 0, {type.getDimSize(0)}};
}

/// The right operand of a product, [K, N], as rows [N, K].
std::optional<WeightView> Raiser::matrixWeight(Value value) {
  bool swapped = false;
  while (auto node = value.getDefiningOp<NodeOp>()) {
    auto perm = node.getInts("perm");
    if (node.is("Transpose") && (!perm || *perm == SmallVector<int64_t>{1, 0}))
      swapped = !swapped;
    else if (!node.is("Cast") && !node.is("CastLike"))
      return std::nullopt;
    value = node.getInput(0);
  }
  auto initializer = value.getDefiningOp<InitializerOp>();
  if (!initializer)
    return std::nullopt;
  auto type = cast<RankedTensorType>(initializer.getType());
  if (type.getRank() != 2 || !isa<mlir::FloatType>(type.getElementType()))
    return std::nullopt;
  if (swapped) // the initializer is [N, K]
    return WeightView{initializer,
                      initializer.getTransposed(),
                      static_cast<int64_t>(initializer.getRowOffset().value_or(0)),
                      {type.getDimSize(0), type.getDimSize(1)}};
  if (initializer.getRowOffset())
    return std::nullopt;
  return WeightView{
      initializer, !initializer.getTransposed(), 0, {type.getDimSize(1), type.getDimSize(0)}};
}

Value Raiser::weight(WeightView view, Location loc) {
  // A name that says the view stands for the canonical one until roles are known.
  std::string symbol =
      llvm::formatv("{0}:{1}:{2}:{3}", view.initializer.getName(), view.transposed ? "t" : "n",
                    view.rowOffset, view.shape.front());
  views[symbol] = view;
  ArrayAttr sources = builder.getArrayAttr(FlatSymbolRefAttr::get(builder.getContext(), symbol));
  return WeightOp::create(builder, loc, RankedTensorType::get(view.shape, type), sources,
                          TypeAttr());
}
