//===- ImportTest.cpp - Exports of one model by several exporters ---------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/Import.h"
#include "../Frontend/TestFiles.h"
#include "Frontend/ONNX/ImportCheck.h"
#include "mlir/Pass/PassManager.h"
#include "qopt/Conversion/ONNXToQOpt/Passes.h"
#include "qopt/Dialect/ONNX/Evaluator/Evaluator.h"
#include "qopt/Frontend/ONNX/Reader.h"
#include "qopt/Interpreter/Interpreter.h"
#include "qopt/Support/Npy.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::test;

namespace {

std::string exported(const std::string &name) { return QOPT_TEST_DIR "/fixtures/exports/" + name; }

std::string text(ModuleOp module) {
  std::string result;
  llvm::raw_string_ostream stream(result);
  module.print(stream);
  return result;
}

std::vector<float> values(const WeightTensor &tensor) {
  std::vector<float> result(tensor.rows() * tensor.rowSize());
  expectOk(tensor.readRows(0, tensor.rows(), result.data()));
  return result;
}

template <typename T> NpyArray<T> reference(const std::string &name) {
  NpyArray<T> array;
  Status status = readNpy(exported("reference/" + name + ".npy"), array);
  EXPECT_TRUE(status.isOk()) << status.message();
  return array;
}

/// Rows of padding aside.
double relativeError(const std::vector<double> &found, const std::vector<float> &expected) {
  double error = 0.0, norm = 0.0;
  for (size_t i = 0; i < expected.size(); ++i) {
    error += (found[i] - expected[i]) * (found[i] - expected[i]);
    norm += double(expected[i]) * expected[i];
  }
  return std::sqrt(error / norm);
}

class Export : public ::testing::TestWithParam<const char *> {
protected:
  MLIRContext context;
};

class PastExport : public Export {};

TEST_P(Export, isTheModelOfTheFolder) {
  ImportedModel folder = unwrap(importHF(exported("hf"), context));
  ImportedModel model = unwrap(importONNX(exported(GetParam()), context, {}));
  bool isNarrow = model.config.type != qopt::FloatType::f32;
  folder.config.type = model.config.type;
  folder.config.maxContext = model.config.maxContext;
  auto expected = unwrap(buildLlamaModule(folder.config, folder.weights, context));
  EXPECT_EQ(text(*model.module), text(*expected));
  EXPECT_EQ(model.config.numLayers, 2);
  EXPECT_EQ(model.config.numHeads, 8);
  EXPECT_EQ(model.config.numKVHeads, 2);
  EXPECT_EQ(model.config.headDim, 16);
  EXPECT_EQ(model.config.intermediateSize, 352);
  EXPECT_FALSE(model.config.tiedEmbeddings);
  ASSERT_EQ(model.weights.size(), folder.weights.size());
  for (const auto &[name, tensor] : folder.weights) {
    const WeightTensor *found = model.weights.find(name);
    ASSERT_NE(found, nullptr) << name;
    ASSERT_EQ(found->shape(), tensor->shape()) << name;
    std::vector<float> a = values(*tensor), b = values(*found);
    if (!isNarrow)
      EXPECT_EQ(a, b) << name;
    for (size_t i = 0; i < a.size() && isNarrow; ++i)
      ASSERT_NEAR(a[i], b[i], std::fabs(a[i]) / 256) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(ONNX, Export,
                         ::testing::Values("dynamo_past_op18.onnx", "dynamo_past_op23.onnx",
                                           "legacy_past_op17.onnx", "dynamo_past_op20_bf16.onnx",
                                           "dynamo_nopast_op18.onnx", "dynamo_nopast_op23.onnx",
                                           "legacy_nopast_op17.onnx"));

/// Seven new tokens after five, the second row padded on the left.
TEST_P(PastExport, givesTheReferenceLogits) {
  NpyArray<int64_t> ids = reference<int64_t>("ids"), mask = reference<int64_t>("am"),
                    positions = reference<int64_t>("pos");
  NpyArray<float> logits = reference<float>("logits");

  ONNXGraph graph = unwrap(readONNX(exported(GetParam()), context));
  PassManager normalise(&context);
  normalise.addPass(createNormalizeONNX());
  ASSERT_TRUE(succeeded(normalise.run(*graph.module)));
  auto main = graph.module->lookupSymbol<func::FuncOp>("main");
  onnx_graph::EvaluatorOptions options;
  options.weights = &graph.initializers;
  onnx_graph::Evaluator evaluator(options);
  Type i64 = IntegerType::get(&context, 64), f32 = Float32Type::get(&context);
  std::vector<Array> arguments;
  auto addTokens = [&](const NpyArray<int64_t> &array, BlockArgument argument) {
    llvm::SmallVector<int64_t, 4> shape(array.shape.begin(), array.shape.end());
    evaluator.bind(argument, onnx_graph::makeInts(i64, shape, array.data));
    arguments.push_back({shape, std::vector<double>(array.data.begin(), array.data.end())});
  };
  addTokens(ids, main.getArgument(0));
  addTokens(mask, main.getArgument(1));
  addTokens(positions, main.getArgument(2));
  unsigned next = 3;
  for (const char *layer : {"0", "1"})
    for (const char *kind : {".key", ".value"}) {
      NpyArray<float> past = reference<float>("past_key_values." + std::string(layer) + kind);
      std::vector<double> wide(past.data.begin(), past.data.end());
      llvm::SmallVector<int64_t, 4> shape(past.shape.begin(), past.shape.end());
      evaluator.bind(main.getArgument(next++), onnx_graph::makeReals(f32, shape, wide));
      arguments.push_back({shape, wide});
    }
  auto outputs = main.front().getTerminator()->getOperands();
  EXPECT_LE(relativeError(unwrap(evaluator.evaluate(outputs[0]))->reals, logits.data), 1e-5);
  next = 1;
  for (const char *layer : {"0", "1"})
    for (const char *kind : {".key", ".value"}) {
      NpyArray<float> present = reference<float>("present." + std::string(layer) + kind);
      EXPECT_LE(relativeError(unwrap(evaluator.evaluate(outputs[next++]))->reals, present.data),
                1e-5);
    }

  ImportOptions unchecked;
  unchecked.importCheck = false;
  ImportedModel model = unwrap(importONNX(exported(GetParam()), context, unchecked));
  std::vector<Array> results =
      unwrap(Interpreter(*model.module, model.weights).runDense(arguments));
  EXPECT_LE(relativeError(results[0].values, logits.data), 1e-4);
  next = 1;
  for (const char *layer : {"0", "1"})
    for (const char *kind : {".key", ".value"}) {
      NpyArray<float> present = reference<float>("present." + std::string(layer) + kind);
      EXPECT_LE(relativeError(results[next++].values, present.data), 1e-4);
    }
}

INSTANTIATE_TEST_SUITE_P(ONNX, PastExport,
                         ::testing::Values("dynamo_past_op18.onnx", "dynamo_past_op23.onnx",
                                           "legacy_past_op17.onnx"));

TEST(ImportONNX, saysHowCloseTheCheckWas) {
  MLIRContext context;
  ImportedModel model = unwrap(importONNX(exported("dynamo_past_op23.onnx"), context, {}));
  EXPECT_EQ(model.sourceKind, "onnx");
  EXPECT_EQ(model.name, "dynamo_past_op23");
  EXPECT_EQ(model.sourceHash.size(), 32u);
  EXPECT_TRUE(llvm::any_of(model.notes, [](const std::string &note) {
    return note.find("import check: the graph and the module agree to") == 0;
  }));
  ImportOptions options;
  options.importCheck = false;
  ImportedModel unchecked = unwrap(importONNX(exported("dynamo_past_op23.onnx"), context, options));
  EXPECT_EQ(unchecked.notes.size() + 1, model.notes.size());
  EXPECT_EQ(unchecked.sourceHash, model.sourceHash);
}

TEST(ImportONNX, checksByExecution) {
  MLIRContext context;
  ONNXGraph graph = unwrap(readONNX(exported("dynamo_past_op18.onnx"), context));
  PassManager normalise(&context);
  normalise.addPass(createNormalizeONNX());
  ASSERT_TRUE(succeeded(normalise.run(*graph.module)));
  ImportedModel model = unwrap(importHF(exported("hf"), context));
  RaisedONNX raised;
  raised.pasts = {3, 4, 5, 6};
  EXPECT_LE(unwrap(checkImport(*graph.module, raised, graph.initializers, model)), 1e-5);
  // Another theta is another model.
  model.config.rope.theta = 10000.0;
  model.module = unwrap(buildLlamaModule(model.config, model.weights, context));
  expectError(checkImport(*graph.module, raised, graph.initializers, model),
              "gives other logits than the graph: relative error");
}

TEST(ImportONNX, takesRopeFromAConfigThatAgrees) {
  MLIRContext context;
  TempFolder folder;
  std::string file = folder.write("model.onnx", readFile(exported("dynamo_past_op20_bf16.onnx")));
  folder.write("dynamo_past_op20_bf16.onnx.data",
               readFile(exported("dynamo_past_op20_bf16.onnx.data")));
  std::string config = readFile(exported("hf/config.json"));
  folder.write("config.json", config);
  ImportedModel model = unwrap(importONNX(file, context, {}));
  EXPECT_EQ(model.config.maxContext, 4096);
  EXPECT_EQ(model.config.rope.originalContext, 256);
  // The graph is the truth.
  size_t at = config.find("500000.0");
  folder.write("config.json", config.replace(at, 8, "400000.0"));
  model = unwrap(importONNX(file, context, {}));
  EXPECT_EQ(model.config.rope.theta, 500000.0);
  EXPECT_TRUE(llvm::any_of(model.notes, [](const std::string &note) {
    return note.find("config.json has other rotary frequencies than the graph") == 0;
  }));
}

TEST(ImportONNX, drawsNoRandomWeights) {
  MLIRContext context;
  ImportOptions options;
  options.randomSeed = 1;
  expectError(importONNX(exported("dynamo_past_op18.onnx"), context, options),
              "random ones are drawn for a config.json");
}

} // namespace
