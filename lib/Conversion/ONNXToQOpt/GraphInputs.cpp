//===- GraphInputs.cpp - The roles of a graph's inputs --------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GraphInputs.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qopt::onnx_graph;

static StringRef inputName(func::FuncOp func, BlockArgument argument) {
  auto name = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "onnx_graph.name");
  return name ? name.getValue() : StringRef("?");
}

/// Whether the value chooses rows of a table of the model.
static bool looksUpEmbedding(Value value) {
  for (OpOperand &use : value.getUses()) {
    auto node = dyn_cast<NodeOp>(use.getOwner());
    if (!node)
      continue;
    if (node.is("Gather") && use.getOperandNumber() == 1) {
      auto table = node.getInputs()[0].getDefiningOp<InitializerOp>();
      auto type = table ? cast<RankedTensorType>(table.getType()) : RankedTensorType();
      if (type && type.getRank() == 2 && isa<mlir::FloatType>(type.getElementType()))
        return true;
    }
  }
  return false;
}

/// A graph that says how long its sequences are takes no others.
static bool isTokenInput(BlockArgument argument) {
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  return type && type.getRank() == 2 && type.getElementType().isIntOrIndex() && type.isDynamicDim(1);
}

static bool isPastInput(BlockArgument argument) {
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  constexpr int64_t most = 1 << 20; // far beyond any model
  auto isSize = [](int64_t dim) { return dim >= 1 && dim <= most; };
  return type && type.getRank() == 4 && isa<mlir::FloatType>(type.getElementType()) &&
         isSize(type.getDimSize(1)) && isSize(type.getDimSize(3)) && type.isDynamicDim(2);
}

llvm::Expected<GraphInputs> GraphInputs::find(func::FuncOp func) {
  GraphInputs inputs;
  SmallVector<BlockArgument> unnamed;
  for (BlockArgument argument : func.getArguments()) {
    StringRef name = inputName(func, argument);
    if (isPastInput(argument)) {
      inputs.pasts.push_back(argument);
    } else if (!isTokenInput(argument)) {
      std::string type;
      llvm::raw_string_ostream(type) << argument.getType();
      return llvm::createStringError(llvm::formatv(
          "graph input '{0}' has type {1}, expected tokens, mask or positions [batch, sequence] or "
          "a past [batch, KV heads, past, head size], with a dynamic sequence and past",
          name, type));
    } else if (!inputs.mask && name.contains("attention_mask")) {
      inputs.mask = argument;
    } else if (!inputs.positions && name.contains("position_ids")) {
      inputs.positions = argument;
    } else if (!inputs.ids && (name == "input_ids" || looksUpEmbedding(argument))) {
      inputs.ids = argument;
    } else {
      unnamed.push_back(argument);
    }
  }
  if (!inputs.ids)
    return llvm::createStringError(
        "no graph input holds tokens: none is looked up in an embedding table");
  if (!unnamed.empty())
    return llvm::createStringError(
        llvm::formatv("graph input '{0}' has no role, expected input_ids, attention_mask, "
                      "position_ids and past keys and values",
                      inputName(func, unnamed.front())));
  for (BlockArgument past : inputs.pasts)
    if (cast<RankedTensorType>(past.getType()).getDimSize(1) != inputs.kvHeads() ||
        cast<RankedTensorType>(past.getType()).getDimSize(3) != inputs.headSize())
      return llvm::createStringError(llvm::formatv("graph input '{0}' differs in shape from '{1}'",
                                                   inputName(func, past),
                                                   inputName(func, inputs.pasts.front())));
  return inputs;
}

int64_t GraphInputs::pastDim(unsigned axis) const {
  return pasts.empty() ? 0 : cast<RankedTensorType>(pasts.front().getType()).getDimSize(axis);
}

void GraphInputs::bind(Evaluator &evaluator, StepShape step) const {
  if (pasts.empty())
    step.past = 0;
  auto elementType = [](BlockArgument argument) {
    return cast<RankedTensorType>(argument.getType()).getElementType();
  };
  int64_t tokens = step.batch * step.seq, total = step.past + step.seq;
  evaluator.bind(
      ids, makeInts(elementType(ids), {step.batch, step.seq}, std::vector<int64_t>(tokens, 0)));
  if (mask)
    evaluator.bind(mask, makeInts(elementType(mask), {step.batch, total},
                                  std::vector<int64_t>(step.batch * total, 1)));
  if (positions) {
    std::vector<int64_t> values(tokens);
    for (int64_t i = 0; i < tokens; ++i)
      values[i] = step.past + i % step.seq;
    evaluator.bind(positions,
                   makeInts(elementType(positions), {step.batch, step.seq}, std::move(values)));
  }
  for (BlockArgument past : pasts)
    evaluator.bind(past,
                   makeUnknown(elementType(past), {step.batch, kvHeads(), step.past, headSize()}));
}
