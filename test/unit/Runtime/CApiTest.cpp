//===- CApiTest.cpp - The C interface and the examples --------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ToyModel.h"
#include "qopt/Runtime/Generator.h"
#include "qopt/Runtime/c_api.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <thread>

using namespace qopt;

namespace {

struct Answer {
  std::string text;
  qopt_finish finish = QOPT_RUNNING;
  int calls = 0;
  int limit = 1000;
};

int collect(const qopt_event *event, void *user) {
  auto *answer = static_cast<Answer *>(user);
  EXPECT_EQ(std::strlen(event->text), event->text_size);
  answer->text.append(event->text, event->text_size);
  answer->finish = event->finish;
  return ++answer->calls >= answer->limit;
}

struct CApi : testing::Test {
  void SetUp() override {
    qopt_model *model = nullptr;
    ASSERT_EQ(qopt_model_load(toy::write("capi").c_str(), nullptr, &model), QOPT_OK)
        << qopt_last_error();
    EXPECT_EQ(qopt_model_vocabulary_size(model), toy::vocabulary);
    EXPECT_EQ(qopt_model_max_context(model), toy::maxContext);
    ASSERT_EQ(qopt_engine_create(model, nullptr, &engine), QOPT_OK) << qopt_last_error();
    qopt_model_free(model);
    qopt_generate_options_init(&options, engine);
    options.max_tokens = 12;
  }
  void TearDown() override { qopt_engine_free(engine); }

  qopt_engine *engine = nullptr;
  qopt_generate_options options;
};

TEST_F(CApi, GeneratesWhatTheGeneratorDoes) {
  Answer answer;
  ASSERT_EQ(qopt_generate(engine, "hello", &options, collect, &answer), QOPT_OK);
  Result<Generator> generator = Generator::create(toy::load());
  ASSERT_TRUE(generator);
  GenerateOptions same;
  same.maxTokens = 12;
  EXPECT_EQ(answer.text, generator->generate("hello", same)->text);
  Answer chat;
  qopt_message message = {"user", "hi"};
  ASSERT_EQ(qopt_chat(engine, &message, 1, &options, collect, &chat), QOPT_OK);
  EXPECT_EQ(chat.text, generator->chat({{"user", "hi"}}, same)->text);
}

TEST_F(CApi, SubmitsStepsAndCancels) {
  Answer first, second, third;
  uint64_t request = 0;
  options.ignore_eos = 1;
  ASSERT_EQ(qopt_engine_submit(engine, "one", &options, collect, &first, nullptr), QOPT_OK);
  ASSERT_EQ(qopt_engine_submit(engine, "two", &options, collect, &second, &request), QOPT_OK);
  third.limit = 2;
  ASSERT_EQ(qopt_engine_submit(engine, "three", &options, collect, &third, nullptr), QOPT_OK);
  EXPECT_EQ(qopt_engine_wait(engine, 0), 1);
  int busy = 0;
  ASSERT_EQ(qopt_engine_step(engine, &busy), QOPT_OK);
  EXPECT_EQ(busy, 1);
  qopt_engine_cancel(engine, request);
  while (busy)
    ASSERT_EQ(qopt_engine_step(engine, &busy), QOPT_OK);
  EXPECT_EQ(first.finish, QOPT_FINISH_LENGTH);
  EXPECT_EQ(first.calls, 12);
  EXPECT_EQ(second.finish, QOPT_FINISH_CANCELLED);
  EXPECT_EQ(second.calls, 2);
  EXPECT_EQ(third.calls, 2);
  EXPECT_EQ(qopt_engine_wait(engine, 0), 0);
}

TEST_F(CApi, OlderCallersKeepTheDefaultsOfNewFields) {
  Answer whole, cut;
  ASSERT_EQ(qopt_generate(engine, "hello", &options, collect, &whole), QOPT_OK);
  // As if the struct ended behind max_tokens: what follows is not read.
  options.struct_size = offsetof(qopt_generate_options, temperature);
  options.temperature = -5;
  ASSERT_EQ(qopt_generate(engine, "hello", &options, collect, &cut), QOPT_OK);
  EXPECT_EQ(cut.text, whole.text);
}

TEST_F(CApi, ErrorsAreOfTheThread) {
  EXPECT_EQ(qopt_generate(engine, nullptr, &options, nullptr, nullptr), QOPT_USAGE);
  EXPECT_STREQ(qopt_last_error(), "prompt is NULL");
  std::thread([] { EXPECT_STREQ(qopt_last_error(), ""); }).join();
  options.top_p = 7;
  EXPECT_EQ(qopt_generate(engine, "a", &options, nullptr, nullptr), QOPT_INVALID_INPUT);
  EXPECT_STREQ(qopt_last_error(), "top-p is 7.000000, expected more than 0 and at most 1");
  qopt_generate_options_init(&options, engine);
  options.stop_count = 1;
  EXPECT_EQ(qopt_generate(engine, "a", &options, nullptr, nullptr), QOPT_USAGE);
  EXPECT_STREQ(qopt_last_error(), "stop is NULL");
  const char *stops[] = {nullptr};
  options.stop = stops;
  EXPECT_EQ(qopt_generate(engine, "a", &options, nullptr, nullptr), QOPT_USAGE);
  EXPECT_STREQ(qopt_last_error(), "a stop string is NULL");
  qopt_message message = {"user", nullptr};
  EXPECT_EQ(qopt_chat(engine, &message, 1, nullptr, nullptr, nullptr), QOPT_USAGE);
  EXPECT_STREQ(qopt_last_error(), "a message's role or content is NULL");
  EXPECT_EQ(qopt_chat(engine, nullptr, 1, nullptr, nullptr, nullptr), QOPT_USAGE);
  EXPECT_EQ(qopt_generate(nullptr, "a", nullptr, nullptr, nullptr), QOPT_USAGE);
  EXPECT_STREQ(qopt_last_error(), "engine is NULL");
  EXPECT_EQ(qopt_engine_step(nullptr, nullptr), QOPT_USAGE);
  qopt_model *model = nullptr;
  EXPECT_EQ(qopt_model_load("/nonexistent", nullptr, &model), QOPT_INVALID_INPUT);
  EXPECT_EQ(model, nullptr);
  EXPECT_EQ(qopt_model_load(nullptr, nullptr, &model), QOPT_USAGE);
  EXPECT_STREQ(qopt_last_error(), "path is NULL");
}

/// What `program` prints about the artifact at `path`; fails the test when it fails.
std::string output(const std::string &program, const std::string &path) {
  std::string command = "'" + program + "' '" + path + "' 'What is gravity?' 'Name a colour.'";
  std::FILE *pipe = ::popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  std::string text;
  char buffer[512];
  for (size_t size; (size = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;)
    text.append(buffer, size);
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return text;
}

void expectAnswers(const std::string &text) {
  for (const char *part : {"What is gravity?\n-> ", "Name a colour.\n-> ", " tokens)\n"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(Examples, RunOnTheToyModel) {
  // Room for the conversation: the toy's random bytes come back as U+FFFD.
  std::string path = toy::write("examples", [](artifact::Manifest &manifest) {
    manifest.mutable_model()->set_max_context(1024);
  });
  expectAnswers(output(QOPT_EMBED_C, path));
  expectAnswers(output(QOPT_EMBED_CPP, path));
}

TEST(CApiModel, DevicesAreChosenByName) {
  std::string path = toy::write("capi-device");
  qopt_model_options options;
  qopt_model_options_init(&options);
  EXPECT_EQ(options.device, nullptr);
  for (const char *device : {"auto", "cpu"}) {
    options.device = device;
    qopt_model *model = nullptr;
    EXPECT_EQ(qopt_model_load(path.c_str(), &options, &model), QOPT_OK) << qopt_last_error();
    qopt_model_free(model);
  }
  qopt_model *model = nullptr;
  options.device = "cuda";
  EXPECT_EQ(qopt_model_load(path.c_str(), &options, &model), QOPT_USAGE);
  EXPECT_NE(std::strstr(qopt_last_error(), "which device 'cuda' can't run"), nullptr);
}

TEST(Examples, RunOnARealModel) {
  const char *path = std::getenv("QOPT_TEST_ARTIFACT");
  if (!path)
    GTEST_SKIP() << "QOPT_TEST_ARTIFACT is not set";
  expectAnswers(output(QOPT_EMBED_C, path));
  expectAnswers(output(QOPT_EMBED_CPP, path));
}

} // namespace
