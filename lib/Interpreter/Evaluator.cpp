//===- Evaluator.cpp - One run of @forward --------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluator.h"
#include "qopt/Dialect/QOpt/IR/PlainTypes.h"
#include "qopt/Quantization/Activations.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::interpreter;

using llvm::Expected;

llvm::Error interpreter::error(const Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

std::string interpreter::printShape(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (auto [index, dim] : llvm::enumerate(shape))
    text += (index ? ", " : "") + (ShapedType::isDynamic(dim) ? "?" : std::to_string(dim));
  return text + "]";
}

int64_t interpreter::product(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  return count;
}

int64_t Tensor::rows() const { return product(ArrayRef<int64_t>(array.shape).drop_back()); }

Element interpreter::elementOf(Value value) {
  Type type = cast<RankedTensorType>(value.getType()).getElementType();
  if (type.isF16())
    return Element::f16;
  if (type.isBF16())
    return Element::bf16;
  return type.isF32() ? Element::f32 : Element::other;
}

static QuantizedType quantizedOf(Value value) {
  return dyn_cast<QuantizedType>(cast<RankedTensorType>(value.getType()).getElementType());
}

/// The element that a result is rounded to: before it is quantized, that of
/// the input.
static Element roundingOf(Value result, Value input) {
  return elementOf(quantizedOf(result) ? input : result);
}

static llvm::Error checkShape(Value value, const Array &array) {
  auto type = cast<RankedTensorType>(value.getType());
  bool fits = array.shape.size() == type.getShape().size() &&
              static_cast<int64_t>(array.values.size()) == product(array.shape);
  for (auto [expected, found] : llvm::zip(type.getShape(), array.shape))
    fits &= found >= 0 && (ShapedType::isDynamic(expected) || expected == found);
  if (fits)
    return llvm::Error::success();
  return error("shape " + printShape(array.shape) + " with " + Twine(array.values.size()) +
               " values, expected " + printShape(type.getShape()));
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

template <typename Real> llvm::Error Evaluator<Real>::bind(Value argument, Array array) {
  if (llvm::Error failed = checkShape(argument, array))
    return error("argument " + Twine(cast<BlockArgument>(argument).getArgNumber()) + " has " +
                 llvm::toString(std::move(failed)));
  if (Element element = elementOf(argument); element != Element::other) // integers stay exact
    for (double &value : array.values)
      value = roundTo<Real>(element, value);
  values[argument] = std::make_shared<Tensor>(Tensor{std::move(array), {}});
  return llvm::Error::success();
}

template <typename Real> Expected<const Tensor *> Evaluator<Real>::get(Value value) {
  if (auto found = values.find(value); found != values.end())
    return found->second.get();
  auto op = value.getDefiningOp<WeightOp>();
  if (!op)
    return error("an operand is neither computed nor a qopt.weight");
  auto type = cast<RankedTensorType>(op.getType());
  Expected<std::shared_ptr<const WeightRows>> rows = weights.read(op, 0, type.getDimSize(0));
  if (!rows)
    return rows.takeError();
  auto tensor = std::make_shared<Tensor>();
  tensor->array.shape.assign(type.getShape().begin(), type.getShape().end());
  tensor->array.values.resize(type.getNumElements());
  for (int64_t row = 0; row < type.getDimSize(0); ++row)
    (*rows)->template decode<Real>(row, tensor->array.values.data() + row * (*rows)->columns);
  return (values[value] = tensor).get();
}

template <typename Real>
Expected<std::pair<const Tensor *, const Tensor *>> Evaluator<Real>::getPair(Value a, Value b) {
  Expected<const Tensor *> first = get(a);
  if (!first)
    return first.takeError();
  Expected<const Tensor *> second = get(b);
  if (!second)
    return second.takeError();
  if ((*first)->array.shape != (*second)->array.shape)
    return error("operands have shapes " + printShape((*first)->array.shape) + " and " +
                 printShape((*second)->array.shape) + ", expected the same");
  return std::make_pair(*first, *second);
}

template <typename Real> llvm::Error Evaluator<Real>::set(Value result, Array array) {
  if (llvm::Error failed = checkShape(result, array))
    return error("result has " + llvm::toString(std::move(failed)));
  auto tensor = std::make_shared<Tensor>(Tensor{std::move(array), {}});
  values[result] = tensor;
  QuantizedType type = quantizedOf(result);
  if (!type)
    return llvm::Error::success();
  Storage storage = schemeOf(type).storage;
  int64_t columns = tensor->columns();
  std::vector<float> row(columns);
  std::vector<uint8_t> codes(columns);
  for (int64_t t = 0; t < tensor->rows(); ++t) {
    double *x = tensor->array.values.data() + t * columns;
    std::copy_n(x, columns, row.begin());
    tensor->scales.push_back(quantizeToken(storage, row.data(), columns, codes.data()));
    for (int64_t k = 0; k < columns; ++k)
      x[k] = codeValue(storage, codes[k]);
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Row-wise operations
//===----------------------------------------------------------------------===//

template <typename Real> llvm::Error Evaluator<Real>::visit(EmbeddingOp op) {
  Expected<const Tensor *> tokens = get(op.getTokens());
  if (!tokens)
    return tokens.takeError();
  auto table = op.getTable().getDefiningOp<WeightOp>();
  if (!table)
    return error("table is not a qopt.weight");
  auto type = cast<RankedTensorType>(table.getType());
  int64_t vocabulary = type.getDimSize(0), columns = type.getDimSize(1);
  Array y;
  y.shape = (*tokens)->array.shape;
  y.shape.push_back(columns);
  y.values.reserve(product(y.shape));
  std::vector<double> row(columns);
  for (double token : (*tokens)->array.values) {
    if (!(token >= 0 && token < vocabulary))
      return error("token " + llvm::formatv("{0:F0}", token).str() +
                   " is outside of the vocabulary of " + Twine(vocabulary));
    Expected<std::shared_ptr<const WeightRows>> rows =
        weights.read(table, static_cast<int64_t>(token), 1);
    if (!rows)
      return rows.takeError();
    (*rows)->template decode<Real>(0, row.data());
    for (double value : row)
      y.values.push_back(roundTo<Real>(elementOf(op.getResult()), value));
  }
  return set(op.getResult(), std::move(y));
}

template <typename Real> llvm::Error Evaluator<Real>::visit(RMSNormOp op) {
  Expected<const Tensor *> x = get(op.getInput());
  if (!x)
    return x.takeError();
  Expected<const Tensor *> weight = get(op.getWeight());
  if (!weight)
    return weight.takeError();
  int64_t columns = (*x)->columns();
  if (columns != (*weight)->columns())
    return error("rows have " + Twine(columns) + " elements, expected " +
                 Twine((*weight)->columns()));
  Array y = like((*x)->array);
  for (int64_t t = 0; t < (*x)->rows(); ++t)
    rmsNorm<Real>((*x)->array.values.data() + t * columns, (*weight)->array.values.data(),
                  op.getEps().convertToDouble(), columns, elementOf(op.getInput()),
                  y.values.data() + t * columns);
  return set(op.getResult(), std::move(y));
}

template <typename Real> llvm::Error Evaluator<Real>::visit(SiluMulOp op) {
  auto operands = getPair(op.getGate(), op.getUp());
  if (!operands)
    return operands.takeError();
  const Array &gate = operands->first->array, &up = operands->second->array;
  Array y = like(gate);
  for (size_t i = 0; i < y.values.size(); ++i)
    y.values[i] =
        siluMul<Real>(gate.values[i], up.values[i], roundingOf(op.getResult(), op.getGate()));
  return set(op.getResult(), std::move(y));
}

template <typename Real> llvm::Error Evaluator<Real>::visit(AddOp op) {
  auto operands = getPair(op.getLhs(), op.getRhs());
  if (!operands)
    return operands.takeError();
  const Array &lhs = operands->first->array, &rhs = operands->second->array;
  Array y = like(lhs);
  for (size_t i = 0; i < y.values.size(); ++i)
    y.values[i] = roundTo<Real>(elementOf(op.getResult()), static_cast<Real>(lhs.values[i]) +
                                                               static_cast<Real>(rhs.values[i]));
  return set(op.getResult(), std::move(y));
}

template <typename Real> llvm::Error Evaluator<Real>::visit(SliceOp op) {
  Expected<const Tensor *> x = get(op.getInput());
  if (!x)
    return x.takeError();
  int64_t columns = (*x)->columns(), offset = op.getOffset();
  int64_t size = cast<RankedTensorType>(op.getType()).getShape().back();
  if (size < 0 || offset > columns - size)
    return error("columns [" + Twine(offset) + ", " + Twine(offset) + " + " + Twine(size) +
                 ") are outside of the input's " + Twine(columns));
  Array y;
  y.shape = (*x)->array.shape;
  y.shape.back() = size;
  for (int64_t t = 0; t < (*x)->rows(); ++t) {
    auto first = (*x)->array.values.begin() + t * columns + offset;
    y.values.insert(y.values.end(), first, first + size);
  }
  return set(op.getResult(), std::move(y));
}

template <typename Real> llvm::Error Evaluator<Real>::visit(QuantizeOp op) {
  Expected<const Tensor *> x = get(op.getInput());
  if (!x)
    return x.takeError();
  return set(op.getResult(), (*x)->array);
}

template <typename Real> llvm::Error Evaluator<Real>::visit(DequantizeOp op) {
  Expected<const Tensor *> x = get(op.getInput());
  if (!x)
    return x.takeError();
  Array y = (*x)->array;
  for (size_t i = 0; i < y.values.size(); ++i) {
    Real value = static_cast<Real>(y.values[i]);
    if (!(*x)->scales.empty()) // a weight was decoded when it was read
      value = static_cast<Real>((*x)->scales[i / (*x)->columns()]) * value;
    y.values[i] = roundTo<Real>(elementOf(op.getResult()), value);
  }
  return set(op.getResult(), std::move(y));
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

template <typename Real> Expected<Array> Evaluator<Real>::multiply(const Tensor &x, Value weight) {
  auto op = weight.getDefiningOp<WeightOp>();
  if (!op)
    return error("weight is not a qopt.weight");
  auto type = cast<RankedTensorType>(op.getType());
  int64_t outputs = type.getDimSize(0), columns = type.getDimSize(1);
  if (x.columns() != columns)
    return error("input has " + Twine(x.columns()) + " columns, expected " + Twine(columns));
  Array y;
  y.shape = x.array.shape;
  y.shape.back() = outputs;
  y.values.resize(product(y.shape));
  std::vector<double> w(columns);
  constexpr int64_t chunk = 256; // rows that are decoded at a time
  for (int64_t first = 0; first < outputs; first += chunk) {
    int64_t count = std::min(chunk, outputs - first);
    Expected<std::shared_ptr<const WeightRows>> rows = weights.read(op, first, count);
    if (!rows)
      return rows.takeError();
    bool byCodes = !x.scales.empty();
    if (byCodes && !(*rows)->isPerChannel())
      return error("quantized input needs a weight quantized per_channel");
    for (int64_t n = 0; n < count; ++n) {
      if (byCodes)
        (*rows)->decodeCodes(n, w.data());
      else
        (*rows)->template decode<double>(n, w.data());
      for (int64_t t = 0; t < x.rows(); ++t) {
        Real sum = static_cast<Real>(dot(x.array.values.data() + t * columns, w.data(), columns));
        if (byCodes)
          sum = sum * static_cast<Real>(x.scales[t]) * static_cast<Real>((*rows)->channelScale(n));
        y.values[t * outputs + first + n] = sum;
      }
    }
  }
  return y;
}

template <typename Real> llvm::Error Evaluator<Real>::visit(LinearOp op) {
  Expected<const Tensor *> x = get(op.getInput());
  if (!x)
    return x.takeError();
  Expected<Array> y = multiply(**x, op.getWeight());
  if (!y)
    return y.takeError();
  const Tensor *addends[2] = {nullptr, nullptr};
  for (auto [addend, value] : llvm::zip(addends, ValueRange{op.getBias(), op.getResidual()})) {
    if (!value)
      continue;
    Expected<const Tensor *> tensor = get(value);
    if (!tensor)
      return tensor.takeError();
    addend = *tensor;
  }
  auto [bias, residual] = addends;
  if (residual && residual->array.shape != y->shape)
    return error("residual has shape " + printShape(residual->array.shape) + ", expected " +
                 printShape(y->shape));
  for (size_t i = 0; i < y->values.size(); ++i) {
    Real sum = static_cast<Real>(y->values[i]);
    if (bias)
      sum = sum + static_cast<Real>(bias->array.values[i % y->shape.back()]);
    if (residual)
      sum = sum + static_cast<Real>(residual->array.values[i]);
    y->values[i] = roundTo<Real>(elementOf(op.getResult()), sum);
  }
  return set(op.getResult(), std::move(*y));
}

template <typename Real> llvm::Error Evaluator<Real>::visit(LogitsOp op) {
  Expected<const Tensor *> x = get(op.getInput());
  if (!x)
    return x.takeError();
  Tensor picked;
  if (op.getBatch()) {
    int64_t columns = (*x)->columns();
    picked.array.shape = {static_cast<int64_t>(step->logitRows.size()), columns};
    for (int64_t row : step->logitRows) {
      auto first = (*x)->array.values.begin() + row * columns;
      picked.array.values.insert(picked.array.values.end(), first, first + columns);
      if (!(*x)->scales.empty())
        picked.scales.push_back((*x)->scales[row]);
    }
  }
  Expected<Array> y = multiply(op.getBatch() ? picked : **x, op.getWeight());
  if (!y)
    return y.takeError();
  return set(op.getResult(), std::move(*y));
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

template <typename Real> llvm::Error Evaluator<Real>::evaluate(Operation &op) {
  auto visitOne = [&](auto concrete) { return visit(concrete); };
  return llvm::TypeSwitch<Operation *, llvm::Error>(&op)
      .template Case<WeightOp, EmbeddingOp, RMSNormOp, LinearOp, LogitsOp, RopeOp, AttentionOp,
                     PagedAttentionOp, KVAppendOp, RopeAppendOp, SiluMulOp, AddOp, SliceOp,
                     QuantizeOp, DequantizeOp>(visitOne)
      .Default([](Operation *) { return error("the operation can't be interpreted"); });
}

template <typename Real> Expected<std::vector<Array>> Evaluator<Real>::run(func::FuncOp function) {
  for (Operation &op : function.front().without_terminator()) {
    if (llvm::Error failed = evaluate(op))
      return error("'" + op.getName().getStringRef() + "': " + llvm::toString(std::move(failed)));
    // A value is dropped behind its last use.
    for (Value operand : op.getOperands())
      if (llvm::all_of(operand.getUsers(),
                       [&](Operation *user) { return user == &op || user->isBeforeInBlock(&op); }))
        values.erase(operand);
  }
  std::vector<Array> results;
  for (Value operand : function.front().getTerminator()->getOperands()) {
    Expected<const Tensor *> value = get(operand);
    if (!value)
      return value.takeError();
    results.push_back((*value)->array);
  }
  return results;
}

template class interpreter::Evaluator<float>;
template class interpreter::Evaluator<double>;
