//===- ChatTemplateTest.cpp - The interface of chat templates -------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/ChatTemplate.h"
#include <gtest/gtest.h>
#include <thread>

using namespace qopt;

namespace {

ChatTemplate parsed(std::string_view source, SpecialTokens tokens = {}) {
  Result<ChatTemplate> chat = ChatTemplate::parse(source, std::move(tokens));
  EXPECT_TRUE(chat) << chat.status().message();
  return chat ? *chat : *ChatTemplate::parse("");
}

/// The rendering, or the error after "error: ".
std::string rendered(std::string_view source, const std::vector<ChatMessage> &messages = {},
                     const RenderOptions &options = {}) {
  Result<std::string> text = parsed(source).render(messages, options);
  return text ? *text : "error: " + text.status().message();
}

std::string renderedJson(std::string_view source, std::string_view messages) {
  Result<std::string> text = parsed(source).renderJson(messages);
  return text ? *text : "error: " + text.status().message();
}

constexpr std::string_view all = "{{ messages | tojson }}";

TEST(ChatTemplate, RendersMessages) {
  ChatTemplate chat = parsed("{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}"
                             "{{ eos_token }}{% endfor %}"
                             "{% if add_generation_prompt %}<assistant>{% endif %}",
                             {.bos = "[", .eos = "]"});
  Result<std::string> text =
      chat.render({{"system", "Be brief."}, {"user", "Hi"}}, {.addGenerationPrompt = true});
  ASSERT_TRUE(text) << text.status().message();
  EXPECT_EQ(*text, "[<system>Be brief.]<user>Hi]<assistant>");
  text = chat.render({});
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "[");
}

TEST(ChatTemplate, SpecialTokensMayBeAbsent) {
  EXPECT_EQ(rendered("{{ bos_token is defined }}{{ eos_token }}{{ pad_token is undefined }}"),
            "FalseTrue");
}

TEST(ChatTemplate, FieldsOfAMessage) {
  EXPECT_EQ(rendered(all, {{"assistant", std::nullopt, R"({"tool_calls": [{"id": 1}]})"}}),
            R"([{"role": "assistant", "tool_calls": [{"id": 1}]}])");
  EXPECT_EQ(rendered(all, {{"user", "a", R"({"content": ["b"]})"}}),
            R"([{"role": "user", "content": ["b"]}])");
  EXPECT_EQ(rendered(all, {{"user", "a", R"({"content": null})"}}), R"([{"role": "user"}])");
  EXPECT_EQ(rendered(all, {{"user", "a", "[1]"}}),
            "error: message 0 has fields that are a list, expected an object");
  EXPECT_EQ(rendered(all, {{"user", "a", "{"}}),
            "error: message 0 is not usable JSON: syntax error at byte 2");
}

TEST(ChatTemplate, JsonMessages) {
  EXPECT_EQ(renderedJson(all, R"([{"z": null, "b": 1, "a": [null, 1.50, "\u00e9"], "b": 2}])"),
            "[{\"b\": 2, \"a\": [null, 1.5, \"\u00e9\"]}]");
  EXPECT_EQ(renderedJson(all, R"([{"reasoning": "r"}])"),
            R"([{"thinking": "r", "reasoning": "r", "reasoning_content": "r"}])");
  EXPECT_EQ(renderedJson(all, "{}"), "error: the conversation is a dict, expected an array");
  EXPECT_EQ(renderedJson(all, "[1]"), "error: message 0 is a int, expected an object");
  EXPECT_EQ(renderedJson(all, "[{\"a\": 18446744073709551615}]"),
            "error: the conversation is not usable JSON: integer 18446744073709551615 doesn't fit "
            "in 64 bits");
  EXPECT_EQ(renderedJson(all, "[{\"a\": 99999999999999999999}]"),
            "error: the conversation is not usable JSON: integer 99999999999999999999 doesn't fit "
            "in 64 bits");
  EXPECT_EQ(renderedJson(all, "[{\"a\": \"\xff\"}]"),
            "error: the conversation is not usable JSON: syntax error at byte 9");
  EXPECT_EQ(renderedJson(all, std::string(101, '[') + std::string(101, ']')),
            "error: the conversation is not usable JSON: nests deeper than 100");
}

TEST(ChatTemplate, Options) {
  EXPECT_EQ(rendered("{{ tools }}{{ documents }}{{ add_generation_prompt }}"), "NoneNoneFalse");
  EXPECT_EQ(rendered("{{ tools | tojson }}", {}, {.tools = R"([{"b": 1, "a": 2}])"}),
            R"([{"b": 1, "a": 2}])");
  EXPECT_EQ(rendered("", {}, {.tools = "[1]"}), "error: the tools are not an array of objects");
  EXPECT_EQ(rendered("", {}, {.tools = "nonsense"}),
            "error: the tools is not usable JSON: syntax error at byte 2");
  EXPECT_EQ(rendered("", {}, {.documents = "{}"}),
            "error: the documents are not an array of objects");
  EXPECT_EQ(
      rendered("{{ a }}{{ b }}", {}, {.variables = {{"a", "x"}}, .variablesJson = R"({"b": [1]})"}),
      "x[1]");
  EXPECT_EQ(rendered("", {}, {.variables = {{"messages", ""}}}),
            "error: variable 'messages' has an option of its own");
  EXPECT_EQ(rendered("", {}, {.variables = {{"a", "\xff"}}}),
            "error: variable 'a' is not valid UTF-8");
  EXPECT_EQ(rendered("", {}, {.variablesJson = "[]"}),
            "error: the variables are a list, expected an object");
}

TEST(ChatTemplate, InvalidUtf8) {
  EXPECT_EQ(rendered(all, {{"user", "\xc3"}}), "error: message 0 is not valid UTF-8");
  Result<ChatTemplate> chat = ChatTemplate::parse("\xff");
  EXPECT_EQ(chat.status().message(), "chat template:1:1: the template is not valid UTF-8");
  chat = ChatTemplate::parse("", {.eos = "\xff"});
  EXPECT_EQ(chat.status().message(), "a special token is not valid UTF-8");
}

TEST(ChatTemplate, ManyThreadsShareATemplate) {
  ChatTemplate chat = parsed("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = "
                             "ns.n + 1 %}{{ ns.n }}{{ m.content | upper }}{% endfor %}");
  std::vector<ChatMessage> messages(50, {"user", "abc"});
  std::string expected = *chat.render(messages);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 50; ++j)
        EXPECT_EQ(*chat.render(messages), expected);
    });
  for (std::thread &thread : threads)
    thread.join();
}

} // namespace
