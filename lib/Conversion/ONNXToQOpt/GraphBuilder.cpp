//===- GraphBuilder.cpp - Making nodes, reading constants -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GraphBuilder.h"

using namespace mlir;
using namespace qopt::onnx_graph;

ElementsAttr qopt::onnx_graph::constantElements(Value value) {
  if (auto initializer = value.getDefiningOp<InitializerOp>())
    return initializer.getValue().value_or(ElementsAttr());
  auto node = value.getDefiningOp<NodeOp>();
  if (!node || !node.is("Constant"))
    return {};
  return dyn_cast_or_null<ElementsAttr>(node.getAttribute("value"));
}

std::optional<double> qopt::onnx_graph::constantReal(Value value) {
  ElementsAttr elements = constantElements(value);
  if (!elements || elements.getNumElements() != 1 ||
      !isa<mlir::FloatType>(elements.getElementType()))
    return std::nullopt;
  llvm::Expected<Tensor> tensor = fromElements(elements);
  if (!tensor) {
    llvm::consumeError(tensor.takeError());
    return std::nullopt;
  }
  return tensor->reals.front();
}
