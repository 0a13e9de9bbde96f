//===- TokenizerFromJsonTest.cpp - Tokenizers from tokenizer.json ---------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "qopt/Frontend/Tokenizer/TokenizerImport.h"
#include "qopt/Runtime/Tokenizer.h"
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace qopt;
using nlohmann::json;

namespace {

/// The lines of tokenizers.jsonl (see make_tokenizers.py).
std::vector<json> readFixtures() {
  std::ifstream file(QOPT_TEST_DIR "/unit/TokenizerImport/tokenizers.jsonl");
  std::vector<json> fixtures;
  for (std::string line; std::getline(file, line);)
    fixtures.push_back(json::parse(line));
  return fixtures;
}

json fixture(std::string_view name) {
  for (json &entry : readFixtures())
    if (entry["name"] == std::string(name))
      return entry["tokenizer"];
  return {};
}

std::string importError(const json &tokenizer, const json &config = nullptr) {
  artifact::Tokenizer out;
  return tokenizerFromJson(tokenizer.dump(), config.is_null() ? "" : config.dump(), out).message();
}

TEST(TokenizerFromJson, EqualsTheReference) {
  std::vector<json> fixtures = readFixtures();
  ASSERT_EQ(fixtures.size(), 8u);
  for (const json &entry : fixtures) {
    SCOPED_TRACE(entry["name"].get<std::string>());
    artifact::Tokenizer artifact;
    Status status = tokenizerFromJson(entry["tokenizer"].dump(), "", artifact);
    ASSERT_TRUE(status.isOk()) << status.message();
    Result<Tokenizer> tokenizer = Tokenizer::create(artifact);
    ASSERT_TRUE(tokenizer.isOk());
    for (const json &string : entry["strings"]) {
      std::string text = string["text"];
      std::vector<int32_t> ids = string["ids"], plain = string["plain"];
      Result<std::vector<int32_t>> found = tokenizer->encode(text);
      ASSERT_TRUE(found.isOk()) << found.status().message();
      EXPECT_EQ(*found, ids) << text;
      EXPECT_EQ(*tokenizer->encode(text, false, false), plain) << text;
      EXPECT_EQ(tokenizer->decode(ids), string["decoded"].get<std::string>());
      EXPECT_EQ(tokenizer->decode(ids, true), string["visible"].get<std::string>());
    }
  }
}

TEST(TokenizerFromJson, BoundsValues) {
  std::string list = R"({"a": [0)";
  for (int i = 0; i < 400000; ++i)
    list += ",0";
  artifact::Tokenizer out;
  Status status = tokenizerFromJson(list + "]}", "", out);
  EXPECT_NE(status.message().find("tokenizer.json has more than"), std::string::npos)
      << status.message();
}

TEST(TokenizerFromJson, MergesInBothSpellings) {
  json pairs = fixture("digits"), strings = pairs;
  for (json &merge : strings["model"]["merges"]) {
    ASSERT_TRUE(merge.is_array());
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  artifact::Tokenizer a, b;
  ASSERT_TRUE(tokenizerFromJson(pairs.dump(), "", a).isOk());
  ASSERT_TRUE(tokenizerFromJson(strings.dump(), "", b).isOk());
  EXPECT_EQ(a.SerializeAsString(), b.SerializeAsString());
}

TEST(TokenizerFromJson, ConfigNamesSpecialTokens) {
  json tokenizer = fixture("split_string");
  json config = {{"bos_token", "hello"},
                 {"eos_token", {{"content", "test"}}},
                 {"pad_token", nullptr},
                 {"added_tokens_decoder",
                  {{"900", {{"content", "<tool>"}, {"special", true}, {"lstrip", true}}}}}};
  artifact::Tokenizer out;
  Status status = tokenizerFromJson(tokenizer.dump(), config.dump(), out);
  ASSERT_TRUE(status.isOk()) << status.message();
  EXPECT_EQ(out.vocabulary(out.bos_id()), "hello");
  EXPECT_EQ(out.vocabulary(out.eos_id()), "test");
  EXPECT_FALSE(out.has_pad_id());
  EXPECT_FALSE(out.add_bos());
  EXPECT_EQ(out.vocabulary(900), "<tool>");
  Result<Tokenizer> created = Tokenizer::create(out);
  ASSERT_TRUE(created.isOk());
  EXPECT_TRUE(created->isSpecial(out.bos_id())); // as transformers does
  EXPECT_EQ(*created->encode(" <tool>"), std::vector<int32_t>{900});
}

TEST(TokenizerFromJson, NamesWhatIsUnsupported) {
  struct Case {
    const char *pointer;
    const char *value;
    const char *message;
  } cases[] = {
      {"/model/type", R"("Unigram")", "tokenizer model 'Unigram' is not supported"},
      {"/model/end_of_word_suffix", R"("</w>")",
       "model.end_of_word_suffix '</w>' is not supported"},
      {"/model/dropout", "0.5", "model.dropout 0.5 is not supported"},
      {"/model/byte_fallback", "true", "model.byte_fallback is not supported"},
      {"/model/unk_token", R"("nope")", "model.unk_token 'nope' is not in the vocabulary"},
      {"/model/vocab", "[]", "model.vocab is not an object"},
      {"/model/vocab/new", R"("1")", "token 'new' has an id that is not a number"},
      {"/model/vocab/new", "3", "token 'new' has id 3, which another token has too"},
      {"/model/vocab/new", "9999999", "token has id 9999999, expected less than 66146"},
      {"/model/merges", "{}", "model.merges is not an array"},
      {"/model/merges/0", "[1, 2]", "an entry that is neither 'a b' nor ['a', 'b']"},
      {"/model/merges/0", R"("abc")", "merge 'abc' is not two tokens with a space between"},
      {"/model/merges/0", R"("q z")", "needs the token 'qz', which is not in the vocabulary"},
      {"/added_tokens", "3", "added_tokens is not an array"},
      {"/added_tokens/0/id", "-1", "added token 'ab' has no id below 2097152"},
      {"/added_tokens/0/id", "5", "added token 'ab' has id 5, in the vocabulary it has 2"},
      {"/added_tokens/0/content", R"("new")",
       "added token 'new' has id 269, which another token has too"},
      {"/normalizer", R"({"type": "Lowercase"})", "normalizer 'Lowercase' is not supported"},
      {"/normalizer", R"({"type": "Sequence"})", "Sequence has no list 'normalizers'"},
      {"/pre_tokenizer", "null", "pre_tokenizer without ByteLevel is not supported"},
      {"/pre_tokenizer/pretokenizers/0/type", R"("Metaspace")", "pre_tokenizer 'Metaspace'"},
      {"/pre_tokenizer/pretokenizers/0/type", R"("ByteLevel")", "'ByteLevel' after ByteLevel"},
      {"/pre_tokenizer/pretokenizers/1/add_prefix_space", "true", "add_prefix_space after another"},
      {"/pre_tokenizer/pretokenizers/0", R"({"type": "Split", "behavior": "Removed"})",
       "Split with behavior 'Removed' is not supported"},
      {"/pre_tokenizer/pretokenizers/0",
       R"({"type": "Split", "behavior": "Isolated", "invert": true})", "Split with invert"},
      {"/pre_tokenizer/pretokenizers/0", R"({"type": "Split", "behavior": "Isolated"})",
       "Split has no pattern of kind String or Regex"},
      {"/post_processor", R"({"type": "RobertaProcessing"})", "post_processor 'RobertaProcessing'"},
      {"/post_processor/single", "null", "has no list 'single'"},
      {"/post_processor/single", "[]", "template without a sequence"},
      {"/post_processor/single/1/Sequence/id", R"("B")", "another sequence than one A"},
      {"/post_processor/single/0/SpecialToken/id", R"("x")", "template token 'x' has no id"},
      {"/post_processor/single/1", R"({"SpecialToken": {"id": "<s>"}})",
       "template token '<s>' that is"},
      {"/decoder", R"({"type": "Fuse"})", "decoder 'Fuse' is not supported"},
      {"/decoder", "null", "a list of 0 decoders is not supported"},
  };
  json good = fixture("digits");
  ASSERT_EQ(importError(good), "");
  for (const Case &c : cases) {
    json bad = good;
    bad[json::json_pointer(c.pointer)] = json::parse(c.value);
    std::string error = importError(bad);
    EXPECT_NE(error.find(c.message), std::string::npos) << c.pointer << ": " << error;
  }
  json fused = fixture("unknown_bytes");
  fused["model"]["fuse_unk"] = true;
  EXPECT_EQ(importError(fused),
            "model.fuse_unk in a vocabulary without all bytes is not supported");
  json twice = good;
  twice["post_processor"] = {{"type", "Sequence"},
                             {"processors", {good["post_processor"], good["post_processor"]}}};
  EXPECT_EQ(importError(twice), "a second post_processor 'TemplateProcessing' is not supported");
  EXPECT_EQ(importError(good, {{"eos_token", "<none>"}}),
            "eos_token '<none>' is not in the vocabulary");
  EXPECT_NE(importError(good, {{"bos_token", "hello"}}).find("that is not the BOS"),
            std::string::npos);
}

TEST(TokenizerFromJson, RegexDialects) {
  std::pair<const char *, const char *> cases[] = {
      {"^a", "unsupported '^' at offset 0"},
      {"a$", "unsupported '$'"},
      {R"(\h)", R"('\h')"},
      {R"(\w+)", R"('\w')"},
      {R"(\v)", R"('\v')"},
      {R"(\p{Han})", R"('\p{Han}')"},
      {R"(\pL)", R"('\p')"},
      {R"(\u12)", R"('\u')"},
      {"a\\", "'\\'"},
      {"[a[b]]", "'['"},
      {"[a&&b]", "'&&'"},
      {"[]a]", "'empty class'"},
      {"(?i)a", "'(?i'"},
      {"(*FAIL)", "'(*F'"},
      {"a{2}+", "'}+'"},
      {"a{,2}", "'{'"},
      {"(?i:stop)", "'(?i:st)'"},
      {"(?i:é)", "letters other than ASCII"},
      {"(", "is invalid at offset"},
      {"[a", "is invalid at offset"},
  };
  json tokenizer = fixture("split_string");
  for (auto [regex, message] : cases) {
    json split = {{"type", "Split"}, {"behavior", "Isolated"}, {"pattern", {{"Regex", regex}}}};
    tokenizer["pre_tokenizer"]["pretokenizers"][0] = split;
    std::string error = importError(tokenizer);
    EXPECT_NE(error.find(message), std::string::npos) << regex << ": " << error;
  }
}

TEST(TokenizerFromJson, MalformedText) {
  artifact::Tokenizer out;
  EXPECT_EQ(tokenizerFromJson("", "", out).message(), "tokenizer.json is not a JSON object");
  EXPECT_EQ(tokenizerFromJson("{\"a\": \"\xff\"}", "", out).message(),
            "tokenizer.json is not a JSON object");
  EXPECT_EQ(tokenizerFromJson(std::string(1000000, '['), "", out).message(),
            "tokenizer.json nests deeper than 64");
  EXPECT_EQ(tokenizerFromJson("{}", "[", out).message(),
            "tokenizer_config.json is not a JSON object");
  EXPECT_EQ(tokenizerFromJson("{}", "", out).message(), "tokenizer model '' is not supported");
}

} // namespace
