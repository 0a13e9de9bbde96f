//===- RandomTest.cpp - Weights from a counter ---------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TestFiles.h"
#include "qopt/Frontend/Import.h"
#include "qopt/Frontend/Random/RandomTensor.h"
#include "qopt/Frontend/Random/ReadyConfigs.h"
#include "qopt/Support/Float.h"

using namespace qopt;
using namespace qopt::test;

namespace {

TEST(Random, anyRowsEqualTheWhole) {
  RandomTensor tensor("t", {40, 33}, 1, 0.0f, 0.02f);
  std::vector<float> whole(40 * 33), part(5 * 33);
  expectOk(tensor.readRows(0, 40, whole.data()));
  expectOk(tensor.readRows(17, 5, part.data()));
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 17 * 33));
}

// The same on every machine: artifacts of random models are reproducible.
TEST(Random, goldenValues) {
  RandomTensor tensor("model.norm.weight", {4}, 1, 0.0f, 0.02f);
  std::vector<float> values(4);
  expectOk(tensor.readRows(0, 4, values.data()));
  EXPECT_EQ(values, (std::vector<float>{-0.041015625f, 0.0242919921875f, -0.034423828125f,
                                        -0.003219604492f}));
}

TEST(Random, isABellCurveInBf16) {
  RandomTensor tensor("t", {1000, 1000}, 7, 0.0f, 0.02f);
  std::vector<float> values(1000 * 1000);
  expectOk(tensor.readRows(0, 1000, values.data()));
  double sum = 0, squares = 0, fourths = 0;
  for (float value : values) {
    ASSERT_EQ(value, roundToBf16(value));
    sum += value;
    squares += static_cast<double>(value) * value;
    fourths += std::pow(value, 4);
  }
  double variance = squares / values.size();
  EXPECT_NEAR(sum / values.size(), 0.0, 1e-4);
  EXPECT_NEAR(std::sqrt(variance), 0.02, 1e-4);
  EXPECT_NEAR(fourths / values.size() / (variance * variance), 2.7, 0.03); // 3 - 1.2 / 4
}

TEST(Random, seedAndNameMatter) {
  auto draw = [](const char *name, uint64_t seed) {
    std::vector<float> values(64);
    expectOk(RandomTensor(name, {64}, seed, 1.0f, 0.1f).readRows(0, 64, values.data()));
    return values;
  };
  EXPECT_EQ(draw("a", 1), draw("a", 1));
  EXPECT_NE(draw("a", 1), draw("b", 1));
  EXPECT_NE(draw("a", 1), draw("a", 2));
}

TEST(Random, readyConfigurations) {
  mlir::MLIRContext context;
  ImportedModel model = unwrap(importRandom("llama-3.1-405b", 1, context));
  EXPECT_EQ(model.sourceKind, "random");
  EXPECT_EQ(model.name, "llama-3.1-405b");
  EXPECT_EQ(model.weights.find("model.layers.125.mlp.up_proj.weight")->rows(), 53248);
  EXPECT_NE(model.sourceHash, unwrap(importRandom("llama-3.1-405b", 2, context)).sourceHash);
  int64_t parameters = 0;
  for (const auto &[name, tensor] : model.weights)
    parameters += tensor->rows() * tensor->rowSize();
  EXPECT_EQ(parameters, 405853388800); // as published
  EXPECT_FALSE(findReadyConfig("llama-9"));
}

TEST(Random, fromConfigurationsOnDisk) {
  mlir::MLIRContext context;
  ImportedModel folder = unwrap(importRandom(fixture("hf-tiny"), 1, context));
  EXPECT_EQ(folder.tokenizer.vocabulary_size(), 261);
  ImportedModel file = unwrap(importRandom(fixture("hf-tiny/config.json"), 1, context));
  EXPECT_EQ(file.tokenizer.vocabulary_size(), 0);
  EXPECT_EQ(file.generation.eos_ids(0), 259u);
  EXPECT_EQ(file.generation.temperature(), 1.0f);
  EXPECT_EQ(folder.sourceHash, file.sourceHash);
  expectError(importRandom("nothing", 1, context), "nothing: no such file");
  TempFolder temp;
  expectError(importRandom(temp.write("config.json", "{}"), 1, context), "'vocab_size' is missing");
}

} // namespace
