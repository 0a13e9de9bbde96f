//===- QuantizedOpsTest.cpp - Operations on codes and scales --------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OpsTest.h"
#include "qopt/Quantization/RoundToNearest.h"
#include "qopt/Support/Float.h"

using namespace qopt;
using namespace qopt::testing;

namespace {

/// Integers, and the scales in the order of the description.
TEST_F(Ops, linear_int8_formula) {
  constexpr int64_t n = 3, k = 20;
  std::vector<float> w(n * k), x(k);
  for (int64_t i = 0; i < n * k; ++i)
    w[i] = valueOf("w", i);
  for (int64_t i = 0; i < k; ++i)
    x[i] = valueOf("x", i) * 3.0f;
  roundToBf16(w);
  weight("w", {n, k}, w);
  std::string text = R"((%x: tensor<?x20xf32>) -> tensor<?x3xf32> {
    %w = qopt.weight @w : tensor<3x20x!qopt.q<i8, per_channel, scale = f32>>
    %q = qopt.quantize %x : (tensor<?x20xf32>) -> tensor<?x20x!qopt.q<i8, per_token, scale = f32>>
    %y = qopt.linear %q, %w : (tensor<?x20x!qopt.q<i8, per_token, scale = f32>>,
      tensor<3x20x!qopt.q<i8, per_channel, scale = f32>>) -> tensor<?x3xf32>
    return %y : tensor<?x3xf32> })";
  Values y = values(text, {{{1, k}, Values(x.begin(), x.end())}});
  auto quantize = [](const float *v, std::vector<int> &codes) {
    float absmax = 0.0f;
    for (int64_t i = 0; i < k; ++i)
      absmax = std::max(absmax, std::fabs(v[i]));
    float scale = absmax / 127.5f;
    for (int64_t i = 0; i < k; ++i)
      codes.push_back(std::clamp<int>(std::nearbyint(v[i] / scale), -128, 127));
    return scale;
  };
  std::vector<int> xCodes;
  float xScale = quantize(x.data(), xCodes);
  ASSERT_EQ(y.size(), 3u);
  for (int64_t row = 0; row < n; ++row) {
    std::vector<int> wCodes;
    float wScale = quantize(w.data() + row * k, wCodes);
    int sum = 0;
    for (int64_t i = 0; i < k; ++i)
      sum += xCodes[i] * wCodes[i];
    EXPECT_EQ(y[row], static_cast<float>(sum) * xScale * wScale);
  }
}

/// Four-bit integers that a source stores, which are not what quantizing their
/// values would give.
class StoredTensor : public MemoryTensor {
public:
  StoredTensor(bool affine)
      : MemoryTensor("w", {1, 32}, std::vector<float>(32, 7.0f)), affine(affine) {}
  std::optional<GroupQuantization> groupQuantization() const override {
    return GroupQuantization{4, 32, affine, FloatType::f16};
  }
  llvm::Error readGroups(int64_t, int64_t, uint8_t *codes, uint16_t *scales,
                         uint16_t *minima) const override {
    for (int i = 0; i < 32; ++i)
      codes[i] = affine ? i % 16 : static_cast<uint8_t>(i % 16 - 8);
    scales[0] = floatToF16(0.5f);
    if (affine)
      minima[0] = floatToF16(-3.0f);
    return llvm::Error::success();
  }

private:
  bool affine;
};

TEST_F(Ops, linear_int4_storedIntegersAreKept) {
  store.insert(std::make_unique<StoredTensor>(/*affine=*/true));
  std::string type = "tensor<1x32x!qopt.q<ui4, group = 32, scale = f16, min = f16>>";
  auto text = [&](std::string weight) {
    return "(%x: tensor<?x32xf32>) -> tensor<?x1xf32> {\n  %w = qopt.weight @w " + weight + " : " +
           type + "\n  %y = qopt.linear %x, %w : (tensor<?x32xf32>, " + type +
           ") -> tensor<?x1xf32>\n  return %y : tensor<?x1xf32> }";
  };
  Array x{{1, 32}, Values(32)};
  x.values[3] = 1;  // 0.5 * 3 - 3
  x.values[17] = 8; // 0.5 * 1 - 3
  std::string stored = "stored !qopt.q<ui4, group = 32, scale = f16, min = f16>";
  EXPECT_EQ(values(text(stored), {x}), (Values{-21.5}));
  // Without `stored` the values, all 7, are quantized.
  EXPECT_NEAR(values(text(""), {x})[0], 63.0, 0.05);

  store.insert(std::make_unique<StoredTensor>(/*affine=*/false));
  type = "tensor<1x32x!qopt.q<i4, group = 32, scale = f16>>";
  stored = "stored !qopt.q<i4, group = 32, scale = f16>";
  EXPECT_EQ(values(text(stored), {x}), (Values{-30.5})); // 0.5 * -5 + 8 * 0.5 * -7
}

TEST_F(Ops, linear_int4_isTheDequantizedProduct) {
  std::vector<float> w(2 * 64), decoded(2 * 64);
  for (int64_t i = 0; i < 128; ++i)
    w[i] = roundToBf16(valueOf("w", i));
  weight("w", {2, 64}, w);
  QuantizedRows rows;
  Scheme scheme = Scheme::w4a16(32);
  ASSERT_TRUE(quantizeRows(scheme, w.data(), 2, 64, rows));
  dequantizeRows(scheme, rows, 2, 64, decoded.data());
  Array x{{1, 64}, {}};
  Values expected(2);
  for (int64_t i = 0; i < 64; ++i) {
    x.values.push_back(roundToBf16(valueOf("x", i)));
    expected[0] += x.values[i] * decoded[i];
    expected[1] += x.values[i] * decoded[64 + i];
  }
  std::string text = R"((%x: tensor<?x64xbf16>) -> tensor<?x2xf32> {
    %w = qopt.weight @w : tensor<2x64x!qopt.q<i4, group = 32, scale = bf16>>
    %y = qopt.linear %x, %w
      : (tensor<?x64xbf16>, tensor<2x64x!qopt.q<i4, group = 32, scale = bf16>>) -> tensor<?x2xf32>
    return %y : tensor<?x2xf32> })";
  Values y = values(text, {x});
  EXPECT_FLOAT_EQ(y[0], expected[0]);
  EXPECT_FLOAT_EQ(y[1], expected[1]);
}

TEST_F(Ops, quantize_fp8_andBack) {
  std::string text = R"((%x: tensor<?x3xf32>) -> tensor<?x3xf32> {
    %q = qopt.quantize %x
      : (tensor<?x3xf32>) -> tensor<?x3x!qopt.q<f8E4M3FN, per_token, scale = f32>>
    %y = qopt.dequantize %q
      : (tensor<?x3x!qopt.q<f8E4M3FN, per_token, scale = f32>>) -> tensor<?x3xf32>
    return %y : tensor<?x3xf32> })";
  // Scale 2: 8.5 and 17.5 are half way between codes; then a row of zeros.
  EXPECT_EQ(values(text, {{{2, 3}, {896, 17, 35, 0, 0, 0}}}), (Values{896, 16, 36, 0, 0, 0}));
}

TEST_F(Ops, dequantize_int4_weight) {
  store.insert(std::make_unique<StoredTensor>(/*affine=*/true));
  std::string text = R"(() -> tensor<1x32xbf16> {
    %w = qopt.weight @w stored !qopt.q<ui4, group = 32, scale = f16, min = f16>
      : tensor<1x32x!qopt.q<ui4, group = 32, scale = f16, min = f16>>
    %y = qopt.dequantize %w
      : (tensor<1x32x!qopt.q<ui4, group = 32, scale = f16, min = f16>>) -> tensor<1x32xbf16>
    return %y : tensor<1x32xbf16> })";
  Values y = values(text, {});
  ASSERT_EQ(y.size(), 32u);
  for (int i = 0; i < 32; ++i)
    EXPECT_EQ(y[i], 0.5 * (i % 16) - 3.0);
}

TEST_F(Ops, negative_weightThatQuantizesToNothing) {
  weight("w", {1, 32}, std::vector<float>(32, NAN));
  EXPECT_EQ(failure(R"((%x: tensor<?x32xf32>) -> tensor<?x1xf32> {
    %w = qopt.weight @w : tensor<1x32x!qopt.q<i4, group = 32, scale = bf16>>
    %y = qopt.linear %x, %w
      : (tensor<?x32xf32>, tensor<1x32x!qopt.q<i4, group = 32, scale = bf16>>) -> tensor<?x1xf32>
    return %y : tensor<?x1xf32> })",
                    {{{1, 32}, Values(32)}}),
            "'qopt.linear': tensor 'w', in the rows from 0: row 0, column 0 holds nan, expected a "
            "finite value");
}

} // namespace
