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

/// Whether there may be any number of operands.
static bool isVariadic(NodeOp node) {
  return node.is("Concat") || node.is("Max") || node.is("Min");
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
  if (inputs.size() > required && !hasOptionalInputs(node) && !isVariadic(node))
    return failure(invalid("has {0} operands, expected {1}", inputs.size(), required));
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
  for (Tensor &output : *outputs) {
    if (!isPlausible(output.shape))
      return failure(invalid("has a result of shape {0}", shapeText(output.shape)));
    if (auto type = dyn_cast<IntegerType>(output.type); type && type.getWidth() < 64)
      for (int64_t &value : output.ints)
        value = wrapTo(type, value);
  }
  return outputs;
}

Outputs onnx_graph::evaluateShapes(NodeOp node, Inputs inputs) {
  SmallVector<TensorPtr> operands(inputs);
  if (node.is("Range") && inputs.size() == 3 && llvm::all_of(inputs, std::identity())) {
    llvm::Expected<int64_t> count = rangeCount(inputs);
    if (count)
      return single(makeUnknown(inputs[0]->type, *count));
    llvm::consumeError(count.takeError());
    return evaluateNode(node, inputs); // fails alike, and names the node
  }
  if (node.is("ConstantOfShape") && !inputs.empty() && inputs[0] && inputs[0]->known() &&
      !inputs[0]->isReal() && isPlausible(inputs[0]->ints)) {
    Type i64 = IntegerType::get(node.getContext(), 64);
    operands[0] = std::make_shared<Tensor>(makeInts(i64, {1}, {1}));
    Outputs element = evaluateNode(node, operands);
    if (!element)
      return element.takeError();
    return single(makeUnknown(element->front().type, inputs[0]->ints));
  }
  // Other shapes don't follow from the first operand's values.
  if (!operands.empty() && operands[0])
    operands[0] = std::make_shared<Tensor>(makeUnknown(inputs[0]->type, inputs[0]->shape));
  return evaluateNode(node, operands);
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

Outputs Evaluator::evaluateRounded(NodeOp node, Inputs inputs) const {
  Outputs outputs = evaluateNode(node, inputs);
  if (outputs && options.round)
    for (Tensor &y : *outputs)
      for (double &value : y.reals)
        value = roundTo(y.type, value);
  return outputs;
}

Outputs Evaluator::evaluateKept(NodeOp node, Inputs inputs) const {
  if (options.maxElements == INT64_MAX)
    return evaluateRounded(node, inputs);
  Outputs shapes = evaluateShapes(node, inputs);
  if (!shapes)
    return shapes.takeError();
  if (llvm::all_of(*shapes, [&](Tensor &y) { return y.size() <= options.maxElements; }))
    return evaluateRounded(node, inputs);
  for (Tensor &y : *shapes)
    y = makeUnknown(y.type, y.shape);
  return shapes;
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
  Outputs outputs = evaluateKept(node, inputs);
  if (!outputs)
    return outputs.takeError();
  for (auto [result, tensor] : llvm::zip(node.getOutputs(), *outputs)) {
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

/// What an error calls a value.
static std::string describe(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return "graph input " + std::to_string(argument.getArgNumber());
  if (auto initializer = value.getDefiningOp<InitializerOp>())
    return "initializer '" + initializer.getName().str() + "'";
  auto node = value.getDefiningOp<NodeOp>();
  return node ? "node '" + node.getNodeName() + "' (" + printable(node.getFullName()) + ")"
              : std::string("an operand");
}

static llvm::Expected<Tensor> firstOf(Outputs outputs) {
  if (!outputs)
    return outputs.takeError();
  return std::move(outputs->front());
}

llvm::Expected<Tensor> Evaluator::sample(Value value, ArrayRef<int64_t> indices, unsigned depth) {
  llvm::Expected<TensorPtr> tensor = evaluate(value);
  if (!tensor)
    return tensor.takeError();
  Shape flat{static_cast<int64_t>(indices.size())};
  if ((*tensor)->known()) {
    llvm::Expected<TensorPtr> values = materialize(*tensor);
    if (!values)
      return values.takeError();
    return gatherFlat(**values, flat, indices);
  }
  auto node = value.getDefiningOp<NodeOp>();
  if (!node || depth == 0)
    return invalid("{0} has elements that are not known", describe(value));
  if (node.is("ConstantOfShape")) { // as many of its element
    Type i64 = IntegerType::get(node.getContext(), 64);
    return firstOf(
        evaluateRounded(node, std::make_shared<const Tensor>(makeInts(i64, {1}, {flat.front()}))));
  }
  if (node.is("Reshape") || node.is("Flatten") || node.is("Squeeze") || node.is("Unsqueeze"))
    return sample(node.getInput(0), indices, depth - 1);
  // An Expand moves elements as an elementwise operator broadcasts its operand.
  bool isElementwise = findElementwiseKernel(node);
  if (!isElementwise && !node.is("Expand"))
    return invalid("{0} has elements that are not known", describe(value));
  SmallVector<TensorPtr> operands;
  for (Value operand : node.getInputs().take_front(isElementwise ? node.getInputs().size() : 1)) {
    llvm::Expected<TensorPtr> whole = evaluate(operand);
    if (!whole)
      return whole.takeError();
    if (node.is("CastLike") && !operands.empty()) { // only the type matters
      operands.push_back(std::make_shared<Tensor>(makeUnknown((*whole)->type, flat)));
      continue;
    }
    llvm::Expected<Tensor> sampled =
        sample(operand, broadcastIndices((*whole)->shape, (*tensor)->shape, indices), depth - 1);
    if (!sampled)
      return sampled.takeError();
    operands.push_back(std::make_shared<Tensor>(std::move(*sampled)));
  }
  if (!isElementwise)
    return *operands.front();
  return firstOf(evaluateRounded(node, operands));
}
