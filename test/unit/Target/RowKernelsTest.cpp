//===- RowKernelsTest.cpp - Norms, elementwise, quantize, embedding -------===//
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
#include <gtest/gtest.h>
#include <limits>

using namespace qopt;
using namespace qopt::test;

namespace {

constexpr int64_t tokens = 7;
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

std::vector<uint16_t> toBf16(const std::vector<float> &values) {
  std::vector<uint16_t> bits;
  for (float value : values)
    bits.push_back(floatToBf16(value));
  return bits;
}

std::vector<float> fromBf16(const std::vector<uint16_t> &bits) {
  std::vector<float> values;
  for (uint16_t value : bits)
    values.push_back(bf16ToFloat(value));
  return values;
}

double relativeError(const std::vector<float> &values, const std::vector<double> &expected) {
  double error = 0, signal = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    error += (values[i] - expected[i]) * (values[i] - expected[i]);
    signal += expected[i] * expected[i];
  }
  return std::sqrt(error / signal);
}

class RowKernelsTest : public testing::TestWithParam<std::string> {};

std::string nameOf(const testing::TestParamInfo<std::string> &info) {
  std::string name = info.param;
  for (char &c : name)
    if (!isalnum(c))
      c = '_';
  return name;
}

//===----------------------------------------------------------------------===//
// Norm and quantize
//===----------------------------------------------------------------------===//

/// The norm of KernelOps.td, operation by operation, in float32.
std::vector<float> normRow(const float *x, const float *weight, int64_t columns, float eps,
                           bool isBF16) {
  float lanes[16] = {};
  for (int64_t k = 0; k < columns; ++k)
    lanes[k % 16] += x[k] * x[k];
  for (int64_t half = 8; half > 0; half /= 2)
    for (int64_t l = 0; l < half; ++l)
      lanes[l] += lanes[l + half];
  float inverse = 1.0f / std::sqrt(lanes[0] / static_cast<float>(columns) + eps);
  auto round = [&](float value) { return isBF16 ? roundToBf16(value) : value; };
  std::vector<float> y(columns);
  for (int64_t k = 0; k < columns; ++k)
    y[k] = round(round(x[k] * inverse) * weight[k]);
  return y;
}

TEST_P(RowKernelsTest, NormGivesTheBitsOfItsDefinition) {
  for (int64_t columns : {64, 100, 7}) {
    std::string text = llvm::formatv(R"(
kernel.plan @p max_tokens = 16 max_logit_rows = 16 {{
  %x = kernel.alloc : memref<?x{0}xbf16>
  %x32 = kernel.alloc : memref<?x{0}xf32>
  %w = kernel.weight @w : memref<{0}xbf16>
  %y = kernel.alloc : memref<?x{0}xbf16>
  %y32 = kernel.alloc : memref<?x{0}xf32>
  %c = kernel.alloc : memref<?x{0}xi8>
  %f = kernel.alloc : memref<?x{0}xf8E4M3FN>
  %s = kernel.alloc : memref<?xf32>
  kernel.norm ins(%x, %w) outs(%y) {{eps = 1.0e-5 : f64}
    : (memref<?x{0}xbf16>, memref<{0}xbf16>, memref<?x{0}xbf16>) -> ()
  kernel.norm ins(%x32, %w) outs(%y32) {{eps = 1.0e-5 : f64}
    : (memref<?x{0}xf32>, memref<{0}xbf16>, memref<?x{0}xf32>) -> ()
  kernel.norm ins(%x, %w) outs(%c, %s) {{eps = 1.0e-5 : f64}
    : (memref<?x{0}xbf16>, memref<{0}xbf16>, memref<?x{0}xi8>, memref<?xf32>) -> ()
  kernel.norm ins(%x, %w) outs(%f, %s) {{eps = 1.0e-5 : f64}
    : (memref<?x{0}xbf16>, memref<{0}xbf16>, memref<?x{0}xf8E4M3FN>, memref<?xf32>) -> ()
})",
                                     columns);
    CompiledPlan plan(text, GetParam());
    ASSERT_TRUE(plan.valid());
    std::vector<float> x32 = randomValues(tokens * columns, 1, 0.5f);
    std::vector<uint16_t> x = toBf16(x32), weight = toBf16(randomValues(columns, 2, 1.0f));
    std::vector<float> wide = fromBf16(x), w = fromBf16(weight);
    for (uint64_t workers : {1, 3}) {
      std::vector<uint16_t> y(tokens * columns, 0x7fc0);
      std::vector<float> y32(tokens * columns, nan);
      plan.run(0, {address(x), address(weight), address(y), tokens}, workers);
      plan.run(1, {address(x32), address(weight), address(y32), tokens}, workers);
      for (int64_t t = 0; t < tokens; ++t) {
        std::vector<float> e = normRow(wide.data() + t * columns, w.data(), columns, 1e-5f, true);
        std::vector<float> e32 = normRow(x32.data() + t * columns, w.data(), columns, 1e-5f, false);
        for (int64_t k = 0; k < columns; ++k) {
          ASSERT_EQ(bf16ToFloat(y[t * columns + k]), e[k]) << t << ", " << k;
          ASSERT_EQ(y32[t * columns + k], e32[k]) << t << ", " << k;
        }
      }
      for (Storage storage : {Storage::int8, Storage::e4m3}) {
        std::vector<uint8_t> codes(tokens * columns, 0x55), expected(columns);
        std::vector<float> scales(tokens, nan);
        plan.run(storage == Storage::int8 ? 2 : 3,
                 {address(x), address(weight), address(codes), address(scales), tokens}, workers);
        for (int64_t t = 0; t < tokens; ++t) {
          std::vector<float> e = fromBf16({y.begin() + t * columns, y.begin() + (t + 1) * columns});
          ASSERT_EQ(scales[t], quantizeToken(storage, e.data(), columns, expected.data()));
          ASSERT_EQ(std::memcmp(codes.data() + t * columns, expected.data(), columns), 0);
        }
      }
    }
  }
}

TEST_P(RowKernelsTest, QuantizeGivesTheBitsOfItsDefinition) {
  constexpr int64_t columns = 83, stride = 90;
  std::string text;
  for (const char *code : {"i8", "f8E4M3FN"})
    text += llvm::formatv(R"(
kernel.plan @p_{0} max_tokens = 16 max_logit_rows = 16 {{
  %a = kernel.alloc : memref<?x90xf32>
  %x = kernel.slice %a {{offset = 4 : i64}
    : memref<?x90xf32> to memref<?x83xf32, strided<[90, 1], offset: 4>>
  %c = kernel.alloc : memref<?x83x{0}>
  %s = kernel.alloc : memref<?xf32>
  kernel.quantize ins(%x) outs(%c, %s)
    : (memref<?x83xf32, strided<[90, 1], offset: 4>>, memref<?x83x{0}>, memref<?xf32>) -> ()
})",
                          code);
  CompiledPlan plan(text, GetParam());
  ASSERT_TRUE(plan.valid());
  std::vector<float> x = randomValues(tokens * stride, 3);
  auto row = [&](int64_t t) { return x.data() + t * stride + 4; };
  std::fill_n(row(1), columns, 0.0f);   // scale 1
  std::fill_n(row(2), columns, 1e-40f); // a scale that is subnormal
  row(3)[80] = 1e4f;                    // the others fall among e4m3's subnormals
  for (int64_t k = 0; k < columns; ++k) // ties and every small code
    row(4)[k] = static_cast<float>(k) * 0.5f * (k % 2 ? 1 : -1);
  row(4)[0] = 448.0f;
  row(5)[7] = nan;
  row(6)[82] = -300.0f; // the largest is in the rest of a vector
  for (Storage storage : {Storage::int8, Storage::e4m3})
    for (uint64_t workers : {1, 2}) {
      std::vector<uint8_t> codes(tokens * columns, 0x55), expected(columns);
      std::vector<float> scales(tokens, 0);
      plan.run(storage == Storage::int8 ? 0 : 1,
               {reinterpret_cast<uint64_t>(row(0)), address(codes), address(scales), tokens},
               workers);
      for (int64_t t = 0; t < tokens; ++t) {
        float scale = quantizeToken(storage, row(t), columns, expected.data());
        ASSERT_TRUE(scales[t] == scale || (std::isnan(scale) && std::isnan(scales[t]))) << t;
        for (int64_t k = 0; k < columns; ++k) {
          bool isNan = storage == Storage::e4m3 && t == 5;
          uint8_t mask = isNan ? 0x7f : 0xff;
          ASSERT_EQ(codes[t * columns + k] & mask, expected[k] & mask) << t << ", " << k;
        }
      }
    }
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

std::string siluMul(const std::string &yield, const std::string &type) {
  return llvm::formatv(R"(
  ^bb0(%g0: bf16, %u0: bf16):
    %g1 = arith.extf %g0 : bf16 to f32
    %u1 = arith.extf %u0 : bf16 to f32
    %one = arith.constant 1.0 : f32
    %0 = arith.negf %g1 : f32
    %1 = math.exp %0 : f32
    %2 = arith.addf %one, %1 : f32
    %3 = arith.divf %g1, %2 : f32
    %4 = arith.mulf %3, %u1 : f32
    %5 = arith.truncf %4 : f32 to bf16
    %6 = arith.extf %5 : bf16 to f32
    kernel.yield {0} : {1})",
                       yield, type);
}

TEST_P(RowKernelsTest, SiluMulMatchesFloat64) {
  constexpr int64_t columns = 45;
  std::string text = llvm::formatv(R"(
kernel.plan @p max_tokens = 16 max_logit_rows = 16 {{
  %gu = kernel.alloc : memref<?x90xbf16>
  %g = kernel.slice %gu {{offset = 0 : i64} : memref<?x90xbf16> to memref<?x45xbf16, strided<[90, 1]>>
  %u = kernel.slice %gu {{offset = 45 : i64}
    : memref<?x90xbf16> to memref<?x45xbf16, strided<[90, 1], offset: 45>>
  %y = kernel.alloc : memref<?x45xbf16>
  %c = kernel.alloc : memref<?x45xi8>
  %s = kernel.alloc : memref<?xf32>
  kernel.elementwise ins(%g, %u) outs(%y) body {{{0}
  } : (memref<?x45xbf16, strided<[90, 1]>>, memref<?x45xbf16, strided<[90, 1], offset: 45>>,
       memref<?x45xbf16>) -> ()
  kernel.elementwise ins(%g, %u) outs(%c, %s) body {{{1}
  } : (memref<?x45xbf16, strided<[90, 1]>>, memref<?x45xbf16, strided<[90, 1], offset: 45>>,
       memref<?x45xi8>, memref<?xf32>) -> ()
})",
                                   siluMul("%5", "bf16"), siluMul("%6", "f32"));
  CompiledPlan plan(text, GetParam());
  ASSERT_TRUE(plan.valid());
  std::vector<uint16_t> gu = toBf16(randomValues(tokens * 90, 5));
  gu[3] = floatToBf16(-200.0f); // exp overflows, silu is -0
  gu[4] = floatToBf16(90.0f);
  std::vector<double> expected;
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t k = 0; k < columns; ++k) {
      double g = bf16ToFloat(gu[t * 90 + k]), u = bf16ToFloat(gu[t * 90 + 45 + k]);
      expected.push_back(g / (1.0 + std::exp(-g)) * u);
    }
  std::vector<uint16_t> y(tokens * columns, 0x7fc0);
  plan.run(0, {address(gu), address(gu) + 90, address(y), tokens}, 2);
  EXPECT_LT(relativeError(fromBf16(y), expected), 4e-3);
  EXPECT_EQ(bf16ToFloat(y[3]), 0.0f);
  std::vector<uint8_t> codes(tokens * columns, 0x55), row(columns);
  std::vector<float> scales(tokens, nan), wide = fromBf16(y);
  plan.run(1, {address(gu), address(gu) + 90, address(codes), address(scales), tokens}, 3);
  for (int64_t t = 0; t < tokens; ++t) {
    ASSERT_EQ(scales[t],
              quantizeToken(Storage::int8, wide.data() + t * columns, columns, row.data()));
    ASSERT_EQ(std::memcmp(codes.data() + t * columns, row.data(), columns), 0) << t;
  }
}

TEST_P(RowKernelsTest, ExpIsWithinTwoUnitsInTheLastPlace) {
  CompiledPlan plan(R"(
kernel.plan @p max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x1000xf32>
  %y = kernel.alloc : memref<?x1000xf32>
  kernel.elementwise ins(%x) outs(%y) body {
  ^bb0(%a: f32):
    %0 = math.exp %a : f32
    kernel.yield %0 : f32
  } : (memref<?x1000xf32>, memref<?x1000xf32>) -> ()
})",
                    GetParam());
  ASSERT_TRUE(plan.valid());
  constexpr int64_t rows = 2000;
  std::vector<float> x(rows * 1000), y(x.size(), nan);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = -105.0f + 195.0f * static_cast<float>(i) / static_cast<float>(x.size());
  x[0] = -std::numeric_limits<float>::infinity();
  x[1] = std::numeric_limits<float>::infinity();
  x[2] = nan;
  x[3] = 0.0f;
  plan.run(0, {address(x), address(y), rows});
  EXPECT_EQ(y[0], 0.0f);
  EXPECT_EQ(y[1], std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_EQ(y[3], 1.0f);
  double worst = 0;
  for (size_t i = 4; i < x.size(); ++i) {
    double exact = std::exp(static_cast<double>(x[i]));
    if (exact > std::numeric_limits<float>::max()) {
      ASSERT_TRUE(std::isinf(y[i]) || y[i] > 3.4e38f) << x[i];
      continue;
    }
    float nearest = static_cast<float>(exact);
    double unit = std::nextafter(nearest, std::numeric_limits<float>::infinity()) - nearest;
    worst = std::max(worst, std::abs(y[i] - exact) / unit);
  }
  EXPECT_LT(worst, 2.0);
  RecordProperty("units", std::to_string(worst));
}

//===----------------------------------------------------------------------===//
// Rows of tables
//===----------------------------------------------------------------------===//

struct Table {
  const char *type;
  std::optional<Scheme> scheme;
  int64_t columns;
};

TEST_P(RowKernelsTest, EmbeddingReadsTiledTables) {
  const Table tables[] = {
      {"f32", std::nullopt, 35},
      {"bf16", std::nullopt, 35},
      {"f16", std::nullopt, 34},
      {"!qopt.q<i8, per_channel, scale = bf16>", Scheme::w8a8Int8(), 35},
      {"!qopt.q<f8E4M3FN, per_channel, scale = bf16>", Scheme::w8a8Fp8(), 35},
      {"!qopt.q<i8, group = 32, scale = f16>", Scheme{Storage::int8, 32, ScaleType::f16}, 64},
      {"!qopt.q<i4, group = 32, scale = bf16>", Scheme::w4a16(32), 64},
      {"!qopt.q<ui4, group = 32, scale = f16, min = f16>",
       Scheme{Storage::uint4, 32, ScaleType::f16}, 64}};
  constexpr int64_t vocabulary = 71;
  llvm::Expected<CPUTarget> target = CPUTarget::parse(GetParam());
  ASSERT_TRUE(static_cast<bool>(target));
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<QOptDialect, kernel::KernelDialect>();
  std::vector<kernel::PackedType> types;
  std::string text;
  for (const Table &table : tables) {
    std::string tensor =
        llvm::formatv("tensor<{0}x{1}x{2}>", vocabulary, table.columns, table.type);
    auto type = mlir::cast<mlir::RankedTensorType>(mlir::parseType(tensor, &context));
    types.push_back(kernel::PackedType::get(&context, type, cpuLayout(type, *target)));
    std::string packed;
    llvm::raw_string_ostream(packed) << types.back();
    text += llvm::formatv(R"(
kernel.plan @p{2} max_tokens = 16 max_logit_rows = 16 {{
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : {1}
  %y = kernel.alloc : memref<?x{0}xf32>
  kernel.embedding ins(%t, %w) outs(%y) : (memref<?xi32>, {1}, memref<?x{0}xf32>) -> ()
})",
                          table.columns, packed, types.size());
  }
  CompiledPlan plan(text, GetParam());
  ASSERT_TRUE(plan.valid());
  std::vector<int32_t> ids{70, 0, 3, 64, 63, 15, 3};
  for (size_t i = 0; i < types.size(); ++i) {
    const Table &table = tables[i];
    MemoryTensor tensor("w", vocabulary, table.columns,
                        randomWeights(vocabulary * table.columns, 6));
    std::vector<char> image;
    ErrorEnergy energy;
    auto append = [&](llvm::ArrayRef<char> bytes) {
      image.insert(image.end(), bytes.begin(), bytes.end());
      return llvm::Error::success();
    };
    ASSERT_FALSE(static_cast<bool>(packWeight(types[i], {&tensor}, false, append, energy)));
    std::vector<float> values = tensor.values;
    if (table.scheme) {
      QuantizedRows rows;
      ASSERT_TRUE(quantizeRows(*table.scheme, values.data(), vocabulary, table.columns, rows));
      dequantizeRows(*table.scheme, rows, vocabulary, table.columns, values.data());
    }
    for (float &value : values) {
      if (llvm::StringRef(table.type) == "bf16")
        value = roundToBf16(value);
      if (llvm::StringRef(table.type) == "f16")
        value = f16ToFloat(floatToF16(value));
    }
    std::vector<float> y(tokens * table.columns, nan);
    plan.run(i, {address(ids), address(image), address(y), tokens}, 2);
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t k = 0; k < table.columns; ++k)
        ASSERT_EQ(y[t * table.columns + k], values[ids[t] * table.columns + k])
            << table.type << ": " << t << ", " << k;
  }
}

TEST_P(RowKernelsTest, GatherCopiesRows) {
  CompiledPlan plan(R"(
kernel.plan @p max_tokens = 16 max_logit_rows = 16 {
  %x = kernel.alloc : memref<?x37xbf16>
  %i = kernel.input logit_rows : memref<?xi32>
  %y = kernel.alloc {rows = #kernel<rows logit_rows>} : memref<?x37xbf16>
  kernel.gather ins(%x, %i) outs(%y) : (memref<?x37xbf16>, memref<?xi32>, memref<?x37xbf16>) -> ()
})",
                    GetParam());
  ASSERT_TRUE(plan.valid());
  std::vector<uint16_t> x(tokens * 37), y(3 * 37);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = i;
  std::vector<int32_t> index{6, 0, 4};
  plan.run(0, {address(x), address(index), address(y), 3}, 2);
  for (int64_t r = 0; r < 3; ++r)
    for (int64_t k = 0; k < 37; ++k)
      ASSERT_EQ(y[r * 37 + k], x[index[r] * 37 + k]);
}

INSTANTIATE_TEST_SUITE_P(Targets, RowKernelsTest, testing::ValuesIn(runnableTargets()), nameOf);

} // namespace
