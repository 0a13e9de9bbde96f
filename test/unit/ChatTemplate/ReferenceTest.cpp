//===- ReferenceTest.cpp - Renderings equal to the reference's ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compares with renderings by transformers: those of make_reference.py, which
// are stored beside this file, and those of test/e2e/chat_reference.py for a
// real model's template, in the file that QOPT_CHAT_REFERENCE names.
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/ChatTemplate.h"
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace qopt;
using Json = nlohmann::ordered_json; // tojson prints keys in their order

namespace {

/// A case's own value, or the one that all cases share, as JSON text.
std::string field(const Json &example, const Json &shared, const char *key) {
  for (const Json *object : {&example, &shared})
    if (object->contains(key) && !(*object)[key].is_null())
      return (*object)[key].dump();
  return {};
}

std::optional<std::string> token(const Json &tokens, const char *key) {
  return tokens.contains(key) ? std::optional(tokens[key].get<std::string>()) : std::nullopt;
}

/// Renders every case of the file and compares the bytes; a case that the
/// reference refuses must fail here too. Returns the number of cases.
size_t compareWithReference(const std::string &path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  Json reference = Json::parse(file, nullptr, false);
  EXPECT_TRUE(reference.is_object()) << path;
  Json shared = reference.value("shared", Json::object());
  size_t count = 0;
  for (const Json &entry : reference["templates"]) {
    std::string name = entry["name"];
    const Json &tokens = entry["tokens"];
    Result<ChatTemplate> chat =
        ChatTemplate::parse(entry["source"].get<std::string>(),
                            {token(tokens, "bos_token"), token(tokens, "eos_token"),
                             token(tokens, "pad_token"), token(tokens, "unk_token")});
    EXPECT_TRUE(chat) << name << ": " << chat.status().message();
    if (!chat)
      continue;
    for (const Json &example : entry["cases"]) {
      ++count;
      RenderOptions options;
      options.addGenerationPrompt = example.value("add_generation_prompt", false);
      options.tools = field(example, shared, "tools");
      options.documents = field(example, shared, "documents");
      options.variablesJson = field(example, shared, "variables");
      options.now = [] { // NOW of chat_reference.py, a Saturday
        std::tm now = {};
        now.tm_year = 124, now.tm_mon = 6, now.tm_mday = 6;
        now.tm_hour = 15, now.tm_min = 4, now.tm_sec = 9;
        now.tm_wday = 6, now.tm_yday = 187;
        return now;
      };
      Result<std::string> text = chat->renderJson(field(example, shared, "messages"), options);
      if (example.contains("error")) {
        EXPECT_FALSE(text) << name << ": the reference says " << example["error"] << "\nfor "
                           << example.dump() << "\nrendered " << *text;
        continue;
      }
      EXPECT_TRUE(text) << name << ": " << text.status().message() << "\nfor " << example.dump();
      if (text) {
        EXPECT_EQ(*text, example["expected"].get<std::string>())
            << name << "\nfor " << example.dump();
      }
    }
  }
  return count;
}

TEST(ChatTemplateReference, StoredTemplates) {
  EXPECT_GT(compareWithReference(QOPT_TEST_DIR "/unit/ChatTemplate/reference.json"), 250u);
}

TEST(ChatTemplateReference, ModelTemplates) {
  const char *path = std::getenv("QOPT_CHAT_REFERENCE");
  if (!path)
    GTEST_SKIP() << "QOPT_CHAT_REFERENCE names no file of chat_reference.py";
  EXPECT_GT(compareWithReference(path), 0u);
}

} // namespace
