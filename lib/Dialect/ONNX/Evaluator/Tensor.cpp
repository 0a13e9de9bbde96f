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

int64_t onnx_graph::wrapTo(IntegerType type, int64_t value) {
  unsigned bits = type.getWidth();
  if (bits == 1)
    return value != 0;
  if (bits >= 64)
    return value;
  uint64_t masked = static_cast<uint64_t>(value) & ((uint64_t(1) << bits) - 1);
  if (!type.isUnsigned() && (masked >> (bits - 1)))
    masked |= ~uint64_t(0) << bits;
  return static_cast<int64_t>(masked);
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

llvm::Error onnx_graph::forEachWeightRow(const Tensor &tensor,
                                         llvm::function_ref<void(int64_t, ArrayRef<float>)> body) {
  const WeightTensor &weight = *tensor.weight;
  int64_t height = tensor.shape[0], width = tensor.size() / std::max<int64_t>(height, 1);
  int64_t first = tensor.weightRowOffset, skipped = tensor.weightColumnOffset;
  if (tensor.weightTransposed) {
    std::swap(height, width);
    std::swap(first, skipped);
  }
  std::vector<float> row(weight.rowSize());
  for (int64_t i = 0; i < height; ++i) {
    if (llvm::Error error = weight.readRows(first + i, 1, row.data()))
      return error;
    body(i, ArrayRef(row).slice(skipped, width));
  }
  return llvm::Error::success();
}

llvm::Expected<TensorPtr> onnx_graph::materialize(TensorPtr tensor) {
  if (!tensor->weight)
    return tensor;
  // The file has as many elements.
  llvm::Expected<int64_t> count = elementCount(tensor->shape, int64_t(1) << 32);
  if (!count)
    return count.takeError();
  Tensor result = makeReals(tensor->type, tensor->shape, std::vector<double>(*count));
  llvm::Error error = forEachWeightRow(*tensor, [&](int64_t i, ArrayRef<float> row) {
    if (tensor->weightTransposed)
      for (auto [j, value] : llvm::enumerate(row))
        result.reals[j * tensor->shape[1] + i] = value;
    else
      llvm::copy(row, result.reals.begin() + i * row.size());
  });
  if (error)
    return error;
  return std::make_shared<Tensor>(std::move(result));
}
