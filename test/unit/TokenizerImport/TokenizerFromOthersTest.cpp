//===- TokenizerFromOthersTest.cpp - Tokenizers from GGUF and tiktoken ----===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "qopt/Frontend/Tokenizer/TokenizerImport.h"
#include "qopt/Runtime/Tokenizer.h"
#include <gtest/gtest.h>

using namespace qopt;

namespace {

GGUFVocabulary smallVocabulary() {
  GGUFVocabulary vocabulary;
  vocabulary.tokens = {"<s>", "a", "b", "Ġ", "ab", "Ġab", "1", "<tool>", "[PAD8]"};
  vocabulary.types = {3, 1, 1, 1, 1, 1, 1, 4, 5};
  vocabulary.merges = {"a b", "Ġ ab"};
  vocabulary.model = "gpt2";
  vocabulary.pre = "smollm";
  vocabulary.bos = 0;
  return vocabulary;
}

std::string error(const GGUFVocabulary &vocabulary) {
  artifact::Tokenizer out;
  return tokenizerFromGGUF(vocabulary, out).message();
}

TEST(TokenizerFromGGUF, Small) {
  artifact::Tokenizer out;
  Status status = tokenizerFromGGUF(smallVocabulary(), out);
  ASSERT_TRUE(status.isOk()) << status.message();
  Tokenizer tokenizer = *Tokenizer::create(out);
  EXPECT_EQ(tokenizer.vocabularySize(), 9);
  EXPECT_EQ(tokenizer.token(8), "");
  EXPECT_EQ(*tokenizer.encode("ab ab11<tool><s>"), (std::vector<int32_t>{4, 5, 6, 6, 7, 0}));
  // The bytes of "<s>" aren't in the vocabulary; a tool token isn't special.
  EXPECT_EQ(*tokenizer.encode("a<s><tool>", false, false), (std::vector<int32_t>{1, 7}));
  EXPECT_TRUE(tokenizer.isSpecial(0));
  EXPECT_FALSE(tokenizer.isSpecial(7));
  EXPECT_FALSE(out.add_bos());
}

TEST(TokenizerFromGGUF, PreTokenizerImpliesBos) {
  GGUFVocabulary vocabulary = smallVocabulary();
  vocabulary.pre = "llama-bpe";
  artifact::Tokenizer out;
  ASSERT_TRUE(tokenizerFromGGUF(vocabulary, out).isOk());
  EXPECT_TRUE(out.add_bos());
  EXPECT_TRUE(out.ignore_merges());
  vocabulary.addBos = false;
  ASSERT_TRUE(tokenizerFromGGUF(vocabulary, out).isOk());
  EXPECT_FALSE(out.add_bos());
  for (const char *pre : {"", "default", "gpt-2", "starcoder", "refact", "llama3", "tekken"}) {
    vocabulary.pre = pre;
    EXPECT_EQ(error(vocabulary), "");
  }
}

TEST(TokenizerFromGGUF, Errors) {
  auto with = [](auto change) {
    GGUFVocabulary vocabulary = smallVocabulary();
    change(vocabulary);
    return error(vocabulary);
  };
  EXPECT_EQ(with([](auto &v) { v.model = "llama"; }),
            "tokenizer.ggml.model is 'llama', expected 'gpt2' (byte-level BPE)");
  EXPECT_EQ(with([](auto &v) { v.pre = "viking"; }),
            "tokenizer.ggml.pre is 'viking', expected default, gpt-2, smollm, starcoder, refact, "
            "llama-bpe or tekken");
  EXPECT_EQ(with([](auto &v) { v.types.pop_back(); }),
            "tokenizer.ggml.token_type has 8 entries, expected 9");
  EXPECT_EQ(with([](auto &v) { v.types[1] = 6; }),
            "token 1 has type 6, expected 1 to 5 in a vocabulary of bytes");
  EXPECT_EQ(with([](auto &v) { v.unk = 9; }),
            "tokenizer.ggml.unknown_token_id is 9, expected less than 9");
  EXPECT_EQ(with([](auto &v) { v.eos = 9; }), "tokenizer has eos_id 9, expected less than 9");
  EXPECT_EQ(with([](auto &v) { v.merges[0] = "a b "; }),
            "merge 'a b ' is not two tokens with a space between");
  EXPECT_EQ(with([](auto &v) { v.merges[0] = "b a"; }),
            "merge of 'b' and 'a' needs the token 'ba', which is not in the vocabulary");
  EXPECT_EQ(with([](auto &v) { v.tokens.clear(), v.types.clear(), v.merges.clear(); }),
            "tokenizer has 0 tokens, expected 1 to 2097152");
  EXPECT_EQ(with([](auto &v) { v.tokens.resize(3000000); }),
            "tokenizer.ggml.tokens has 3000000 entries, expected at most 2097152");
}

// Ranks of: a b c ab bc abc.
constexpr char smallRanks[] = "YQ== 0\nYg== 1\nYw== 2\nYWI= 3\nYmM= 4\nYWJj 5\n";

TEST(TokenizerFromTiktoken, Small) {
  artifact::Tokenizer out;
  Status status = tokenizerFromTiktoken(smallRanks, {"<|begin_of_text|>", "<|end_of_text|>"}, out);
  ASSERT_TRUE(status.isOk()) << status.message();
  // ab = a+b, bc = b+c, abc = a+bc, abc = ab+c.
  EXPECT_EQ(std::vector<uint32_t>(out.merges().begin(), out.merges().end()),
            (std::vector<uint32_t>{0, 1, 3, 1, 2, 4, 0, 4, 5, 3, 2, 5}));
  Tokenizer tokenizer = *Tokenizer::create(out);
  EXPECT_EQ(*tokenizer.encode("abcab"), (std::vector<int32_t>{6, 5, 3}));
  EXPECT_EQ(tokenizer.eosId(), 7);
  EXPECT_EQ(llama3SpecialTokens().size(), 256u);
  EXPECT_EQ(llama3SpecialTokens()[9], "<|eot_id|>");
  EXPECT_EQ(llama3SpecialTokens().back(), "<|reserved_special_token_247|>");
}

TEST(TokenizerFromTiktoken, Errors) {
  artifact::Tokenizer out;
  auto error = [&](std::string text) { return tokenizerFromTiktoken(text, {}, out).message(); };
  EXPECT_EQ(error(""), "tokenizer has 0 tokens, expected 1 to 2097152");
  for (const char *line : {"YQ==", "YQ=", "Y!== 1", " 1"})
    EXPECT_EQ(error("Yg== 0\n" + std::string(line)),
              "line 2 is not a base64 token, a space and a rank");
  for (const char *rank : {"", "x", "-1", "65536", "1 "})
    EXPECT_EQ(error("YQ== " + std::string(rank)),
              "line 1 has rank '" + std::string(rank) + "', expected less than 65536");
  EXPECT_EQ(error("YQ== 0\nYQ== 1"), "line 2 repeats the token of rank 0");
  EXPECT_EQ(error("YQ== 0\nYg== 0"), "line 2 repeats rank 0");
  std::string longToken;
  for (int i = 0; i < 400; ++i)
    longToken += "YWJj";
  EXPECT_EQ(error(longToken + " 0"), "line 1 has a token of 1200 bytes, expected at most 1024");
}

} // namespace
