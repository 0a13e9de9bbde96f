//===- Evaluator.cpp - Running an ONNX graph on the host ------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Dialect/ONNX/Evaluator/Evaluator.h"
#include "Kernels.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx_graph;

//===----------------------------------------------------------------------===//
// What kernels share
//===----------------------------------------------------------------------===//

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

std::vector<int64_t> onnx_graph::broadcastIndices(ArrayRef<int64_t> operand,
                                                  ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  // The stride is 0 along axes that the operand lacks or has once.
  SmallVector<int64_t> strides(shape.size(), 0);
  int64_t stride = 1;
  for (size_t i = 0; i < operand.size(); ++i) {
    int64_t dim = operand[operand.size() - 1 - i];
    strides[shape.size() - 1 - i] = dim == 1 ? 0 : stride;
    stride *= dim;
  }
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

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

static Kernel findKernel(NodeOp node) {
  for (auto find : {findElementwiseKernel, findMovementKernel, findGatherKernel, findGenerateKernel,
                    findReductionKernel})
    if (Kernel kernel = find(node))
      return kernel;
  return nullptr;
}

/// Operands that every use of the operator has.
static unsigned requiredInputs(NodeOp node) {
  return llvm::StringSwitch<unsigned>(node.getOpType())
      .Case("Constant", 0)
      .Cases({"Where", "Range"}, 3)
      .Cases({"Sub", "Mul", "Add", "Div", "Pow", "Mod"}, 2)
      .Cases({"And", "Or", "Xor", "BitwiseAnd", "BitwiseOr"}, 2)
      .Cases({"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"}, 2)
      .Cases({"Reshape", "Expand", "Tile", "Gather", "GatherND", "MatMul", "CumSum"}, 2)
      .Case("CastLike", 2)
      .Default(1);
}

/// Whether operands after the required ones may be left out.
static bool hasOptionalInputs(NodeOp node) {
  StringRef name = node.getOpType();
  return name == "Slice" || name == "Squeeze" || name == "Unsqueeze" || name == "Split" ||
         name == "Trilu" || name.starts_with("Reduce");
}

bool onnx_graph::isPrimitive(NodeOp node) { return findKernel(node) != nullptr; }

Outputs onnx_graph::evaluateNode(NodeOp node, Inputs inputs) {
  auto failure = [&](llvm::Error error) {
    return llvm::createStringError("node '" + node.getNodeName() + "' (" +
                                   printable(node.getFullName()) + ") " +
                                   llvm::toString(std::move(error)));
  };
  Kernel kernel = findKernel(node);
  if (!kernel)
    return failure(invalid("is not supported"));
  unsigned required = requiredInputs(node);
  for (unsigned i = 0; i < required || (!hasOptionalInputs(node) && i < inputs.size()); ++i)
    if (i >= inputs.size() || !inputs[i])
      return failure(invalid("has no operand {0}", i));
  for (const TensorPtr &input : inputs)
    if (input && !isPlausible(input->shape))
      return failure(invalid("has an operand of shape {0}", shapeText(input->shape)));
  // Few operators can leave a weight where it is.
  SmallVector<TensorPtr> operands(inputs);
  bool takesWeights = node.is("MatMul") || node.is("Gather") || node.is("Transpose") ||
                      node.is("Cast") || node.is("Identity") || node.is("Reshape") ||
                      node.is("Shape");
  for (TensorPtr &operand : operands) {
    if (!operand || takesWeights)
      continue;
    llvm::Expected<TensorPtr> values = materialize(operand);
    if (!values)
      return failure(values.takeError());
    operand = *values;
  }
  Outputs outputs = kernel(node, operands);
  if (!outputs)
    return failure(outputs.takeError());
  if (outputs->size() < node.getNumResults())
    return failure(invalid("has {0} results, expected {1}", node.getNumResults(), outputs->size()));
  for (const Tensor &output : *outputs)
    if (!isPlausible(output.shape))
      return failure(invalid("has a result of shape {0}", shapeText(output.shape)));
  return outputs;
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

static llvm::Expected<Tensor> initializerTensor(InitializerOp op, const WeightStore *weights) {
  auto type = cast<RankedTensorType>(op.getType());
  if (std::optional<ElementsAttr> value = op.getValue())
    return fromElements(*value);
  Tensor tensor = makeUnknown(type.getElementType(), type.getShape());
  if (!isPlausible(type.getShape()))
    return invalid("initializer '{0}' has shape {1}", op.getName(), shapeText(type.getShape()));
  if (!weights)
    return tensor;
  tensor.weight = weights->find(op.getName());
  if (!tensor.weight)
    return invalid("initializer '{0}' has no data", op.getName());
  int64_t offset = op.getRowOffset().value_or(0);
  int64_t available = op.getTransposed() && tensor.weight->shape().size() == 2
                          ? tensor.weight->shape()[1]
                          : tensor.weight->rows();
  int64_t width = op.getTransposed() ? tensor.weight->rows() : tensor.weight->rowSize();
  if (offset > available || type.getDimSize(0) > available - offset ||
      type.getNumElements() != type.getDimSize(0) * width)
    return invalid("initializer '{0}' of shape {1} is no part of {2}", op.getName(),
                   shapeText(type.getShape()), shapeText(tensor.weight->shape()));
  tensor.hasValues = true;
  tensor.weightTransposed = op.getTransposed();
  tensor.weightRowOffset = offset;
  return tensor;
}

llvm::Error Evaluator::evaluateOp(Operation *op) {
  if (auto initializer = dyn_cast<InitializerOp>(op)) {
    llvm::Expected<Tensor> tensor = initializerTensor(initializer, options.weights);
    if (!tensor)
      return tensor.takeError();
    bind(initializer.getResult(), std::move(*tensor));
    return llvm::Error::success();
  }
  auto node = dyn_cast<NodeOp>(op);
  if (!node)
    return invalid("operation '{0}' can't be evaluated", op->getName().getStringRef());
  SmallVector<TensorPtr> inputs;
  for (Value input : node.getInputs())
    inputs.push_back(isa<NoneType>(input.getType()) ? nullptr : values.lookup(input));
  Outputs outputs = evaluateNode(node, inputs);
  if (!outputs)
    return outputs.takeError();
  for (auto [result, tensor] : llvm::zip(node.getOutputs(), *outputs)) {
    if (options.round && tensor.isReal())
      for (double &value : tensor.reals)
        value = roundTo(tensor.type, value);
    bytes += (tensor.reals.size() + tensor.ints.size()) * sizeof(double);
    bind(result, std::move(tensor));
  }
  if (bytes > options.maxBytes)
    return invalid("node '{0}' makes values of more than {1} bytes in all", node.getNodeName(),
                   options.maxBytes);
  return llvm::Error::success();
}

llvm::Expected<TensorPtr> Evaluator::evaluate(Value value) {
  if (isa<NoneType>(value.getType()))
    return invalid("an operand is left out");
  SmallVector<Value> stack{value};
  while (!stack.empty()) {
    Value next = stack.back();
    if (values.contains(next) || isa<NoneType>(next.getType())) {
      stack.pop_back();
      continue;
    }
    Operation *op = next.getDefiningOp();
    if (!op)
      return invalid("graph input {0} has no value here", cast<BlockArgument>(next).getArgNumber());
    size_t before = stack.size();
    for (Value operand : op->getOperands())
      if (!values.contains(operand) && !isa<NoneType>(operand.getType()))
        stack.push_back(operand);
    if (stack.size() > before)
      continue;
    if (llvm::Error error = evaluateOp(op))
      return error;
    stack.pop_back();
  }
  return values.lookup(value);
}
