//===- SmolLM2Test.cpp - A real model against recorded continuations ------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "qopt/Frontend/Import.h"
#include "qopt/Interpreter/Interpreter.h"
#include "qopt/Quantization/Metrics.h"
#include "qopt/Transforms/Passes.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include <algorithm>
#include <gtest/gtest.h>

using namespace qopt;

namespace {

std::vector<int64_t> integers(const llvm::json::Value &value) {
  std::vector<int64_t> result;
  for (const llvm::json::Value &item : *value.getAsArray())
    result.push_back(*item.getAsInteger());
  return result;
}

class SmolLM2 : public ::testing::Test {
protected:
  void SetUp() override {
    const char *path = std::getenv("QOPT_TEST_SMOLLM2");
    if (!path)
      GTEST_SKIP() << "QOPT_TEST_SMOLLM2 does not name the model's GGUF file";
    context.loadDialect<QOptDialect, kernel::KernelDialect, mlir::func::FuncDialect>();
    llvm::Expected<ImportedModel> imported = importGGUF(path, context);
    ASSERT_TRUE(bool(imported)) << llvm::toString(imported.takeError());
    model = std::make_unique<ImportedModel>(std::move(*imported));
  }

  /// The logits of one step with the model in a format.
  Array run(const char *format, const RaggedStep &step, bool float64 = false) {
    mlir::OwningOpRef<mlir::ModuleOp> module(model->module->clone());
    mlir::PassManager manager(&context);
    manager.addPass(createPageKV());
    AssignSchemesOptions schemes;
    schemes.format = format;
    manager.addPass(createAssignSchemes(schemes));
    EXPECT_TRUE(mlir::succeeded(manager.run(*module)));
    llvm::Expected<Array> logits = Interpreter(*module, model->weights, {float64}).runStep(step);
    if (logits)
      return std::move(*logits);
    ADD_FAILURE() << llvm::toString(logits.takeError());
    return {};
  }

  mlir::MLIRContext context;
  std::unique_ptr<ImportedModel> model;
};

/// The recorded tokens of test/e2e/reference_generation.py are the largest
/// logits, by the recorded distance to the second.
TEST_F(SmolLM2, greedy_equalsTheReferenceImplementation) {
  auto text = llvm::MemoryBuffer::getFile(QOPT_TEST_DIR "/e2e/smollm2_greedy.json");
  ASSERT_TRUE(bool(text));
  llvm::Expected<llvm::json::Value> json = llvm::json::parse((*text)->getBuffer());
  ASSERT_TRUE(bool(json)) << llvm::toString(json.takeError());
  const llvm::json::Array &prompts = *json->getAsObject()->getArray("prompts");

  // A raw and a chat prompt, in one step.
  constexpr size_t continued = 8;
  RaggedStep step;
  std::vector<int64_t> expected;
  std::vector<double> gaps;
  for (size_t index : {0, 10}) {
    const llvm::json::Object &prompt = *prompts[index].getAsObject();
    std::vector<int64_t> tokens = integers(*prompt.get("prompt_tokens"));
    std::vector<int64_t> answer = integers(*prompt.get("tokens"));
    size_t first = tokens.size() - 1;
    tokens.insert(tokens.end(), answer.begin(), answer.begin() + continued - 1);
    for (size_t position = 0; position < tokens.size(); ++position) {
      if (position >= first) {
        step.logitRows.push_back(step.tokens.size());
        expected.push_back(answer[position - first]);
        gaps.push_back(*(*prompt.getArray("gaps"))[position - first].getAsNumber());
      }
      step.tokens.push_back(tokens[position]);
      step.sequences.push_back(index);
      step.positions.push_back(position);
    }
  }
  Array logits = run("fp32", step);
  ASSERT_EQ(logits.shape.size(), 2u);
  int64_t vocabulary = logits.shape[1];
  for (size_t row = 0; row < expected.size(); ++row) {
    auto begin = logits.values.begin() + row * vocabulary;
    double chosen = begin[expected[row]];
    begin[expected[row]] = -INFINITY;
    double gap = chosen - *std::max_element(begin, begin + vocabulary);
    EXPECT_NEAR(gap, gaps[row], 1e-3) << "row " << row;
  }
}

/// The integers that `keep` takes over stand for the values that fp32 reads.
TEST_F(SmolLM2, keep_holdsTheSameValues) {
  RaggedStep step{{504, 3575, 282}, {0, 0, 0}, {0, 1, 2}, {0, 1, 2}};
  Array kept = run("keep", step, /*float64=*/true), plain = run("fp32", step, /*float64=*/true);
  int64_t stored = 0;
  for (auto forward : model->module->getOps<mlir::func::FuncOp>())
    for (WeightOp weight : forward.getOps<WeightOp>())
      stored += weight.getStored().has_value();
  EXPECT_EQ(stored, 211) << "30 layers of 7, and the embedding";
  ASSERT_EQ(kept.shape, plain.shape);
  ErrorEnergy energy;
  energy.add(plain.values.data(), kept.values.data(), plain.values.size());
  EXPECT_LT(energy.relative(), 1e-6);
}

} // namespace
