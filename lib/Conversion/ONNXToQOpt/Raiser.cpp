//===- Raiser.cpp - Walking a graph into qopt -----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Raiser.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx_graph;

// Sizes that tell the axes apart: no two are equal within a step, and what is
// equal to a size of the model in one step is not in the other.
static constexpr StepShape probes[] = {{2, 3, 5}, {3, 7, 4}};

Raiser::Raiser(func::FuncOp source, const WeightStore *initializers, RaisedONNX &result)
    : source(source), initializers(initializers), result(result), builder(source.getContext()) {}

bool Raiser::fail(NodeOp node, const llvm::Twine &reason) {
  reasons[node] = reason.str();
  return false;
}

void Raiser::raise(NodeOp node, unsigned index, Value value) {
  raised[node.getResult(index)] = value;
  reasons.erase(node);
}

RankedTensorType Raiser::rowsBy(int64_t width) const {
  return RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic, width}, type);
}

int64_t Raiser::widthOf(Value value) const {
  return cast<RankedTensorType>(value.getType()).getShape().back();
}

std::optional<Shape> Raiser::rowsShape(Value value, StepShape step) {
  int64_t width = widthOf(look(value));
  auto three = [&](StepShape of) { return Shape{of.batch, of.seq, width}; };
  auto flat = [&](StepShape of) { return Shape{of.batch * of.seq, width}; };
  Shape shape = shapeAt(0, value);
  if (shape == three(probes[0]))
    return three(step);
  if (shape == flat(probes[0]))
    return flat(step);
  return std::nullopt;
}

/// What the error says about operators that a decomposition or another export
/// would bring within reach.
static std::string nearestForm(NodeOp node) {
  StringRef name = node.getOpType();
  if (name == "GroupQueryAttention" || name == "PagedAttention")
    return "expected attention of ai.onnx or of primitive operators";
  if (name == "Attention")
    return "expected no softcap, no window and no lengths of its own";
  if (name.contains("RotaryEmbedding"))
    return "expected the whole head rotated, halves against each other";
  if (name.contains("uantizeLinear") || name.contains("MatMulNBits") ||
      name.contains("MatMulInteger"))
    return "expected weights in float32, float16 or bfloat16";
  if (name.contains("Gelu") || name == "Relu" || name == "LeakyRelu" || name == "HardSwish")
    return "expected SiLU, x * sigmoid(x)";
  if (name == "Gemm" || name == "FusedMatMul")
    return "expected x w or x w + b, x as it is and no factors";
  if (name == "LayerNormalization" || name.contains("SkipLayerNormalization"))
    return "expected RMSNorm";
  if (name == "If" || name == "Loop" || name == "Scan")
    return "expected no control flow, or an If on use_cache_branch";
  return "expected an operator of a Llama model";
}

LogicalResult Raiser::checkOperators() {
  bool supported = true;
  source.walk([&](NodeOp node) {
    if (isPrimitive(node))
      return;
    node.emitError() << "operator " << printable(node.getFullName()) << " of node '"
                     << node.getNodeName() << "' is not supported: " << nearestForm(node);
    supported = false;
  });
  return success(supported);
}

LogicalResult Raiser::checkShapes() {
  for (StepShape step : probes) {
    if (inputs.pasts.empty())
      step.past = 0;
    Evaluator evaluator(shapeOptions());
    inputs.bind(evaluator, step);
    for (Operation &op : source.front().without_terminator())
      for (Value value : op.getResults()) {
        llvm::Expected<TensorPtr> tensor = evaluator.evaluate(value);
        if (!tensor)
          return op.emitError() << "the graph does not take " << step.batch << " rows of "
                                << step.seq << " tokens after a past of " << step.past << ": "
                                << llvm::toString(tensor.takeError())
                                << "; expected a graph exported for any batch and length";
      }
    steps.push_back(std::move(evaluator));
  }
  return success();
}

void Raiser::findData() {
  data.insert(inputs.pasts.begin(), inputs.pasts.end());
  for (NodeOp node : source.getOps<NodeOp>()) {
    if (node.is("Shape") || node.is("Size"))
      continue;
    bool isEmbedding = node.is("Gather") && peel(node.getInputs()[1]) == inputs.ids &&
                       peel(node.getInputs()[0]).getDefiningOp<InitializerOp>();
    // A CastLike takes only the type of its second operand.
    auto operands = node.getInputs().take_front(node.is("CastLike") ? 1 : node.getInputs().size());
    if (isEmbedding || llvm::any_of(operands, [&](Value x) { return isData(x); }))
      data.insert(node.getResults().begin(), node.getResults().end());
  }
}

LogicalResult Raiser::prepare() {
  llvm::Expected<GraphInputs> found = GraphInputs::find(source);
  if (!found)
    return source.emitError() << llvm::toString(found.takeError());
  inputs = *found;
  if (failed(checkOperators()) || failed(checkShapes()))
    return failure();
  findData();
  for (NodeOp node : source.getOps<NodeOp>())
    if (node.is("Gather") && isData(node.getResult(0)))
      if (auto table = peel(node.getInputs()[0]).getDefiningOp<InitializerOp>()) {
        type = dyn_cast<mlir::FloatType>(cast<ShapedType>(table.getType()).getElementType());
        break;
      }
  if (!type || !(type.isF32() || type.isF16() || type.isBF16()))
    return source.emitError("the graph has no embedding table of float32, float16 or bfloat16");

  auto tokens =
      RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic}, builder.getI64Type());
  builder.setInsertionPoint(source);
  target = func::FuncOp::create(builder, source.getLoc(), "forward",
                                builder.getFunctionType({tokens, tokens, tokens}, {}));
  builder.setInsertionPointToEnd(target.addEntryBlock());
  return success();
}

void Raiser::visit(NodeOp node) {
  if (node.getNumResults() == 0 || !isData(node.getResult(0)) || raised.contains(node.getResult(0)))
    return;
  if (node.is("Gather"))
    raiseEmbedding(node);
  else if (node.is("MatMul"))
    raiseLinear(node);
  else if (node.is("Mul"))
    raiseProduct(node);
  else if (node.is("Add"))
    raiseAdd(node);
}

void Raiser::raiseOpaque(Value value, int64_t width) {
  Operation *op = value.getDefiningOp();
  raised[value] = UnrealizedConversionCastOp::create(builder, op ? op->getLoc() : source.getLoc(),
                                                     rowsBy(width), ValueRange())
                      .getResult(0);
}

LogicalResult Raiser::reportUnraised() {
  for (NodeOp node : source.getOps<NodeOp>())
    if (reasons.contains(node))
      node.emitError() << "node '" << node.getNodeName() << "' (" << printable(node.getFullName())
                       << ") is not understood: " << reasons.lookup(node);
  return success(reasons.empty());
}

/// The graph's presents as they were raised; sets `logits` to the one other output.
std::optional<SmallVector<Value>> Raiser::findOutputs(Value &logits) {
  auto terminator = cast<func::ReturnOp>(source.front().getTerminator());
  SmallVector<Value> others, found;
  for (Value output : terminator.getOperands()) {
    Value value = canonical(output);
    if (value && value.getDefiningOp<LinearOp>() && !logits)
      logits = value;
    else
      others.push_back(output);
  }
  if (!logits) {
    source.emitError("no output of the graph is the logits, a linear layer's result");
    return std::nullopt;
  }
  for (Value output : others) {
    if (!presents.contains(output)) {
      source.emitError("an output of the graph is neither logits nor present keys or values");
      return std::nullopt;
    }
    found.push_back(presents.lookup(output));
  }
  return found;
}

/// Names arguments and results as every frontend does.
void Raiser::setSignature(ArrayRef<Value> results) {
  auto named = [&](const Twine &name) {
    return builder.getDictionaryAttr(
        builder.getNamedAttr("qopt.name", builder.getStringAttr(name)));
  };
  SmallVector<DictionaryAttr> inputAttrs{named("input_ids"), named("attention_mask"),
                                         named("position_ids")};
  SmallVector<DictionaryAttr> resultAttrs{named("logits")};
  for (size_t i = 0; i < layers.size(); ++i)
    for (StringRef kind : {"key", "value"}) {
      inputAttrs.push_back(named("past_key_values." + Twine(i) + "." + kind));
      resultAttrs.push_back(named("present." + Twine(i) + "." + kind));
    }
  target.setFunctionType(
      builder.getFunctionType(target.front().getArgumentTypes(), ValueRange(results).getTypes()));
  target.setAllArgAttrs(inputAttrs);
  target.setAllResultAttrs(resultAttrs);
}

LogicalResult Raiser::finish() {
  if (failed(reportUnraised()))
    return failure();
  Value product;
  std::optional<SmallVector<Value>> graphPresents = findOutputs(product);
  if (!graphPresents)
    return failure();
  auto head = product.getDefiningOp<LinearOp>();
  if (head.getBias())
    return head.emitError("the logits have a bias, expected none");
  auto logitsType = RankedTensorType::get(
      {ShapedType::kDynamic, ShapedType::kDynamic, widthOf(product)}, builder.getF32Type());
  SmallVector<Value> results{LogitsOp::create(builder, head.getLoc(), logitsType, head.getInput(),
                                              head.getWeight(), Value())};
  for (AttentionOp layer : layers)
    for (Value present : {layer.getPresentKey(), layer.getPresentValue()}) {
      if (!graphPresents->empty() && !llvm::is_contained(*graphPresents, present))
        return layer.emitError("a present key or value is no output of the graph");
      results.push_back(present);
    }
  if (!head->use_empty())
    return head.emitError("the logits are an operand of another layer");
  head.erase();
  if (failed(nameWeights(results.front())))
    return failure();
  func::ReturnOp::create(builder, source.getLoc(), results);
  setSignature(results);
  return success();
}

LogicalResult Raiser::run() {
  if (failed(prepare()))
    return failure();
  for (NodeOp node : source.getOps<NodeOp>())
    visit(node);
  if (failed(finish())) {
    target.erase();
    return failure();
  }
  source.erase();
  return success();
}
