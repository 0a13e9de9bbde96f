//===- ModelTest.cpp - Whole models on a GPU beside the CPU ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Takes the artifacts NAME-FORMAT.cuda.qopt of the folder $QOPT_TEST_ARTIFACTS, each
/// beside NAME-FORMAT.cpu.qopt of the same weights where there is one. Of one artifact
/// the bits are the same however tokens are cut into steps and whatever else is in
/// them. Both targets agree as docs/numerics.md says: relative error of logits 1e-2, the
/// same greedy tokens up to near-ties, or what two computations differ by that each have
/// the format's own error, measured against NAME-fp32.cpu.qopt (NAME-bf16.cpu.qopt where
/// activations have 8 bits). NAME-sm_80-FORMAT is portable code of NAME-FORMAT, whose bits it
/// has where both run. scripts/test-gpu runs it.
///
//===----------------------------------------------------------------------===//

#include "qopt/Eval/ExecutorModel.h"
#include "qopt/Runtime/Artifact.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include "qopt/Runtime/Engine.h"
#include "qopt/Runtime/Tokenizer.h"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <optional>
#include <random>

using namespace qopt;

namespace {

using Tokens = std::vector<int32_t>;
using Floats = std::vector<float>;

constexpr double logitBound = 1e-2; // relative Frobenius error
constexpr double nllBound = 1e-2;   // nats, so about 1 % of perplexity

/// In the name of an artifact of portable code.
constexpr const char *portableMark = "-sm_80";

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

std::string pathOf(const std::string &name, const char *target) {
  return environment("QOPT_TEST_ARTIFACTS") + "/" + name + "." + target + ".qopt";
}

std::vector<std::string> modelNames() {
  const std::string ending = ".cuda.qopt";
  std::vector<std::string> names;
  std::error_code error;
  for (auto &entry :
       std::filesystem::directory_iterator(environment("QOPT_TEST_ARTIFACTS"), error)) {
    std::string file = entry.path().filename().string();
    if (file.size() > ending.size() && file.ends_with(ending))
      names.push_back(file.substr(0, file.size() - ending.size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Tokens randomTokens(size_t count, const Model &model, uint32_t seed) {
  std::mt19937 random(seed);
  Tokens tokens(count);
  for (int32_t &token : tokens)
    token = static_cast<int32_t>(random() % model.vocabularySize());
  return tokens;
}

bool sameBits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

double relativeError(std::span<const float> found, std::span<const float> expected) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    error += std::pow(double(found[i]) - expected[i], 2);
    norm += std::pow(double(expected[i]), 2);
  }
  return std::sqrt(error / norm);
}

/// Of a - b, where b may be nothing.
double rootMeanSquare(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i)
    sum += std::pow(double(a[i]) - (b.empty() ? 0.0 : b[i]), 2);
  return std::sqrt(sum / double(a.size()));
}

size_t argmax(std::span<const float> row) {
  return std::max_element(row.begin(), row.end()) - row.begin();
}

/// Where tests run: the CPU's model, the GPU's or both.
class ModelTest : public testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    auto device =
        createCUDADevice({.architecture = architectureOf(GetParam()), .driver = driver()});
    if (!device)
      GTEST_SKIP() << device.status().message();
  }

  /// Of the artifact's code for GPUs.
  static std::string architectureOf(const std::string &name) {
    Result<Artifact> artifact = Artifact::open(pathOf(name, "cuda"));
    if (!artifact)
      throw std::runtime_error(artifact.status().message());
    return artifact->manifest().programs(0).target().features(0);
  }
  static std::string driver() { return environment("QOPT_TEST_CUDA_DRIVER"); }
  static bool hasCPU() { return std::filesystem::exists(pathOf(GetParam(), "cpu")); }

  static Model load(const char *target) {
    Result<Model> model = Model::load(pathOf(GetParam(), target), {.cudaDriver = driver()});
    if (!model)
      throw std::runtime_error(model.status().message());
    return *model;
  }

  /// The CPU's model of the same weights in the format that this one approximates: bf16
  /// where activations have 8 bits, else float32.
  static std::optional<Model> plainModel(const Model &model) {
    const std::string format = "-" + model.manifest().model().format(), name = GetParam();
    if (!name.ends_with(format))
      return std::nullopt;
    const char *plain = format.starts_with("-w8a8") ? "-bf16" : "-fp32";
    Result<Model> found =
        Model::load(pathOf(name.substr(0, name.size() - format.size()) + plain, "cpu"));
    return found ? std::optional<Model>(*found) : std::nullopt;
  }

  static Executor create(const Model &model, const ExecutorOptions &options) {
    Result<Executor> executor = Executor::create(model, options);
    if (!executor)
      throw std::runtime_error(executor.status().message());
    return std::move(*executor);
  }

  static std::span<const float> step(Executor &executor, std::span<const Chunk> chunks) {
    Result<std::span<const float>> logits = executor.step(chunks);
    if (!logits)
      throw std::runtime_error(logits.status().message());
    return *logits;
  }

  /// Logits [tokens, vocabulary].
  static Floats forward(Executor &executor, std::span<const int32_t> tokens, uint32_t chunk = 0) {
    Sequence sequence = executor.newSequence();
    Floats rows;
    Status status = executor.forward(
        sequence, tokens,
        [&](uint32_t, std::span<const float> logits) {
          rows.insert(rows.end(), logits.begin(), logits.end());
          return Status::ok();
        },
        chunk);
    if (!status)
      throw std::runtime_error(status.message());
    return rows;
  }

  /// The logits behind \p prompt, run in chunks, and behind each of \p more.
  static Floats prefillAndDecode(Executor &executor, std::span<const int32_t> prompt,
                                 std::span<const int32_t> more, size_t chunk) {
    Sequence sequence = executor.newSequence();
    Floats rows;
    for (size_t first = 0; first < prompt.size(); first += chunk) {
      size_t count = std::min(chunk, prompt.size() - first);
      bool last = first + count == prompt.size();
      Chunk part{&sequence, prompt.subspan(first, count), last ? LogitRows::last : LogitRows::none};
      std::span<const float> logits = step(executor, {&part, 1});
      rows.insert(rows.end(), logits.begin(), logits.end());
    }
    for (const int32_t &token : more) {
      Chunk part{&sequence, {&token, 1}, LogitRows::last};
      std::span<const float> logits = step(executor, {&part, 1});
      rows.insert(rows.end(), logits.begin(), logits.end());
    }
    return rows;
  }

  static uint32_t contextUpTo(const Model &model, uint32_t most) {
    return std::min(model.maxContext(), most);
  }
};

TEST_P(ModelTest, LogitsAreTheCPUs) {
  if (!hasCPU())
    GTEST_SKIP() << "no artifact for the CPU";
  Model gpu = load("cuda"), cpu = load("cpu");
  uint32_t context = contextUpTo(gpu, 200);
  Tokens tokens = randomTokens(context, gpu, 1);
  Executor onGPU = create(gpu, {.maxContext = context, .maxSequences = 1});
  Executor onCPU = create(cpu, {.maxContext = context, .maxSequences = 1});
  Floats expected = forward(onCPU, tokens);
  double error = relativeError(forward(onGPU, tokens), expected), bound = logitBound;
  if (std::optional<Model> plain = plainModel(cpu)) {
    Executor executor = create(*plain, {.maxContext = context, .maxSequences = 1});
    bound = std::max(bound, std::sqrt(2) * relativeError(expected, forward(executor, tokens)));
  }
  RecordProperty("relative_error", std::to_string(error));
  std::printf("relative error of logits %.2e, at most %.2e\n", error, bound);
  EXPECT_LE(error, bound);
}

TEST_P(ModelTest, GreedyTokensAreTheCPUs) {
  if (!hasCPU())
    GTEST_SKIP() << "no artifact for the CPU";
  Model gpu = load("cuda"), cpu = load("cpu");
  uint32_t context = contextUpTo(gpu, 80);
  Executor onGPU = create(gpu, {.maxContext = context, .maxSequences = 1});
  Executor onCPU = create(cpu, {.maxContext = context, .maxSequences = 1});
  std::optional<Model> plain = plainModel(cpu);
  std::optional<Executor> onPlain;
  if (plain)
    onPlain = create(*plain, {.maxContext = context, .maxSequences = 1});
  Sequence a = onGPU.newSequence(), b = onCPU.newSequence();
  Sequence c = plain ? onPlain->newSequence() : Sequence();
  Tokens next = randomTokens(8, gpu, 2);
  int ties = 0;
  for (uint32_t length = 8; length < context; ++length) {
    Chunk chunk{&a, next, LogitRows::last};
    std::span<const float> found = step(onGPU, {&chunk, 1});
    chunk.sequence = &b;
    std::span<const float> expected = step(onCPU, {&chunk, 1});
    double rms = rootMeanSquare(expected, {}), bound = 2 * logitBound * rms;
    if (plain) { // two logits move apart by four standard deviations
      chunk.sequence = &c;
      double deviation = rootMeanSquare(expected, step(*onPlain, {&chunk, 1}));
      bound = std::max(bound, 4 * std::sqrt(2) * deviation);
    }
    size_t best = argmax(expected), other = argmax(found);
    if (best != other) {
      EXPECT_LE(expected[best] - expected[other], bound)
          << "token " << other << " instead of " << best << " behind " << length << " tokens";
      ++ties;
    }
    next = {static_cast<int32_t>(best)};
  }
  std::printf("near-ties taken otherwise: %d of %u\n", ties, context - 8);
}

TEST_P(ModelTest, PerplexityIsTheCPUs) {
  if (!hasCPU())
    GTEST_SKIP() << "no artifact for the CPU";
  Model gpu = load("cuda"), cpu = load("cpu");
  uint32_t window = contextUpTo(gpu, 256);
  std::ifstream file(environment("QOPT_TEST_ARTIFACTS") + "/text.txt");
  Tokens tokens = randomTokens(2 * window, gpu, 3);
  // A model without a tokenizer takes random tokens.
  if (file && gpu.manifest().tokenizer().vocabulary_size() > 0) {
    std::string text{std::istreambuf_iterator<char>(file), {}};
    Result<Tokenizer> tokenizer = Tokenizer::create(gpu.manifest().tokenizer());
    ASSERT_TRUE(tokenizer) << tokenizer.status().message();
    Result<Tokens> encoded = tokenizer->encode(text, /*addSpecialTokens=*/false);
    ASSERT_TRUE(encoded) << encoded.status().message();
    if (encoded->size() >= window)
      tokens = *encoded;
  }
  auto nllOf = [&](const Model &model) {
    Executor executor = create(model, {.maxContext = window, .maxSequences = 1});
    ExecutorModel source(executor);
    Result<Evaluation> result = evaluate(source, tokens, {.windowTokens = window, .maxWindows = 2});
    if (!result)
      throw std::runtime_error(result.status().message());
    return result->nll;
  };
  double found = nllOf(gpu), expected = nllOf(cpu), bound = nllBound;
  if (std::optional<Model> plain = plainModel(cpu))
    bound = std::max(bound, std::abs(expected - nllOf(*plain)));
  std::printf("perplexity %.4f on the GPU, %.4f on the CPU\n", std::exp(found), std::exp(expected));
  EXPECT_NEAR(found, expected, bound);
}

TEST_P(ModelTest, ChunksAndRecordingsDontChangeBits) {
  Model model = load("cuda");
  uint32_t context = contextUpTo(model, 300);
  Tokens tokens = randomTokens(context, model, 4);
  Floats expected;
  for (bool recordings : {true, false}) {
    Executor executor =
        create(model, {.maxContext = context, .maxSequences = 1, .recordings = recordings});
    if (expected.empty())
      expected = forward(executor, tokens);
    for (uint32_t chunk : {0u, 100u, 7u, 1u})
      EXPECT_TRUE(sameBits(forward(executor, tokens, chunk), expected))
          << "chunks of " << chunk << (recordings ? "" : ", without recordings");
  }
}

/// mma.sync and wgmma give the same bits on one GPU.
TEST_P(ModelTest, PortableCodeHasHoppersBits) {
  std::string hopper = GetParam();
  const size_t mark = hopper.find(portableMark);
  if (mark == std::string::npos)
    GTEST_SKIP() << "not portable code";
  hopper.erase(mark, std::strlen(portableMark));
  Result<Model> other = Model::load(pathOf(hopper, "cuda"), {.cudaDriver = driver()});
  if (!other)
    GTEST_SKIP() << other.status().message();
  Model model = load("cuda");
  std::printf("%s\n%s\n", model.placement().c_str(), other->placement().c_str());
  uint32_t context = contextUpTo(model, 200);
  Tokens tokens = randomTokens(context, model, 7);
  std::span<const int32_t> prompt = std::span(tokens).first(context / 2);
  std::span<const int32_t> more = std::span(tokens).subspan(context / 2);
  Floats rows[2];
  for (const Model *each : {&model, &*other}) {
    Executor executor = create(*each, {.maxContext = context, .maxSequences = 1});
    rows[each != &model] = prefillAndDecode(executor, prompt, more, prompt.size());
  }
  EXPECT_TRUE(sameBits(rows[0], rows[1]));
}

TEST_P(ModelTest, LongPromptsInAnyChunksGiveTheSameBits) {
  Model model = load("cuda");
  constexpr size_t decoded = 8;
  uint32_t context = contextUpTo(model, 4300);
  Tokens tokens = randomTokens(context, model, 5);
  std::span<const int32_t> prompt = std::span(tokens).first(context - decoded);
  std::span<const int32_t> more = std::span(tokens).last(decoded);
  Executor executor = create(model, {.maxContext = context, .maxSequences = 1});
  size_t largest = std::min<size_t>(4096, executor.maxStepTokens());
  Floats expected = prefillAndDecode(executor, prompt, more, largest);
  for (size_t chunk : {size_t(100), size_t(1)})
    EXPECT_TRUE(
        sameBits(prefillAndDecode(executor, prompt, more, std::min(chunk, largest)), expected))
        << "chunks of " << chunk << " and of " << largest;
}

TEST_P(ModelTest, CompanyDoesntChangeBits) {
  Model model = load("cuda");
  uint32_t context = contextUpTo(model, 96);
  uint32_t length = context - 40; // of the text that is watched
  Tokens own = randomTokens(length, model, 6);
  Executor executor = create(model, {.maxContext = context, .maxSequences = 256});
  Floats expected = forward(executor, own);

  // Others of other lengths come a step after each other, prefill in uneven
  // chunks and decode; as many as a step takes.
  size_t count = std::min<size_t>({256, executor.maxStepTokens(), executor.maxStepLogits()});
  size_t watched = count / 2;
  std::vector<Sequence> sequences;
  std::vector<Tokens> texts;
  for (size_t i = 0; i < count; ++i) {
    sequences.push_back(executor.newSequence());
    texts.push_back(
        i == watched ? own : randomTokens(length + i % 40, model, static_cast<uint32_t>(100 + i)));
  }
  Floats found;
  for (size_t number = 0; sequences[watched].length() < length; ++number) {
    size_t room = executor.maxStepTokens() - 1, rows = executor.maxStepLogits() - 1;
    std::vector<Chunk> chunks;
    size_t before = 0; // logit rows of chunks in front of the watched one's
    size_t ownRows = 0;
    for (size_t i = 0; i < count; ++i) {
      size_t left = texts[i].size() - sequences[i].length();
      bool isOwn = i == watched;
      if (left == 0 || (!isOwn && (number < i % 16 || room == 0 || rows == 0)))
        continue;
      size_t wanted = number % 3 == 0 ? 1 : 1 + (number + i) % 5;
      size_t tokens = isOwn ? 1 : std::min({wanted, left, room});
      chunks.push_back({&sequences[i], std::span(texts[i]).subspan(sequences[i].length(), tokens),
                        isOwn ? LogitRows::all : LogitRows::last});
      if (isOwn) {
        ownRows = 1;
        continue;
      }
      before += ownRows == 0;
      room -= tokens;
      rows -= 1;
    }
    size_t size = model.vocabularySize();
    std::span<const float> logits = step(executor, chunks);
    found.insert(found.end(), logits.begin() + before * size, logits.begin() + (before + 1) * size);
  }
  EXPECT_TRUE(sameBits(found, expected)) << "among " << count - 1 << " others";
}

/// The same steps twice: tokens by the device, and logits for the host's sampler.
TEST_P(ModelTest, TokensAreThoseOfTheHostsSampler) {
  Model model = load("cuda");
  uint32_t context = contextUpTo(model, 96);
  constexpr uint32_t count = 12;
  Executor executor = create(model, {.maxContext = context, .maxSequences = 2 * count});
  std::vector<Sequence> sampled, plain;
  std::vector<Tokens> texts;
  for (uint32_t i = 0; i < count; ++i) {
    sampled.push_back(executor.newSequence());
    plain.push_back(executor.newSequence());
    texts.push_back(randomTokens(1 + i % 4, model, 40 + i));
  }
  auto paramsOf = [](uint32_t i) {
    SamplingParams params{.temperature = 0.5f * (i % 3), .seed = i, .logprobs = i % 2 == 0};
    params.topK = i % 4 == 1 ? 40 : 0;
    params.topP = i % 5 == 2 ? 0.9f : 1;
    params.repetitionPenalty = i % 6 > 2 ? 1.3f : 1;
    return params;
  };
  Sampler sampler;
  for (int step = 0; step < 10; ++step) {
    auto chunksOf = [&](std::vector<Sequence> &sequences) {
      std::vector<Chunk> chunks;
      for (uint32_t i = 0; i < count; ++i)
        chunks.push_back(
            {&sequences[i], std::span(texts[i]).subspan(sequences[i].length()), LogitRows::last});
      return chunks;
    };
    std::vector<Sampling> samplings;
    for (uint32_t i = 0; i < count; ++i)
      samplings.push_back({paramsOf(i), texts[i], texts[i].size()});
    auto tokens = executor.sample(chunksOf(sampled), samplings);
    ASSERT_TRUE(tokens) << tokens.status().message();
    std::vector<SampledToken> found(tokens->begin(), tokens->end());
    std::span<const float> logits = this->step(executor, chunksOf(plain));
    for (uint32_t i = 0; i < count; ++i) {
      auto expected =
          sampler.sample(logits.subspan(i * model.vocabularySize(), model.vocabularySize()),
                         samplings[i].params, texts[i], texts[i].size());
      ASSERT_TRUE(expected);
      EXPECT_EQ(found[i].token, expected->token) << "sequence " << i << ", step " << step;
      EXPECT_NEAR(found[i].logprob, expected->logprob, 1e-5);
    }
    for (uint32_t i = 0; i < count; ++i)
      texts[i].push_back(found[i].token);
  }
}

TEST_P(ModelTest, BatchedRequestsGiveTheSameTokens) {
  Model model = load("cuda");
  uint32_t context = contextUpTo(model, 96);
  constexpr size_t requests = 32;
  std::vector<Tokens> generated[2];
  for (bool together : {false, true}) {
    Result<Engine> engine =
        Engine::create(model, {.executor = {.maxContext = context, .maxSequences = requests}});
    ASSERT_TRUE(engine) << engine.status().message();
    std::vector<Tokens> &tokens = generated[together];
    tokens.resize(requests);
    auto run = [&] {
      while (engine->busy())
        if (Result<bool> more = engine->step(); !more)
          throw std::runtime_error(more.status().message());
    };
    for (size_t i = 0; i < requests; ++i) {
      Request request;
      request.prompt = randomTokens(1 + i, model, static_cast<uint32_t>(i));
      request.sampling = {.temperature = i % 2 ? 1.0f : 0.0f, .seed = i};
      request.maxTokens = context / 2;
      request.stopAtEos = false;
      request.onToken = [&tokens, i](const TokenEvent &event) {
        tokens[i].push_back(event.token);
        return true;
      };
      ASSERT_TRUE(engine->submit(std::move(request)));
      if (!together)
        run();
    }
    run();
  }
  EXPECT_EQ(generated[0], generated[1]);
}

/// Requests that end at other steps, with the next step given to the GPU before the tokens of
/// the last one are known, and without.
TEST_P(ModelTest, LookingAheadDoesntChangeTokens) {
  Model model = load("cuda");
  uint32_t context = contextUpTo(model, 160);
  constexpr size_t requests = 12;
  std::vector<Tokens> generated[2];
  double seconds[2] = {};
  for (bool lookAhead : {false, true}) {
    Result<Engine> engine =
        Engine::create(model, {.executor = {.maxContext = context, .maxSequences = requests},
                               .lookAhead = lookAhead});
    ASSERT_TRUE(engine) << engine.status().message();
    std::vector<Tokens> &tokens = generated[lookAhead];
    tokens.resize(requests);
    for (size_t i = 0; i < requests; ++i) {
      Request request;
      request.prompt = randomTokens(1 + 3 * i, model, static_cast<uint32_t>(70 + i));
      request.sampling = {.temperature = i % 2 ? 1.0f : 0.0f, .topK = 40, .seed = i};
      request.maxTokens = i < 2 ? 10 : context / 2;
      request.stopAtEos = false;
      request.onToken = [&tokens, i](const TokenEvent &event) {
        tokens[i].push_back(event.token);
        return i % 3 != 0 || tokens[i].size() < 10 + i; // the callback ends some
      };
      ASSERT_TRUE(engine->submit(std::move(request)));
    }
    while (engine->busy())
      if (Result<bool> more = engine->step(); !more)
        FAIL() << more.status().message();
    EngineStatistics statistics = engine->statistics();
    seconds[lookAhead] = statistics.decodeSeconds / double(statistics.decodeSteps);
  }
  EXPECT_EQ(generated[0], generated[1]);
  std::printf("a decode step takes %.1f us, and %.1f us looking ahead\n", 1e6 * seconds[0],
              1e6 * seconds[1]);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ModelTest);
INSTANTIATE_TEST_SUITE_P(Artifacts, ModelTest, testing::ValuesIn(modelNames()),
                         [](const auto &info) {
                           std::string name = info.param;
                           for (char &c : name)
                             c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

} // namespace
