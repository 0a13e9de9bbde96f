//===- StepInputsTest.cpp - What a step's kernels are told ----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Runtime/Engine/PlanLine.h"
#include "Target/CUDA/device/sample_config.h"
#include <cstddef>
#include <gtest/gtest.h>

using namespace qopt;

namespace {

class StepInputsTest : public testing::Test {
protected:
  StepInputsTest() : device(std::move(*createCPUDevice({.threads = 1}))) {
    plan.set_max_tokens(20);
    plan.set_max_logit_rows(4);
    plan.set_query_tile(3);
    const artifact::Plan *plans[] = {&plan};
    EXPECT_TRUE(inputs.allocate(*device, plans, 5));
  }

  /// The step's vector, as kernels see it.
  std::vector<int32_t> read(artifact::StepInput input, size_t count) {
    EXPECT_TRUE(inputs.upload(*device));
    std::vector<int32_t> values(count);
    EXPECT_TRUE(device->copyToHost(std::as_writable_bytes(std::span(values)),
                                   inputs.value(input, StepLayout(plan))));
    return values;
  }
  uint64_t scalar(artifact::StepInput input) { return inputs.value(input, StepLayout(plan)); }

  using Values = std::vector<int32_t>;
  std::unique_ptr<Device> device;
  artifact::Plan plan;
  StepInputs inputs;
};

TEST_F(StepInputsTest, SequencesFollowEachOther) {
  inputs.begin(plan);
  inputs.beginSequence(Values{7, 8});
  for (int32_t i = 0; i < 7; ++i)
    inputs.addToken(100 + i, 10 + i, i == 6);
  inputs.beginSequence(Values{9});
  inputs.addToken(200, 0, true);
  EXPECT_EQ(read(artifact::TOKENS, 8), (Values{100, 101, 102, 103, 104, 105, 106, 200}));
  EXPECT_EQ(read(artifact::POSITIONS, 8), (Values{10, 11, 12, 13, 14, 15, 16, 0}));
  EXPECT_EQ(read(artifact::SEQUENCES, 8), (Values{0, 0, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(read(artifact::LOGIT_ROWS, 2), (Values{6, 7}));
  Values tables = read(artifact::BLOCK_TABLES, 6);
  EXPECT_EQ(tables[0], 7);
  EXPECT_EQ(tables[1], 8);
  EXPECT_EQ(tables[5], 9);
  EXPECT_EQ(scalar(artifact::NUM_TOKENS), 8u);
  EXPECT_EQ(scalar(artifact::NUM_LOGIT_ROWS), 2u);
  EXPECT_EQ(scalar(artifact::BLOCK_TABLE_STRIDE), 5u);
}

TEST_F(StepInputsTest, QueryTilesAreOfOneSequence) {
  inputs.begin(plan);
  for (size_t rows : {7, 1, 3, 4}) {
    inputs.beginSequence(Values{1});
    for (size_t i = 0; i < rows; ++i)
      inputs.addToken(1, static_cast<uint32_t>(i), false);
  }
  EXPECT_EQ(scalar(artifact::NUM_QUERY_TILES), 7u);
  EXPECT_EQ(read(artifact::QUERY_TILES, 14), (Values{0, 3, 3, 3, 6, 1, 7, 1, 8, 3, 11, 3, 14, 1}));
}

TEST_F(StepInputsTest, PaddingIsOfNoSequence) {
  plan.set_query_tile(0);
  inputs.begin(plan);
  inputs.beginSequence(Values{3});
  inputs.addToken(50, 9, true);
  inputs.pad(4, 3);
  EXPECT_EQ(read(artifact::TOKENS, 4), (Values{50, 0, 0, 0}));
  EXPECT_EQ(read(artifact::POSITIONS, 4), (Values{9, 0, 0, 0}));
  EXPECT_EQ(read(artifact::SEQUENCES, 4), (Values{0, -1, -1, -1}));
  EXPECT_EQ(read(artifact::LOGIT_ROWS, 3), (Values{0, 0, 0}));
  EXPECT_EQ(scalar(artifact::NUM_TOKENS), 4u);
  EXPECT_EQ(scalar(artifact::NUM_QUERY_TILES), 0u);
}

TEST_F(StepInputsTest, BlockTablesKeepTheRowsThatStay) {
  for (const std::vector<Values> &step : std::vector<std::vector<Values>>{
           {{1, 2}, {3}, {4, 5, 6}}, {{1, 2}, {3, 7}, {4, 5, 6}}, {{4, 5, 6}, {1, 2, 8, 9, 10}}}) {
    inputs.begin(plan);
    for (const Values &pages : step) {
      inputs.beginSequence(pages);
      inputs.addToken(1, 0, false);
    }
    Values tables = read(artifact::BLOCK_TABLES, 20);
    for (size_t row = 0; row < step.size(); ++row)
      EXPECT_EQ(Values(tables.begin() + row * 5, tables.begin() + row * 5 + step[row].size()),
                step[row]);
  }
}

TEST_F(StepInputsTest, SamplingRowsSayWhereHistoriesAre) {
  inputs.begin(plan);
  Values first = {5, 6}, second = {7, 8, 9};
  SamplingParams penalized{.repetitionPenalty = 2};
  inputs.beginSequence(Values{1});
  for (int i = 0; i < 3; ++i)
    inputs.addToken(1, i, true);
  inputs.addSampling({penalized, first, 2});
  inputs.addSampling({{.temperature = 0.5f, .topK = 3, .seed = 4, .logprobs = true}, second, 3});
  inputs.addSampling({penalized, second, 3});
  inputs.pad(4, 4);
  ASSERT_TRUE(inputs.samples());
  ASSERT_TRUE(inputs.upload(*device));
  SamplingRow rows[4];
  ASSERT_TRUE(device->copyToHost(std::as_writable_bytes(std::span(rows)),
                                 inputs.value(artifact::SAMPLING, StepLayout(plan))));
  auto history = [&](const SamplingRow &row) {
    Values tokens(row.historyLength);
    EXPECT_TRUE(device->copyToHost(std::as_writable_bytes(std::span(tokens)), row.history));
    return tokens;
  };
  EXPECT_EQ(history(rows[0]), first);
  EXPECT_EQ(rows[1].historyLength, 0) << "no penalty";
  EXPECT_EQ(history(rows[2]), second);
  EXPECT_EQ(rows[1].temperature, 0.5f);
  EXPECT_EQ(rows[1].topK, 3u);
  EXPECT_EQ(rows[1].seed, 4u);
  EXPECT_EQ(rows[1].position, 3u);
  EXPECT_TRUE(rows[1].isUsed && rows[1].wantsLogprob);
  EXPECT_FALSE(rows[3].isUsed);
  inputs.begin(plan);
  EXPECT_FALSE(inputs.samples());
}

/// The runtime and the device headers each declare a row.
TEST_F(StepInputsTest, SamplingRowsAreTheKernels) {
#define QOPT_SAME(ours, theirs)                                                                    \
  EXPECT_EQ(offsetof(SamplingRow, ours), offsetof(cuda::SamplingRow, theirs))
  EXPECT_EQ(sizeof(SamplingRow), sizeof(cuda::SamplingRow));
  QOPT_SAME(temperature, temperature);
  QOPT_SAME(topP, top_p);
  QOPT_SAME(minP, min_p);
  QOPT_SAME(repetitionPenalty, repetition_penalty);
  QOPT_SAME(topK, top_k);
  QOPT_SAME(historyLength, history_length);
  QOPT_SAME(history, history);
  QOPT_SAME(seed, seed);
  QOPT_SAME(position, position);
  QOPT_SAME(isUsed, is_used);
  QOPT_SAME(wantsLogprob, wants_logprob);
#undef QOPT_SAME
}

TEST_F(StepInputsTest, TheNextStepStartsAnew) {
  for (int32_t token : {5, 6}) {
    inputs.begin(plan);
    inputs.beginSequence(Values{token});
    inputs.addToken(token, 0, true);
    EXPECT_EQ(read(artifact::TOKENS, 1), Values{token});
    EXPECT_EQ(read(artifact::BLOCK_TABLES, 1), Values{token});
    EXPECT_EQ(read(artifact::QUERY_TILES, 2), (Values{0, 1}));
    EXPECT_EQ(inputs.numTokens(), 1u);
    EXPECT_EQ(inputs.numQueryTiles(), 1u);
  }
}

} // namespace
