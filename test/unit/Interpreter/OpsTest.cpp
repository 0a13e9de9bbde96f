//===- OpsTest.cpp - Each operation by hand -------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OpsTest.h"
#include "qopt/Support/Float.h"

using namespace qopt;
using namespace qopt::testing;

namespace {

TEST_F(Ops, embedding_bf16_roundsTheTable) {
  weight("t", {3, 2}, {1.0f, 2.0f, 1.00390625f, -4.0f, 5.0f, 6.0f});
  std::string text = R"((%i: tensor<?x?xi64>) -> tensor<?x?x2xbf16> {
    %t = qopt.weight @t : tensor<3x2xbf16>
    %y = qopt.embedding %i, %t : (tensor<?x?xi64>, tensor<3x2xbf16>) -> tensor<?x?x2xbf16>
    return %y : tensor<?x?x2xbf16> })";
  // 1 + 2^-8 is half way between two values of bf16.
  EXPECT_EQ(values(text, {{{1, 2}, {2, 1}}}), (Values{5, 6, 1, -4}));
  EXPECT_EQ(failure(text, {{{1, 1}, {3}}}),
            "'qopt.embedding': token 3 is outside of the vocabulary of 3");
  EXPECT_EQ(failure(text, {{{1, 1}, {-1}}}),
            "'qopt.embedding': token -1 is outside of the vocabulary of 3");
}

TEST_F(Ops, rmsNorm_f32_formula) {
  weight("w", {2}, {2.0f, 0.5f});
  std::string text = R"((%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    %w = qopt.weight @w : tensor<2xf32>
    %y = qopt.rms_norm %x, %w {eps = 0.0 : f64} : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    return %y : tensor<?x2xf32> })";
  Values y = values(text, {{{1, 2}, {3, 4}}}, /*float64=*/true);
  EXPECT_DOUBLE_EQ(y[0], 3 / std::sqrt(12.5) * 2);
  EXPECT_DOUBLE_EQ(y[1], 4 / std::sqrt(12.5) * 0.5);
  y = values(text, {{{1, 2}, {3, 4}}});
  float inverse = 1.0f / std::sqrt(12.5f);
  EXPECT_EQ(y, (Values{3 * inverse * 2, 4 * inverse * 0.5f}));
}

TEST_F(Ops, rmsNorm_bf16_roundsTwice) {
  float w = roundToBf16(1.71f);
  weight("w", {2}, {w, 1.0f});
  std::string text = R"((%x: tensor<?x2xbf16>) -> tensor<?x2xbf16> {
    %w = qopt.weight @w : tensor<2xbf16>
    %y = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64}
      : (tensor<?x2xbf16>, tensor<2xbf16>) -> tensor<?x2xbf16>
    return %y : tensor<?x2xbf16> })";
  int differs = 0;
  for (float x = 1.0f; x < 2.0f; x += 0x1p-7f) {
    float inverse = 1.0f / std::sqrt((x * x + 9.0f) / 2.0f + 1e-5f);
    float expected = roundToBf16(roundToBf16(x * inverse) * w);
    EXPECT_EQ(values(text, {{{1, 2}, {x, 3}}})[0], expected);
    differs += expected != roundToBf16(x * inverse * w);
  }
  EXPECT_GT(differs, 0) << "the inputs do not tell the orders of rounding apart";
}

TEST_F(Ops, linear_bf16_roundsOnceBehindTheResidual) {
  weight("w", {2, 2}, {1.0f, 0x1p-8f, -1.0f, 2.0f});
  std::string text = R"((%x: tensor<?x2xbf16>, %r: tensor<?x2xbf16>) -> tensor<?x2xbf16> {
    %w = qopt.weight @w : tensor<2x2xbf16>
    %y = qopt.linear %x, %w residual(%r)
      : (tensor<?x2xbf16>, tensor<2x2xbf16>, tensor<?x2xbf16>) -> tensor<?x2xbf16>
    return %y : tensor<?x2xbf16> })";
  // 1 + 2^-8 rounds to 1 alone, and with another 2^-8 to the next value.
  EXPECT_EQ(values(text, {{{1, 2}, {1, 1}}, {{1, 2}, {0, 0}}}), (Values{1, 1}));
  EXPECT_EQ(values(text, {{{1, 2}, {1, 1}}, {{1, 2}, {0x1p-8, 4}}}), (Values{1 + 0x1p-7, 5}));
}

TEST_F(Ops, linear_f32_biasOfEachColumn) {
  weight("a", {1, 2}, {1.0f, 2.0f});
  weight("b", {2, 2}, {3.0f, 4.0f, 5.0f, 6.0f});
  weight("bias_a", {1}, {100.0f});
  weight("bias_b", {2}, {200.0f, 300.0f});
  std::string text = R"((%x: tensor<?x2xf32>) -> tensor<?x3xf32> {
    %w = qopt.weight @a, @b : tensor<3x2xf32>
    %c = qopt.weight @bias_a, @bias_b : tensor<3xf32>
    %y = qopt.linear %x, %w bias(%c)
      : (tensor<?x2xf32>, tensor<3x2xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    return %y : tensor<?x3xf32> })";
  EXPECT_EQ(values(text, {{{2, 2}, {1, 10, -1, 0}}}), (Values{121, 243, 365, 99, 197, 295}));
}

TEST_F(Ops, linear_f32_sumIsRoundedOnce) {
  weight("w", {1, 3}, {1.0f, 0x1p-24f, 0x1p-24f});
  std::string text = R"((%x: tensor<?x3xf32>) -> tensor<?x1xf32> {
    %w = qopt.weight @w : tensor<1x3xf32>
    %y = qopt.linear %x, %w : (tensor<?x3xf32>, tensor<1x3xf32>) -> tensor<?x1xf32>
    return %y : tensor<?x1xf32> })";
  EXPECT_EQ(values(text, {{{1, 3}, {1, 1, 1}}}), (Values{1 + 0x1p-23}));
  EXPECT_EQ(values(text, {{{1, 3}, {1, 1, 0}}}), (Values{1}));
  EXPECT_EQ(values(text, {{{1, 3}, {1, 1, 0}}}, /*float64=*/true), (Values{1 + 0x1p-24}));
}

TEST_F(Ops, rope_f32_rotatesHalves) {
  std::string text = R"((%x: tensor<?x?x8xf32>, %p: tensor<?x?xi64>) -> tensor<?x?x8xf32> {
    %y = qopt.rope %x, %p {rope = #qopt.rope<head_dim = 4, theta = 1.0e4 : f64, scaling = table,
      table = [1.0, 0.125]>} : (tensor<?x?x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
    return %y : tensor<?x?x8xf32> })";
  Array x{{1, 2, 8}, {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}};
  Values y = values(text, {x, {{1, 2}, {0, 3}}}, /*float64=*/true);
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(y[i], i + 1) << "position 0 turns nothing";
  for (int head = 0; head < 2; ++head)
    for (int i = 0; i < 2; ++i) {
      double a = 3 * (i == 0 ? 1.0 : 0.125), low = 4 * head + i + 1, high = low + 2;
      EXPECT_DOUBLE_EQ(y[8 + 4 * head + i], low * std::cos(a) - high * std::sin(a));
      EXPECT_DOUBLE_EQ(y[8 + 4 * head + i + 2], high * std::cos(a) + low * std::sin(a));
    }
  EXPECT_EQ(failure(text, {x, {{1, 3}, {0, 1, 2}}}), "'qopt.rope': found 3 positions for 2 tokens");
}

TEST_F(Ops, rope_f32_linearScaling) {
  std::string text = R"((%x: tensor<?x?x2xf32>, %p: tensor<?x?xi64>) -> tensor<?x?x2xf32> {
    %y = qopt.rope %x, %p {rope = #qopt.rope<head_dim = 2, theta = 1.0e4 : f64, scaling = linear,
      factor = 4.0 : f64>} : (tensor<?x?x2xf32>, tensor<?x?xi64>) -> tensor<?x?x2xf32>
    return %y : tensor<?x?x2xf32> })";
  Values y = values(text, {{{1, 1, 2}, {1, 0}}, {{1, 1}, {6}}}, /*float64=*/true);
  EXPECT_DOUBLE_EQ(y[0], std::cos(1.5));
  EXPECT_DOUBLE_EQ(y[1], std::sin(1.5));
}

TEST_F(Ops, siluMul_f32_formula) {
  std::string text = R"((%g: tensor<?x2xf32>, %u: tensor<?x2xf32>) -> tensor<?x2xf32> {
    %y = qopt.silu_mul %g, %u : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
    return %y : tensor<?x2xf32> })";
  Values y = values(text, {{{1, 2}, {1, -200}}, {{1, 2}, {3, 5}}}, /*float64=*/true);
  EXPECT_DOUBLE_EQ(y[0], 3 / (1 + std::exp(-1.0)));
  EXPECT_NEAR(y[1], 0, 1e-80);
  EXPECT_EQ(failure(text, {{{1, 2}, {1, 2}}, {{2, 2}, {1, 2, 3, 4}}}),
            "'qopt.silu_mul': operands have shapes [1, 2] and [2, 2], expected the same");
}

TEST_F(Ops, add_bf16_roundsOnce) {
  std::string text = R"((%a: tensor<?x2xbf16>, %b: tensor<?x2xbf16>) -> tensor<?x2xbf16> {
    %y = qopt.add %a, %b : tensor<?x2xbf16>
    return %y : tensor<?x2xbf16> })";
  EXPECT_EQ(values(text, {{{1, 2}, {1, 2}}, {{1, 2}, {0x1p-8, 3}}}), (Values{1, 5}));
  EXPECT_EQ(values(text, {{{1, 2}, {1, 2}}, {{1, 2}, {0x1p-8, 3}}}, /*float64=*/true),
            (Values{1 + 0x1p-8, 5}));
}

TEST_F(Ops, slice_f32_columns) {
  std::string text = R"((%x: tensor<?x4xf32>) -> tensor<?x2xf32> {
    %y = qopt.slice %x {offset = 1 : i64} : (tensor<?x4xf32>) -> tensor<?x2xf32>
    return %y : tensor<?x2xf32> })";
  EXPECT_EQ(values(text, {{{2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}}}), (Values{2, 3, 6, 7}));
}

TEST_F(Ops, attention_f32_causalMaskedGrouped) {
  // Two query heads share one KV head; one past key, two new ones.
  std::string text = R"((%q: tensor<?x?x4xf32>, %k: tensor<?x?x2xf32>, %v: tensor<?x?x2xf32>,
      %m: tensor<?x?xi64>, %pk: tensor<?x1x?x2xf32>, %pv: tensor<?x1x?x2xf32>)
      -> (tensor<?x?x4xf32>, tensor<?x1x?x2xf32>, tensor<?x1x?x2xf32>) {
    %y, %k2, %v2 = qopt.attention %q, %k, %v, %m, %pk, %pv
      {num_heads = 2 : i64, num_kv_heads = 1 : i64, scale = 0.5 : f64}
      : (tensor<?x?x4xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>, tensor<?x?xi64>,
         tensor<?x1x?x2xf32>, tensor<?x1x?x2xf32>)
      -> (tensor<?x?x4xf32>, tensor<?x1x?x2xf32>, tensor<?x1x?x2xf32>)
    return %y, %k2, %v2 : tensor<?x?x4xf32>, tensor<?x1x?x2xf32>, tensor<?x1x?x2xf32> })";
  Array q{{1, 2, 4}, {1, 0, 0, 1, 2, 0, 0, 2}}, k{{1, 2, 2}, {1, 2, 3, 4}},
      v{{1, 2, 2}, {10, 20, 30, 40}}, pastK{{1, 1, 1, 2}, {5, 6}}, pastV{{1, 1, 1, 2}, {50, 60}};
  auto results = run(text, {q, k, v, {{1, 3}, {1, 1, 1}}, pastK, pastV}, /*float64=*/true);
  ASSERT_TRUE(bool(results)) << llvm::toString(results.takeError());
  const Values &y = (*results)[0].values;
  // Head 0 of query 0 scores the first elements 5 and 1 by 0.5.
  double a = std::exp(2.5), b = std::exp(0.5);
  EXPECT_DOUBLE_EQ(y[0], (a * 50 + b * 10) / (a + b));
  EXPECT_DOUBLE_EQ(y[1], (a * 60 + b * 20) / (a + b));
  a = std::exp(3.0), b = std::exp(1.0);
  EXPECT_DOUBLE_EQ(y[2], (a * 50 + b * 10) / (a + b));
  // Head 0 of query 1 sees all three, doubled.
  double c = std::exp(3.0);
  a = std::exp(5.0), b = std::exp(1.0);
  EXPECT_DOUBLE_EQ(y[4], (a * 50 + b * 10 + c * 30) / (a + b + c));
  EXPECT_EQ((*results)[1].values, (Values{5, 6, 1, 2, 3, 4}));
  EXPECT_EQ((*results)[2].values, (Values{50, 60, 10, 20, 30, 40}));

  results = run(text, {q, k, v, {{1, 3}, {0, 0, 1}}, pastK, pastV});
  ASSERT_TRUE(bool(results)) << llvm::toString(results.takeError());
  EXPECT_EQ((*results)[0].values, (Values{0, 0, 0, 0, 30, 40, 30, 40}))
      << "query 0 sees nothing, query 1 itself";
  EXPECT_EQ(failure(text, {q, k, v, {{1, 2}, {1, 1}}, pastK, pastV}),
            "'qopt.attention': query [1, 2, 4], key [1, 2, 2], value [1, 2, 2], mask [1, 2], "
            "past key [1, 1, 1, 2] and past value [1, 1, 1, 2] do not go together");
}

TEST_F(Ops, logits_f32_areNotRoundedToBf16) {
  weight("w", {1, 2}, {1.0f, 1.0f});
  std::string text = R"((%x: tensor<?x2xbf16>) -> tensor<?x1xf32> {
    %w = qopt.weight @w : tensor<1x2xbf16>
    %y = qopt.logits %x, %w : (tensor<?x2xbf16>, tensor<1x2xbf16>) -> tensor<?x1xf32>
    return %y : tensor<?x1xf32> })";
  EXPECT_EQ(values(text, {{{1, 2}, {1, 0x1p-20}}}), (Values{1 + 0x1p-20}));
}

TEST_F(Ops, negative_weights) {
  std::string text = R"((%x: tensor<?x2xf32>) -> tensor<?x1xf32> {
    %w = qopt.weight @w : tensor<1x2xf32>
    %y = qopt.linear %x, %w : (tensor<?x2xf32>, tensor<1x2xf32>) -> tensor<?x1xf32>
    return %y : tensor<?x1xf32> })";
  Array x{{1, 2}, {1, 1}};
  EXPECT_EQ(failure(text, {x}), "'qopt.linear': weight 'w' is not among the model's tensors");
  weight("w", {1, 3}, {1, 2, 3});
  EXPECT_EQ(failure(text, {x}),
            "'qopt.linear': tensor 'w' has shape [1, 3], expected rows of [1, 2]");
  weight("w", {2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(failure(text, {x}), "'qopt.linear': the tensors of 'w' have 2 rows, expected 1");
}

TEST_F(Ops, negative_arguments) {
  std::string text = R"((%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    return %x : tensor<?x2xf32> })";
  EXPECT_EQ(failure(text, {}), "found 0 arguments, expected 1");
  EXPECT_EQ(failure(text, {{{1, 3}, {1, 2, 3}}}),
            "argument 0 has shape [1, 3] with 3 values, expected [?, 2]");
  EXPECT_EQ(failure(text, {{{2, 2}, {1, 2, 3}}}),
            "argument 0 has shape [2, 2] with 3 values, expected [?, 2]");
  EXPECT_EQ(failure(text, {{{-1, 2}, {}}}),
            "argument 0 has shape [-1, 2] with 0 values, expected [?, 2]");
}

TEST_F(Ops, negative_weightsWithoutName) {
  EXPECT_EQ(failure(R"((%i: tensor<?xi64>, %t: tensor<3x2xf32>) -> tensor<?x2xf32> {
    %y = qopt.embedding %i, %t : (tensor<?xi64>, tensor<3x2xf32>) -> tensor<?x2xf32>
    return %y : tensor<?x2xf32> })",
                    {{{1}, {0}}, {{3, 2}, {1, 2, 3, 4, 5, 6}}}),
            "'qopt.embedding': table is not a qopt.weight");
  EXPECT_EQ(failure(R"((%x: tensor<?x2xf32>, %w: tensor<1x2xf32>) -> tensor<?x1xf32> {
    %y = qopt.linear %x, %w : (tensor<?x2xf32>, tensor<1x2xf32>) -> tensor<?x1xf32>
    return %y : tensor<?x1xf32> })",
                    {{{1, 2}, {1, 2}}, {{1, 2}, {1, 2}}}),
            "'qopt.linear': weight is not a qopt.weight");
}

// What types leave open is checked when it is known.
TEST_F(Ops, negative_dynamicShapes) {
  weight("w", {2, 2}, {1, 0, 0, 1});
  EXPECT_EQ(failure(R"((%x: tensor<?x2xf32>, %r: tensor<?x2xf32>) -> tensor<?x2xf32> {
    %w = qopt.weight @w : tensor<2x2xf32>
    %y = qopt.linear %x, %w residual(%r)
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
    return %y : tensor<?x2xf32> })",
                    {{{1, 2}, {1, 2}}, {{2, 2}, {1, 2, 3, 4}}}),
            "'qopt.linear': residual has shape [2, 2], expected [1, 2]");
  EXPECT_EQ(failure(R"((%x: tensor<?x?xf32>, %w: tensor<?xf32>) -> tensor<?x?xf32> {
    %y = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64}
      : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
    return %y : tensor<?x?xf32> })",
                    {{{1, 2}, {1, 2}}, {{3}, {1, 2, 3}}}),
            "'qopt.rms_norm': rows have 2 elements, expected 3");
}

TEST_F(Ops, negative_otherModules) {
  EXPECT_EQ(failure("(%b: !qopt.batch) { return }", {}),
            "expected a dense @forward, whose arguments are tensors");
  EXPECT_EQ(failure("() { func.call @forward() : () -> ()\n return }", {}),
            "'func.call': the operation can't be interpreted");
  module = mlir::parseSourceString<mlir::ModuleOp>("func.func private @forward()", &context);
  auto results = Interpreter(*module, store).runDense({});
  ASSERT_FALSE(bool(results));
  EXPECT_EQ(llvm::toString(results.takeError()),
            "expected a module with a function @forward of one block");
}

} // namespace
