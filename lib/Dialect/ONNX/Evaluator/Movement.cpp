//===- Movement.cpp - Operators that move and make elements ---------------===//
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

SmallVector<int64_t> stridesOf(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;)
    strides[i - 1] = strides[i] * shape[i];
  return strides;
}

/// Calls `body` with the coordinates of each element of `shape`, in order.
void forEachElement(ArrayRef<int64_t> shape, llvm::function_ref<void(ArrayRef<int64_t>)> body) {
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

Outputs reshaped(const TensorPtr &input, ArrayRef<int64_t> shape) {
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
    else
      known *= dim;
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
  if (x.weight && rank == 2 && perm[0] == 1 && x.weightRowOffset == 0 &&
      x.shape[0] == (x.weightTransposed ? x.weight->rowSize() : x.weight->rows())) {
    Tensor y = x;
    y.shape = shape;
    y.weightTransposed = !x.weightTransposed;
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
  if (llvm::Expected<int64_t> count = elementCount(*shape); !count)
    return count.takeError();
  if (!inputs[0]->known())
    return single(makeUnknown(inputs[0]->type, *shape));
  return single(gatherFlat(*inputs[0], *shape, broadcastIndices(inputs[0]->shape, *shape)));
}

Outputs tile(NodeOp, Inputs inputs) {
  const Tensor &x = *inputs[0];
  if (!inputs[1]->known() || static_cast<int64_t>(inputs[1]->ints.size()) != x.rank())
    return invalid("has repeats that don't fit rank {0}", x.rank());
  Shape shape;
  for (auto [dim, times] : llvm::zip_equal(x.shape, inputs[1]->ints)) {
    if (times < 0 || times > (int64_t(1) << 31))
      return invalid("repeats an axis {0} times", times);
    shape.push_back(dim * times);
  }
  if (llvm::Expected<int64_t> count = elementCount(shape); !count)
    return count.takeError();
  if (!x.known())
    return single(makeUnknown(x.type, shape));
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
  if (llvm::Expected<int64_t> count = elementCount(shape); !count)
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

/// Rows of a weight's first axis, read one by one.
Outputs gatherWeightRows(const Tensor &table, const Tensor &indices, ArrayRef<int64_t> shape) {
  int64_t width = table.weight->rowSize();
  std::vector<float> row(width);
  Tensor y = makeReals(table.type, shape, {});
  for (int64_t index : indices.ints) {
    int64_t at = index < 0 ? index + table.shape[0] : index;
    if (llvm::Error error = table.weight->readRows(table.weightRowOffset + at, 1, row.data()))
      return error;
    y.reals.insert(y.reals.end(), row.begin(), row.end());
  }
  return single(std::move(y));
}

Outputs gather(NodeOp node, Inputs inputs) {
  const Tensor &x = *inputs[0], &where = *inputs[1];
  llvm::Expected<int64_t> axis = normalizeAxis(node.getInt("axis", 0), x.rank());
  if (!axis)
    return axis.takeError();
  Shape shape(x.shape.begin(), x.shape.begin() + *axis);
  shape.append(where.shape);
  shape.append(x.shape.begin() + *axis + 1, x.shape.end());
  if (!where.known())
    return single(makeUnknown(x.type, shape));
  if (where.isReal())
    return invalid("has indices that are not integers");
  int64_t extent = x.shape[*axis];
  for (int64_t index : where.ints)
    if (index < -extent || index >= extent)
      return invalid("gathers element {0} of {1}", index, extent);
  if (!x.known())
    return single(makeUnknown(x.type, shape));
  if (llvm::Expected<int64_t> count = elementCount(shape); !count)
    return count.takeError();
  if (x.weight && *axis == 0 && !x.weightTransposed)
    return gatherWeightRows(x, where, shape);
  llvm::Expected<TensorPtr> values = materialize(inputs[0]);
  if (!values)
    return values.takeError();
  int64_t inner = stridesOf(x.shape)[*axis];
  int64_t outer = 1;
  for (int64_t i = 0; i < *axis; ++i)
    outer *= x.shape[i];
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < outer; ++i)
    for (int64_t index : where.ints)
      for (int64_t j = 0; j < inner; ++j)
        indices.push_back((i * extent + (index < 0 ? index + extent : index)) * inner + j);
  return single(gatherFlat(**values, shape, indices));
}

Outputs gatherND(NodeOp node, Inputs inputs) {
  const Tensor &x = *inputs[0], &where = *inputs[1];
  int64_t batch = node.getInt("batch_dims", 0);
  if (where.rank() == 0 || batch < 0 || batch >= where.rank() || batch >= x.rank())
    return invalid("has {0} batch dimensions for ranks {1} and {2}", batch, x.rank(), where.rank());
  int64_t depth = where.shape.back();
  if (depth < 1 || batch + depth > x.rank())
    return invalid("gathers by {0} coordinates from rank {1}", depth, x.rank());
  for (int64_t i = 0; i < batch; ++i)
    if (where.shape[i] != x.shape[i])
      return invalid("has batch dimensions {0} and {1}", shapeText(x.shape), shapeText(where.shape));
  Shape shape(where.shape.begin(), where.shape.end() - 1);
  shape.append(x.shape.begin() + batch + depth, x.shape.end());
  if (!x.known() || !where.known())
    return single(makeUnknown(x.type, shape));
  if (where.isReal())
    return invalid("has indices that are not integers");
  SmallVector<int64_t> strides = stridesOf(x.shape);
  int64_t inner = strides[batch + depth - 1];
  std::vector<int64_t> indices;
  size_t next = 0;
  llvm::Error failure = llvm::Error::success();
  forEachElement(ArrayRef(where.shape).drop_back(), [&](ArrayRef<int64_t> at) {
    int64_t base = 0;
    for (int64_t i = 0; i < batch; ++i)
      base += at[i] * strides[i];
    for (int64_t i = 0; i < depth; ++i) {
      int64_t index = where.ints[next++], extent = x.shape[batch + i];
      if ((index < -extent || index >= extent) && !failure) {
        failure = invalid("gathers element {0} of {1}", index, extent);
        index = 0;
      }
      base += (index < 0 ? index + extent : index) * strides[batch + i];
    }
    for (int64_t j = 0; j < inner; ++j)
      indices.push_back(base + j);
  });
  if (failure)
    return std::move(failure);
  return single(gatherFlat(x, shape, indices));
}

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
  return single(
      makeInts(IntegerType::get(node.getContext(), 64), {}, {inputs[0]->size()}));
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
  for (const TensorPtr &input : inputs)
    if (!input->known() || input->size() != 1 || input->isReal())
      return invalid("has bounds that are no known integers");
  int64_t start = inputs[0]->ints[0], limit = inputs[1]->ints[0], delta = inputs[2]->ints[0];
  constexpr int64_t most = int64_t(1) << 31;
  if (delta == 0 || std::max({std::abs(start), std::abs(limit), std::abs(delta)}) > most)
    return invalid("ranges from {0} to {1} by {2}", start, limit, delta);
  std::vector<int64_t> values;
  for (int64_t i = start; delta > 0 ? i < limit : i > limit; i += delta)
    values.push_back(i);
  int64_t count = values.size();
  return single(makeInts(inputs[0]->type, {count}, std::move(values)));
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
    for (auto value : values.getAsRange<FloatAttr>())
      reals.push_back(value.getValueAsDouble());
    int64_t count = reals.size();
    return single(makeReals(f32, {count}, std::move(reals)));
  }
  return invalid("has no value of a supported kind");
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
      .Case("Gather", gather)
      .Case("GatherND", gatherND)
      .Case("Shape", shapeOf)
      .Case("Size", sizeOf)
      .Case("ConstantOfShape", constantOfShape)
      .Case("Range", range)
      .Case("Trilu", trilu)
      .Case("Constant", constant)
      .Default(nullptr);
}
