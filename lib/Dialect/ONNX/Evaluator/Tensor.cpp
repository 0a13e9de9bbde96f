//===- Tensor.cpp - Host tensors of the evaluator -------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Dialect/ONNX/Evaluator/Tensor.h"
#include "qopt/Support/Float.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx_graph;

int64_t Tensor::size() const {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  return count;
}

bool onnx_graph::isPlausible(ArrayRef<int64_t> shape) {
  constexpr int64_t most = int64_t(1) << 40;
  int64_t product = 1;
  for (int64_t dim : shape) {
    if (dim < 0 || (dim != 0 && product > most / dim))
      return false;
    product *= std::max<int64_t>(dim, 1);
  }
  return shape.size() <= 64;
}

llvm::Expected<int64_t> onnx_graph::elementCount(ArrayRef<int64_t> shape, int64_t most) {
  int64_t count = 1;
  for (int64_t dim : shape) {
    if (dim < 0 || dim > most || (dim != 0 && count > most / dim))
      return llvm::createStringError("a tensor of shape " + shapeText(shape) + " is out of range");
    count *= dim;
  }
  return count;
}

double onnx_graph::roundTo(Type type, double value) {
  if (type.isF32())
    return static_cast<float>(value);
  if (type.isBF16())
    return roundToBf16(static_cast<float>(value));
  if (type.isF16())
    return f16ToFloat(floatToF16(static_cast<float>(value)));
  return value;
}

Tensor onnx_graph::makeUnknown(Type type, ArrayRef<int64_t> shape) {
  Tensor tensor{type, Shape(shape), {}, {}};
  tensor.hasValues = false;
  return tensor;
}

Tensor onnx_graph::makeReals(Type type, ArrayRef<int64_t> shape, std::vector<double> values) {
  return Tensor{type, Shape(shape), std::move(values), {}};
}

Tensor onnx_graph::makeInts(Type type, ArrayRef<int64_t> shape, std::vector<int64_t> values) {
  return Tensor{type, Shape(shape), {}, std::move(values)};
}

llvm::Expected<Tensor> onnx_graph::fromElements(ElementsAttr elements) {
  Type type = elements.getElementType();
  ArrayRef<int64_t> shape = elements.getShapedType().getShape();
  auto dense = dyn_cast<DenseElementsAttr>(elements);
  if (dense && isa<mlir::FloatType>(type)) {
    std::vector<double> values;
    values.reserve(dense.getNumElements());
    for (const APFloat &element : dense.getValues<APFloat>()) {
      APFloat value = element;
      bool losesInfo;
      value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
      values.push_back(value.convertToDouble());
    }
    return makeReals(type, shape, std::move(values));
  }
  if (dense && isa<IntegerType>(type) && type.getIntOrFloatBitWidth() <= 64) {
    bool isUnsigned = type.isUnsignedInteger() || type.isInteger(1);
    std::vector<int64_t> values;
    values.reserve(dense.getNumElements());
    for (const APInt &value : dense.getValues<APInt>())
      values.push_back(isUnsigned ? value.getZExtValue() : value.getSExtValue());
    return makeInts(type, shape, std::move(values));
  }
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return llvm::createStringError("elements of type " + text + " can't be evaluated");
}

DenseElementsAttr onnx_graph::toElements(const Tensor &tensor) {
  auto shaped = RankedTensorType::get(tensor.shape, tensor.type);
  if (auto floatType = dyn_cast<mlir::FloatType>(tensor.type)) {
    SmallVector<APFloat> values;
    for (double real : tensor.reals) {
      APFloat value(real);
      bool losesInfo;
      value.convert(floatType.getFloatSemantics(), APFloat::rmNearestTiesToEven, &losesInfo);
      values.push_back(value);
    }
    return DenseElementsAttr::get(shaped, values);
  }
  SmallVector<APInt> values;
  for (int64_t integer : tensor.ints)
    values.emplace_back(tensor.type.getIntOrFloatBitWidth(), integer, /*isSigned=*/true,
                        /*implicitTrunc=*/true);
  return DenseElementsAttr::get(shaped, values);
}

llvm::Expected<TensorPtr> onnx_graph::materialize(TensorPtr tensor) {
  if (!tensor->weight)
    return tensor;
  const WeightTensor &weight = *tensor->weight;
  // The file has as many elements.
  llvm::Expected<int64_t> count = elementCount(tensor->shape, int64_t(1) << 32);
  if (!count)
    return count.takeError();
  Tensor result = makeReals(tensor->type, tensor->shape, std::vector<double>(*count));
  int64_t rows = weight.rows(), width = weight.rowSize();
  std::vector<float> row(width);
  int64_t first = tensor->weightTransposed ? 0 : tensor->weightRowOffset;
  int64_t end = tensor->weightTransposed ? rows : first + tensor->shape.front();
  int64_t height = tensor->weightTransposed ? tensor->shape.front() : 0;
  for (int64_t i = first; i < end; ++i) {
    if (llvm::Error error = weight.readRows(i, 1, row.data()))
      return error;
    if (!tensor->weightTransposed)
      std::copy(row.begin(), row.end(), result.reals.begin() + (i - first) * width);
    for (int64_t j = 0; j < height; ++j)
      result.reals[j * rows + i] = row[tensor->weightRowOffset + j];
  }
  return std::make_shared<Tensor>(std::move(result));
}
