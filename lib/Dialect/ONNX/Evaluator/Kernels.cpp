//===- Kernels.cpp - What operators on host tensors share -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx_graph;

llvm::Expected<int64_t> onnx_graph::resultCount(ArrayRef<int64_t> shape, Inputs inputs) {
  int64_t most = int64_t(1) << 23;
  for (const TensorPtr &input : inputs)
    if (input && input->known())
      most = std::max(most, input->size());
  return elementCount(shape, most);
}

llvm::Expected<Shape> onnx_graph::broadcastShapes(ArrayRef<ArrayRef<int64_t>> shapes) {
  size_t rank = 0;
  for (ArrayRef<int64_t> shape : shapes)
    rank = std::max(rank, shape.size());
  Shape result(rank, 1);
  for (ArrayRef<int64_t> shape : shapes)
    for (size_t i = 0; i < shape.size(); ++i) {
      int64_t &dim = result[rank - shape.size() + i];
      if (shape[i] < 0 || (shape[i] != 1 && dim != 1 && dim != shape[i]))
        return invalid("can't broadcast {0} and {1}", shapeText(shapes.front()), shapeText(shape));
      dim = dim == 1 ? shape[i] : dim;
    }
  return result;
}

/// Of an operand along the axes of `shape`: 0 along those that it lacks or has once.
static SmallVector<int64_t> broadcastStrides(ArrayRef<int64_t> operand, ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 0);
  int64_t stride = 1;
  for (size_t i = 0; i < operand.size(); ++i) {
    int64_t dim = operand[operand.size() - 1 - i];
    strides[shape.size() - 1 - i] = dim == 1 ? 0 : stride;
    stride *= dim;
  }
  return strides;
}

std::vector<int64_t> onnx_graph::broadcastIndices(ArrayRef<int64_t> operand,
                                                  ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  SmallVector<int64_t> strides = broadcastStrides(operand, shape);
  std::vector<int64_t> indices(count);
  SmallVector<int64_t> at(shape.size(), 0);
  int64_t index = 0;
  for (int64_t i = 0; i < count; ++i) {
    indices[i] = index;
    for (size_t axis = shape.size(); axis-- > 0;) {
      index += strides[axis];
      if (++at[axis] < shape[axis])
        break;
      index -= strides[axis] * shape[axis];
      at[axis] = 0;
    }
  }
  return indices;
}

std::vector<int64_t> onnx_graph::broadcastIndices(ArrayRef<int64_t> operand,
                                                  ArrayRef<int64_t> shape,
                                                  ArrayRef<int64_t> indices) {
  SmallVector<int64_t> strides = broadcastStrides(operand, shape);
  std::vector<int64_t> result;
  result.reserve(indices.size());
  for (int64_t rest : indices) {
    int64_t index = 0;
    for (size_t axis = shape.size(); axis-- > 0; rest /= shape[axis])
      index += rest % shape[axis] * strides[axis];
    result.push_back(index);
  }
  return result;
}

SmallVector<int64_t> onnx_graph::stridesOf(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;)
    strides[i - 1] = strides[i] * shape[i];
  return strides;
}

void onnx_graph::forEachElement(ArrayRef<int64_t> shape,
                                llvm::function_ref<void(ArrayRef<int64_t>)> body) {
  SmallVector<int64_t> at(shape.size(), 0);
  if (llvm::is_contained(shape, 0))
    return;
  while (true) {
    body(at);
    size_t axis = shape.size();
    while (axis > 0 && ++at[axis - 1] == shape[axis - 1])
      at[--axis] = 0;
    if (axis == 0)
      return;
  }
}

Tensor onnx_graph::gatherFlat(const Tensor &input, ArrayRef<int64_t> shape,
                              ArrayRef<int64_t> indices) {
  Tensor y{input.type, Shape(shape), {}, {}};
  y.hasValues = input.hasValues;
  if (!input.known())
    return y;
  if (input.isReal()) {
    y.reals.reserve(indices.size());
    for (int64_t index : indices)
      y.reals.push_back(input.reals[index]);
    return y;
  }
  y.ints.reserve(indices.size());
  for (int64_t index : indices)
    y.ints.push_back(input.ints[index]);
  return y;
}

llvm::Expected<int64_t> onnx_graph::normalizeAxis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return invalid("has axis {0} for rank {1}", axis, rank);
  return axis < 0 ? axis + rank : axis;
}

llvm::Expected<std::optional<SmallVector<int64_t>>>
onnx_graph::integersOf(NodeOp node, Inputs inputs, unsigned index, StringRef name) {
  if (index >= inputs.size() || !inputs[index]) {
    if (auto single = dyn_cast_or_null<IntegerAttr>(node.getAttribute(name)))
      return SmallVector<int64_t>{single.getInt()};
    return node.getInts(name);
  }
  const Tensor &tensor = *inputs[index];
  if (!tensor.known() || tensor.isReal() || tensor.rank() > 1)
    return invalid("has {0} that don't follow from the shapes of the inputs", name);
  return SmallVector<int64_t>(tensor.ints.begin(), tensor.ints.end());
}
