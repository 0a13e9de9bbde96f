//===- CUDATuningTest.cpp - Candidates, schedule tables, random data ------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GemmCandidates.h"
#include "ScheduleTable.h"
#include "qopt/Support/Float.h"
#include "qopt/Target/CUDA/Tuning.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <set>
#include <tuple>

using namespace qopt;
using cuda::Codes;
using cuda::GemmConfig;

namespace {

GemmConfig shapeOf(Codes codes, int n, int k) {
  GemmConfig config = {};
  config.codes = codes;
  config.n = n;
  config.k = k;
  config.group = codes == Codes::s4 ? 128 : k;
  config.scale = cuda::Number::bf16;
  return config;
}

TEST(GemmCandidatesTest, TheChoiceFirstThenOthersOfBothKinds) {
  for (Codes codes : {Codes::bf16, Codes::e4m3, Codes::s8, Codes::s4})
    for (int64_t rows : {1, 16, 64, 256, 4096}) {
      GemmConfig shape = shapeOf(codes, 4096, 14336);
      std::vector<GemmCandidate> candidates = variousCandidates(shape, rows, 24);
      ASSERT_FALSE(candidates.empty());
      EXPECT_LE(candidates.size(), 24u);
      EXPECT_EQ(candidates[0].config, gemmCandidates(shape, rows)[0].config);
      std::set<std::string> names;
      for (const GemmCandidate &candidate : candidates) {
        EXPECT_EQ(cuda::reason_invalid(candidate.config), nullptr);
        names.insert(gemmConfigName(candidate.config));
      }
      EXPECT_EQ(names.size(), candidates.size());
      auto isWarps = [](const GemmCandidate &c) { return !c.config.wgmma; };
      if (codes == Codes::e4m3)
        EXPECT_TRUE(llvm::none_of(candidates, isWarps));
    }
  std::vector<GemmCandidate> few = variousCandidates(shapeOf(Codes::bf16, 4096, 4096), 16, 1);
  EXPECT_EQ(few.size(), 1u);
}

/// Measured on an H200, microseconds (bench/results/gemm-h200.md).
struct Measured {
  Codes codes;
  int n, k;
  int64_t rows;
  bool wgmma;
  int tileN, tileT, kStage, stages, kWarps;
  double microseconds;
};
constexpr Measured measured[] = {
    {Codes::bf16, 4096, 4096, 1, false, 16, 1, 512, 6, 1, 10.44},
    {Codes::bf16, 4096, 4096, 1, false, 32, 1, 256, 6, 1, 10.25},
    {Codes::s8, 4096, 4096, 1, false, 32, 1, 512, 6, 2, 5.73},
    {Codes::s8, 4096, 4096, 1, false, 64, 1, 512, 3, 1, 6.09},
    {Codes::e4m3, 4096, 4096, 1, true, 16, 8, 512, 8, 1, 7.62},
    {Codes::e4m3, 4096, 4096, 1, true, 32, 8, 512, 5, 1, 5.71},
    {Codes::e4m3, 4096, 4096, 1, true, 64, 8, 512, 3, 1, 7.18},
    {Codes::e4m3, 28672, 4096, 1, true, 32, 8, 512, 5, 1, 31.57},
    {Codes::e4m3, 28672, 4096, 1, true, 64, 8, 512, 3, 1, 28.86},
    {Codes::e4m3, 4096, 14336, 1, true, 16, 8, 512, 8, 1, 16.23},
    {Codes::e4m3, 4096, 14336, 1, true, 32, 8, 512, 5, 1, 17.87},
    {Codes::s4, 4096, 4096, 1, false, 16, 1, 2048, 4, 4, 4.83},
    {Codes::s4, 4096, 4096, 1, false, 32, 1, 1024, 4, 2, 6.35},
    {Codes::s4, 4096, 4096, 1, false, 32, 1, 1024, 3, 1, 7.99},
    {Codes::s4, 28672, 4096, 1, false, 16, 1, 2048, 4, 4, 27.15},
    {Codes::s4, 28672, 4096, 1, false, 32, 1, 1024, 3, 1, 21.83},
    {Codes::s4, 28672, 4096, 1, false, 64, 1, 512, 3, 1, 17.29},
    {Codes::s4, 4096, 14336, 1, false, 16, 1, 2048, 4, 4, 12.63},
    {Codes::s4, 4096, 14336, 1, false, 32, 1, 1024, 4, 2, 17.21},
    {Codes::s4, 4096, 4096, 32, false, 64, 32, 256, 4, 1, 15.67},
    {Codes::s4, 4096, 14336, 32, false, 64, 32, 256, 4, 1, 45.96},
    {Codes::s4, 28672, 4096, 32, false, 64, 32, 256, 4, 1, 32.08},
    {Codes::s4, 28672, 4096, 128, true, 64, 64, 256, 4, 1, 106.42},
    {Codes::s4, 28672, 4096, 128, true, 128, 128, 128, 4, 1, 59.34},
    {Codes::s4, 4096, 4096, 128, true, 64, 64, 256, 4, 1, 15.55},
    {Codes::s4, 4096, 4096, 128, true, 128, 128, 128, 4, 1, 30.25},
    {Codes::bf16, 28672, 4096, 4096, true, 128, 256, 64, 4, 1, 1348.19},
    {Codes::s8, 4096, 4096, 4096, true, 128, 256, 128, 4, 1, 104.64},
};

GemmConfig configOf(const Measured &m) {
  GemmConfig config = shapeOf(m.codes, m.n, m.k);
  config.wgmma = m.wgmma;
  config.tile_n = m.tileN;
  config.tile_t = m.tileT;
  config.k_stage = m.kStage;
  config.stages = m.stages;
  config.k_warps = m.kWarps;
  config.row_copies = m.tileT < 8;
  return config;
}

TEST(GemmCandidatesTest, TheModelOrdersWhatWasMeasured) {
  for (const Measured &m : measured) {
    double ratio = gemmCost(configOf(m), m.rows).total * 1e6 / m.microseconds;
    EXPECT_GT(ratio, 0.75) << gemmConfigName(configOf(m)) << " of " << m.n << " x " << m.k;
    EXPECT_LT(ratio, 1.33) << gemmConfigName(configOf(m)) << " of " << m.n << " x " << m.k;
    // What the model prefers is at most a seventh slower than any other of the layer.
    for (const Measured &other : measured)
      if (std::tie(m.codes, m.n, m.k, m.rows) ==
              std::tie(other.codes, other.n, other.k, other.rows) &&
          gemmCost(configOf(m), m.rows).total < gemmCost(configOf(other), m.rows).total)
        EXPECT_LT(m.microseconds, other.microseconds * 8 / 7);
  }
}

TEST(ScheduleTableTest, WhatIsPrintedIsRead) {
  std::vector<ScheduleEntry> entries;
  for (Codes codes : {Codes::bf16, Codes::e4m3, Codes::s8, Codes::s4})
    for (int64_t rows : {1, 256}) {
      GemmConfig shape = shapeOf(codes, 4096, 14336);
      GemmConfig config = gemmCandidates(shape, rows)[0].config;
      entries.push_back({{config, codes == Codes::bf16, rows}, 12.25, 13.5, "NVIDIA \"H200\""});
    }
  ScheduleTable table;
  EXPECT_EQ(llvm::toString(table.add(printSchedules(entries), "table")), "");
  EXPECT_EQ(table.size(), entries.size());
  for (const ScheduleEntry &entry : entries) {
    GemmConfig shape = shapeOf(entry.layer.config.codes, 4096, 14336);
    const ScheduleEntry *found = table.find({shape, entry.layer.isFloat, entry.layer.rows});
    ASSERT_TRUE(found) << entry.layer.name();
    EXPECT_EQ(found->layer.config, entry.layer.config);
    EXPECT_EQ(found->microseconds, 12.25);
    EXPECT_EQ(found->modelMicroseconds, 13.5);
    EXPECT_EQ(found->device, "NVIDIA \"H200\"");
    EXPECT_FALSE(table.find({shape, !entry.layer.isFloat, entry.layer.rows}));
    EXPECT_FALSE(table.find({shape, entry.layer.isFloat, 2}));
  }
}

TEST(ScheduleTableTest, ShippedTablesAreValid) {
  llvm::Expected<ScheduleTable> table = shippedSchedules();
  EXPECT_TRUE(static_cast<bool>(table)) << llvm::toString(table.takeError());
}

TEST(TuningDataTest, NumbersAreFinite) {
  mlir::MLIRContext context;
  uint64_t count = 3 << 20; // more than are drawn
  std::vector<std::byte> bytes = randomNumbers(mlir::BFloat16Type::get(&context), count);
  ASSERT_EQ(bytes.size(), 2 * count);
  for (uint64_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, &bytes[2 * i], 2);
    ASSERT_LE(std::fabs(bf16ToFloat(bits)), 1.0f);
  }
  std::set<std::byte> codes;
  for (std::byte code : randomNumbers(mlir::Float8E4M3FNType::get(&context), 1 << 16))
    codes.insert(code);
  EXPECT_EQ(codes.size(), 254u); // all but the two NaNs
  EXPECT_FALSE(codes.count(std::byte(0x7f)) || codes.count(std::byte(0xff)));
}

} // namespace
