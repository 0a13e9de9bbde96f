//===- CUDAModelTest.cpp - Models on the fake driver's GPU ----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FakeCUDADriver.h"
#include "ToyModel.h"
#include "qopt/Runtime/Engine.h"
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <unistd.h>
#include <utility>

using namespace qopt;

namespace {

class CUDAModel : public testing::Test {
protected:
  CUDAModel() : driver(*qopt_fake_driver()) { qopt_fake_driver_reset(); }
  ~CUDAModel() override { qopt_fake_driver_reset(); }

  static Result<Model> tryLoad(const std::string &path, const std::string &device = "auto") {
    return Model::load(path, {.device = device, .cudaDriver = QOPT_FAKE_CUDA_DRIVER});
  }
  static Model load() {
    Result<Model> model = tryLoad(toy::writeForGPU("gpu"));
    EXPECT_TRUE(model) << model.status().message();
    return *model;
  }
  static Executor create(const ExecutorOptions &options = {}) {
    Result<Executor> executor = Executor::create(load(), options);
    EXPECT_TRUE(executor) << executor.status().message();
    return std::move(*executor);
  }

  /// The logits [tokens, vocabulary] of a sequence by itself.
  static std::vector<float> forward(Executor &executor, std::span<const int32_t> tokens,
                                    uint32_t chunk) {
    Sequence sequence = executor.newSequence();
    std::vector<float> rows;
    Status status = executor.forward(
        sequence, tokens,
        [&](uint32_t, std::span<const float> logits) {
          rows.insert(rows.end(), logits.begin(), logits.end());
          return Status::ok();
        },
        chunk);
    EXPECT_TRUE(status) << status.message();
    return rows;
  }

  static std::vector<float> expected(std::span<const int32_t> tokens) {
    std::vector<float> rows;
    for (size_t t = 1; t <= tokens.size(); ++t) {
      std::vector<float> row = toy::logits(tokens.first(t));
      rows.insert(rows.end(), row.begin(), row.end());
    }
    return rows;
  }

  size_t launchesOf(const char *kernel) const {
    return std::count_if(driver.ran.begin(), driver.ran.end(),
                         [&](const toy::FakeLaunch &launch) { return launch.kernel == kernel; });
  }

  toy::FakeDriver &driver;
};

using CUDAModelTest = CUDAModel;

TEST_F(CUDAModelTest, LogitsAreTheModelsInAnyChunks) {
  std::vector<int32_t> tokens = toy::tokens(70, 1);
  std::vector<float> logits = expected(tokens);
  for (bool recordings : {true, false}) {
    Executor executor = create({.recordings = recordings});
    for (uint32_t chunk : {0u, 7u, 1u})
      EXPECT_EQ(forward(executor, tokens, chunk), logits) << chunk << ", " << recordings;
  }
}

TEST_F(CUDAModelTest, DecodePlansAreRecordedOncePadded) {
  Executor executor = create();
  std::vector<Sequence> sequences;
  std::vector<int32_t> token = {65};
  for (int i = 0; i < 3; ++i)
    sequences.push_back(executor.newSequence());
  auto step = [&](size_t count) {
    std::vector<Chunk> chunks;
    for (size_t i = 0; i < count; ++i)
      chunks.push_back({&sequences[i], token, LogitRows::last});
    Result<std::span<const float>> logits = executor.step(chunks);
    ASSERT_TRUE(logits) << logits.status().message();
    EXPECT_EQ(logits->size(), count * toy::vocabulary);
  };
  step(3); // the plan of 4
  EXPECT_EQ(driver.captures, 1);
  EXPECT_EQ(driver.ran.at(0).args.at(3), 4u) << "rows";
  step(2);
  EXPECT_EQ(driver.captures, 1);
  step(1); // the plan of 1
  EXPECT_EQ(driver.captures, 2);
  step(3);
  EXPECT_EQ(driver.captures, 2);
  EXPECT_EQ(driver.graphLaunches, 4);
  EXPECT_EQ(launchesOf("toy_attend"), 4u);
  EXPECT_EQ(launchesOf("toy_attend_tiles"), 0u);
}

TEST_F(CUDAModelTest, MixedStepsLaunchQueryTiles) {
  Executor executor = create();
  Sequence a = executor.newSequence(), b = executor.newSequence();
  std::vector<int32_t> seven = toy::tokens(7, 1), one = toy::tokens(1, 2);
  Chunk chunks[] = {{&a, seven, LogitRows::last}, {&b, one, LogitRows::none}};
  ASSERT_TRUE(executor.step(chunks));
  EXPECT_EQ(driver.captures, 0);
  ASSERT_EQ(driver.ran.size(), 5u);
  EXPECT_EQ(driver.ran[0].grid[0], 2u) << "8 tokens, 4 a block";
  EXPECT_EQ(driver.ran[2].kernel, "toy_attend_tiles");
  EXPECT_EQ(driver.ran[2].grid[0], 4u);
  EXPECT_EQ(driver.ran[4].kernel, "toy_project_map");
  EXPECT_EQ(driver.ran[4].grid[0], 1u);
  const std::vector<uint64_t> &map = driver.ran[4].maps.at(0);
  EXPECT_EQ(map[1], toy::hidden * 4);
  EXPECT_EQ(map[2], 8u) << "the plan's rows";
  EXPECT_EQ(map[3], toy::hidden * 4);
  EXPECT_EQ(map[4], 8u);
  EXPECT_EQ(map[5], 3u) << "the 128-byte swizzle";
}

TEST_F(CUDAModelTest, AStepCopiesOnceEachWay) {
  Executor executor = create();
  Sequence sequence = executor.newSequence();
  std::vector<int32_t> tokens = toy::tokens(5, 1);
  auto copiesOfStep = [&](size_t count, LogitRows logits) {
    Chunk chunk{&sequence, std::span(tokens).first(count), logits};
    int before = driver.copiesToDevice;
    EXPECT_TRUE(executor.step({&chunk, 1}));
    return driver.copiesToDevice - before;
  };
  EXPECT_EQ(copiesOfStep(5, LogitRows::last), 2) << "the block tables are new";
  EXPECT_EQ(driver.copiesToHost, 1);
  EXPECT_EQ(copiesOfStep(2, LogitRows::none), 1);
  EXPECT_EQ(copiesOfStep(2, LogitRows::none), 2) << "a page more";
  EXPECT_EQ(driver.copiesToHost, 1);
}

TEST_F(CUDAModelTest, SampledStepsCopyTokensAlone) {
  Executor executor = create();
  std::vector<Sequence> sequences;
  std::vector<int32_t> token = {65};
  std::vector<Chunk> chunks;
  for (int i = 0; i < 3; ++i)
    sequences.push_back(executor.newSequence());
  for (Sequence &sequence : sequences)
    chunks.push_back({&sequence, token, LogitRows::last});
  std::vector<Sampling> samplings(3);
  auto copiesOfStep = [&] {
    int toDevice = driver.copiesToDevice, toHost = driver.copiesToHost;
    auto sampled = executor.sample(chunks, samplings);
    EXPECT_TRUE(sampled) << sampled.status().message();
    EXPECT_EQ(sampled->size(), 3u);
    return std::pair(driver.copiesToDevice - toDevice, driver.copiesToHost - toHost);
  };
  EXPECT_EQ(copiesOfStep(), std::pair(2, 1)) << "the block tables are new";
  EXPECT_EQ(copiesOfStep(), std::pair(1, 1));
  samplings[1].params.logprobs = true;
  EXPECT_EQ(copiesOfStep(), std::pair(1, 2));
  samplings[2].params.repetitionPenalty = 2;
  samplings[2].history = token;
  EXPECT_EQ(copiesOfStep(), std::pair(2, 2)) << "a history";
  EXPECT_EQ(launchesOf("toy_sample"), 4u);
  EXPECT_EQ(driver.captures, 1);

  // Logits alone: another recording, without the launch.
  ASSERT_TRUE(executor.step(chunks));
  EXPECT_EQ(launchesOf("toy_sample"), 4u);
  EXPECT_EQ(driver.captures, 2);
  EXPECT_FALSE(executor.sample(chunks, std::span(samplings).first(2)));
}

/// What executor.sample() gives for sequences of other lengths and parameters.
std::vector<SampledToken> sampleAll(Executor &executor) {
  std::vector<SampledToken> all;
  std::vector<Sequence> sequences(6);
  std::vector<std::vector<int32_t>> tokens;
  for (uint32_t i = 0; i < 6; ++i) {
    sequences[i] = executor.newSequence();
    tokens.push_back(toy::tokens(1 + i, i));
  }
  for (int step = 0; step < 8; ++step) {
    std::vector<Chunk> chunks;
    std::vector<Sampling> samplings;
    for (uint32_t i = 0; i < 6; ++i) {
      std::span<const int32_t> history(tokens[i]);
      chunks.push_back({&sequences[i], history.subspan(sequences[i].length()), LogitRows::last});
      SamplingParams params;
      params.temperature = i % 2 ? 0.5f + i : 0;
      params.topK = i == 3 ? 5 : 0;
      params.topP = i == 5 ? 0.5f : 1;
      params.repetitionPenalty = i % 3 == 1 ? 3.0f : 1;
      params.seed = i;
      params.logprobs = step % 2 && i > 2;
      samplings.push_back({params, history, history.size()});
    }
    auto sampled = executor.sample(chunks, samplings);
    EXPECT_TRUE(sampled) << sampled.status().message();
    for (uint32_t i = 0; i < 6; ++i)
      tokens[i].push_back((*sampled)[i].token);
    all.insert(all.end(), sampled->begin(), sampled->end());
  }
  return all;
}

TEST_F(CUDAModelTest, TokensAreThoseOfTheHost) {
  Executor gpu = create();
  Result<Executor> cpu = Executor::create(toy::load(1));
  ASSERT_TRUE(cpu);
  std::vector<SampledToken> found = sampleAll(gpu), expected = sampleAll(*cpu);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].token, expected[i].token) << i;
    EXPECT_FLOAT_EQ(float(found[i].logprob), float(expected[i].logprob)) << i;
  }
  EXPECT_EQ(launchesOf("toy_sample"), 8u);
  EXPECT_EQ(gpu.hostSampleSeconds(), 0);
  EXPECT_GT(cpu->hostSampleSeconds(), 0);
}

/// Tokens of requests of other lengths that run together.
std::vector<std::vector<int32_t>> generate(Engine &engine, size_t requests) {
  std::vector<std::vector<int32_t>> tokens(requests);
  for (size_t i = 0; i < requests; ++i) {
    Request request;
    request.prompt = toy::tokens(1 + i * 4, static_cast<uint32_t>(i));
    request.maxTokens = 20;
    request.stopAtEos = false;
    request.onToken = [&tokens, i](const TokenEvent &event) {
      tokens[i].push_back(event.token);
      return true;
    };
    EXPECT_TRUE(engine.submit(std::move(request)));
  }
  while (engine.busy()) {
    Result<bool> more = engine.step();
    EXPECT_TRUE(more) << more.status().message();
    if (!more)
      break;
  }
  return tokens;
}

TEST_F(CUDAModelTest, RequestsGiveTheCPUsTokens) {
  Result<Engine> gpu = Engine::create(load());
  ASSERT_TRUE(gpu) << gpu.status().message();
  Result<Engine> cpu = Engine::create(toy::load(1));
  ASSERT_TRUE(cpu);
  EXPECT_EQ(generate(*gpu, 17), generate(*cpu, 17));
  EXPECT_GT(driver.graphLaunches, 0);
  EXPECT_LE(driver.captures, 3);
}

/// What requests give that end at other steps: by length, a stop token, the callback.
std::vector<std::vector<int32_t>> generateWithEnds(Engine &engine, uint64_t &steps) {
  constexpr size_t requests = 6;
  std::vector<std::vector<int32_t>> tokens(requests);
  for (size_t i = 0; i < requests; ++i) {
    Request request;
    request.prompt = toy::tokens(1 + i * 3, static_cast<uint32_t>(i));
    request.maxTokens = i == 0 ? 5 : 40;
    request.stopAtEos = false;
    if (i % 2)
      request.sampling = {.temperature = 1, .topK = 20, .seed = i, .logprobs = i == 3};
    for (int32_t token = 0; i == 1 && token < int32_t(toy::vocabulary); token += 11)
      request.stopTokens.push_back(token);
    request.onToken = [&tokens, i](const TokenEvent &event) {
      if (event.token >= 0)
        tokens[i].push_back(event.token);
      return i != 2 || tokens[i].size() < 9;
    };
    EXPECT_TRUE(engine.submit(std::move(request)));
  }
  for (steps = 0; engine.busy(); ++steps) {
    Result<bool> more = engine.step();
    EXPECT_TRUE(more) << more.status().message();
    if (!more)
      break;
  }
  return tokens;
}

TEST_F(CUDAModelTest, LookingAheadChangesNoToken) {
  std::vector<std::vector<int32_t>> tokens[2];
  uint64_t steps[2];
  int copies[2];
  for (bool lookAhead : {false, true}) {
    qopt_fake_driver_reset();
    Result<Engine> engine = Engine::create(load(), {.lookAhead = lookAhead});
    ASSERT_TRUE(engine) << engine.status().message();
    tokens[lookAhead] = generateWithEnds(*engine, steps[lookAhead]);
    copies[lookAhead] = driver.copiesInside;
    EXPECT_EQ(engine->executor().freePages(), engine->executor().pages());
    // Pages that a wasted row wrote are as good as new.
    uint64_t more = 0;
    std::vector<std::vector<int32_t>> again = generateWithEnds(*engine, more);
    EXPECT_EQ(again, tokens[lookAhead]);
  }
  EXPECT_EQ(tokens[true], tokens[false]);
  EXPECT_EQ(copies[false], 0);
  EXPECT_GT(copies[true], 20) << "tokens that went on by themselves";
}

TEST_F(CUDAModelTest, CancellingARowUnderWayIsHarmless) {
  std::vector<int32_t> expected, found;
  auto request = [](std::vector<int32_t> &tokens) {
    Request request;
    request.prompt = toy::tokens(5, 1);
    request.maxTokens = 30;
    request.stopAtEos = false;
    request.onToken = [&tokens](const TokenEvent &event) {
      tokens.push_back(event.token);
      return true;
    };
    return request;
  };
  Result<Engine> engine = Engine::create(load());
  ASSERT_TRUE(engine);
  ASSERT_TRUE(engine->submit(request(expected)));
  while (engine->busy())
    ASSERT_TRUE(engine->step());
  std::vector<int32_t> cancelled;
  Result<RequestId> other = engine->submit(request(cancelled));
  ASSERT_TRUE(other);
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(engine->step());
  engine->cancel(*other);
  ASSERT_TRUE(engine->submit(request(found)));
  while (engine->busy())
    ASSERT_TRUE(engine->step());
  EXPECT_EQ(cancelled.back(), -1);
  EXPECT_EQ(found, expected);
}

TEST_F(CUDAModelTest, StepsAreContinuedOnlyWhereTheyCanBe) {
  Executor executor = create();
  Sequence sequence = executor.newSequence();
  std::vector<int32_t> tokens = toy::tokens(3, 1);
  std::vector<Sampling> greedy(1), penalized(1);
  penalized[0].params.repetitionPenalty = 2;
  auto next = [&](std::span<const Sampling> samplings) {
    Result<bool> started = executor.startNext(samplings);
    EXPECT_TRUE(started) << started.status().message();
    return started && *started;
  };
  EXPECT_FALSE(next(greedy)) << "nothing is under way";
  EXPECT_FALSE(executor.finish());
  Chunk prompt{&sequence, tokens, LogitRows::last};
  ASSERT_TRUE(executor.start({&prompt, 1}, greedy));
  EXPECT_FALSE(executor.start({&prompt, 1}, greedy)) << "a step is under way";
  EXPECT_FALSE(executor.step({&prompt, 1}));
  EXPECT_FALSE(next(greedy)) << "no decode step";
  auto sampled = executor.finish();
  ASSERT_TRUE(sampled);
  int32_t token = sampled->front().token;
  Chunk decode{&sequence, {&token, 1}, LogitRows::last};
  ASSERT_TRUE(executor.start({&decode, 1}, greedy));
  EXPECT_FALSE(next(penalized));
  EXPECT_FALSE(next({}));
  EXPECT_TRUE(next(greedy));
  EXPECT_FALSE(next(greedy)) << "two are under way";
  EXPECT_EQ(sequence.length(), 5u);

  // The tokens are those of the model, one after the other.
  std::vector<int32_t> text = tokens;
  int32_t expected = token;
  for (int i : {0, 1}) {
    text.push_back(expected);
    auto result = executor.finish();
    ASSERT_TRUE(result);
    expected = result->front().token;
    EXPECT_EQ(expected, argmax(toy::logits(text))) << i;
  }
  EXPECT_FALSE(executor.finish());
}

TEST_F(CUDAModelTest, TheCacheTakesWhatTheGPUHas) {
  // 256 MiB are left alone; the rest holds ten pages and the arena.
  driver.totalBytes = (size_t(256) << 20) + 64 * 1024 + 10 * toy::pageBytes;
  Result<Executor> executor =
      Executor::create(load(), {.maxContext = toy::maxContext, .maxSequences = 16});
  ASSERT_FALSE(executor);
  EXPECT_EQ(executor.status().code(), StatusCode::unavailable);
  EXPECT_NE(executor.status().message().find("bytes of KV cache, but "), std::string::npos)
      << executor.status().message();
}

TEST_F(CUDAModelTest, DevicesAreChosenByName) {
  std::string gpu = toy::writeForGPU("choice-gpu"), cpu = toy::write("choice-cpu");
  for (const char *device : {"auto", "cuda", "cuda:0"}) {
    Result<Model> model = tryLoad(gpu, device);
    ASSERT_TRUE(model) << model.status().message();
    EXPECT_EQ(model->device().describe(), "cuda, Fake GPU (sm_90)");
  }
  for (const char *device : {"auto", "cpu"})
    EXPECT_TRUE(tryLoad(cpu, device));

  auto refusal = [](const Result<Model> &model, StatusCode code) {
    EXPECT_FALSE(model);
    EXPECT_EQ(model.status().code(), code);
    std::string message = model.status().message();
    return message.substr(message.find("': ") + 3);
  };
  EXPECT_EQ(refusal(tryLoad(gpu, "cpu"), StatusCode::usage),
            "it was compiled for 'cuda:sm_90a', which device 'cpu' can't run: compile the model "
            "with --target cpu, or cpu,cuda:sm_90a for both");
  EXPECT_EQ(refusal(tryLoad(cpu, "cuda"), StatusCode::usage),
            "it was compiled for 'cpu', which device 'cuda' can't run: compile the model with "
            "--target cuda:sm_90a, or cpu,cuda:sm_90a for both");
  EXPECT_EQ(refusal(tryLoad(gpu, "cuda:7"), StatusCode::unavailable),
            "it was compiled for 'cuda:sm_90a': there is no GPU 7: this machine has 1");
  for (const char *wrong : {"gpu", "cuda:", "cuda:x", "cuda:0x", "cuda:-1", ""})
    EXPECT_EQ(refusal(tryLoad(gpu, wrong), StatusCode::usage),
              std::string("device is '") + wrong + "', expected auto, cpu, cuda or cuda:N");
  Result<Model> none = Model::load(gpu, {.cudaDriver = "/nonexistent/libcuda.so.1"});
  EXPECT_NE(refusal(none, StatusCode::unavailable).find("the CUDA driver can't be opened: "),
            std::string::npos);
}

TEST_F(CUDAModelTest, ProgramsForBothRunWhereTheDeviceIs) {
  std::string both = toy::writeForBoth("two-programs");
  auto placement = [](const Result<Model> &model) {
    return model ? model->placement() : "failed: " + model.status().message();
  };
  for (const char *device : {"auto", "cuda"})
    EXPECT_EQ(placement(tryLoad(both, device)),
              "the program for 'cuda:sm_90a' on cuda, Fake GPU (sm_90)");
  EXPECT_EQ(placement(tryLoad(both, "cpu")).find("the program for 'cpu' on cpu, "), 0u);

  const std::string missing = "/nonexistent/libcuda.so.1";
  Result<Model> fallback = Model::load(both, {.cudaDriver = missing});
  std::string text = placement(fallback);
  EXPECT_EQ(text.find("the program for 'cpu' on cpu, "), 0u) << text;
  EXPECT_NE(text.find("(no GPU: the CUDA driver can't be opened: "), std::string::npos) << text;
  Result<Model> asked = Model::load(both, {.device = "cuda", .cudaDriver = missing});
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.status().code(), StatusCode::unavailable);
  EXPECT_NE(asked.status().message().find(
                "it was compiled for 'cuda:sm_90a': the CUDA driver can't be opened: "),
            std::string::npos);
}

TEST_F(CUDAModelTest, TheBestProgramForTheGPUIsTaken) {
  std::string all = toy::writeForAll("three-programs");
  auto placement = [&](int major, int minor, const char *device) {
    driver.major = major;
    driver.minor = minor;
    Result<Model> model = tryLoad(all, device);
    return model ? model->placement() : model.status().message();
  };
  EXPECT_EQ(placement(9, 0, "auto"), "the program for 'cuda:sm_90a' on cuda, Fake GPU (sm_90)");
  EXPECT_EQ(placement(8, 0, "auto"), "the program for 'cuda:sm_80' on cuda, Fake GPU (sm_80)");
  EXPECT_EQ(placement(12, 0, "cuda"),
            "the program for 'cuda:sm_80' on cuda, Fake GPU (sm_120, from PTX of sm_80)");
  EXPECT_NE(placement(7, 5, "auto").find("(no GPU: the code is for 'sm_80' and later GPUs, but "),
            std::string::npos);
  EXPECT_NE(placement(7, 5, "cuda")
                .find("it was compiled for 'cuda:sm_80', 'cuda:sm_90a': the "
                      "code is for 'sm_80' and later GPUs, but Fake GPU is "
                      "sm_75"),
            std::string::npos);
}

TEST_F(CUDAModelTest, ProgramsForBothGiveTheSameLogits) {
  std::string both = toy::writeForBoth("two-programs-run");
  std::vector<int32_t> tokens = toy::tokens(9, 3);
  for (const char *device : {"cuda", "cpu"}) {
    Result<Model> model = tryLoad(both, device);
    ASSERT_TRUE(model) << model.status().message();
    Result<Executor> executor = Executor::create(*model);
    ASSERT_TRUE(executor) << executor.status().message();
    EXPECT_EQ(forward(*executor, tokens, 4), expected(tokens)) << device;
  }
}

TEST_F(CUDAModelTest, WithoutGPUAndFeatureBothAreNamed) {
  std::string both = toy::writeForBoth("two-programs-feature", [](artifact::Manifest &manifest) {
    manifest.mutable_programs(0)->mutable_target()->add_features("warp9");
  });
  Result<Model> model = Model::load(both, {.cudaDriver = "/nonexistent/libcuda.so.1"});
  ASSERT_FALSE(model);
  EXPECT_EQ(model.status().code(), StatusCode::unavailable);
  EXPECT_NE(model.status().message().find("no GPU: the CUDA driver can't be opened: "),
            std::string::npos);
  EXPECT_NE(model.status().message().find("; no CPU: the code needs the CPU feature 'warp9'"),
            std::string::npos);
}

TEST_F(CUDAModelTest, AFailedStepLeavesTheSequenceAsItWas) {
  Executor executor = create();
  Sequence sequence = executor.newSequence();
  std::vector<int32_t> tokens = toy::tokens(5, 1);
  Chunk chunk{&sequence, tokens, LogitRows::last};
  driver.failingKernel = "toy_append";
  Result<std::span<const float>> logits = executor.step({&chunk, 1});
  ASSERT_FALSE(logits);
  EXPECT_EQ(logits.status().code(), StatusCode::unavailable);
  EXPECT_EQ(sequence.length(), 0u);
}

/// The test that machines with a GPU run, on the toy.
TEST_F(CUDAModelTest, TheGPUsModelTestPasses) {
  std::string folder = testing::TempDir() + "qopt-models-" + std::to_string(::getpid());
  std::filesystem::create_directory(folder);
  std::filesystem::copy_file(toy::write("models-cpu"), folder + "/toy.cpu.qopt");
  std::filesystem::copy_file(toy::writeForGPU("models-gpu"), folder + "/toy.cuda.qopt");
  // Shards and reports are those of this test, not of the one that it runs.
  std::string command =
      "env -u GTEST_TOTAL_SHARDS -u GTEST_SHARD_INDEX -u GTEST_OUTPUT QOPT_TEST_ARTIFACTS='" +
      folder + "' QOPT_TEST_CUDA_DRIVER='" QOPT_FAKE_CUDA_DRIVER "' '" QOPT_MODEL_TEST "' >'" +
      folder + "/log' 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << toy::read(folder + "/log");
  std::string log = toy::read(folder + "/log");
  EXPECT_NE(log.find("[  PASSED  ] 9 tests."), std::string::npos) << log;
  std::filesystem::remove_all(folder);
}

} // namespace
