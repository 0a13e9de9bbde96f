//===- TokenizerTest.cpp - Text to tokens and back ------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Behaviour of the runtime alone; TokenizerImportTests compare with the
// reference implementation.
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/Tokenizer.h"
#include "qopt/Runtime/Artifact/tokenizer.pb.h"
#include <gtest/gtest.h>
#include <thread>

using namespace qopt;

namespace {

using Ids = std::vector<int32_t>;
constexpr int32_t aa = 256, bos = 257, eos = 258, tool = 259;

/// Ids 0-255 are the bytes; aa merges twice "a".
artifact::Tokenizer byteTokenizer() {
  artifact::Tokenizer source;
  for (int byte = 0; byte < 256; ++byte)
    source.add_vocabulary(std::string(1, static_cast<char>(byte)));
  for (const char *token : {"aa", "<bos>", "<eos>", "<tool>"})
    source.add_vocabulary(token);
  for (uint32_t id : {uint32_t('a'), uint32_t('a'), uint32_t(aa)})
    source.add_merges(id);
  for (int32_t id : {bos, eos, tool}) {
    artifact::Tokenizer::AddedToken *added = source.add_added_tokens();
    added->set_id(id);
    added->set_special(id != tool);
  }
  source.set_bos_id(bos);
  source.set_eos_id(eos);
  source.set_add_bos(true);
  source.set_add_eos(true);
  artifact::Tokenizer::Split *split = source.add_splits();
  split->set_kind(artifact::Tokenizer::Split::ISOLATED_REGEX);
  split->set_regex(R"(\s+|\S+)");
  return source;
}

Tokenizer make(const artifact::Tokenizer &source = byteTokenizer()) {
  Result<Tokenizer> tokenizer = Tokenizer::create(source);
  EXPECT_TRUE(tokenizer.isOk()) << tokenizer.status().message();
  return *tokenizer;
}

TEST(Tokenizer, SpecialTokens) {
  Tokenizer tokenizer = make();
  EXPECT_EQ(*tokenizer.encode("aaa"), (Ids{bos, aa, 'a', eos}));
  EXPECT_EQ(*tokenizer.encode("", false), Ids{});
  EXPECT_EQ(*tokenizer.encode("<eos>b<tool>", false), (Ids{eos, 'b', tool}));
  EXPECT_EQ(*tokenizer.encode("<eos>b<tool>", false, false),
            (Ids{'<', 'e', 'o', 's', '>', 'b', tool}));
  EXPECT_EQ(tokenizer.vocabularySize(), 260);
  EXPECT_EQ(tokenizer.bosId(), bos);
  EXPECT_EQ(tokenizer.eosId(), eos);
  EXPECT_EQ(tokenizer.padId(), std::nullopt);
  EXPECT_EQ(tokenizer.tokenId("<tool>"), tool);
  EXPECT_EQ(tokenizer.tokenId("aa"), aa);
  EXPECT_EQ(tokenizer.tokenId("ab"), std::nullopt);
  EXPECT_EQ(tokenizer.token(aa), "aa");
  EXPECT_EQ(tokenizer.token(-1), "");
  EXPECT_EQ(tokenizer.token(260), "");
  EXPECT_TRUE(tokenizer.isSpecial(bos));
  EXPECT_FALSE(tokenizer.isSpecial(tool));
  EXPECT_FALSE(tokenizer.isSpecial(-1));
}

TEST(Tokenizer, InvalidTextNamesTheByte) {
  Tokenizer tokenizer = make();
  std::pair<std::string, int> cases[] = {
      {"\x80", 0},         {"ab\xff", 2},        {"0123456789\xc3", 10},
      {"\xc0\xaf", 0},     {"é\xed\xa0\x80", 2}, {"\xf4\x90\x80\x80", 0},
      {"\xe0\x80\x80", 0}, {"\xf0\x9f\x98", 0},  {"\xf5\x80\x80\x80", 0}};
  for (const auto &[text, offset] : cases) {
    Result<Ids> ids = tokenizer.encode(text);
    ASSERT_FALSE(ids.isOk());
    EXPECT_EQ(ids.status().message(), "text is not valid UTF-8 at byte " + std::to_string(offset));
  }
}

// The examples of section 3.9 of the Unicode standard ("substitution of maximal subparts").
TEST(Tokenizer, DecodeReplacesMaximalSubparts) {
  Tokenizer tokenizer = make();
  auto decode = [&](std::string_view bytes) {
    return tokenizer.decode(Ids(reinterpret_cast<const uint8_t *>(bytes.data()),
                                reinterpret_cast<const uint8_t *>(bytes.data()) + bytes.size()));
  };
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(decode("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(decode("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(decode("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(decode("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
  EXPECT_EQ(decode("a\xF0\x9F\x98"), "a" + r);
}

TEST(Tokenizer, StreamingHoldsBackPartsOfCharacters) {
  Tokenizer tokenizer = make();
  StreamingDetokenizer stream(tokenizer, /*skipSpecial=*/true);
  EXPECT_EQ(stream.push(0xF0), "");
  EXPECT_EQ(stream.push(0x9F), "");
  EXPECT_EQ(stream.push(bos), ""); // hidden, the character goes on
  EXPECT_EQ(stream.push(0x98), "");
  EXPECT_EQ(stream.push(0x80), "😀");
  EXPECT_EQ(stream.push(0xE2), "");
  EXPECT_EQ(stream.push(aa), "\xEF\xBF\xBD"
                             "aa");
  EXPECT_EQ(stream.push(-5), "");
  EXPECT_EQ(stream.flush(), "");
  EXPECT_EQ(stream.push(0xC3), "");
  EXPECT_EQ(stream.flush(), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.flush(), "");
}

// A long piece takes the heap, a short one the scan: both give the same pairs.
TEST(Tokenizer, LongPieces) {
  Tokenizer tokenizer = make();
  for (size_t n : {31, 32, 33, 34, 1000, 1000001}) {
    Ids expected(n / 2, aa);
    if (n % 2)
      expected.push_back('a');
    EXPECT_EQ(*tokenizer.encode(std::string(n, 'a'), false), expected);
  }
}

TEST(Tokenizer, OneTokenizerServesManyThreads) {
  Tokenizer tokenizer = make();
  Ids expected = *tokenizer.encode("aaa <eos> é");
  std::vector<std::thread> threads;
  std::vector<int> equal(4);
  for (int &count : equal)
    threads.emplace_back([&count, &expected, tokenizer] {
      for (int i = 0; i < 200; ++i)
        count += *tokenizer.encode("aaa <eos> é") == expected;
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(equal, (std::vector<int>{200, 200, 200, 200}));
}

TEST(Tokenizer, PathologicalRegexIsAnError) {
  artifact::Tokenizer source = byteTokenizer();
  source.mutable_splits(0)->set_regex("(a+)+b|(a|aa)+c");
  Result<Ids> ids = make(source).encode(std::string(60, 'a'));
  ASSERT_FALSE(ids.isOk());
  EXPECT_EQ(ids.status().message(), "tokenizer regex fails at byte 0: match limit exceeded");
}

TEST(Tokenizer, HostileArtifacts) {
  auto error = [](auto change) {
    artifact::Tokenizer source = byteTokenizer();
    change(source);
    return Tokenizer::create(source).status().message();
  };
  EXPECT_EQ(error([](auto &s) { s.clear_vocabulary(); }),
            "tokenizer has 0 tokens, expected 1 to 2097152");
  EXPECT_EQ(error([](auto &s) { s.add_merges(1); }),
            "tokenizer has 4 merge entries, expected triples");
  EXPECT_EQ(error([](auto &s) { s.set_merges(1, 4000000000); }),
            "merge 0 names a token outside of the vocabulary of 260");
  EXPECT_EQ(error([](auto &s) { s.set_merges(1, 'b'); }),
            "merge 0 of tokens 97 and 98 gives token 256, which is not their sequence");
  EXPECT_EQ(error([](auto &s) { s.set_vocabulary('a', ""); }),
            "merge 0 of tokens 97 and 97 gives token 256, which is not their sequence");
  EXPECT_EQ(error([](auto &s) { s.mutable_added_tokens(0)->set_id(260); }),
            "added token 260 is outside of the vocabulary of 260");
  EXPECT_EQ(error([](auto &s) { s.mutable_added_tokens(0)->set_id(eos); }),
            "added token 258 is there twice");
  EXPECT_EQ(error([](auto &s) { s.set_vocabulary(bos, s.vocabulary(eos)); }),
            "added token 258 repeats added token 257");
  EXPECT_EQ(error([](auto &s) { s.mutable_added_tokens(0)->set_id(0x80); }),
            "added token 128 is not valid UTF-8");
  EXPECT_EQ(error([](auto &s) { s.set_vocabulary(bos, ""); }),
            "added token 257 has 0 bytes, expected 1 to 1024");
  EXPECT_EQ(error([](auto &s) { s.set_vocabulary(bos, std::string(1025, 'x')); }),
            "added token 257 has 1025 bytes, expected 1 to 1024");
  EXPECT_EQ(error([](auto &s) { s.set_bos_id(260); }),
            "tokenizer has bos_id 260, expected less than 260");
  EXPECT_EQ(error([](auto &s) { s.set_eos_id(260); }),
            "tokenizer has eos_id 260, expected less than 260");
  EXPECT_EQ(error([](auto &s) { s.set_pad_id(260); }),
            "tokenizer has pad_id 260, expected less than 260");
  EXPECT_EQ(error([](auto &s) { s.set_unk_id(260); }),
            "tokenizer has unk_id 260, expected less than 260");
  EXPECT_EQ(error([](auto &s) { s.clear_bos_id(); }),
            "tokenizer adds a BOS token but has no bos_id");
  EXPECT_EQ(error([](auto &s) { s.clear_eos_id(); }),
            "tokenizer adds an EOS token but has no eos_id");
  // The rest of these two is PCRE2's.
  EXPECT_TRUE(error([](auto &s) {
                s.mutable_splits(0)->set_regex("(a");
              }).starts_with("tokenizer regex '(a' is invalid at offset 2: "));
  EXPECT_TRUE(error([](auto &s) {
                s.mutable_splits(0)->set_regex("\\C");
              }).starts_with("tokenizer regex '\\C' is invalid at offset 2: "));
  EXPECT_EQ(error([](auto &s) { s.mutable_splits(0)->set_regex(std::string(20000, 'a')); }),
            "tokenizer regex has 20000 bytes, expected at most 16384");
  EXPECT_EQ(error([](auto &s) { s.add_splits(); }), "tokenizer split has kind 0, expected 1 or 2");
  EXPECT_EQ(error([](auto &s) {
              for (int i = 0; i < 16; ++i)
                s.add_splits();
            }),
            "tokenizer has 17 splits, expected at most 16");
}

} // namespace
