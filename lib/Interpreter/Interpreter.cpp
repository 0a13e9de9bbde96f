//===- Interpreter.cpp - The reference interpreter of qopt ----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Interpreter/Interpreter.h"
#include "Evaluator.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::interpreter;

struct Interpreter::State {
  ModuleOp module;
  InterpreterOptions options;
  WeightReader reader;
  KVCache cache;

  llvm::Expected<func::FuncOp> findForward() {
    auto forward = module.lookupSymbol<func::FuncOp>("forward");
    if (!forward || !llvm::hasSingleElement(forward.getBody()))
      return error("expected a module with a function @forward of one block");
    return forward;
  }

  template <typename Real>
  llvm::Expected<std::vector<Array>> run(func::FuncOp forward, llvm::ArrayRef<Array> arguments,
                                         const RaggedStep *step) {
    Evaluator<Real> evaluator(reader, cache, step);
    for (auto [argument, array] : llvm::zip(forward.getArguments(), arguments))
      if (llvm::Error failed = evaluator.bind(argument, array))
        return failed;
    return evaluator.run(forward);
  }
};

Interpreter::Interpreter(ModuleOp module, const WeightStore &weights, InterpreterOptions options)
    : state(new State{module, options, WeightReader(weights, options.weightCacheBytes), {}}) {}

Interpreter::~Interpreter() = default;

llvm::Expected<std::vector<Array>> Interpreter::runDense(llvm::ArrayRef<Array> arguments) {
  llvm::Expected<func::FuncOp> forward = state->findForward();
  if (!forward)
    return forward.takeError();
  if (!llvm::all_of(forward->getArgumentTypes(), llvm::IsaPred<RankedTensorType>))
    return error("expected a dense @forward, whose arguments are tensors");
  if (arguments.size() != forward->getNumArguments())
    return error("found " + Twine(arguments.size()) + " arguments, expected " +
                 Twine(forward->getNumArguments()));
  return state->options.float64 ? state->run<double>(*forward, arguments, nullptr)
                                : state->run<float>(*forward, arguments, nullptr);
}

static llvm::Error checkStep(const RaggedStep &step) {
  if (step.sequences.size() != step.tokens.size() || step.positions.size() != step.tokens.size())
    return error("step has " + Twine(step.tokens.size()) + " tokens, " +
                 Twine(step.sequences.size()) + " sequences and " + Twine(step.positions.size()) +
                 " positions, expected the same number of each");
  for (int64_t row : step.logitRows)
    if (row < 0 || row >= static_cast<int64_t>(step.tokens.size()))
      return error("logits are wanted of row " + Twine(row) + " of " + Twine(step.tokens.size()));
  return llvm::Error::success();
}

llvm::Expected<Array> Interpreter::runStep(const RaggedStep &step) {
  llvm::Expected<func::FuncOp> forward = state->findForward();
  if (!forward)
    return forward.takeError();
  auto types = forward->getArgumentTypes();
  if (types.size() != 3 || !isa<RankedTensorType>(types[0]) || !isa<BatchType>(types[1]) ||
      !isa<KVCacheType>(types[2]) || forward->getNumResults() != 1)
    return error("expected a ragged @forward of tokens, batch and cache with one result");
  if (llvm::Error failed = checkStep(step))
    return failed;
  Array tokens;
  tokens.shape = {static_cast<int64_t>(step.tokens.size())};
  tokens.values.assign(step.tokens.begin(), step.tokens.end());
  llvm::Expected<std::vector<Array>> results = state->options.float64
                                                   ? state->run<double>(*forward, tokens, &step)
                                                   : state->run<float>(*forward, tokens, &step);
  if (!results)
    return results.takeError();
  return std::move(results->front());
}
