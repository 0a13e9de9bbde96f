//===- ImportCheck.cpp - A graph against the module raised from it --------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ImportCheck.h"
#include "qopt/Dialect/ONNX/Evaluator/Evaluator.h"
#include "qopt/Interpreter/Interpreter.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <random>

using namespace mlir;
using namespace qopt;
using onnx_graph::Evaluator;
using onnx_graph::makeInts;
using onnx_graph::makeReals;
using onnx_graph::TensorPtr;

namespace {

constexpr int64_t batch = 2, seq = 3, padding = 2;

struct Step {
  int64_t past = 0;
  std::vector<int64_t> ids, mask, positions;
  std::vector<std::vector<double>> pasts; ///< as @forward takes them
};

} // namespace

/// Positions count from the first token that is one, or from the first column.
static Step drawStep(const LlamaConfig &config, bool hasPast, bool hasMask, bool countsMask) {
  std::minstd_rand numbers(1);
  Step step;
  step.past = hasPast ? 4 : 0;
  int64_t total = step.past + seq;
  for (int64_t i = 0; i < batch * seq; ++i)
    step.ids.push_back(numbers() % config.vocabSize);
  step.mask.assign(batch * total, 1);
  for (int64_t t = 0; t < (hasMask ? padding : 0); ++t)
    step.mask[total + t] = 0;
  for (int64_t i = 0; i < batch * seq; ++i) {
    int64_t shift = i / seq && hasMask && countsMask ? padding : 0;
    step.positions.push_back(std::max<int64_t>(step.past + i % seq - shift, 0));
  }
  int64_t elements = batch * config.numKVHeads * step.past * config.headDim;
  for (int64_t i = 0; i < 2 * config.numLayers; ++i) {
    std::vector<double> past(elements);
    for (double &value : past) // exact in every type
      value = static_cast<double>(static_cast<int64_t>(numbers() % 256) - 128) / 128.0;
    step.pasts.push_back(std::move(past));
  }
  return step;
}

/// The graph's logits [batch, seq, vocabulary].
static llvm::Expected<TensorPtr> runGraph(func::FuncOp main, ArrayRef<unsigned> pasts,
                                          const WeightStore &initializers,
                                          const LlamaConfig &config, const Step &step) {
  onnx_graph::EvaluatorOptions options;
  options.weights = &initializers;
  options.maxBytes = INT64_MAX; // grows with the layers, whose weights the file has
  Evaluator evaluator(options);
  for (BlockArgument argument : main.getArguments()) {
    StringRef name =
        main.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "onnx_graph.name").getValue();
    auto type = cast<RankedTensorType>(argument.getType());
    Type element = type.getElementType();
    if (type.getRank() == 4)
      continue;
    if (name.contains("attention_mask"))
      evaluator.bind(argument, makeInts(element, {batch, step.past + seq}, step.mask));
    else
      evaluator.bind(argument, makeInts(element, {batch, seq},
                                        name.contains("position_ids") ? step.positions : step.ids));
  }
  llvm::SmallVector<int64_t, 4> shape{batch, config.numKVHeads, step.past, config.headDim};
  for (auto [number, values] : llvm::zip(pasts, step.pasts)) {
    Type element = cast<ShapedType>(main.getArgument(number).getType()).getElementType();
    evaluator.bind(main.getArgument(number), makeReals(element, shape, values));
  }
  for (Value output : main.front().getTerminator()->getOperands()) {
    llvm::Expected<TensorPtr> tensor = evaluator.evaluate(output);
    if (!tensor)
      return tensor.takeError();
    if ((*tensor)->shape == onnx_graph::Shape{batch, seq, config.vocabSize})
      return tensor;
  }
  return llvm::createStringError("the graph has no logits");
}

/// The module's logits.
static llvm::Expected<Array> runModule(const ImportedModel &model, const Step &step) {
  auto numbers = [](const std::vector<int64_t> &values) {
    return std::vector<double>(values.begin(), values.end());
  };
  std::vector<Array> arguments{{{batch, seq}, numbers(step.ids)},
                               {{batch, step.past + seq}, numbers(step.mask)},
                               {{batch, seq}, numbers(step.positions)}};
  for (const std::vector<double> &past : step.pasts)
    arguments.push_back({{batch, model.config.numKVHeads, step.past, model.config.headDim}, past});
  Interpreter interpreter(*model.module, model.weights);
  llvm::Expected<std::vector<Array>> results = interpreter.runDense(arguments);
  if (!results)
    return results.takeError();
  return std::move(results->front());
}

llvm::Expected<double> qopt::checkImport(ModuleOp graph, const RaisedONNX &raised,
                                         const WeightStore &initializers,
                                         const ImportedModel &model) {
  auto main = graph.lookupSymbol<func::FuncOp>("main");
  auto hasInput = [&](StringRef part) {
    for (unsigned i = 0; i < main.getNumArguments(); ++i)
      if (main.getArgAttrOfType<StringAttr>(i, "onnx_graph.name").getValue().contains(part))
        return true;
    return false;
  };
  Step step = drawStep(model.config, !raised.pasts.empty(), hasInput("attention_mask"),
                       hasInput("position_ids") || raised.countsMask);
  llvm::Expected<TensorPtr> expected =
      runGraph(main, raised.pasts, initializers, model.config, step);
  if (!expected)
    return expected.takeError();
  llvm::Expected<Array> found = runModule(model, step);
  if (!found)
    return found.takeError();
  int64_t width = model.config.vocabSize, total = step.past + seq;
  double error = 0.0, norm = 0.0;
  for (int64_t i = 0; i < batch * seq * width; ++i) {
    int64_t row = i / width;
    if (!step.mask[row / seq * total + step.past + row % seq])
      continue; // no token
    double difference = found->values[i] - (*expected)->reals[i];
    error += difference * difference;
    norm += (*expected)->reals[i] * (*expected)->reals[i];
  }
  double relative = std::sqrt(error / norm);
  double bound = model.config.type == qopt::FloatType::f32 ? 1e-4 : 2e-2;
  if (!(relative <= bound))
    return llvm::createStringError(llvm::formatv(
        "the imported module gives other logits than the graph: relative error {0:e2}, expected at "
        "most {1:e0}",
        relative, bound));
  return relative;
}
