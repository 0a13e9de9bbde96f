//===- GeneratorTest.cpp - Text in, text out ------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Generator.h"
#include "Runtime/Generator/TextStream.h"
#include "ToyModel.h"
#include <gtest/gtest.h>
#include <thread>

using namespace qopt;

namespace {

Tokenizer tokenizer() {
  artifact::Manifest manifest = toy::manifest();
  Result<Tokenizer> tokenizer = Tokenizer::create(manifest.tokenizer());
  EXPECT_TRUE(tokenizer) << tokenizer.status().message();
  return *tokenizer;
}

/// Pushes `text` byte by byte; a '|' parts what each push settled.
std::string pieces(const std::string &text, std::vector<std::string> stops, bool &stopped) {
  TextStream stream(tokenizer(), true, std::move(stops));
  std::string result;
  for (char c : text) {
    std::string piece = stream.push(static_cast<unsigned char>(c));
    result += piece + "|";
    if (stream.stopped())
      break;
  }
  stopped = stream.stopped();
  return result + stream.flush();
}

TEST(TextStream, StopStrings) {
  struct Case {
    const char *text;
    std::vector<std::string> stops;
    const char *expected;
    bool stopped;
  };
  const Case cases[] = {
      {"abc", {}, "a|b|c|", false},
      {"abc", {""}, "a|b|c|", false},
      {"abcd", {"bc"}, "a|||", true},
      {"abxcd", {"bc"}, "a||bx|c|d|", false},
      {"aab", {"ab"}, "|a||", true},         // the second a starts the string anew
      {"abab", {"abac"}, "|||ab|ab", false}, // held to the end
      {"xyz", {"zz", "yz"}, "x|||", true},
      {"stop", {"stop", "to"}, "||s|", true}, // the string that is complete first
      {"h\xc3\xa9!", {"!"}, "h||\xc3\xa9||", true},
  };
  for (const Case &c : cases) {
    bool stopped = false;
    EXPECT_EQ(pieces(c.text, c.stops, stopped), c.expected) << c.text;
    EXPECT_EQ(stopped, c.stopped) << c.text;
  }
}

Generator create(const std::function<void(artifact::Manifest &)> &change = {}) {
  Result<Model> model = Model::load(toy::write("generator", change), {.threads = 2});
  EXPECT_TRUE(model) << model.status().message();
  Result<Generator> generator = Generator::create(*model);
  EXPECT_TRUE(generator) << generator.status().message();
  return std::move(*generator);
}

TEST(Generator, StreamsWhatItReturns) {
  Generator generator = create();
  GenerateOptions options;
  options.maxTokens = 20;
  std::string streamed;
  uint32_t count = 0;
  Result<Completion> completion = generator.generate("hello", options, [&](const TextEvent &event) {
    streamed += event.text;
    EXPECT_EQ(event.generatedTokens, ++count);
    EXPECT_EQ(event.promptTokens, 5u);
    return true;
  });
  ASSERT_TRUE(completion) << completion.status().message();
  EXPECT_EQ(completion->text, streamed);
  EXPECT_EQ(completion->text, generator.tokenizer()->decode(completion->tokens, true));
  EXPECT_EQ(completion->promptTokens, 5u);
  EXPECT_EQ(completion->tokens.size(), count);

  std::vector<int32_t> text = {'h', 'e', 'l', 'l', 'o'};
  for (int32_t token : completion->tokens) {
    EXPECT_EQ(token, argmax(toy::logits(text)));
    text.push_back(token);
  }
}

TEST(Generator, StopStringIsLeftOut) {
  Generator generator = create();
  GenerateOptions options;
  options.maxTokens = 20;
  options.stopAtEos = false;
  Result<Completion> whole = generator.generate("abc", options);
  ASSERT_TRUE(whole);
  ASSERT_GE(whole->text.size(), 4u);
  std::string stop = whole->text.substr(whole->text.size() / 2, 3);
  options.stop = {stop};
  Result<Completion> cut = generator.generate("abc", options);
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->text, whole->text.substr(0, whole->text.find(stop)));
  EXPECT_EQ(cut->finish, FinishReason::stopString);
}

TEST(Generator, ChatUsesTheTemplate) {
  Generator generator = create();
  Result<std::vector<int32_t>> tokens =
      generator.encode(std::vector<ChatMessage>{{"user", "hi"}, {"assistant", "yo"}});
  ASSERT_TRUE(tokens) << tokens.status().message();
  EXPECT_EQ(generator.tokenizer()->decode(*tokens), "u:hi\na:yo\n");
  GenerateOptions options;
  options.maxTokens = 5;
  Result<Completion> answer = generator.chat({{"user", "hi"}}, options);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->promptTokens, 5u);
  EXPECT_EQ(answer->text, generator.generate("u:hi\n", options)->text);
}

TEST(Generator, TakesTokensWhereTheModelHasNoTokenizer) {
  Generator generator =
      create([](artifact::Manifest &manifest) { manifest.mutable_tokenizer()->Clear(); });
  EXPECT_EQ(generator.tokenizer(), nullptr);
  GenerateOptions options;
  options.maxTokens = 5;
  std::vector<int32_t> prompt = {'a', 'b'};
  Result<Completion> completion = generator.generate(prompt, options);
  ASSERT_TRUE(completion) << completion.status().message();
  EXPECT_EQ(completion->tokens, create().generate(prompt, options)->tokens);
  EXPECT_EQ(completion->text, "");
  EXPECT_EQ(generator.generate("ab", options).status().message(),
            "the model has no tokenizer: it takes token ids alone");
  EXPECT_EQ(generator.chat({{"user", "ab"}}, options).status().message(),
            "the model has no tokenizer");
  options.stop = {"x"};
  EXPECT_EQ(generator.generate(prompt, options).status().message(),
            "the model has no tokenizer: no text can end an answer");
}

TEST(Generator, DefaultsAreTheModels) {
  GenerateOptions greedy = create().defaults();
  EXPECT_EQ(greedy.sampling.temperature, 0);
  EXPECT_EQ(greedy.sampling.topP, 1);
  EXPECT_EQ(greedy.sampling.repetitionPenalty, 1);
  GenerateOptions sampled = create([](artifact::Manifest &manifest) {
                              artifact::GenerationConfig &config = *manifest.mutable_generation();
                              config.set_do_sample(true);
                              config.set_top_k(40);
                              config.set_top_p(0.9f);
                            }).defaults();
  EXPECT_EQ(sampled.sampling.temperature, 1);
  EXPECT_EQ(sampled.sampling.topK, 40u);
  EXPECT_EQ(sampled.sampling.topP, 0.9f);
}

TEST(Generator, CallbackCancels) {
  Generator generator = create();
  int calls = 0;
  Result<Completion> completion =
      generator.generate("abc", {}, [&](const TextEvent &) { return ++calls < 4; });
  ASSERT_TRUE(completion);
  EXPECT_EQ(completion->finish, FinishReason::cancelled);
  EXPECT_EQ(completion->tokens.size(), 4u);
  EXPECT_EQ(calls, 4);
}

TEST(Generator, ThreadsShareTheEngine) {
  Generator generator = create();
  GenerateOptions options;
  options.maxTokens = 30;
  constexpr int threads = 6;
  std::vector<std::string> prompts, expected, found(threads);
  for (int i = 0; i < threads; ++i) {
    prompts.push_back("prompt " + std::to_string(i));
    expected.push_back(generator.generate(prompts[i], options)->text);
  }
  std::vector<std::thread> clients;
  for (int i = 0; i < threads; ++i)
    clients.emplace_back([&, i] {
      for (int round = 0; round < 3; ++round) {
        Result<Completion> completion = generator.generate(prompts[i], options);
        EXPECT_TRUE(completion);
        found[i] = completion->text;
      }
    });
  for (std::thread &client : clients)
    client.join();
  EXPECT_EQ(found, expected);
}

TEST(Generator, Errors) {
  Generator generator = create();
  EXPECT_EQ(generator.generate(std::string(200, 'a'), {}).status().message(),
            "the prompt has 200 tokens, expected fewer than the context of 96");
  EXPECT_FALSE(generator.generate("\xff", {}));
  Generator plain =
      create([](artifact::Manifest &manifest) { manifest.mutable_chat_template()->Clear(); });
  EXPECT_EQ(plain.chat({{"user", "hi"}}, {}).status().message(), "the model has no chat template");

  auto failure = [](const std::function<void(artifact::Manifest &)> &change) {
    Result<Model> model = Model::load(toy::write("invalid", change));
    EXPECT_TRUE(model);
    Result<Generator> generator = Generator::create(*model);
    EXPECT_FALSE(generator);
    return generator.status().message();
  };
  EXPECT_NE(failure([](artifact::Manifest &manifest) {
              manifest.mutable_chat_template()->set_source("{% nonsense %}");
            }).find(".qopt': "),
            std::string::npos);
  EXPECT_NE(failure([](artifact::Manifest &manifest) {
              manifest.mutable_tokenizer()->add_vocabulary("more");
            }).find("the tokenizer has 258 tokens, expected at most the model's 257"),
            std::string::npos);
}

} // namespace
