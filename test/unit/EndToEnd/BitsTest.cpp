//===- BitsTest.cpp - The same bits in any company ------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EndToEnd.h"
#include "qopt/Target/CPU/CPUTarget.h"
#include <cstring>
#include <fstream>
#include <iterator>

using namespace qopt;
using namespace qopt::test;

namespace {

bool sameBits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

/// The logits of one sequence that is stepped along with 16 others of other
/// lengths, some in prefill and some decoding, in uneven chunks.
std::vector<float> logitsInCompany(Executor &executor, const std::vector<int32_t> &tokens,
                                   int32_t vocabulary) {
  constexpr size_t others = 16;
  size_t size = executor.model().vocabularySize();
  std::vector<Sequence> sequences;
  std::vector<std::vector<int32_t>> texts;
  for (size_t i = 0; i <= others; ++i) {
    sequences.push_back(executor.newSequence());
    texts.push_back(i == others / 2 ? tokens
                                    : randomTokens(tokens.size() + 3 * i, vocabulary, 100 + i));
  }
  std::vector<float> logits;
  for (size_t step = 0; logits.size() < tokens.size() * size; ++step) {
    std::vector<Chunk> chunks;
    std::vector<size_t> rows;
    for (size_t i = 0; i <= others; ++i) {
      size_t done = sequences[i].length();
      size_t count = std::min<size_t>(i % 3 == 0 ? 1 : 1 + (step * 7 + i) % 9, texts[i].size() - done);
      if (!count)
        continue;
      bool own = i == others / 2;
      chunks.push_back({&sequences[i], std::span(texts[i]).subspan(done, count),
                        own || i % 2 ? LogitRows::all : LogitRows::none});
      rows.push_back(own || i % 2 ? count : 0);
    }
    Result<std::span<const float>> result = executor.step(chunks);
    EXPECT_TRUE(result) << result.status().message();
    if (!result)
      return logits;
    size_t before = 0;
    for (size_t c = 0; c < chunks.size(); ++c) {
      if (chunks[c].sequence == &sequences[others / 2])
        logits.insert(logits.end(), (*result).begin() + before * size,
                      (*result).begin() + (before + rows[c]) * size);
      before += rows[c];
    }
  }
  return logits;
}

void expectSameBits(const std::string &artifact, size_t length, int32_t vocabulary) {
  ASSERT_FALSE(artifact.empty());
  Executor executor = load(artifact);
  std::vector<int32_t> tokens = randomTokens(length, vocabulary, 7);
  std::vector<float> alone = logitsOf(executor, tokens);
  for (uint32_t chunk : {1, 7, 64})
    EXPECT_TRUE(sameBits(alone, logitsOf(executor, tokens, chunk))) << "chunks of " << chunk;
  EXPECT_TRUE(sameBits(alone, logitsInCompany(executor, tokens, vocabulary)));
  for (unsigned threads : {1, 4}) { // others by 2
    Executor other = load(artifact, threads);
    EXPECT_TRUE(sameBits(alone, logitsOf(other, tokens))) << threads << " threads";
  }
}

class Bits : public testing::TestWithParam<std::string> {};

TEST_P(Bits, TinyModel) {
  for (const char *target : {"cpu:native", "cpu:x86-64-v3", "cpu:x86-64-v2"}) {
    TemporaryFolder folder;
    expectSameBits(
        compile(folder, {.model = tinyModel(), .format = GetParam(), .target = target}), 150, 512);
  }
}

/// The levels with a fused multiply-add that this machine runs: of 8 lanes and of 16.
std::vector<std::string> fusedLevels() {
  llvm::Expected<CPUTarget> native = CPUTarget::parse("cpu:native");
  EXPECT_TRUE(bool(native));
  std::vector<std::string> names;
  if (native->avx2)
    names = {"cpu:x86-64-v3", "cpu:native"};
  if (native->avx512)
    names.push_back("cpu:x86-64-v4");
  return names;
}

std::vector<float> logitsOfLevel(CompileOptions options, const std::string &target,
                                 int32_t vocabulary) {
  TemporaryFolder folder;
  options.target = target;
  options.maxTokens = 64;
  options.buckets = {64};
  Executor executor = load(compile(folder, options));
  return logitsOf(executor, randomTokens(100, vocabulary, 7));
}

// One order of sums, however wide the vectors are.
void expectLevelsAgree(const CompileOptions &options, int32_t vocabulary) {
  std::vector<float> first;
  for (const std::string &target : fusedLevels()) {
    std::vector<float> logits = logitsOfLevel(options, target, vocabulary);
    EXPECT_TRUE(first.empty() || sameBits(first, logits)) << target;
    first = std::move(logits);
  }
}

TEST_P(Bits, TinyModelOfEveryLevel) {
  expectLevelsAgree({.model = tinyModel(), .format = GetParam()}, 512);
  if (GetParam() == "w4a16")
    expectLevelsAgree({.model = tinyModel(), .format = GetParam(), .asymmetric = true}, 512);
}

// x86-64-v2 rounds a product before it adds it up: as much as the roundings of two
// layers.
TEST_P(Bits, TinyModelWithoutFusedProducts) {
  if (fusedLevels().empty())
    GTEST_SKIP() << "this machine has no fused multiply-add";
  CompileOptions options{.model = tinyModel(), .format = GetParam()};
  EXPECT_LE(relativeError(logitsOfLevel(options, "cpu:x86-64-v2", 512),
                          logitsOfLevel(options, "cpu:x86-64-v3", 512)),
            GetParam() == "fp32" ? 1e-5 : 1e-2);
}

TEST_P(Bits, SmolLM2OfEveryLevel) {
  if (smolModel().empty())
    GTEST_SKIP() << "QOPT_TEST_SMOLLM2 names no model";
  if (GetParam() == "w8a8-int8" || GetParam() == "keep")
    expectLevelsAgree({.model = smolModel(), .format = GetParam()}, 49152);
}

TEST_P(Bits, SmolLM2) {
  if (smolModel().empty())
    GTEST_SKIP() << "QOPT_TEST_SMOLLM2 names no model";
  TemporaryFolder folder;
  expectSameBits(compile(folder, {.model = smolModel(), .format = GetParam()}), 70, 49152);
}

INSTANTIATE_TEST_SUITE_P(All, Bits,
                         testing::Values("fp32", "bf16", "w8a8-fp8", "w8a8-int8", "w4a16", "keep"),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

std::string contentOf(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(Reproducible, TwoCompilesGiveTheSameBytes) {
  for (const char *format : {"bf16", "w4a16", "w8a8-int8"}) {
    TemporaryFolder first, second;
    std::string a = contentOf(compile(first, {.model = tinyModel(), .format = format}));
    std::string b = contentOf(compile(second, {.model = tinyModel(), .format = format}));
    EXPECT_FALSE(a.empty());
    EXPECT_TRUE(a == b) << format;
  }
}

} // namespace
