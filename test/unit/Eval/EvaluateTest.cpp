//===- EvaluateTest.cpp - Perplexity and divergence against numpy ---------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Eval/Evaluate.h"
#include <gtest/gtest.h>
#include <vector>

using namespace qopt;

namespace {

#include "EvaluateReference.inc"

constexpr uint32_t vocabulary = 50, window = 16;

float hashed(uint32_t seed, uint32_t index) {
  uint32_t x = seed + index * 2654435761u;
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  x ^= x >> 16;
  return static_cast<float>(x >> 8) * 0x1p-23f - 1.0f;
}

/// Logits that depend on a token, its position and `noise`.
class FakeModel : public LogitSource {
public:
  explicit FakeModel(float noise, uint32_t chunk = 16) : noise(noise), chunk(chunk) {}

  uint32_t vocabularySize() const override { return size; }
  uint32_t maxChunk() const override { return chunk; }
  uint32_t maxContext() const override { return context; }
  Status reset() override {
    position = 0;
    return Status::ok();
  }
  Result<std::span<const float>> forward(std::span<const int32_t> tokens) override {
    EXPECT_LE(tokens.size(), chunk);
    logits.clear();
    for (int32_t token : tokens) {
      for (uint32_t v = 0; v < size; ++v) {
        uint32_t index = v + (position * 31 + token) * size;
        logits.push_back(4.0f * hashed(1, index) + noise * hashed(2, index));
      }
      ++position;
    }
    if (position >= poisoned)
      logits.back() = NAN;
    if (fails)
      return Status::unavailable("the device is gone");
    if (dropsRows)
      logits.pop_back();
    return std::span<const float>(logits);
  }

  uint32_t size = vocabulary, context = window, poisoned = -1;
  bool fails = false, dropsRows = false;

private:
  float noise;
  uint32_t chunk, position = 0;
  std::vector<float> logits;
};

std::vector<int32_t> text() {
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < 5 * int32_t(window) + 7; ++i)
    tokens.push_back(i * i * 7 % vocabulary);
  return tokens;
}

void expectReference(const Evaluation &result, const double (&reference)[6]) {
  EXPECT_NEAR(result.nll, reference[0], 1e-12);
  ASSERT_TRUE(result.divergence);
  EXPECT_NEAR(result.divergence->referenceNll, reference[1], 1e-12);
  EXPECT_NEAR(result.divergence->meanKL, reference[2], 1e-12);
  EXPECT_NEAR(result.divergence->standardError, reference[3], 1e-12);
  EXPECT_NEAR(result.divergence->p99, reference[4], 1e-12);
  EXPECT_NEAR(result.divergence->top1Agreement, reference[5], 1e-12);
}

TEST(Evaluate, equalsNumpy_inChunksOfAnySize) {
  for (auto [chunk, referenceChunk] : {std::pair{16, 16}, {5, 16}, {1, 3}, {1000, 7}}) {
    FakeModel model(0.75f, chunk), reference(0.0f, referenceChunk);
    EvaluationOptions options{window, 3, {}};
    Result<Evaluation> result = evaluate(model, text(), options, &reference);
    ASSERT_TRUE(result) << result.status().message();
    EXPECT_EQ(result->windows, 3u);
    EXPECT_EQ(result->predictions, 45u);
    EXPECT_EQ(result->divergence->positions, 48u);
    expectReference(*result, threeWindows);
    EXPECT_DOUBLE_EQ(result->perplexity(), std::exp(threeWindows[0]));
    EXPECT_DOUBLE_EQ(result->divergence->referencePerplexity(), std::exp(threeWindows[1]));
  }
}

TEST(Evaluate, allWindows_dropsTheTailAndReportsProgress) {
  FakeModel model(0.75f, 7), reference(0.0f);
  std::vector<uint64_t> done;
  EvaluationOptions options{window, 0, [&](uint64_t positions, uint64_t total) {
                              EXPECT_EQ(total, 80u);
                              done.push_back(positions);
                            }};
  Result<Evaluation> result = evaluate(model, text(), options, &reference);
  ASSERT_TRUE(result) << result.status().message();
  EXPECT_EQ(result->windows, 5u);
  expectReference(*result, allWindows);
  EXPECT_EQ(done.size(), 15u);
  EXPECT_EQ(done.front(), 7u);
  EXPECT_EQ(done.back(), 80u);
}

TEST(Evaluate, withoutReference_givesPerplexityOnly) {
  FakeModel model(0.75f);
  Result<Evaluation> result = evaluate(model, text(), {window, 100, {}});
  ASSERT_TRUE(result) << result.status().message();
  EXPECT_NEAR(result->nll, allWindows[0], 1e-12);
  EXPECT_FALSE(result->divergence);
}

TEST(Evaluate, aModelAgainstItself_doesNotDiverge) {
  FakeModel model(0.75f), same(0.75f);
  Result<Evaluation> result = evaluate(model, text(), {window, 0, {}}, &same);
  ASSERT_TRUE(result) << result.status().message();
  EXPECT_EQ(result->divergence->meanKL, 0.0);
  EXPECT_EQ(result->divergence->p99, 0.0);
  EXPECT_EQ(result->divergence->top1Agreement, 1.0);
  EXPECT_EQ(result->divergence->referenceNll, result->nll);
}

std::string failure(FakeModel &model, std::vector<int32_t> tokens, uint32_t size = window,
                    FakeModel *reference = nullptr) {
  Result<Evaluation> result = evaluate(model, tokens, {size, 0, {}}, reference);
  return result ? "no error" : result.status().message();
}

TEST(Evaluate, negative_inputs) {
  FakeModel model(0.75f), other(0.0f);
  EXPECT_EQ(failure(model, text(), 1), "a window has 1 tokens, expected at least 2");
  EXPECT_EQ(failure(model, {1, 2, 3}), "the text has 3 tokens, expected at least a window of 16");
  EXPECT_EQ(failure(model, text(), 17), "the model takes 16 tokens, expected a window of 17");
  EXPECT_EQ(failure(model, std::vector<int32_t>(20, 50)),
            "token 50 is outside of the vocabulary of 50");
  EXPECT_EQ(failure(model, std::vector<int32_t>(20, -1)),
            "token -1 is outside of the vocabulary of 50");
  other.size = 51;
  EXPECT_EQ(failure(model, text(), window, &other),
            "the model has a vocabulary of 50, expected the reference's 51");
}

TEST(Evaluate, negative_models) {
  FakeModel model(0.75f), other(0.0f);
  other.poisoned = 10;
  EXPECT_EQ(failure(model, text(), window, &other),
            "the reference's logits at position 15 are not finite");
  EXPECT_EQ(failure(other, text()), "the model's logits at position 15 are not finite");
  other.fails = true;
  EXPECT_EQ(failure(model, text(), window, &other), "the device is gone");
  model.dropsRows = true;
  EXPECT_EQ(failure(model, text()), "the model gave 799 logits, expected 800");
}

} // namespace
