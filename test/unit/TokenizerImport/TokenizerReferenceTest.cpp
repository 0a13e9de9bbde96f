//===- TokenizerReferenceTest.cpp - Equality with the reference -----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compares every string of a folder that test/e2e/tokenizer_reference.py wrote.
//
//===----------------------------------------------------------------------===//
#include "qopt/Frontend/Tokenizer/TokenizerImport.h"
#include "qopt/Runtime/Tokenizer.h"
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <nlohmann/json.hpp>

using namespace qopt;
using nlohmann::json;

namespace {

std::optional<std::string> readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

class TokenizerReferenceTest : public testing::Test {
protected:
  void SetUp() override {
    const char *folder = std::getenv("QOPT_TOKENIZER_REFERENCE");
    if (!folder)
      GTEST_SKIP() << "QOPT_TOKENIZER_REFERENCE names no folder";
    folder_ = folder;
    std::optional<std::string> text = readFile(folder_ + "/tokenizer.json");
    ASSERT_TRUE(text);
    Status status = tokenizerFromJson(*text, "", fromJson_);
    ASSERT_TRUE(status.isOk()) << status.message();
  }

  std::string folder_;
  artifact::Tokenizer fromJson_;
};

TEST_F(TokenizerReferenceTest, EncodesAndDecodesEveryString) {
  Result<Tokenizer> tokenizer = Tokenizer::create(fromJson_);
  ASSERT_TRUE(tokenizer.isOk()) << tokenizer.status().message();
  std::ifstream lines(folder_ + "/strings.jsonl");
  ASSERT_TRUE(lines);

  size_t strings = 0, sequences = 0, bytes = 0, unequal = 0;
  std::chrono::duration<double> seconds{};
  auto expectEqual = [&](bool equal, const std::string &line) {
    if (equal)
      return;
    if (++unequal <= 10)
      ADD_FAILURE() << line.substr(0, 2000);
  };
  for (std::string line; std::getline(lines, line);) {
    json entry = json::parse(line);
    std::vector<int32_t> ids = entry["ids"];
    if (!entry.contains("text")) {
      ++sequences;
      std::string decoded = entry["decoded"], visible = entry["visible"];
      expectEqual(tokenizer->decode(ids) == decoded, line);
      expectEqual(tokenizer->decode(ids, /*skipSpecial=*/true) == visible, line);
      StreamingDetokenizer stream(*tokenizer);
      std::string streamed;
      for (int32_t id : ids)
        streamed += stream.push(id);
      expectEqual(streamed + stream.flush() == decoded, line);
      continue;
    }
    ++strings;
    std::string text = entry["text"];
    bytes += text.size();
    auto start = std::chrono::steady_clock::now();
    Result<std::vector<int32_t>> found = tokenizer->encode(text);
    seconds += std::chrono::steady_clock::now() - start;
    expectEqual(found && *found == ids, line);
    Result<std::vector<int32_t>> plain =
        tokenizer->encode(text, /*addSpecialTokens=*/false, /*parseSpecial=*/false);
    expectEqual(plain && *plain == entry["plain"].get<std::vector<int32_t>>(), line);
  }
  EXPECT_EQ(unequal, 0u);
  EXPECT_GE(strings, 10000u);
  RecordProperty("strings", std::to_string(strings));
  std::printf("%zu strings and %zu id sequences, %zu unequal; %.1f MB at %.1f MB/s\n", strings,
              sequences, unequal, bytes * 1e-6, bytes * 1e-6 / seconds.count());
}

TEST_F(TokenizerReferenceTest, OtherImportersGiveTheSame) {
  artifact::Tokenizer other;
  if (std::optional<std::string> ranks = readFile(folder_ + "/tokenizer.model")) {
    Status status = tokenizerFromTiktoken(*ranks, llama3SpecialTokens(), other);
    ASSERT_TRUE(status.isOk()) << status.message();
    other.clear_eos_id(); // tokenizer.json alone doesn't tell it
  } else {
    std::optional<std::string> text = readFile(folder_ + "/vocabulary.json");
    ASSERT_TRUE(text);
    json source = json::parse(*text);
    GGUFVocabulary vocabulary;
    vocabulary.tokens = source["tokens"];
    vocabulary.types = source["types"].get<std::vector<int32_t>>();
    vocabulary.merges = source["merges"];
    vocabulary.model = source["model"];
    vocabulary.pre = source["pre"];
    vocabulary.addBos = source["addBos"].get<bool>();
    Status status = tokenizerFromGGUF(vocabulary, other);
    ASSERT_TRUE(status.isOk()) << status.message();
  }
  EXPECT_EQ(other.SerializeAsString(), fromJson_.SerializeAsString());
}

} // namespace
