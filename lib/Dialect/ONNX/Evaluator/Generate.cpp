//===- Generate.cpp - Tensors from shapes and attributes ------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace qopt::onnx_graph;

namespace {

Outputs shapeOf(NodeOp node, Inputs inputs) {
  int64_t rank = inputs[0]->rank();
  auto bound = [&](int64_t value) {
    return std::clamp<int64_t>(value < 0 ? value + rank : value, 0, rank);
  };
  int64_t start = bound(node.getInt("start", 0)), end = bound(node.getInt("end", rank));
  std::vector<int64_t> dims;
  for (int64_t i = start; i < end; ++i)
    dims.push_back(inputs[0]->shape[i]);
  int64_t count = dims.size();
  return single(makeInts(IntegerType::get(node.getContext(), 64), {count}, std::move(dims)));
}

Outputs sizeOf(NodeOp node, Inputs inputs) {
  return single(makeInts(IntegerType::get(node.getContext(), 64), {}, {inputs[0]->size()}));
}

Outputs constantOfShape(NodeOp node, Inputs inputs) {
  if (!inputs[0]->known() || inputs[0]->isReal())
    return invalid("has a shape that does not follow from the shapes of the inputs");
  Tensor element = makeReals(Float32Type::get(node.getContext()), {1}, {0.0});
  if (auto value = dyn_cast_or_null<ElementsAttr>(node.getAttribute("value"))) {
    llvm::Expected<Tensor> given = fromElements(value);
    if (!given)
      return given.takeError();
    if (given->size() != 1)
      return invalid("has a value of {0} elements", given->size());
    element = *given;
  }
  ArrayRef<int64_t> shape = inputs[0]->ints;
  llvm::Expected<int64_t> count = elementCount(shape);
  if (!count)
    return count.takeError();
  return single(gatherFlat(element, shape, std::vector<int64_t>(*count, 0)));
}

Outputs range(NodeOp, Inputs inputs) {
  llvm::Expected<int64_t> count = rangeCount(inputs);
  if (!count)
    return count.takeError();
  std::vector<int64_t> values(*count);
  for (int64_t i = 0; i < *count; ++i)
    values[i] = inputs[0]->ints[0] + i * inputs[2]->ints[0];
  return single(makeInts(inputs[0]->type, {*count}, std::move(values)));
}

Outputs trilu(NodeOp node, Inputs inputs) {
  const Tensor &x = *inputs[0];
  if (x.rank() < 2)
    return invalid("has an operand of rank {0}", x.rank());
  auto diagonal = integersOf(node, inputs, 1, "k");
  if (!diagonal)
    return diagonal.takeError();
  int64_t k = *diagonal && !(*diagonal)->empty() ? (*diagonal)->front() : 0;
  if (!x.known())
    return single(makeUnknown(x.type, x.shape));
  Tensor y = x;
  bool upper = node.getInt("upper", 1) != 0;
  int64_t rows = x.shape[x.rank() - 2], columns = x.shape.back();
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t offset = i % columns - i / columns % rows;
    if (upper ? offset >= k : offset <= k)
      continue;
    if (y.isReal())
      y.reals[i] = 0.0;
    else
      y.ints[i] = 0;
  }
  return single(std::move(y));
}

Outputs constant(NodeOp node, Inputs) {
  MLIRContext *context = node.getContext();
  Type i64 = IntegerType::get(context, 64), f32 = Float32Type::get(context);
  if (auto value = dyn_cast_or_null<ElementsAttr>(node.getAttribute("value"))) {
    llvm::Expected<Tensor> tensor = fromElements(value);
    if (!tensor)
      return tensor.takeError();
    return single(std::move(*tensor));
  }
  if (auto value = dyn_cast_or_null<IntegerAttr>(node.getAttribute("value_int")))
    return single(makeInts(i64, {}, {value.getInt()}));
  if (auto value = dyn_cast_or_null<FloatAttr>(node.getAttribute("value_float")))
    return single(makeReals(f32, {}, {value.getValueAsDouble()}));
  if (auto values = node.getInts("value_ints"))
    return single(makeInts(i64, {static_cast<int64_t>(values->size())},
                           std::vector<int64_t>(values->begin(), values->end())));
  if (auto values = dyn_cast_or_null<ArrayAttr>(node.getAttribute("value_floats"))) {
    std::vector<double> reals;
    for (Attribute value : values) {
      auto real = dyn_cast<FloatAttr>(value);
      if (!real)
        return invalid("has value_floats that are no floats");
      reals.push_back(real.getValueAsDouble());
    }
    int64_t count = reals.size();
    return single(makeReals(f32, {count}, std::move(reals)));
  }
  return invalid("has no value of a supported kind");
}

} // namespace

llvm::Expected<int64_t> qopt::onnx_graph::rangeCount(Inputs bounds) {
  for (const TensorPtr &bound : bounds)
    if (!bound->known() || bound->isReal() || bound->size() != 1)
      return invalid("has bounds that are no known integers");
  int64_t start = bounds[0]->ints[0], limit = bounds[1]->ints[0], delta = bounds[2]->ints[0];
  constexpr int64_t most = int64_t(1) << 31;
  auto tooFar = [](int64_t value) { return value < -most || value > most; };
  if (delta == 0 || tooFar(start) || tooFar(limit) || tooFar(delta))
    return invalid("ranges from {0} to {1} by {2}", start, limit, delta);
  int64_t span = delta > 0 ? limit - start : start - limit;
  int64_t stride = delta > 0 ? delta : -delta;
  return elementCount({span <= 0 ? 0 : (span - 1) / stride + 1});
}

Kernel qopt::onnx_graph::findGenerateKernel(NodeOp node) {
  if (node.getDomain())
    return nullptr;
  return llvm::StringSwitch<Kernel>(node.getOpType())
      .Case("Shape", shapeOf)
      .Case("Size", sizeOf)
      .Case("ConstantOfShape", constantOfShape)
      .Case("Range", range)
      .Case("Trilu", trilu)
      .Case("Constant", constant)
      .Default(nullptr);
}
