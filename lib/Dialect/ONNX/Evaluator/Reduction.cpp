//===- Reduction.cpp - Operators that sum over elements -------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace qopt::onnx_graph;

namespace {

/// x [M, K] by a matrix [K, N] that is part of a weight, whose rows are read one
/// by one.
llvm::Error multiplyByWeight(const Tensor &x, const Tensor &w, int64_t m, int64_t k, int64_t n,
                             std::vector<double> &y) {
  return forEachWeightRow(w, [&](int64_t r, ArrayRef<float> row) {
    for (int64_t i = 0; i < m; ++i) {
      const double *xs = x.reals.data() + i * k;
      if (w.weightTransposed) {
        double sum = 0.0;
        for (int64_t j = 0; j < k; ++j)
          sum += xs[j] * row[j];
        y[i * n + r] = sum;
      } else {
        for (int64_t j = 0; j < n; ++j)
          y[i * n + j] += xs[r] * row[j];
      }
    }
  });
}

Outputs matmul(NodeOp, Inputs inputs) {
  const Tensor &a = *inputs[0], &b = *inputs[1];
  if (!a.isReal() || !b.isReal() || a.rank() < 1 || b.rank() < 1)
    return invalid("multiplies {0} and {1}, expected floating matrices", shapeText(a.shape),
                   shapeText(b.shape));
  // A vector is a row on the left and a column on the right.
  Shape left = a.shape, right = b.shape;
  if (a.rank() == 1)
    left.insert(left.begin(), 1);
  if (b.rank() == 1)
    right.push_back(1);
  int64_t m = left[left.size() - 2], k = left.back(), n = right.back();
  if (right[right.size() - 2] != k)
    return invalid("multiplies {0} and {1}", shapeText(a.shape), shapeText(b.shape));
  ArrayRef<int64_t> leftBatch = ArrayRef(left).drop_back(2);
  ArrayRef<int64_t> rightBatch = ArrayRef(right).drop_back(2);
  llvm::Expected<Shape> batch = broadcastShapes({leftBatch, rightBatch});
  if (!batch)
    return batch.takeError();
  Shape shape = *batch;
  if (a.rank() > 1)
    shape.push_back(m);
  if (b.rank() > 1)
    shape.push_back(n);
  if (!a.known() || !b.known())
    return single(makeUnknown(a.type, shape));
  llvm::Expected<int64_t> count = resultCount(shape, inputs);
  if (!count)
    return count.takeError();
  constexpr int64_t mostProducts = int64_t(1) << 36; // the logits of a 405B model take half
  if (k != 0 && *count > mostProducts / k)
    return invalid("multiplies {0} and {1}, which takes too long", shapeText(a.shape),
                   shapeText(b.shape));
  Tensor y = makeReals(a.type, shape, std::vector<double>(*count, 0.0));
  llvm::Expected<TensorPtr> x = materialize(inputs[0]);
  if (!x)
    return x.takeError();
  if (b.weight && b.rank() <= 2) {
    int64_t rows = (*x)->size() / std::max<int64_t>(k, 1);
    if (llvm::Error error = multiplyByWeight(**x, b, rows, k, n, y.reals))
      return error;
    return single(std::move(y));
  }
  llvm::Expected<TensorPtr> w = materialize(inputs[1]);
  if (!w)
    return w.takeError();
  std::vector<int64_t> lefts = broadcastIndices(leftBatch, *batch);
  std::vector<int64_t> rights = broadcastIndices(rightBatch, *batch);
  for (size_t g = 0; g < lefts.size(); ++g) {
    const double *xs = (*x)->reals.data() + lefts[g] * m * k;
    const double *ws = (*w)->reals.data() + rights[g] * k * n;
    double *ys = y.reals.data() + g * m * n;
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < k; ++j)
        for (int64_t c = 0; c < n; ++c)
          ys[i * n + c] += xs[i * k + j] * ws[j * n + c];
  }
  return single(std::move(y));
}

/// Where the elements of one axis lie: element (o, i, j) at o * extent * inner +
/// i * inner + j.
struct AxisView {
  int64_t outer = 1, extent = 1, inner = 1;
};

AxisView axisView(ArrayRef<int64_t> shape, int64_t axis) {
  AxisView view;
  for (int64_t i = 0; i < axis; ++i)
    view.outer *= shape[i];
  view.extent = shape[axis];
  for (size_t i = axis + 1; i < shape.size(); ++i)
    view.inner *= shape[i];
  return view;
}

Outputs softmax(NodeOp node, Inputs inputs) {
  const Tensor &x = *inputs[0];
  llvm::Expected<int64_t> axis = normalizeAxis(node.getInt("axis", -1), x.rank());
  if (!axis)
    return axis.takeError();
  if (!x.isReal())
    return invalid("expected a floating operand");
  if (!x.known())
    return single(makeUnknown(x.type, x.shape));
  Tensor y = x;
  AxisView view = axisView(x.shape, *axis);
  for (int64_t o = 0; o < view.outer; ++o)
    for (int64_t j = 0; j < view.inner; ++j) {
      double *row = y.reals.data() + o * view.extent * view.inner + j;
      double most = -INFINITY, sum = 0.0;
      for (int64_t i = 0; i < view.extent; ++i)
        most = std::max(most, row[i * view.inner]);
      for (int64_t i = 0; i < view.extent; ++i)
        sum += row[i * view.inner] = std::exp(row[i * view.inner] - most);
      for (int64_t i = 0; i < view.extent; ++i)
        row[i * view.inner] /= sum;
    }
  return single(std::move(y));
}

double times(double a, double b) { return a * b; }
double plus(double a, double b) { return a + b; }
int64_t times(int64_t a, int64_t b) { return wrapMul(a, b); }
int64_t plus(int64_t a, int64_t b) { return wrapAdd(a, b); }

/// What a reduction of no elements gives.
template <typename T> T emptyReduction(StringRef kind) {
  using Limits = std::numeric_limits<T>;
  if (kind == "ReduceMax")
    return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  if (kind == "ReduceMin")
    return Limits::has_infinity ? Limits::infinity() : Limits::max();
  return kind == "ReduceProd" ? T(1) : T(0);
}

/// `extent` elements of `values` from `first` on, `stride` apart.
template <typename T>
T reduced(StringRef kind, const std::vector<T> &values, int64_t first, int64_t extent,
          int64_t stride) {
  T value = emptyReduction<T>(kind);
  for (int64_t i = 0; i < extent; ++i) {
    T element = values[first + i * stride];
    if (kind == "ReduceMax")
      value = std::max(value, element);
    else if (kind == "ReduceMin")
      value = std::min(value, element);
    else if (kind == "ReduceProd")
      value = times(value, element);
    else
      value = plus(value, element);
  }
  return kind == "ReduceMean" && extent > 0 ? value / static_cast<T>(extent) : value;
}

Outputs reduce(NodeOp node, Inputs inputs) {
  const Tensor &x = *inputs[0];
  auto axes = integersOf(node, inputs, 1, "axes");
  if (!axes)
    return axes.takeError();
  bool keep = node.getInt("keepdims", 1) != 0;
  SmallVector<int64_t> reducedAxes;
  if (*axes && !(*axes)->empty()) {
    for (int64_t axis : **axes) {
      llvm::Expected<int64_t> normal = normalizeAxis(axis, x.rank());
      if (!normal)
        return normal.takeError();
      reducedAxes.push_back(*normal);
    }
  } else if (node.getInt("noop_with_empty_axes", 0) == 0) {
    for (int64_t i = 0; i < x.rank(); ++i)
      reducedAxes.push_back(i);
  }
  Tensor y = x;
  for (int64_t axis : reducedAxes) {
    AxisView view = axisView(y.shape, axis);
    Tensor next{y.type, y.shape, {}, {}};
    next.shape[axis] = 1;
    next.hasValues = y.hasValues;
    for (int64_t o = 0; o < (y.known() ? view.outer : 0); ++o)
      for (int64_t j = 0; j < view.inner; ++j) {
        int64_t at = o * view.extent * view.inner + j;
        if (y.isReal())
          next.reals.push_back(reduced(node.getOpType(), y.reals, at, view.extent, view.inner));
        else
          next.ints.push_back(reduced(node.getOpType(), y.ints, at, view.extent, view.inner));
      }
    y = std::move(next);
  }
  if (!keep) {
    Shape shape;
    for (auto [i, dim] : llvm::enumerate(y.shape))
      if (!llvm::is_contained(reducedAxes, static_cast<int64_t>(i)))
        shape.push_back(dim);
    y.shape = shape;
  }
  return single(std::move(y));
}

Outputs cumSum(NodeOp node, Inputs inputs) {
  const Tensor &x = *inputs[0];
  if (!inputs[1]->known() || inputs[1]->size() != 1 || inputs[1]->isReal())
    return invalid("has an axis that is no known integer");
  llvm::Expected<int64_t> axis = normalizeAxis(inputs[1]->ints[0], x.rank());
  if (!axis)
    return axis.takeError();
  if (node.getInt("exclusive", 0) != 0 || node.getInt("reverse", 0) != 0)
    return invalid("is exclusive or reverse, expected neither");
  Tensor y = x;
  AxisView view = axisView(x.shape, *axis);
  for (int64_t i = 0; i < (x.known() ? x.size() : 0); ++i) {
    if (i / view.inner % view.extent == 0)
      continue;
    if (y.isReal())
      y.reals[i] += y.reals[i - view.inner];
    else
      y.ints[i] = wrapAdd(y.ints[i], y.ints[i - view.inner]);
  }
  return single(std::move(y));
}

} // namespace

Kernel qopt::onnx_graph::findReductionKernel(NodeOp node) {
  if (node.getDomain())
    return nullptr;
  return llvm::StringSwitch<Kernel>(node.getOpType())
      .Case("MatMul", matmul)
      .Case("Softmax", softmax)
      .Cases({"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"}, reduce)
      .Case("CumSum", cumSum)
      .Default(nullptr);
}
