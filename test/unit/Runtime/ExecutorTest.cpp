//===- ExecutorTest.cpp - Steps of the toy model --------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Executor.h"
#include "ToyModel.h"
#include <gtest/gtest.h>

using namespace qopt;

namespace {

/// All rows of `tokens`, run alone in steps of `chunk` tokens.
std::vector<float> alone(Executor &executor, std::span<const int32_t> tokens, uint32_t chunk = 0) {
  Sequence sequence = executor.newSequence();
  std::vector<float> rows;
  Status status = executor.forward(
      sequence, tokens,
      [&](uint32_t firstRow, std::span<const float> logits) {
        EXPECT_EQ(firstRow * size_t(toy::vocabulary), rows.size());
        rows.insert(rows.end(), logits.begin(), logits.end());
        return Status::ok();
      },
      chunk);
  EXPECT_TRUE(status) << status.message();
  return rows;
}

Executor create(unsigned threads, const ExecutorOptions &options = {}) {
  Result<Executor> executor = Executor::create(toy::load(threads), options);
  EXPECT_TRUE(executor) << executor.status().message();
  return std::move(*executor);
}

TEST(Executor, LogitsAreTheModels) {
  Executor executor = create(2);
  std::vector<int32_t> tokens = toy::tokens(70, 1);
  std::vector<float> rows = alone(executor, tokens);
  ASSERT_EQ(rows.size(), tokens.size() * toy::vocabulary);
  for (size_t t = 0; t < tokens.size(); ++t) {
    std::vector<float> expected = toy::logits(std::span(tokens).first(t + 1));
    for (size_t v = 0; v < toy::vocabulary; ++v)
      ASSERT_EQ(rows[t * toy::vocabulary + v], expected[v]) << t << ", " << v;
  }
}

TEST(Executor, ChunksAndThreadsDontChangeBits) {
  std::vector<int32_t> tokens = toy::tokens(90, 2);
  Executor reference = create(1);
  std::vector<float> expected = alone(reference, tokens);
  for (unsigned threads : {1u, 2u, 3u}) {
    Executor executor = create(threads);
    for (uint32_t chunk : {1u, 7u, 64u, 0u})
      EXPECT_EQ(alone(executor, tokens, chunk), expected) << chunk << ", " << threads;
  }
}

TEST(Executor, CompanyDoesntChangeBits) {
  Executor executor = create(2, {.maxSequences = 20});
  // Seventeen sequences of different lengths, advanced by different chunks.
  std::vector<std::vector<int32_t>> texts;
  std::vector<std::vector<float>> expected;
  for (uint32_t i = 0; i < 17; ++i) {
    texts.push_back(toy::tokens(5 + i * 4, i));
    expected.push_back(alone(executor, texts.back()));
  }
  std::vector<Sequence> sequences;
  for (size_t i = 0; i < texts.size(); ++i)
    sequences.push_back(executor.newSequence());
  std::vector<std::vector<float>> found(texts.size());
  for (bool more = true; more;) {
    more = false;
    std::vector<Chunk> chunks;
    std::vector<size_t> owners;
    uint32_t budget = executor.maxStepTokens();
    for (size_t i = 0; i < texts.size(); ++i) {
      auto rest = std::span<const int32_t>(texts[i]).subspan(sequences[i].length());
      size_t size = std::min<size_t>({rest.size(), 1 + i % 5, budget});
      if (size == 0)
        continue;
      chunks.push_back({&sequences[i], rest.first(size), LogitRows::all});
      owners.push_back(i);
      budget -= size;
      more = true;
    }
    Result<std::span<const float>> logits = executor.step(chunks);
    ASSERT_TRUE(logits) << logits.status().message();
    std::span<const float> rows = *logits;
    for (size_t c = 0; c < chunks.size(); ++c) {
      auto own = rows.first(chunks[c].tokens.size() * toy::vocabulary);
      found[owners[c]].insert(found[owners[c]].end(), own.begin(), own.end());
      rows = rows.subspan(own.size());
    }
    EXPECT_TRUE(rows.empty());
  }
  EXPECT_EQ(found, expected);
}

TEST(Executor, WantedRowsOnly) {
  Executor executor = create(2);
  std::vector<int32_t> a = toy::tokens(6, 3), b = toy::tokens(4, 4), c = toy::tokens(3, 5);
  Sequence sequences[3] = {executor.newSequence(), executor.newSequence(), executor.newSequence()};
  Chunk chunks[] = {{&sequences[0], a, LogitRows::last},
                    {&sequences[1], b, LogitRows::none},
                    {&sequences[2], c, LogitRows::last}};
  Result<std::span<const float>> logits = executor.step(chunks);
  ASSERT_TRUE(logits);
  std::vector<float> expected = toy::logits(a), second = toy::logits(c);
  expected.insert(expected.end(), second.begin(), second.end());
  EXPECT_EQ(std::vector<float>(logits->begin(), logits->end()), expected);
}

TEST(Executor, PagesComeBack) {
  Executor executor = create(1);
  uint32_t pages = executor.freePages();
  {
    Sequence sequence = executor.newSequence();
    EXPECT_TRUE(executor.reserve(sequence, toy::pageTokens + 1));
    EXPECT_EQ(executor.freePages(), pages - 2);
    Sequence moved = std::move(sequence);
    EXPECT_EQ(executor.freePages(), pages - 2);
  }
  EXPECT_EQ(executor.freePages(), pages);
}

TEST(Executor, ReservesAllOrNothing) {
  Executor executor = create(1, {.maxContext = 8, .maxSequences = 1});
  EXPECT_EQ(executor.pages(), 2u);
  Sequence sequence = executor.newSequence(), other = executor.newSequence();
  EXPECT_TRUE(executor.reserve(sequence, 1));
  EXPECT_FALSE(executor.reserve(other, 8));
  EXPECT_EQ(executor.freePages(), 1u);
}

TEST(Executor, Errors) {
  Executor executor = create(1, {.maxContext = 8, .maxSequences = 1});
  Sequence sequence = executor.newSequence(), other = executor.newSequence();
  auto message = [&](std::vector<Chunk> chunks) {
    Result<std::span<const float>> logits = executor.step(chunks);
    EXPECT_FALSE(logits);
    return logits.status().message();
  };
  std::vector<int32_t> wrong = {0, 257}, negative = {-1}, one = {1}, nine(9), eight(8), many(33);
  EXPECT_EQ(message({{&sequence, wrong}}), "token 257 is not in the vocabulary of 257");
  EXPECT_EQ(message({{&sequence, negative}}), "token -1 is not in the vocabulary of 257");
  EXPECT_EQ(message({{&sequence, nine}}),
            "the sequence would have 9 tokens, expected at most the context of 8");
  EXPECT_EQ(message({{&sequence, {}}}),
            "a chunk needs a sequence of this executor and at least one token");
  EXPECT_EQ(message({{&sequence, one}, {&sequence, one}}), "a sequence has two chunks in one step");
  EXPECT_EQ(message({{&sequence, eight}, {&other, one}}), "the KV cache of 2 pages is full");
  EXPECT_EQ(sequence.length(), 0u);

  Executor large = create(1);
  Sequence fresh = large.newSequence();
  Chunk chunk{&fresh, many};
  EXPECT_EQ(large.step({&chunk, 1}).status().message(),
            "a step of 33 tokens and 1 logit rows, expected at most 32 and 32");
}

} // namespace
