//===- ModelTest.cpp - A whole tiny model, dense, ragged and fused --------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TestModel.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "qopt/Frontend/Import.h"
#include "qopt/Quantization/Metrics.h"
#include "qopt/Support/Npy.h"
#include "qopt/Transforms/Passes.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::testing;

namespace {

using Module = mlir::OwningOpRef<mlir::ModuleOp>;

constexpr int64_t vocabulary = 96;

/// The tokens of make_reference.py's two sequences.
std::vector<int64_t> sequence(int64_t row) {
  std::vector<int64_t> tokens;
  for (int64_t i = 0; i < (row == 0 ? 12 : 10); ++i)
    tokens.push_back((3 + (row == 0 ? 7 : 11) * i) % vocabulary);
  return tokens;
}

double relativeError(const std::vector<double> &reference, const std::vector<double> &values) {
  EXPECT_EQ(reference.size(), values.size());
  ErrorEnergy energy;
  energy.add(reference.data(), values.data(), reference.size());
  return energy.relative();
}

class Model : public ::testing::Test {
protected:
  Model() : weights(tinyWeights()) {
    context.loadDialect<QOptDialect, kernel::KernelDialect, mlir::func::FuncDialect>();
  }

  Module dense() {
    auto module = buildLlamaModule(tinyConfig(), weights, context);
    if (!module) {
      ADD_FAILURE() << llvm::toString(module.takeError());
      return {};
    }
    return std::move(*module);
  }

  Module ragged(const std::string &format, bool fuse) {
    Module module = dense();
    mlir::PassManager manager(&context);
    manager.addPass(createPageKV());
    AssignSchemesOptions schemes;
    schemes.format = format;
    manager.addPass(createAssignSchemes(schemes));
    if (fuse) {
      auto &nested = manager.nest<mlir::func::FuncOp>();
      nested.addPass(createFuseQKV());
      nested.addPass(createFuseGateUp());
      nested.addPass(createFuseNormQuantize());
      nested.addPass(createFuseSiluQuantize());
      nested.addPass(createFuseRopeAppend());
      nested.addPass(createFuseResidual());
    }
    EXPECT_TRUE(mlir::succeeded(manager.run(*module)));
    return module;
  }

  /// The logits of both sequences, [12 + 10, vocabulary].
  std::vector<double> logits(mlir::ModuleOp module, bool float64 = false) {
    Interpreter interpreter(module, weights, {float64});
    RaggedStep step;
    for (int64_t row = 0; row < 2; ++row)
      for (auto [i, token] : llvm::enumerate(sequence(row)))
        add(step, row, i, token);
    return run(interpreter, step);
  }

  static void add(RaggedStep &step, int64_t sequence, int64_t position, int64_t token) {
    step.logitRows.push_back(step.tokens.size());
    step.tokens.push_back(token);
    step.sequences.push_back(sequence);
    step.positions.push_back(position);
  }

  static std::vector<double> run(Interpreter &interpreter, const RaggedStep &step) {
    auto result = interpreter.runStep(step);
    if (!result) {
      ADD_FAILURE() << llvm::toString(result.takeError());
      return {};
    }
    EXPECT_EQ(result->shape, (llvm::SmallVector<int64_t, 4>{
                                 static_cast<int64_t>(step.logitRows.size()), vocabulary}));
    return result->values;
  }

  mlir::MLIRContext context;
  WeightStore weights;
};

std::vector<double> reference() {
  NpyArray<float> file;
  Status status = readNpy(QOPT_TEST_DIR "/unit/Interpreter/tiny_logits.npy", file);
  EXPECT_TRUE(status) << status.message();
  std::vector<double> values(file.data.begin(), file.data.end());
  values.erase(values.begin() + 12 * vocabulary, values.begin() + 14 * vocabulary); // padding
  return values;
}

/// A prefill of 5 columns and a second step of 7 with the presents of the
/// first, row 1 padded on the left by 2.
std::vector<double> denseLogits(mlir::ModuleOp module, const WeightStore &weights) {
  Interpreter interpreter(module, weights);
  std::vector<Array> pasts(4, Array{{2, 2, 0, 8}, {}});
  std::vector<double> logits[2];
  for (auto [start, end] : {std::pair<int64_t, int64_t>{0, 5}, {5, 12}}) {
    Array ids{{2, end - start}, {}}, mask{{2, end}, {}}, positions = ids;
    for (int64_t row = 0; row < 2; ++row) {
      std::vector<int64_t> tokens = sequence(row);
      int64_t padding = 12 - tokens.size();
      for (int64_t column = 0; column < end; ++column) {
        bool valid = column >= padding;
        mask.values.push_back(valid);
        if (column < start)
          continue;
        ids.values.push_back(valid ? tokens[column - padding] : 0);
        positions.values.push_back(valid ? column - padding : 0);
      }
    }
    std::vector<Array> arguments{ids, mask, positions};
    arguments.insert(arguments.end(), pasts.begin(), pasts.end());
    auto results = interpreter.runDense(arguments);
    if (!results) {
      ADD_FAILURE() << llvm::toString(results.takeError());
      return {};
    }
    pasts.assign(results->begin() + 1, results->end());
    for (int64_t row = 0; row < 2; ++row)
      for (int64_t column = start; column < end; ++column)
        if (mask.values[row * end + column]) {
          auto first =
              results->front().values.begin() + (row * (end - start) + column - start) * vocabulary;
          logits[row].insert(logits[row].end(), first, first + vocabulary);
        }
  }
  logits[0].insert(logits[0].end(), logits[1].begin(), logits[1].end());
  return logits[0];
}

TEST_F(Model, denseWithPastAndPadding_equalsTheReferenceImplementation) {
  Module module = dense();
  ASSERT_TRUE(module);
  double error = relativeError(reference(), denseLogits(*module, weights));
  RecordProperty("relativeError", std::to_string(error));
  EXPECT_LT(error, 1e-5);
}

TEST_F(Model, ragged_equalsDense) {
  Module denseModule = dense(), raggedModule = ragged("fp32", /*fuse=*/false);
  EXPECT_EQ(denseLogits(*denseModule, weights), logits(*raggedModule));
}

TEST_F(Model, ragged_anyCutIntoStepsIsTheSame) {
  Module module = ragged("w8a8-int8", /*fuse=*/true);
  std::vector<double> whole = logits(*module);
  Interpreter interpreter(*module, weights);
  std::vector<double> rows[2];
  int64_t done[2] = {0, 0};
  // Chunks of 1, 4, 2 and what is left, of both sequences interleaved.
  for (int64_t chunk : {1, 4, 2, 12}) {
    RaggedStep step;
    std::vector<int64_t> owners;
    for (int64_t i = 0; i < chunk; ++i)
      for (int64_t row : {1, 0}) {
        std::vector<int64_t> tokens = sequence(row);
        if (done[row] == static_cast<int64_t>(tokens.size()))
          continue;
        add(step, row, done[row], tokens[done[row]]);
        owners.push_back(row);
        ++done[row];
      }
    std::vector<double> values = run(interpreter, step);
    for (size_t i = 0; i < owners.size(); ++i)
      rows[owners[i]].insert(rows[owners[i]].end(), values.begin() + i * vocabulary,
                             values.begin() + (i + 1) * vocabulary);
  }
  rows[0].insert(rows[0].end(), rows[1].begin(), rows[1].end());
  EXPECT_EQ(whole, rows[0]);
}

class Formats : public Model, public ::testing::WithParamInterface<const char *> {
protected:
  bool quantizesActivations() const { return llvm::StringRef(GetParam()).starts_with("w8a8"); }

  /// What rounding may move the logits by. Where activations are quantized it
  /// moves some of them to a neighbouring code, which costs as much as quantizing
  /// them did: the format's own error comes on top.
  double bound(mlir::ModuleOp module) {
    if (!quantizesActivations())
      return llvm::StringRef(GetParam()) == "fp32" ? 1e-6 : 2e-2;
    Module exact = ragged("fp32", /*fuse=*/false);
    return 2e-2 + relativeError(logits(*exact, /*float64=*/true), logits(module, /*float64=*/true));
  }
};

/// Without rounding between operations a fusion changes nothing at all.
TEST_P(Formats, fused_equalsUnfusedInFloat64) {
  Module plain = ragged(GetParam(), /*fuse=*/false), fused = ragged(GetParam(), /*fuse=*/true);
  EXPECT_EQ(logits(*plain, /*float64=*/true), logits(*fused, /*float64=*/true));
}

TEST_P(Formats, fused_isCloseToUnfused) {
  Module plain = ragged(GetParam(), /*fuse=*/false), fused = ragged(GetParam(), /*fuse=*/true);
  EXPECT_LT(relativeError(logits(*plain), logits(*fused)), bound(*plain));
}

TEST_P(Formats, rounding_isWithinTheBound) {
  Module module = ragged(GetParam(), /*fuse=*/true);
  EXPECT_LT(relativeError(logits(*module, /*float64=*/true), logits(*module)), bound(*module));
}

INSTANTIATE_TEST_SUITE_P(Interpreter, Formats,
                         ::testing::Values("fp32", "bf16", "w8a8-fp8", "w8a8-int8", "w4a16",
                                           "keep"));

TEST_F(Model, cache_ofNothingGivesWhatItGave) {
  Module module = ragged("w4a16", /*fuse=*/true);
  InterpreterOptions options;
  options.weightCacheBytes = 0;
  Interpreter cold(*module, weights, options), warm(*module, weights);
  RaggedStep step;
  add(step, 0, 0, 5);
  std::vector<double> first = run(warm, step);
  EXPECT_EQ(first, run(cold, step));
  EXPECT_EQ(first, run(warm, step)) << "position 0 written again";
}

TEST_F(Model, negative_steps) {
  Module module = ragged("fp32", /*fuse=*/true);
  auto failure = [&](RaggedStep step) {
    auto result = Interpreter(*module, weights).runStep(step);
    return result ? "no error" : llvm::toString(result.takeError());
  };
  EXPECT_EQ(failure({{1, 2}, {0, 0}, {0}, {}}),
            "step has 2 tokens, 2 sequences and 1 positions, expected the same number of each");
  EXPECT_EQ(failure({{1}, {0}, {0}, {1}}), "logits are wanted of row 1 of 1");
  EXPECT_EQ(failure({{1}, {0}, {3}, {}}),
            "'qopt.rope_append': position 3 of sequence 0 does not follow its 0 tokens");
  EXPECT_EQ(failure({{vocabulary}, {0}, {0}, {}}),
            "'qopt.embedding': token 96 is outside of the vocabulary of 96");
  Module other = dense();
  auto result = Interpreter(*other, weights).runStep({});
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(llvm::toString(result.takeError()),
            "expected a ragged @forward of tokens, batch and cache with one result");
}

TEST_F(Model, negative_attentionWithoutKeys) {
  Module module = mlir::parseSourceString<mlir::ModuleOp>(R"(
    !cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 64, page_tokens = 64, type = f32>
    func.func @forward(%t: tensor<?xi32>, %b: !qopt.batch, %c: !cache) -> tensor<?x64xf32> {
      %w = qopt.weight @model.embed_tokens.weight : tensor<96x64xf32>
      %x = qopt.embedding %t, %w : (tensor<?xi32>, tensor<96x64xf32>) -> tensor<?x64xf32>
      %y = qopt.paged_attention %x, %c, %b {layer = 0 : i64, num_heads = 1 : i64, scale = 1.0 : f64}
        : (tensor<?x64xf32>, !cache, !qopt.batch) -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    })",
                                                          &context);
  ASSERT_TRUE(module);
  auto result = Interpreter(*module, weights).runStep({{1}, {4}, {2}, {}});
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(llvm::toString(result.takeError()),
            "'qopt.paged_attention': sequence 4 has no key at position 2");
}

} // namespace
