//===- Gather.cpp - Elements by index -------------------------------------===//
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

/// Rows of the first axis of a part of a weight, whose rows are read one by one.
Outputs gatherWeightRows(const Tensor &table, const Tensor &indices, ArrayRef<int64_t> shape) {
  int64_t height = table.shape[0], count = indices.ints.size();
  int64_t width = count == 0 ? 0 : table.size() / std::max<int64_t>(height, 1);
  Tensor y = makeReals(table.type, shape, std::vector<double>(count * width));
  auto rowAt = [&](int64_t i) { return indices.ints[i] + (indices.ints[i] < 0 ? height : 0); };
  if (!table.weightTransposed) {
    std::vector<float> row(table.weight->rowSize());
    for (int64_t i = 0; i < count; ++i) {
      if (llvm::Error error =
              table.weight->readRows(table.weightRowOffset + rowAt(i), 1, row.data()))
        return error;
      std::copy_n(row.begin() + table.weightColumnOffset, width, y.reals.begin() + i * width);
    }
    return single(std::move(y));
  }
  llvm::Error error = forEachWeightRow(table, [&](int64_t column, ArrayRef<float> row) {
    for (int64_t i = 0; i < count; ++i)
      y.reals[i * width + column] = row[rowAt(i)];
  });
  if (error)
    return error;
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
  if (llvm::Expected<int64_t> count = resultCount(shape, inputs); !count)
    return count.takeError();
  if (x.weight && *axis == 0)
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
      return invalid("has batch dimensions {0} and {1}", shapeText(x.shape),
                     shapeText(where.shape));
  Shape shape(where.shape.begin(), where.shape.end() - 1);
  shape.append(x.shape.begin() + batch + depth, x.shape.end());
  if (!x.known() || !where.known())
    return single(makeUnknown(x.type, shape));
  if (where.isReal())
    return invalid("has indices that are not integers");
  if (llvm::Expected<int64_t> count = resultCount(shape, inputs); !count)
    return count.takeError();
  SmallVector<int64_t> strides = stridesOf(x.shape);
  int64_t inner = strides[batch + depth - 1];
  std::vector<int64_t> indices;
  size_t next = 0;
  for (auto [i, index] : llvm::enumerate(where.ints)) {
    int64_t extent = x.shape[batch + i % depth];
    if (index < -extent || index >= extent)
      return invalid("gathers element {0} of {1}", index, extent);
  }
  forEachElement(ArrayRef(where.shape).drop_back(), [&](ArrayRef<int64_t> at) {
    int64_t base = 0;
    for (int64_t i = 0; i < batch; ++i)
      base += at[i] * strides[i];
    for (int64_t i = 0; i < depth; ++i) {
      int64_t index = where.ints[next++];
      base += (index < 0 ? index + x.shape[batch + i] : index) * strides[batch + i];
    }
    for (int64_t j = 0; j < inner; ++j)
      indices.push_back(base + j);
  });
  return single(gatherFlat(x, shape, indices));
}

} // namespace

Kernel qopt::onnx_graph::findGatherKernel(NodeOp node) {
  if (node.getDomain())
    return nullptr;
  return llvm::StringSwitch<Kernel>(node.getOpType())
      .Case("Gather", gather)
      .Case("GatherND", gatherND)
      .Default(nullptr);
}
