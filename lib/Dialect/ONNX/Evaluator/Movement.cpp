//===- Movement.cpp - Operators that move elements ------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace qopt::onnx_graph;

namespace {

Outputs reshaped(const TensorPtr &input, ArrayRef<int64_t> shape) {
  if (!isPlausible(shape))
    return invalid("has a result of shape {0}", shapeText(shape));
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  if (count != input->size())
    return invalid("can't reshape {0} to {1}", shapeText(input->shape), shapeText(shape));
  if (input->weight && ArrayRef<int64_t>(input->shape) != shape) {
    llvm::Expected<TensorPtr> values = materialize(input);
    if (!values)
      return values.takeError();
    Tensor y = **values;
    y.shape = Shape(shape);
    return single(std::move(y));
  }
  Tensor y = *input;
  y.shape = Shape(shape);
  return single(std::move(y));
}

Outputs reshape(NodeOp node, Inputs inputs) {
  if (!inputs[1]->known() || inputs[1]->isReal())
    return invalid("has a shape that does not follow from the shapes of the inputs");
  ArrayRef<int64_t> source = inputs[0]->shape;
  Shape shape(inputs[1]->ints.begin(), inputs[1]->ints.end());
  int64_t known = 1, inferred = -1;
  bool keepZero = node.getInt("allowzero", 0) != 0;
  for (auto [i, dim] : llvm::enumerate(shape)) {
    if (dim == 0 && !keepZero && i < source.size())
      dim = source[i];
    if (dim < -1 || (dim == -1 && inferred >= 0))
      return invalid("can't reshape {0} to {1}", shapeText(source), shapeText(inputs[1]->ints));
    if (dim == -1)
      inferred = i;
    else if (llvm::MulOverflow(known, dim, known))
      return invalid("can't reshape {0} to {1}", shapeText(source), shapeText(inputs[1]->ints));
  }
  if (inferred >= 0)
    shape[inferred] = known == 0 ? 0 : inputs[0]->size() / known;
  return reshaped(inputs[0], shape);
}

Outputs flatten(NodeOp node, Inputs inputs) {
  ArrayRef<int64_t> source = inputs[0]->shape;
  int64_t axis = node.getInt("axis", 1);
  if (axis < 0)
    axis += source.size();
  if (axis < 0 || axis > static_cast<int64_t>(source.size()))
    return invalid("has axis {0} for rank {1}", axis, source.size());
  Shape shape{1, 1};
  for (auto [i, dim] : llvm::enumerate(source))
    shape[static_cast<int64_t>(i) < axis ? 0 : 1] *= dim;
  return reshaped(inputs[0], shape);
}

Outputs squeeze(NodeOp node, Inputs inputs) {
  auto axes = integersOf(node, inputs, 1, "axes");
  if (!axes)
    return axes.takeError();
  ArrayRef<int64_t> source = inputs[0]->shape;
  llvm::SmallDenseSet<int64_t> removed;
  for (size_t i = 0; i < source.size() && !*axes; ++i)
    if (source[i] == 1)
      removed.insert(i);
  if (*axes)
    for (int64_t axis : **axes) {
      llvm::Expected<int64_t> normal = normalizeAxis(axis, source.size());
      if (!normal)
        return normal.takeError();
      if (source[*normal] != 1)
        return invalid("can't squeeze axis {0} of {1}", *normal, shapeText(source));
      removed.insert(*normal);
    }
  Shape shape;
  for (auto [i, dim] : llvm::enumerate(source))
    if (!removed.contains(i))
      shape.push_back(dim);
  return reshaped(inputs[0], shape);
}

Outputs unsqueeze(NodeOp node, Inputs inputs) {
  auto axes = integersOf(node, inputs, 1, "axes");
  if (!axes)
    return axes.takeError();
  if (!*axes)
    return invalid("has no axes");
  ArrayRef<int64_t> source = inputs[0]->shape;
  int64_t rank = source.size() + (*axes)->size();
  Shape shape(rank, -1);
  for (int64_t axis : **axes) {
    llvm::Expected<int64_t> normal = normalizeAxis(axis, rank);
    if (!normal)
      return normal.takeError();
    shape[*normal] = 1;
  }
  size_t next = 0;
  for (int64_t &dim : shape)
    if (dim == -1 && next < source.size())
      dim = source[next++];
  if (llvm::is_contained(shape, -1))
    return invalid("names an axis twice");
  return reshaped(inputs[0], shape);
}

Outputs transpose(NodeOp node, Inputs inputs) {
  const Tensor &x = *inputs[0];
  int64_t rank = x.rank();
  SmallVector<int64_t> perm;
  if (auto given = node.getInts("perm"))
    perm = *given;
  else
    for (int64_t i = rank; i-- > 0;)
      perm.push_back(i);
  SmallVector<int64_t> sorted = perm;
  llvm::sort(sorted);
  for (int64_t i = 0; i < static_cast<int64_t>(sorted.size()); ++i)
    if (sorted[i] != i)
      return invalid("has a perm that is no permutation: {0}", shapeText(perm));
  if (static_cast<int64_t>(perm.size()) != rank)
    return invalid("has a perm of {0} axes for rank {1}", perm.size(), rank);
  Shape shape;
  for (int64_t axis : perm)
    shape.push_back(x.shape[axis]);
  if (!x.known())
    return single(makeUnknown(x.type, shape));
  if (x.weight && rank == 2 && perm[0] == 1) {
    Tensor y = x;
    y.shape = shape;
    y.weightTransposed = !x.weightTransposed;
    std::swap(y.weightRowOffset, y.weightColumnOffset);
    return single(std::move(y));
  }
  llvm::Expected<TensorPtr> values = materialize(inputs[0]);
  if (!values)
    return values.takeError();
  SmallVector<int64_t> strides = stridesOf(x.shape);
  std::vector<int64_t> indices;
  indices.reserve(x.size());
  forEachElement(shape, [&](ArrayRef<int64_t> at) {
    int64_t index = 0;
    for (int64_t i = 0; i < rank; ++i)
      index += at[i] * strides[perm[i]];
    indices.push_back(index);
  });
  return single(gatherFlat(**values, shape, indices));
}

Outputs expand(NodeOp, Inputs inputs) {
  if (!inputs[1]->known() || inputs[1]->isReal())
    return invalid("has a shape that does not follow from the shapes of the inputs");
  llvm::Expected<Shape> shape = broadcastShapes({inputs[0]->shape, inputs[1]->ints});
  if (!shape)
    return shape.takeError();
  if (!inputs[0]->known())
    return single(makeUnknown(inputs[0]->type, *shape));
  if (llvm::Expected<int64_t> count = resultCount(*shape, inputs); !count)
    return count.takeError();
  return single(gatherFlat(*inputs[0], *shape, broadcastIndices(inputs[0]->shape, *shape)));
}

Outputs tile(NodeOp, Inputs inputs) {
  const Tensor &x = *inputs[0];
  if (!inputs[1]->known() || inputs[1]->isReal() ||
      static_cast<int64_t>(inputs[1]->ints.size()) != x.rank())
    return invalid("has repeats that don't fit rank {0}", x.rank());
  Shape shape;
  for (auto [dim, times] : llvm::zip_equal(x.shape, inputs[1]->ints)) {
    int64_t repeated;
    if (times < 0 || llvm::MulOverflow<int64_t>(dim, times, repeated))
      return invalid("repeats an axis {0} times", times);
    shape.push_back(repeated);
  }
  if (!x.known())
    return single(makeUnknown(x.type, shape));
  if (llvm::Expected<int64_t> count = resultCount(shape, inputs); !count)
    return count.takeError();
  SmallVector<int64_t> strides = stridesOf(x.shape);
  std::vector<int64_t> indices;
  forEachElement(shape, [&](ArrayRef<int64_t> at) {
    int64_t index = 0;
    for (int64_t i = 0; i < x.rank(); ++i)
      index += at[i] % x.shape[i] * strides[i];
    indices.push_back(index);
  });
  return single(gatherFlat(x, shape, indices));
}

Outputs concat(NodeOp node, Inputs inputs) {
  const Tensor &first = *inputs[0];
  llvm::Expected<int64_t> axis = normalizeAxis(node.getInt("axis", 0), first.rank());
  if (!axis)
    return axis.takeError();
  Shape shape = first.shape;
  shape[*axis] = 0;
  bool known = true;
  for (const TensorPtr &input : inputs) {
    Shape other = input->shape;
    if (other.size() != shape.size() || input->isReal() != first.isReal())
      return invalid("can't concatenate {0} and {1}", shapeText(first.shape), shapeText(other));
    int64_t extent = other[*axis];
    other[*axis] = shape[*axis];
    if (other != shape)
      return invalid("can't concatenate {0} and {1}", shapeText(first.shape),
                     shapeText(input->shape));
    shape[*axis] += extent;
    known &= input->known();
  }
  if (!known)
    return single(makeUnknown(first.type, shape));
  if (llvm::Expected<int64_t> count = resultCount(shape, inputs); !count)
    return count.takeError();
  Tensor y{first.type, shape, {}, {}};
  int64_t outer = 1, inner = 1;
  for (int64_t i = 0; i < *axis; ++i)
    outer *= shape[i];
  for (size_t i = *axis + 1; i < shape.size(); ++i)
    inner *= shape[i];
  for (int64_t i = 0; i < outer; ++i)
    for (const TensorPtr &input : inputs) {
      int64_t run = input->shape[*axis] * inner;
      if (y.isReal())
        y.reals.insert(y.reals.end(), input->reals.begin() + i * run,
                       input->reals.begin() + (i + 1) * run);
      else
        y.ints.insert(y.ints.end(), input->ints.begin() + i * run,
                      input->ints.begin() + (i + 1) * run);
    }
  return single(std::move(y));
}

/// Elements [start, start + count * step) of one axis, stepping.
Tensor axisRange(const Tensor &x, int64_t axis, int64_t start, int64_t step, int64_t count) {
  Shape shape = x.shape;
  shape[axis] = count;
  if (!x.known())
    return makeUnknown(x.type, shape);
  SmallVector<int64_t> strides = stridesOf(x.shape);
  std::vector<int64_t> indices;
  forEachElement(shape, [&](ArrayRef<int64_t> at) {
    int64_t index = (start + at[axis] * step) * strides[axis];
    for (int64_t i = 0; i < x.rank(); ++i)
      if (i != axis)
        index += at[i] * strides[i];
    indices.push_back(index);
  });
  return gatherFlat(x, shape, indices);
}

Outputs slice(NodeOp node, Inputs inputs) {
  auto starts = integersOf(node, inputs, 1, "starts");
  if (!starts)
    return starts.takeError();
  auto ends = integersOf(node, inputs, 2, "ends");
  if (!ends)
    return ends.takeError();
  auto axes = integersOf(node, inputs, 3, "axes");
  if (!axes)
    return axes.takeError();
  auto steps = integersOf(node, inputs, 4, "steps");
  if (!steps)
    return steps.takeError();
  if (!*starts || !*ends || (*starts)->size() != (*ends)->size() ||
      (*axes && (*axes)->size() != (*starts)->size()) ||
      (*steps && (*steps)->size() != (*starts)->size()))
    return invalid("has starts, ends, axes and steps of different lengths");
  Tensor y = *inputs[0];
  for (size_t i = 0; i < (*starts)->size(); ++i) {
    llvm::Expected<int64_t> axis =
        normalizeAxis(*axes ? (**axes)[i] : static_cast<int64_t>(i), y.rank());
    if (!axis)
      return axis.takeError();
    int64_t step = *steps ? (**steps)[i] : 1, extent = y.shape[*axis];
    if (step == 0 || step == std::numeric_limits<int64_t>::min())
      return invalid("has step {0}", step);
    // Clamp before adding: an end may be INT64_MAX or INT64_MIN.
    auto clamp = [&](int64_t value, int64_t low, int64_t high) {
      if (value < 0)
        value = value < -extent ? low : value + extent;
      return std::clamp(value, low, high);
    };
    int64_t start = clamp((**starts)[i], step > 0 ? 0 : -1, step > 0 ? extent : extent - 1);
    int64_t end = clamp((**ends)[i], step > 0 ? 0 : -1, step > 0 ? extent : extent - 1);
    int64_t span = step > 0 ? end - start : start - end;
    int64_t stride = step > 0 ? step : -step;
    int64_t count = span <= 0 ? 0 : (span - 1) / stride + 1;
    y = axisRange(y, *axis, start, step, count);
  }
  return single(std::move(y));
}

Outputs split(NodeOp node, Inputs inputs) {
  const Tensor &x = *inputs[0];
  llvm::Expected<int64_t> axis = normalizeAxis(node.getInt("axis", 0), x.rank());
  if (!axis)
    return axis.takeError();
  auto sizes = integersOf(node, inputs, 1, "split");
  if (!sizes)
    return sizes.takeError();
  int64_t extent = x.shape[*axis], parts = node.getNumResults();
  if (parts == 0)
    return SmallVector<Tensor>();
  SmallVector<int64_t> lengths;
  if (*sizes)
    lengths = **sizes;
  else
    for (int64_t i = 0, each = (extent + parts - 1) / parts; i < parts; ++i)
      lengths.push_back(std::clamp<int64_t>(extent - i * each, 0, each));
  int64_t total = 0;
  for (int64_t length : lengths) {
    if (length < 0 || length > extent)
      return invalid("splits {0} elements into {1}", extent, shapeText(lengths));
    total += length;
  }
  if (total != extent || static_cast<int64_t>(lengths.size()) != parts)
    return invalid("splits {0} elements into {1}", extent, shapeText(lengths));
  SmallVector<Tensor> outputs;
  int64_t start = 0;
  for (int64_t length : lengths) {
    outputs.push_back(axisRange(x, *axis, start, 1, length));
    start += length;
  }
  return outputs;
}

} // namespace

Kernel qopt::onnx_graph::findMovementKernel(NodeOp node) {
  if (node.getDomain())
    return nullptr;
  return llvm::StringSwitch<Kernel>(node.getOpType())
      .Case("Reshape", reshape)
      .Case("Flatten", flatten)
      .Case("Squeeze", squeeze)
      .Case("Unsqueeze", unsqueeze)
      .Case("Transpose", transpose)
      .Case("Expand", expand)
      .Case("Tile", tile)
      .Case("Concat", concat)
      .Case("Slice", slice)
      .Case("Split", split)
      .Default(nullptr);
}
