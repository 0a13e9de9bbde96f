//===- SmolLM2Test.cpp - A real model against PyTorch ---------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Reference continuations were made by test/e2e/reference_generation.py.
///
//===----------------------------------------------------------------------===//

#include "EndToEnd.h"
#include "qopt/Runtime/Generator.h"
#include <fstream>
#include <nlohmann/json.hpp>

using namespace qopt;
using namespace qopt::test;

namespace {

/// Logits closer than this may come in either order.
constexpr double nearTie = 0.05;

class SmolLM2 : public testing::Test {
protected:
  void SetUp() override {
    if (smolModel().empty())
      GTEST_SKIP() << "QOPT_TEST_SMOLLM2 names no model";
  }

  TemporaryFolder folder;
};

// Each step is given the reference's tokens before it, so that all steps are
// compared, not only those before the first near-tie of a continuation.
TEST_F(SmolLM2, GreedyTokensEqualPyTorchs) {
  nlohmann::json reference =
      nlohmann::json::parse(std::ifstream(QOPT_TEST_DIR "/e2e/smollm2_greedy.json"));
  Executor executor = load(compile(folder, {.model = smolModel(), .format = "fp32"}));
  size_t vocabulary = executor.model().vocabularySize(), steps = 0, nearTies = 0;
  for (const nlohmann::json &prompt : reference["prompts"]) {
    auto tokens = prompt["prompt_tokens"].get<std::vector<int32_t>>();
    auto continuation = prompt["tokens"].get<std::vector<int32_t>>();
    auto gaps = prompt["gaps"].get<std::vector<double>>();
    size_t first = tokens.size() - 1;
    tokens.insert(tokens.end(), continuation.begin(), continuation.end() - 1);
    std::vector<float> logits = logitsOf(executor, tokens);
    for (size_t i = 0; i < continuation.size(); ++i, ++steps) {
      int32_t token = argmax(std::span(logits).subspan((first + i) * vocabulary, vocabulary));
      if (token == continuation[i])
        continue;
      ++nearTies;
      EXPECT_LT(gaps[i], nearTie) << prompt["prompt"] << ", step " << i << ": token " << token
                                  << ", expected " << continuation[i];
    }
  }
  EXPECT_EQ(steps, 20u * 64u);
  RecordProperty("steps_that_differ_at_a_near_tie", static_cast<int>(nearTies));
}

TEST_F(SmolLM2, PromptsAreTokenizedAsInTheReference) {
  nlohmann::json reference =
      nlohmann::json::parse(std::ifstream(QOPT_TEST_DIR "/e2e/smollm2_greedy.json"));
  Result<Model> model = Model::load(compile(folder, {.model = smolModel()}));
  ASSERT_TRUE(model) << model.status().message();
  Result<Generator> generator = Generator::create(*model, {.executor = {.maxContext = 512}});
  ASSERT_TRUE(generator) << generator.status().message();
  for (const nlohmann::json &prompt : reference["prompts"]) {
    auto tokens = generator->encode(prompt["prompt"].get<std::string>());
    ASSERT_TRUE(tokens) << tokens.status().message();
    EXPECT_EQ(*tokens, prompt["prompt_tokens"].get<std::vector<int32_t>>());
  }
}

TEST_F(SmolLM2, AnswersInEnglish) {
  Result<Model> model = Model::load(compile(folder, {.model = smolModel()}));
  ASSERT_TRUE(model) << model.status().message();
  Result<Generator> generator = Generator::create(*model, {.executor = {.maxContext = 512}});
  ASSERT_TRUE(generator) << generator.status().message();
  GenerateOptions options = generator->defaults();
  options.sampling.temperature = 0;
  Result<Completion> answer =
      generator->chat({{"user", "What is the capital of France?"}}, options);
  ASSERT_TRUE(answer) << answer.status().message();
  EXPECT_EQ(answer->text, "The capital of France is Paris.");
  EXPECT_EQ(answer->finish, FinishReason::stopToken);
}

} // namespace
