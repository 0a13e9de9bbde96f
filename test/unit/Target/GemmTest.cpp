//===- GemmTest.cpp - Linear layers of every format -----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CompiledPlan.h"
#include "mlir/AsmParser/AsmParser.h"
#include "qopt/Quantization/Activations.h"
#include "qopt/Quantization/RoundToNearest.h"
#include "qopt/Support/Float.h"
#include "qopt/Target/CPU/Layout.h"
#include "qopt/Target/CPU/Packing.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

using namespace qopt;
using namespace qopt::test;

namespace {

/// Activations of one token row.
enum class Input { f32, bf16, int8, e4m3 };

struct Format {
  const char *name;
  Input input;
  const char *weight; ///< MLIR element type
  std::optional<Scheme> scheme;
  bool isBF16 = false; ///< plain weights
};

struct Shape {
  int64_t n, k;
};

const char *elementOf(Input input) {
  switch (input) {
  case Input::f32:
    return "f32";
  case Input::bf16:
    return "bf16";
  case Input::int8:
    return "i8";
  case Input::e4m3:
    return "f8E4M3FN";
  }
  return "";
}

const Format formats[] = {
    {"fp32", Input::f32, "f32", std::nullopt},
    {"bf16", Input::bf16, "bf16", std::nullopt, true},
    {"w8a8_int8", Input::int8, "!qopt.q<i8, per_channel, scale = bf16>", Scheme::w8a8Int8()},
    {"w8a8_fp8", Input::e4m3, "!qopt.q<f8E4M3FN, per_channel, scale = bf16>", Scheme::w8a8Fp8()},
    {"w8a16", Input::bf16, "!qopt.q<i8, per_channel, scale = bf16>", Scheme::w8a8Int8()},
    {"w8a16_g32", Input::bf16, "!qopt.q<i8, group = 32, scale = f16>",
     Scheme{Storage::int8, 32, ScaleType::f16}},
    {"w4a16_g32", Input::bf16, "!qopt.q<i4, group = 32, scale = bf16>", Scheme::w4a16(32)},
    {"w4a16_g64", Input::bf16, "!qopt.q<i4, group = 64, scale = bf16>", Scheme::w4a16(64)},
    {"w4a16_g128", Input::bf16, "!qopt.q<i4, group = 128, scale = f32>",
     Scheme{Storage::int4, 128, ScaleType::f32}},
    {"w4a16_channel", Input::bf16, "!qopt.q<i4, per_channel, scale = bf16>", Scheme::w4a16(0)},
    {"w4a16_affine", Input::bf16, "!qopt.q<ui4, group = 32, scale = f16, min = f16>",
     Scheme{Storage::uint4, 32, ScaleType::f16}},
    {"w4a32", Input::f32, "!qopt.q<i4, group = 64, scale = bf16>", Scheme::w4a16(64)},
};

/// One weight: its packed image and, for the reference, its values.
struct Weight {
  std::vector<char> image;
  std::vector<float> values; // [n, k]
};

/// One step's operands.
struct Operands {
  std::vector<uint8_t> input; // rows as the kernel reads them
  std::vector<float> scales;  // [T], of codes
  std::vector<double> values; // [T, k], without scales
};

std::string typeText(const Format &format, const Shape &shape) {
  return llvm::formatv("tensor<{0}x{1}x{2}>", shape.n, shape.k, format.weight);
}

class GemmTest : public testing::TestWithParam<std::tuple<Format, std::string>> {
protected:
  GemmTest() : context(mlir::MLIRContext::Threading::DISABLED) {
    context.loadDialect<QOptDialect, kernel::KernelDialect>();
  }

  kernel::PackedType packedType(const Format &format, const Shape &shape, const CPUTarget &target) {
    auto tensor =
        mlir::cast<mlir::RankedTensorType>(mlir::parseType(typeText(format, shape), &context));
    return kernel::PackedType::get(&context, tensor, cpuLayout(tensor, target));
  }

  Weight makeWeight(const Format &format, const Shape &shape, const CPUTarget &target) {
    Weight weight;
    MemoryTensor tensor("w", shape.n, shape.k, randomWeights(shape.n * shape.k, 1, 0.05f));
    ErrorEnergy energy;
    auto append = [&](llvm::ArrayRef<char> bytes) {
      weight.image.insert(weight.image.end(), bytes.begin(), bytes.end());
      return llvm::Error::success();
    };
    kernel::PackedType type = packedType(format, shape, target);
    EXPECT_FALSE(static_cast<bool>(packWeight(type, {&tensor}, false, append, energy)));
    EXPECT_EQ(static_cast<int64_t>(weight.image.size()), packedSize(type));
    weight.values = tensor.values;
    if (format.scheme) {
      QuantizedRows rows;
      EXPECT_TRUE(quantizeRows(*format.scheme, tensor.values.data(), shape.n, shape.k, rows));
      dequantizeRows(*format.scheme, rows, shape.n, shape.k, weight.values.data());
    }
    if (format.isBF16)
      for (float &value : weight.values)
        value = roundToBf16(value);
    return weight;
  }

  static Operands makeOperands(const Format &format, int64_t tokens, int64_t k) {
    Operands operands;
    std::vector<float> x = randomValues(tokens * k, 2, 0.3f);
    operands.values.assign(x.begin(), x.end());
    auto bytes = [&](const auto &elements) {
      auto *data = reinterpret_cast<const uint8_t *>(elements.data());
      operands.input.assign(data, data + elements.size() * sizeof(elements[0]));
    };
    if (format.input == Input::f32) {
      bytes(x);
      return operands;
    }
    if (format.input == Input::bf16) {
      std::vector<uint16_t> rounded(x.size());
      for (size_t i = 0; i < x.size(); ++i) {
        rounded[i] = floatToBf16(x[i]);
        operands.values[i] = bf16ToFloat(rounded[i]);
      }
      bytes(rounded);
      return operands;
    }
    Storage storage = format.input == Input::int8 ? Storage::int8 : Storage::e4m3;
    std::vector<uint8_t> codes(x.size());
    for (int64_t t = 0; t < tokens; ++t)
      operands.scales.push_back(quantizeToken(storage, x.data() + t * k, k, codes.data() + t * k));
    for (size_t i = 0; i < x.size(); ++i)
      operands.values[i] = codeValue(storage, codes[i]);
    operands.input = codes;
    return operands;
  }

  mlir::MLIRContext context;
};

/// How a plan cuts its rows and tiles of channels.
struct Tiling {
  int64_t tileM, rows, tiles, block;
};
const Tiling tilings[] = {{1, 1, 2, 2}, {1, 1, 4, 64}, {7, 7, 2, 2}, {6, 24, 2, 2}};

/// What 4-bit codes are multiplied by: 16-bit integers, half to even, of the power
/// of two that the group's largest is below 2^15 of.
void roundToUnits(std::vector<double> &values, int64_t group) {
  for (size_t first = 0; first < values.size(); first += group) {
    auto begin = values.begin() + first, end = begin + group;
    double largest = 0;
    for (auto value = begin; value != end; ++value)
      largest = std::max(largest, std::abs(*value));
    int exponent = 0;
    std::frexp(largest, &exponent);
    for (auto value = begin; value != end; ++value)
      *value = std::ldexp(std::nearbyint(std::ldexp(*value, 15 - exponent)), exponent - 15);
  }
}

/// y = x w^T + bias + residual, to float32.
std::string planText(const Format &format, const Shape &shape, kernel::PackedType weight,
                     const Tiling &tiling) {
  std::string packed;
  llvm::raw_string_ostream(packed) << weight;
  bool isCode = format.input == Input::int8 || format.input == Input::e4m3;
  return llvm::formatv(
      R"(kernel.plan @p{5}_{3}_{8}_{1}_{2} max_tokens = 70 max_logit_rows = 70 {{
  %x = kernel.alloc : memref<?x{2}x{0}>
  %s = kernel.alloc : memref<?xf32>
  %w = kernel.weight @w : {4}
  %b = kernel.weight @b : memref<{1}xf32>
  %r = kernel.alloc : memref<?x{1}xbf16>
  %y = kernel.alloc : memref<?x{1}xf32>
  kernel.gemm ins(%x{6}, %w) extras(%b, %r) outs(%y) attributes {{
    schedule = #kernel.schedule<{{tile_m = {5} : i64, rows = {3} : i64, tiles = {8} : i64, block = {9} : i64}, reason = "">}
    epilogue {{
  ^bb0(%acc: f32, %b0: f32, %r0: bf16):
    %0 = arith.addf %acc, %b0 : f32
    %1 = arith.extf %r0 : bf16 to f32
    %2 = arith.addf %0, %1 : f32
    kernel.yield %2 : f32
  } : (memref<?x{2}x{0}>, {7}{4}, memref<{1}xf32>, memref<?x{1}xbf16>, memref<?x{1}xf32>) -> ()
}
)",
      elementOf(format.input), shape.n, shape.k, tiling.rows, packed, tiling.tileM,
      isCode ? " scales %s" : "", isCode ? "memref<?xf32>, " : "", tiling.tiles, tiling.block);
}

constexpr int64_t maxTokens = 70;
const Shape shapes[] = {{300, 128}, {77, 256}};

TEST_P(GemmTest, MatchesFloat64WhateverTheTiles) {
  const auto &[format, targetName] = GetParam();
  llvm::Expected<CPUTarget> target = CPUTarget::parse(targetName);
  ASSERT_TRUE(static_cast<bool>(target));
  std::vector<Shape> cases(std::begin(shapes), std::end(shapes));
  if (!format.scheme || format.scheme->groupSize == 0)
    cases.push_back({37, 131});
  std::string text;
  for (const Shape &shape : cases)
    for (const Tiling &tiling : tilings)
      text += planText(format, shape, packedType(format, shape, *target), tiling);
  CompiledPlan plan(text, targetName);
  ASSERT_TRUE(plan.valid());

  for (size_t index = 0; index < cases.size(); ++index) {
    const Shape &shape = cases[index];
    Weight weight = makeWeight(format, shape, *target);
    Operands operands = makeOperands(format, maxTokens, shape.k);
    std::vector<float> bias = randomValues(shape.n, 3);
    std::vector<uint16_t> residual;
    for (float value : randomValues(maxTokens * shape.n, 4))
      residual.push_back(floatToBf16(value));

    auto relativeError = [&](const std::vector<float> &y, const std::vector<double> &x) {
      double error = 0, signal = 0;
      for (int64_t t = 0; t < maxTokens; ++t)
        for (int64_t n = 0; n < shape.n; ++n) {
          double sum = 0;
          for (int64_t k = 0; k < shape.k; ++k)
            sum += x[t * shape.k + k] * weight.values[n * shape.k + k];
          double scale = operands.scales.empty() ? 1.0 : operands.scales[t];
          int64_t i = t * shape.n + n;
          double expected = sum * scale + bias[n] + bf16ToFloat(residual[i]);
          error += (y[i] - expected) * (y[i] - expected);
          signal += expected * expected;
        }
      return std::sqrt(error / signal);
    };

    auto run = [&](size_t launch, int64_t tokens, uint64_t workers) {
      std::vector<float> y(maxTokens * shape.n, std::numeric_limits<float>::quiet_NaN());
      std::vector<uint64_t> args{address(operands.input)};
      if (!operands.scales.empty())
        args.push_back(address(operands.scales));
      for (uint64_t arg : {address(weight.image), address(bias), address(residual), address(y),
                           static_cast<uint64_t>(tokens)})
        args.push_back(arg);
      plan.run(launch, args, workers);
      return y;
    };

    std::vector<float> all = run(std::size(tilings) * index, maxTokens, 1);
    std::vector<double> multiplied = operands.values;
    bool isNibble =
        format.scheme && format.scheme->groupSize &&
        (format.scheme->storage == Storage::int4 || format.scheme->storage == Storage::uint4);
    if (isNibble && format.input == Input::bf16) {
      EXPECT_LT(relativeError(all, operands.values), 1e-5) << "beside activations not rounded";
      roundToUnits(multiplied, format.scheme->groupSize);
    }
    EXPECT_LT(relativeError(all, multiplied), 1e-6) << shape.n << "x" << shape.k;

    for (size_t m = 0; m < std::size(tilings); ++m)
      for (int64_t tokens : {1, 2, 3, 5, 6, 7, 8, 13, 29, 70})
        for (uint64_t workers : {1, 2, 3}) {
          std::vector<float> y = run(std::size(tilings) * index + m, tokens, workers);
          int64_t used = tokens * shape.n;
          ASSERT_EQ(std::memcmp(y.data(), all.data(), used * sizeof(float)), 0)
              << plan.entry(std::size(tilings) * index + m) << " with " << tokens << " tokens, "
              << workers << " workers";
          for (size_t i = used; i < y.size(); ++i)
            ASSERT_TRUE(std::isnan(y[i])) << "wrote beyond its rows";
        }
  }
}

/// One token for each element of K, so that every weight comes out by itself.
TEST_P(GemmTest, ReadsEveryE4M3Code) {
  const auto &[format, targetName] = GetParam();
  if (!format.scheme || format.scheme->storage != Storage::e4m3)
    return;
  llvm::Expected<CPUTarget> target = CPUTarget::parse(targetName);
  ASSERT_TRUE(static_cast<bool>(target));
  const Shape shape{64, 64};
  kernel::PackedType type = packedType(format, shape, *target);
  std::vector<float> values;
  for (int64_t i = 0; i < shape.n * shape.k; ++i) {
    uint8_t code = static_cast<uint8_t>(i * 5 % 256);
    bool isScale = i % shape.k == 0 || (code & 0x7f) == 0x7f; // 448 makes the scale 1
    values.push_back(isScale ? 448.0f : static_cast<float>(codeValue(Storage::e4m3, code)));
  }
  MemoryTensor tensor("w", shape.n, shape.k, values);
  std::vector<char> image;
  auto append = [&](llvm::ArrayRef<char> bytes) {
    image.insert(image.end(), bytes.begin(), bytes.end());
    return llvm::Error::success();
  };
  ErrorEnergy energy;
  ASSERT_FALSE(static_cast<bool>(packWeight(type, {&tensor}, false, append, energy)));
  std::string text;
  for (const Tiling &tiling : tilings)
    text += planText(format, shape, type, tiling);
  CompiledPlan plan(text, targetName);
  ASSERT_TRUE(plan.valid());

  std::vector<uint8_t> input(shape.k * shape.k);
  for (int64_t k = 0; k < shape.k; ++k)
    input[k * shape.k + k] = 0x38; // 1
  std::vector<float> scales(shape.k, 1.0f), bias(shape.n), y(shape.k * shape.n);
  std::vector<uint16_t> residual(shape.k * shape.n);
  for (size_t launch = 0; launch < std::size(tilings); ++launch) {
    plan.run(launch, {address(input), address(scales), address(image), address(bias),
                      address(residual), address(y), static_cast<uint64_t>(shape.k)});
    for (int64_t k = 0; k < shape.k; ++k)
      for (int64_t n = 0; n < shape.n; ++n)
        ASSERT_EQ(y[k * shape.n + n], values[n * shape.k + k]) << plan.entry(launch);
  }
}

std::string nameOf(const testing::TestParamInfo<std::tuple<Format, std::string>> &info) {
  std::string name = std::string(std::get<0>(info.param).name) + "_" + std::get<1>(info.param);
  for (char &c : name)
    if (!isalnum(c))
      c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Formats, GemmTest,
                         testing::Combine(testing::ValuesIn(formats),
                                          testing::ValuesIn(runnableTargets())),
                         nameOf);

} // namespace
