//===- SamplerTest.cpp - Choosing tokens ----------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Sampler.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <numeric>

using namespace qopt;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> logits(size_t size, uint32_t seed) {
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i)
    values[i] = static_cast<float>(philox({uint32_t(i), 0, 0, 0}, {seed, 0})[0]) / 4e8f - 5;
  return values;
}

/// The rules of Sampler.h, written as plainly as they are stated.
std::map<int32_t, double> distribution(std::vector<float> values, const SamplingParams &params,
                                       std::vector<int32_t> history) {
  std::sort(history.begin(), history.end());
  history.erase(std::unique(history.begin(), history.end()), history.end());
  for (int32_t token : history)
    values[token] = values[token] > 0 ? values[token] / params.repetitionPenalty
                                      : values[token] * params.repetitionPenalty;
  std::vector<std::pair<double, int32_t>> kept;
  for (size_t i = 0; i < values.size(); ++i)
    kept.push_back({std::exp(double(values[i]) / params.temperature), static_cast<int32_t>(i)});
  std::sort(kept.begin(), kept.end(), [](auto &a, auto &b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  auto total = [&] {
    return std::accumulate(kept.begin(), kept.end(), 0.0,
                           [](double sum, auto &entry) { return sum + entry.first; });
  };
  if (params.topK && params.topK < kept.size())
    kept.resize(params.topK);
  double all = total(), sum = 0;
  size_t count = 0;
  while (count < kept.size() && (count == 0 || sum < params.topP * all))
    sum += kept[count++].first;
  kept.resize(count);
  double least = params.minP * kept[0].first;
  std::erase_if(kept, [&](auto &entry) { return entry.first < least; });
  all = total();
  std::map<int32_t, double> result;
  for (auto [weight, token] : kept)
    result[token] = weight / all;
  return result;
}

TEST(Philox, KnownAnswers) {
  // From the reference implementation, Random123's kat_vectors.
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Argmax, FirstOfTheLargest) {
  for (size_t size : {1u, 15u, 16u, 17u, 100u, 1000u}) {
    std::vector<float> values = logits(size, 3);
    auto expected = std::max_element(values.begin(), values.end()) - values.begin();
    EXPECT_EQ(argmax(values), expected) << size;
  }
  std::vector<float> ties(40, 1.0f);
  ties[3] = ties[20] = ties[39] = 2;
  EXPECT_EQ(argmax(ties), 3);
  ties[2] = nan;
  EXPECT_EQ(argmax(ties), 3);
  EXPECT_EQ(argmax(std::vector<float>(20, nan)), -1);
  EXPECT_EQ(argmax({}), -1);
}

TEST(Sampler, GreedyTakesTheLowestOfEqualIds) {
  Sampler sampler;
  std::vector<float> values = {0, 3, 1, 3};
  Result<SampledToken> token = sampler.sample(values, {.logprobs = true}, {}, 0);
  ASSERT_TRUE(token);
  EXPECT_EQ(token->token, 1);
  double sum = 1 + 2 * std::exp(3.0) + std::exp(1.0);
  EXPECT_NEAR(token->logprob, 3 - std::log(sum), 1e-12);
}

TEST(Sampler, PenaltyCountsATokenOnce) {
  Sampler sampler;
  std::vector<float> values = {3, 2, -1};
  std::vector<int32_t> history = {0, 0, 2};
  SamplingParams params{.repetitionPenalty = 1.4f, .logprobs = true};
  Result<SampledToken> token = sampler.sample(values, params, history, 3);
  ASSERT_TRUE(token);
  EXPECT_EQ(token->token, 0); // 3 / 1.4 > 2; twice it would lose
  params.repetitionPenalty = 2;
  EXPECT_EQ(sampler.sample(values, params, history, 3)->token, 1);
  // The log-probability is the model's, without the penalty.
  EXPECT_NEAR(sampler.sample(values, params, history, 3)->logprob,
              2 - std::log(std::exp(3.0) + std::exp(2.0) + std::exp(-1.0)), 1e-12);
}

TEST(Sampler, DrawsFromTheStatedDistribution) {
  const SamplingParams cases[] = {
      {.temperature = 1},
      {.temperature = 0.5f},
      {.temperature = 2, .topK = 5},
      {.temperature = 1, .topP = 0.7f},
      {.temperature = 1.5f, .minP = 0.2f},
      {.temperature = 1.3f, .topK = 30, .topP = 0.9f, .minP = 0.05f, .repetitionPenalty = 1.3f},
  };
  std::vector<float> values = logits(200, 7);
  std::vector<int32_t> history = {5, 17, 17, 60};
  Sampler sampler;
  for (const SamplingParams &params : cases) {
    std::map<int32_t, double> expected = distribution(values, params, history);
    constexpr int draws = 20000;
    std::map<int32_t, int> counts;
    for (int i = 0; i < draws; ++i)
      ++counts[sampler.sample(values, params, history, i)->token];
    // Chi-square over tokens expected at least 10 times: the mean is the number
    // of degrees of freedom, the variance twice that; 6 sigma.
    double chi = 0;
    int freedom = -1;
    for (auto [token, probability] : expected) {
      double mean = probability * draws;
      if (mean < 10)
        continue;
      chi += (counts[token] - mean) * (counts[token] - mean) / mean;
      ++freedom;
    }
    EXPECT_LT(chi, freedom + 6 * std::sqrt(2.0 * std::max(freedom, 1)));
    for (auto [token, count] : counts)
      EXPECT_TRUE(expected.count(token)) << "token " << token << " was filtered out";
  }
}

TEST(Sampler, DrawDependsOnSeedAndPositionAlone) {
  std::vector<float> values = logits(1000, 9);
  SamplingParams params{.temperature = 1, .seed = 42};
  Sampler fresh, used;
  for (int i = 0; i < 10; ++i)
    (void)used.sample(logits(500, i), {.temperature = 1, .topP = 0.5f}, {}, i);
  std::vector<int32_t> tokens;
  for (uint64_t position = 0; position < 50; ++position) {
    tokens.push_back(fresh.sample(values, params, {}, position)->token);
    EXPECT_EQ(tokens.back(), used.sample(values, params, {}, position)->token);
  }
  params.seed = 43;
  std::vector<int32_t> others;
  for (uint64_t position = 0; position < 50; ++position)
    others.push_back(fresh.sample(values, params, {}, position)->token);
  EXPECT_NE(tokens, others);
}

TEST(Sampler, FiltersDownToOneTokenAreGreedy) {
  std::vector<float> values = logits(300, 11);
  int32_t best = argmax(values);
  Sampler sampler;
  for (const SamplingParams &params :
       {SamplingParams{.temperature = 1, .topK = 1},
        SamplingParams{.temperature = 1, .topP = 1e-6f},
        SamplingParams{.temperature = 1, .minP = 1}, SamplingParams{.temperature = 1e-6f}})
    for (uint64_t position = 0; position < 20; ++position)
      EXPECT_EQ(sampler.sample(values, params, {}, position)->token, best);
}

TEST(Sampler, ImpossibleTokensAreNeverDrawn) {
  std::vector<float> values = {-infinity, 0, nan, 0, -infinity};
  Sampler sampler;
  for (uint64_t position = 0; position < 100; ++position) {
    int32_t token = sampler.sample(values, {.temperature = 1}, {}, position)->token;
    EXPECT_TRUE(token == 1 || token == 3);
  }
}

TEST(Sampler, RefusesLogitsThatAreNoNumbers) {
  Sampler sampler;
  for (float value : {nan, infinity, -infinity}) {
    Result<SampledToken> token = sampler.sample(std::vector<float>(4, value), {}, {}, 0);
    ASSERT_FALSE(token);
    EXPECT_EQ(token.status().message(), "the model's logits have no finite maximum");
  }
}

TEST(SamplingParams, NamesTheParameterThatIsWrong) {
  EXPECT_TRUE(SamplingParams{}.validate());
  EXPECT_EQ(SamplingParams{.temperature = -1}.validate().message(),
            "temperature is -1.000000, expected 0 to 1000000");
  EXPECT_EQ(SamplingParams{.topP = 0}.validate().message(),
            "top-p is 0.000000, expected more than 0 and at most 1");
  EXPECT_EQ(SamplingParams{.minP = 2}.validate().message(), "min-p is 2.000000, expected 0 to 1");
  EXPECT_EQ(SamplingParams{.repetitionPenalty = nan}.validate().message(),
            "repetition penalty is nan, expected more than 0 and at most 1000000");
}

} // namespace
