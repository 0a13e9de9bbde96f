//===- EngineTest.cpp - Requests and their company ------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Engine.h"
#include "ToyModel.h"
#include <atomic>
#include <gtest/gtest.h>
#include <map>
#include <thread>

using namespace qopt;

namespace {

struct Outcome {
  std::vector<int32_t> tokens;
  FinishReason finish = FinishReason::none;
  int ends = 0;
  bool operator==(const Outcome &) const = default;
};

Engine create(const EngineOptions &options = {}) {
  Result<Engine> engine = Engine::create(toy::load(2), options);
  EXPECT_TRUE(engine) << engine.status().message();
  return std::move(*engine);
}

/// Records a request's events in `outcome`.
Request request(std::vector<int32_t> prompt, uint32_t maxTokens, Outcome &outcome,
                SamplingParams sampling = {}) {
  Request request;
  request.prompt = std::move(prompt);
  request.maxTokens = maxTokens;
  request.sampling = sampling;
  request.onToken = [&outcome](const TokenEvent &event) {
    if (event.token >= 0)
      outcome.tokens.push_back(event.token);
    EXPECT_EQ(event.generatedTokens, outcome.tokens.size());
    outcome.finish = event.finish;
    outcome.ends += event.finish != FinishReason::none;
    return true;
  };
  return request;
}

void run(Engine &engine) {
  for (int steps = 0; engine.busy(); ++steps) {
    ASSERT_LT(steps, 10000) << "no progress";
    Result<bool> more = engine.step();
    ASSERT_TRUE(more) << more.status().message();
    EXPECT_EQ(*more, engine.busy());
  }
  EXPECT_EQ(engine.executor().freePages(), engine.executor().pages());
}

TEST(Engine, GreedyIsTheModelsArgmax) {
  Engine engine = create();
  std::vector<int32_t> text = toy::tokens(10, 1);
  Outcome outcome;
  ASSERT_TRUE(engine.submit(request(text, 20, outcome)));
  run(engine);
  for (int32_t token : outcome.tokens) {
    EXPECT_EQ(token, argmax(toy::logits(text)));
    text.push_back(token);
  }
  EXPECT_EQ(outcome.tokens.size(), 20u);
  EXPECT_EQ(outcome.finish, FinishReason::length);
  EXPECT_EQ(outcome.ends, 1);
}

/// A mix of requests: greedy and sampled, short and long.
std::vector<Request> mix(std::vector<Outcome> &outcomes) {
  outcomes.assign(17, {});
  std::vector<Request> requests;
  for (uint32_t i = 0; i < outcomes.size(); ++i) {
    SamplingParams sampling;
    if (i % 2)
      sampling = {
          .temperature = 1, .topK = 50, .topP = 0.95f, .repetitionPenalty = 1.1f, .seed = i};
    requests.push_back(request(toy::tokens(1 + i * 4, i), 25, outcomes[i], sampling));
  }
  return requests;
}

std::vector<Outcome> aloneOutcomes() {
  Engine engine = create();
  std::vector<Outcome> outcomes;
  for (Request &request : mix(outcomes)) {
    EXPECT_TRUE(engine.submit(std::move(request)));
    run(engine);
  }
  return outcomes;
}

TEST(Engine, CompanyAndChunksDontChangeTokens) {
  std::vector<Outcome> expected = aloneOutcomes();
  for (uint32_t maxStepTokens : {0u, 1u, 7u, 20u}) {
    Engine engine = create({.maxStepTokens = maxStepTokens});
    std::vector<Outcome> outcomes;
    for (Request &request : mix(outcomes))
      ASSERT_TRUE(engine.submit(std::move(request)));
    run(engine);
    EXPECT_EQ(outcomes, expected) << maxStepTokens;
    EXPECT_EQ(engine.statistics().preemptions, 0u);
  }
}

TEST(Engine, PreemptionDoesntChangeTokens) {
  std::vector<Outcome> expected = aloneOutcomes();
  // Pages for one full context and a bit: most requests are sent back at times.
  for (uint64_t pages : {24u, 25u, 30u, 40u}) {
    Engine engine = create({.executor = {.kvCacheBytes = pages * toy::pageBytes}});
    std::vector<Outcome> outcomes;
    for (Request &request : mix(outcomes))
      ASSERT_TRUE(engine.submit(std::move(request)));
    run(engine);
    EXPECT_EQ(outcomes, expected) << pages;
    if (pages == 24) {
      EXPECT_GT(engine.statistics().preemptions, 0u);
    }
  }
}

TEST(Engine, LateArrivalsDontChangeTokens) {
  std::vector<Outcome> expected = aloneOutcomes();
  Engine engine = create();
  std::vector<Outcome> outcomes;
  for (Request &request : mix(outcomes)) {
    ASSERT_TRUE(engine.submit(std::move(request)));
    ASSERT_TRUE(engine.step());
    ASSERT_TRUE(engine.step());
  }
  run(engine);
  EXPECT_EQ(outcomes, expected);
}

TEST(Engine, StopTokenEnds) {
  Engine engine = create();
  Outcome free, stopped;
  ASSERT_TRUE(engine.submit(request(toy::tokens(10, 1), 8, free)));
  run(engine);
  Request request = ::request(toy::tokens(10, 1), 8, stopped);
  request.stopTokens = {free.tokens[3]};
  size_t length =
      std::find(free.tokens.begin(), free.tokens.end(), free.tokens[3]) - free.tokens.begin() + 1;
  ASSERT_TRUE(engine.submit(std::move(request)));
  run(engine);
  EXPECT_EQ(stopped.tokens, std::vector(free.tokens.begin(), free.tokens.begin() + length));
  EXPECT_EQ(stopped.finish, FinishReason::stopToken);
}

TEST(Engine, ModelsEndTokenCanBeIgnored) {
  std::vector<int32_t> prompt = toy::tokens(10, 1);
  uint32_t first = argmax(toy::logits(prompt));
  std::string path = toy::write("eos", [&](artifact::Manifest &manifest) {
    manifest.mutable_generation()->add_eos_ids(first);
  });
  Result<Model> model = Model::load(path);
  ASSERT_TRUE(model) << model.status().message();
  Result<Engine> engine = Engine::create(*model);
  ASSERT_TRUE(engine);
  for (bool stop : {true, false}) {
    Outcome outcome;
    Request request = ::request(prompt, 0, outcome);
    request.stopAtEos = stop;
    ASSERT_TRUE(engine->submit(std::move(request)));
    run(*engine);
    EXPECT_EQ(outcome.finish, stop ? FinishReason::stopToken : FinishReason::length);
    EXPECT_EQ(outcome.tokens.size(), stop ? 1u : toy::maxContext - prompt.size());
  }
}

TEST(Engine, CallbackEnds) {
  Engine engine = create();
  int calls = 0;
  Request request;
  request.prompt = {1, 2, 3};
  request.onToken = [&](const TokenEvent &) { return ++calls < 3; };
  ASSERT_TRUE(engine.submit(std::move(request)));
  run(engine);
  EXPECT_EQ(calls, 3);
}

TEST(Engine, CancelEndsOnce) {
  Engine engine = create();
  Outcome cancelled, other;
  Result<RequestId> id = engine.submit(request({1, 2}, 50, cancelled));
  ASSERT_TRUE(id);
  ASSERT_TRUE(engine.submit(request({3, 4}, 10, other)));
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(engine.step());
  engine.cancel(*id);
  engine.cancel(*id);
  engine.cancel(12345);
  run(engine);
  EXPECT_EQ(cancelled.finish, FinishReason::cancelled);
  EXPECT_EQ(cancelled.ends, 1);
  EXPECT_EQ(cancelled.tokens.size(), 5u);
  EXPECT_EQ(other.tokens.size(), 10u);
  // Before it ever ran:
  Outcome never;
  id = engine.submit(request({1, 2}, 50, never));
  engine.cancel(*id);
  run(engine);
  EXPECT_EQ(never.finish, FinishReason::cancelled);
  EXPECT_TRUE(never.tokens.empty());
}

TEST(Engine, SubmitsAndCancelsFromOtherThreads) {
  Engine engine = create();
  constexpr int threads = 4, each = 10;
  std::atomic<int> ends{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < threads; ++t)
    clients.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        Request request;
        request.prompt = toy::tokens(3 + i, t);
        request.maxTokens = 5;
        request.onToken = [&](const TokenEvent &event) {
          ends += event.finish != FinishReason::none;
          return true;
        };
        Result<RequestId> id = engine.submit(std::move(request));
        EXPECT_TRUE(id);
        if (i % 3 == 0)
          engine.cancel(*id);
      }
    });
  while (ends < threads * each) {
    if (engine.wait(std::chrono::milliseconds(1000))) {
      Result<bool> more = engine.step();
      ASSERT_TRUE(more) << more.status().message();
    }
  }
  for (std::thread &client : clients)
    client.join();
  EXPECT_FALSE(engine.wait(std::chrono::milliseconds(0)));
  EXPECT_EQ(engine.statistics().requests, uint64_t(threads * each));
}

TEST(Engine, CountsTokensAndTimes) {
  Engine engine = create();
  Outcome outcome;
  ASSERT_TRUE(engine.submit(request(toy::tokens(40, 1), 6, outcome)));
  run(engine);
  EngineStatistics statistics = engine.statistics();
  EXPECT_EQ(statistics.promptTokens, 40u);
  EXPECT_EQ(statistics.generatedTokens, 6u);
  EXPECT_EQ(statistics.decodeTokens, 5u);
  EXPECT_EQ(statistics.prefillSteps, 2u); // 32 and 8 tokens
  EXPECT_EQ(statistics.decodeSteps, 5u);
  EXPECT_GT(statistics.prefillTokensPerSecond(), 0);
  EXPECT_GT(statistics.decodeTokensPerSecond(), 0);
}

TEST(Engine, Errors) {
  Engine engine = create();
  auto message = [&](Request request) {
    Result<RequestId> id = engine.submit(std::move(request));
    EXPECT_FALSE(id);
    return id.status().message();
  };
  Outcome outcome;
  EXPECT_EQ(message(request({}, 1, outcome)), "the prompt has no tokens, expected at least one");
  EXPECT_EQ(message(request(toy::tokens(96, 1), 1, outcome)),
            "the prompt has 96 tokens, expected fewer than the context of 96");
  EXPECT_EQ(message(request({500}, 1, outcome)),
            "the prompt's token 500 is not in the vocabulary of 257");
  EXPECT_EQ(message(request({1}, 1, outcome, {.topP = 2})),
            "top-p is 2.000000, expected more than 0 and at most 1");
  EXPECT_FALSE(engine.busy());
  Result<Engine> wrong = Engine::create(toy::load(1), {.maxStepTokens = 64});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.status().message(), "steps of 64 tokens, expected at most the largest plan's 32");
}

} // namespace
