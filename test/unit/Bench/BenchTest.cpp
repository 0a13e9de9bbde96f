//===- BenchTest.cpp - What is counted, and against what ------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bench/Ceilings.h"
#include "Bench/Work.h"
#include <gtest/gtest.h>

using namespace qopt;

namespace {

constexpr double linearBytes = 4096, tableBytes = 64 * 32 * 2;

/// One layer of 2 KV heads of 16 channels, bf16; pages of 64 tokens.
artifact::Manifest makeManifest() {
  artifact::Manifest manifest;
  artifact::Program &program = *manifest.add_programs();
  artifact::Model &model = *manifest.mutable_model();
  model.set_num_layers(2);
  model.set_num_heads(4);
  model.set_head_dim(16);
  program.mutable_kv_cache()->set_page_tokens(64);
  program.mutable_kv_cache()->set_page_bytes(2 * 2 * 2 * 16 * 64 * 2);
  auto addWeight = [&](const char *type, double bytes) {
    artifact::Weight &weight = *program.add_weights();
    weight.set_type(type);
    weight.mutable_section()->set_size(static_cast<uint64_t>(bytes));
  };
  addWeight("tensor<64x32xbf16>", tableBytes);
  addWeight("tensor<128x32x!qopt.q<i8, per_channel, scale = bf16>>", linearBytes);
  addWeight("memref<128xbf16>", 256);
  const std::pair<const char *, const char *> kernels[] = {
      {"kernel.embedding", "embedding_k32"},
      {"kernel.gemm", "gemm_w8a8_int8_k32_n128_m1"},
      {"kernel.gemm", "gemm_bf16_k32_n64_m1"},
      {"kernel.attention", "attention_h4_kv2_d16"}};
  for (auto [op, entry] : kernels) {
    artifact::Kernel &kernel = *program.add_kernels();
    kernel.set_op(op);
    kernel.set_entry(entry);
  }
  artifact::Plan &plan = *program.add_plans();
  plan.set_max_tokens(8);
  plan.set_max_logit_rows(4);
  auto addLaunch = [&](uint32_t kernel, std::vector<uint32_t> weights, artifact::StepInput rows) {
    artifact::Launch &launch = *plan.add_launches();
    launch.set_kernel(kernel);
    for (uint32_t weight : weights)
      launch.add_args()->set_weight(weight);
    launch.add_args()->set_input(rows);
  };
  addLaunch(0, {0}, artifact::NUM_TOKENS);
  addLaunch(1, {1, 2}, artifact::NUM_TOKENS);
  addLaunch(2, {0}, artifact::NUM_LOGIT_ROWS);
  addLaunch(3, {}, artifact::NUM_TOKENS);
  return manifest;
}

TEST(WorkTest, CountsWhatALaunchReadsAndComputes) {
  artifact::Manifest manifest = makeManifest();
  const artifact::Program &program = manifest.programs(0);
  StepShape step{.batch = 2, .context = 100, .tokens = 3, .logitRows = 2};
  const artifact::Plan &plan = program.plans(0);
  // The rows of six tokens.
  EXPECT_EQ(workOf(manifest.model(), program, plan.launches(0), step).bytes(), 6 * 32 * 2);
  // A weight and a bias; six rows of 128 x 32 products.
  Work linear = workOf(manifest.model(), program, plan.launches(1), step);
  EXPECT_EQ(linear.weightBytes, linearBytes + 256);
  EXPECT_EQ(linear.byteOperations, 2 * 6 * 128 * 32);
  EXPECT_EQ(linear.floatOperations, 0);
  // Logits of two rows.
  Work logits = workOf(manifest.model(), program, plan.launches(2), step);
  EXPECT_EQ(logits.weightBytes, tableBytes);
  EXPECT_EQ(logits.floatOperations, 2 * 2 * 64 * 32);
  // Keys and values of 103 tokens twice; tokens that see 101, 102 and 103.
  Work attention = workOf(manifest.model(), program, plan.launches(3), step);
  EXPECT_EQ(attention.cacheBytes, 2 * 103 * 2 * 2 * 16 * 2);
  EXPECT_EQ(attention.floatOperations, 4 * 2 * (101 + 102 + 103) * 4 * 16);

  Work all = workOf(manifest.model(), program, step);
  EXPECT_EQ(all.cacheBytes, attention.cacheBytes);
  EXPECT_EQ(all.operations(), linear.operations() + logits.operations() + attention.operations());
}

TEST(WorkTest, AStepWithoutLogitsReadsNoTable) {
  artifact::Manifest manifest = makeManifest();
  const artifact::Program &program = manifest.programs(0);
  StepShape step{.batch = 1, .context = 0, .tokens = 8, .logitRows = 0};
  EXPECT_EQ(workOf(manifest.model(), program, program.plans(0).launches(2), step).bytes(), 0);
}

TEST(WorkTest, AStepThatNoPlanHoldsIsNothing) {
  artifact::Manifest manifest = makeManifest();
  const artifact::Program &program = manifest.programs(0);
  EXPECT_EQ(planOf(program, {.batch = 1, .context = 0, .tokens = 9, .logitRows = 1}), nullptr);
  EXPECT_EQ(planOf(program, {.batch = 5, .context = 0, .tokens = 1, .logitRows = 5}), nullptr);
  EXPECT_EQ(planOf(program, {.batch = 4, .context = 0, .tokens = 2, .logitRows = 4}),
            &program.plans(0));
}

TEST(WorkTest, TheLeastTimeFollowsFromTheCeilings) {
  Work work{.weightBytes = 3e9, .cacheBytes = 1e9, .floatOperations = 4e9, .byteOperations = 6e9};
  Ceilings ceilings{.readBytesPerSecond = 8e9, .floatsPerSecond = 2e9, .bytesDotPerSecond = 6e9};
  EXPECT_DOUBLE_EQ(memorySeconds(work, ceilings), 0.5);
  EXPECT_DOUBLE_EQ(computeSeconds(work, ceilings), 3.0);
  work.shortOperations = 8e9;
  ceilings.shortsDotPerSecond = 4e9;
  EXPECT_DOUBLE_EQ(computeSeconds(work, ceilings), 5.0);
  ceilings.shortsDotPerSecond = 0; // no instruction for it
  EXPECT_DOUBLE_EQ(computeSeconds(work, ceilings), 7.0);
  work.shortOperations = 0;
  ceilings.bytesDotPerSecond = 0;
  EXPECT_DOUBLE_EQ(computeSeconds(work, ceilings), 5.0);
  EXPECT_EQ(memorySeconds(work, Ceilings()), 0);
  EXPECT_EQ(computeSeconds(work, Ceilings()), 0);
}

TEST(CeilingsTest, AreMeasuredOnTheThreadsAsked) {
  Ceilings ceilings = measureCeilings(1, {});
  EXPECT_EQ(ceilings.threads, 1u);
  EXPECT_GT(ceilings.readBytesPerSecond, 1e8);
#ifdef __x86_64__
  EXPECT_GT(ceilings.floatsPerSecond, 1e8);
#endif
  EXPECT_EQ(ceilings.bytesDotPerSecond, 0) << "no vpdpbusd was allowed";
}

} // namespace
