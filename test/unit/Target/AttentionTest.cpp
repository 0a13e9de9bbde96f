//===- AttentionTest.cpp - Rotary embedding, the cache and attention ------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CompiledPlan.h"
#include "qopt/Support/Float.h"
#include "qopt/Support/Rope.h"
#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>
#include <limits>

using namespace qopt;
using namespace qopt::test;

namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

struct Model {
  int64_t heads, kvHeads, headDim, pageTokens;
  bool isBF16;
};

const Model models[] = {
    {9, 3, 64, 64, true}, {4, 1, 16, 64, false}, {2, 2, 128, 16, true}, {6, 2, 20, 12, true}};
constexpr int64_t layers = 2, layer = 1;

/// Launches of a model: table, rope, rope_append, kv_append, attention of a row at
/// a time, and of four rows and one head.
constexpr size_t launches = 6, oneRow = 4, fourRows = 5;
std::string planText(const Model &m) {
  const char *type = m.isBF16 ? "bf16" : "f32";
  std::string cache = llvm::formatv(
      "!qopt.kv_cache<layers = {0}, kv_heads = {1}, head_dim = {2}, page_tokens = {3}, type = {4}>",
      layers, m.kvHeads, m.headDim, m.pageTokens, type);
  std::string q = llvm::formatv("memref<?x{0}x{1}>", m.heads * m.headDim, type);
  std::string k = llvm::formatv("memref<?x{0}x{1}>", m.kvHeads * m.headDim, type);
  return llvm::formatv(R"(
kernel.plan @p{5}_{4} max_tokens = 64 max_logit_rows = 64 {{
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : {0}
  %t = kernel.alloc : memref<?x{4}xf32>
  %q = kernel.alloc : {1}
  %k = kernel.alloc : {2}
  %v = kernel.alloc : {2}
  %qr = kernel.alloc : {1}
  %y = kernel.alloc : {1}
  kernel.rotary_table ins(%batch) outs(%t)
    {{rope = #qopt.rope<head_dim = {4}, theta = 1.0e4, scaling = none>}
    : (!qopt.batch, memref<?x{4}xf32>) -> ()
  kernel.rope ins(%q, %t) outs(%qr) : ({1}, memref<?x{4}xf32>, {1}) -> ()
  kernel.rope_append ins(%q, %k, %v, %t, %cache, %batch) outs(%qr) {{layer = 1 : i64}
    : ({1}, {2}, {2}, memref<?x{4}xf32>, {0}, !qopt.batch, {1}) -> ()
  kernel.kv_append ins(%k, %v, %cache, %batch) {{layer = 1 : i64}
    : ({2}, {2}, {0}, !qopt.batch) -> ()
  kernel.attention ins(%qr, %cache, %batch) outs(%y)
    {{layer = 1 : i64, num_heads = {5} : i64, scale = 2.0e-1 : f64}
    : ({1}, {0}, !qopt.batch, {1}) -> ()
  kernel.attention ins(%qr, %cache, %batch) outs(%y)
    {{layer = 1 : i64, num_heads = {5} : i64, scale = 2.0e-1 : f64,
     schedule = #kernel.schedule<{{queries = 4 : i64, heads = 1 : i64}, reason = "">}
    : ({1}, {0}, !qopt.batch, {1}) -> ()
})",
                       cache, q, k, "", m.headDim, m.heads);
}

/// Buffers of bf16 or f32 elements.
class Elements {
public:
  Elements(bool isBF16, std::vector<float> values) : isBF16(isBF16), wide(std::move(values)) {
    for (float &value : wide)
      if (isBF16) {
        narrow.push_back(floatToBf16(value));
        value = bf16ToFloat(narrow.back());
      }
  }
  uint64_t data(int64_t element = 0) {
    return isBF16 ? address(narrow) + 2 * element : address(wide) + 4 * element;
  }
  float get(int64_t i) const { return isBF16 ? bf16ToFloat(narrow[i]) : wide[i]; }
  int64_t bytes() const { return isBF16 ? 2 : 4; }
  bool operator==(const Elements &other) const {
    return isBF16 ? narrow == other.narrow
                  : std::memcmp(wide.data(), other.wide.data(), 4 * wide.size()) == 0;
  }

private:
  bool isBF16;
  std::vector<uint16_t> narrow;
  std::vector<float> wide;
};

class AttentionTest : public testing::TestWithParam<std::string> {};

TEST_P(AttentionTest, RotaryTableIsExactToRounding) {
  CompiledPlan plan(planText(models[0]), GetParam());
  ASSERT_TRUE(plan.valid());
  std::vector<int32_t> positions;
  for (int64_t p = 0; p < (1 << 20); p = p < 4000 ? p + 1 : p + 997)
    positions.push_back(p);
  positions.push_back((1 << 20) - 1);
  int64_t rows = positions.size(), half = 32;
  std::vector<float> table(rows * 64, nan);
  plan.run(0, {address(positions), 0, 0, 0, address(table), static_cast<uint64_t>(rows)}, 2);
  std::vector<float> f = ropeFrequencies(64, RopeConfig());
  double worst = 0;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < half; ++i) {
      double angle = static_cast<float>(positions[r]) * f[i];
      worst = std::max(worst, std::abs(table[r * 64 + i] - std::cos(angle)));
      worst = std::max(worst, std::abs(table[r * 64 + half + i] - std::sin(angle)));
    }
  EXPECT_LT(worst, 0x1p-24);
}

/// One token of a sequence.
struct Token {
  int32_t sequence, position;
};

/// Runs tokens in steps through rope_append (or rope and kv_append) and
/// attention; rows of all tokens come back in the order of `tokens`.
class Runner {
public:
  Runner(const CompiledPlan &plan, size_t first, const Model &model, Elements &q, Elements &k,
         Elements &v)
      : plan(plan), first(first), model(model), q(q), k(k), v(v),
        pageElements(layers * 2 * model.kvHeads * model.headDim * model.pageTokens),
        pool(model.isBF16, std::vector<float>(pages * pageElements, nan)) {
    // Pages of the sequences are interleaved and out of order.
    for (int32_t s = 0; s < 3; ++s)
      for (int32_t p = 0; p < stride; ++p)
        blockTables.push_back((p * 3 + s + 5) % pages);
  }

  Elements run(const std::vector<Token> &tokens, const std::vector<int64_t> &steps, bool fused,
               uint64_t workers, size_t attention = oneRow) {
    int64_t columns = model.heads * model.headDim, kvColumns = model.kvHeads * model.headDim;
    Elements rotated(model.isBF16, std::vector<float>(tokens.size() * columns, nan)), y = rotated;
    uint64_t cache = pool.data(layer * pageElements / layers);
    int64_t begin = 0;
    for (int64_t count : steps) {
      std::vector<int32_t> positions, sequences;
      for (int64_t t = begin; t < begin + count; ++t) {
        positions.push_back(tokens[t].position);
        sequences.push_back(tokens[t].sequence);
      }
      std::vector<float> table(count * model.headDim, nan);
      uint64_t rows = count, tables = address(blockTables);
      uint64_t qRow = q.data(begin * columns), kRow = k.data(begin * kvColumns);
      uint64_t vRow = v.data(begin * kvColumns), out = rotated.data(begin * columns);
      plan.run(first,
               {address(positions), address(sequences), tables, stride, address(table), rows},
               workers);
      if (fused) {
        plan.run(first + 2,
                 {qRow, kRow, vRow, address(table), cache, address(positions), address(sequences),
                  tables, stride, out, rows},
                 workers);
      } else {
        // The rope kernel of the queries' width rotates the keys head by head.
        Elements keys(model.isBF16, std::vector<float>(count * columns, nan));
        Elements padded(model.isBF16, paddedKeys(begin, count));
        plan.run(first + 1, {qRow, address(table), out, rows}, workers);
        plan.run(first + 1, {padded.data(), address(table), keys.data(), rows}, workers);
        Elements narrow(model.isBF16, headColumns(keys, count));
        plan.run(first + 3,
                 {narrow.data(), vRow, cache, address(positions), address(sequences), tables,
                  stride, rows},
                 workers);
      }
      plan.run(first + attention,
               {out, cache, address(positions), address(sequences), tables, stride,
                y.data(begin * columns), rows},
               workers);
      begin += count;
    }
    return y;
  }

private:
  std::vector<float> paddedKeys(int64_t begin, int64_t count) const {
    int64_t columns = model.heads * model.headDim, kvColumns = model.kvHeads * model.headDim;
    std::vector<float> rows(count * columns, 1.0f);
    for (int64_t t = 0; t < count; ++t)
      for (int64_t c = 0; c < kvColumns; ++c)
        rows[t * columns + c] = k.get((begin + t) * kvColumns + c);
    return rows;
  }
  std::vector<float> headColumns(const Elements &keys, int64_t count) const {
    int64_t columns = model.heads * model.headDim, kvColumns = model.kvHeads * model.headDim;
    std::vector<float> rows;
    for (int64_t t = 0; t < count; ++t)
      for (int64_t c = 0; c < kvColumns; ++c)
        rows.push_back(keys.get(t * columns + c));
    return rows;
  }

  static constexpr int64_t stride = 13, pages = 40;
  const CompiledPlan &plan;
  size_t first;
  const Model &model;
  Elements &q, &k, &v;
  int64_t pageElements;
  Elements pool;
  std::vector<int32_t> blockTables;
};

/// Rope, causal attention and rounding of the inputs to attention, in float64.
std::vector<double> reference(const Model &m, const std::vector<Token> &tokens, const Elements &q,
                              const Elements &k, const Elements &v) {
  std::vector<float> f = ropeFrequencies(m.headDim, RopeConfig());
  int64_t half = m.headDim / 2;
  auto rotate = [&](const Elements &x, int64_t offset, int64_t position) {
    std::vector<double> y(m.headDim);
    for (int64_t i = 0; i < half; ++i) {
      double angle = static_cast<float>(position) * f[i], c = std::cos(angle), s = std::sin(angle);
      double low = x.get(offset + i), high = x.get(offset + half + i);
      y[i] = low * c - high * s;
      y[half + i] = high * c + low * s;
    }
    for (double &value : y)
      if (m.isBF16)
        value = roundToBf16(static_cast<float>(value));
    return y;
  };
  int64_t group = m.heads / m.kvHeads;
  std::vector<double> result(tokens.size() * m.heads * m.headDim);
  for (size_t t = 0; t < tokens.size(); ++t)
    for (int64_t h = 0; h < m.heads; ++h) {
      std::vector<double> query = rotate(q, (t * m.heads + h) * m.headDim, tokens[t].position);
      std::vector<double> sum(m.headDim);
      double total = 0;
      for (size_t j = 0; j < tokens.size(); ++j) {
        if (tokens[j].sequence != tokens[t].sequence || tokens[j].position > tokens[t].position)
          continue;
        int64_t offset = (j * m.kvHeads + h / group) * m.headDim;
        std::vector<double> key = rotate(k, offset, tokens[j].position);
        double score = 0;
        for (int64_t d = 0; d < m.headDim; ++d)
          score += query[d] * key[d];
        double weight = std::exp(0.2 * score);
        total += weight;
        for (int64_t d = 0; d < m.headDim; ++d)
          sum[d] += weight * v.get(offset + d);
      }
      for (int64_t d = 0; d < m.headDim; ++d)
        result[(t * m.heads + h) * m.headDim + d] = sum[d] / total;
    }
  return result;
}

TEST_P(AttentionTest, MatchesFloat64HoweverTheStepsAreCut) {
  // Prompts of 100, 41 and 1 tokens, interleaved.
  std::vector<Token> tokens;
  for (int32_t p = 0; p < 100; ++p) {
    tokens.push_back({0, p});
    if (p % 2 == 0 && p / 2 < 41)
      tokens.push_back({2, p / 2});
    if (p == 50)
      tokens.push_back({1, 0});
  }
  int64_t count = tokens.size();
  std::string text;
  for (const Model &model : models)
    text += planText(model);
  CompiledPlan plan(text, GetParam());
  ASSERT_TRUE(plan.valid());
  for (size_t i = 0; i < std::size(models); ++i) {
    const Model &m = models[i];
    Elements q(m.isBF16, randomValues(count * m.heads * m.headDim, 1));
    Elements k(m.isBF16, randomValues(count * m.kvHeads * m.headDim, 2));
    Elements v(m.isBF16, randomValues(count * m.kvHeads * m.headDim, 3, 0.5f));
    auto run = [&](const std::vector<int64_t> &steps, bool fused, uint64_t workers,
                   size_t attention = oneRow) {
      return Runner(plan, launches * i, m, q, k, v).run(tokens, steps, fused, workers, attention);
    };
    Elements whole = run({count}, true, 1);
    std::vector<double> expected = reference(m, tokens, q, k, v);
    double error = 0, signal = 0;
    for (size_t e = 0; e < expected.size(); ++e) {
      error += std::pow(whole.get(e) - expected[e], 2);
      signal += expected[e] * expected[e];
    }
    EXPECT_LT(std::sqrt(error / signal), m.isBF16 ? 4e-3 : 1e-5);
    EXPECT_TRUE(whole == run(std::vector<int64_t>(count, 1), true, 1)) << "token by token";
    EXPECT_TRUE(whole == run({7, 64, count - 71}, true, 3)) << "chunks and workers";
    EXPECT_TRUE(whole == run({count}, false, 2)) << "unfused";
    EXPECT_TRUE(whole == run({count}, true, 1, fourRows)) << "several rows at once";
    EXPECT_TRUE(whole == run({7, 64, count - 71}, true, 3, fourRows)) << "the same in chunks";
  }
}

std::string nameOf(const testing::TestParamInfo<std::string> &info) {
  std::string name = info.param;
  for (char &c : name)
    if (!isalnum(c))
      c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Targets, AttentionTest, testing::ValuesIn(runnableTargets()), nameOf);

} // namespace
