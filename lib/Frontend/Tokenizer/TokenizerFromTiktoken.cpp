//===- TokenizerFromTiktoken.cpp - Tokenizers from tiktoken's rank files --===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Splits.h"
#include "Vocabulary.h"
#include "qopt/Frontend/Tokenizer/TokenizerImport.h"
#include "qopt/Runtime/Tokenizer.h"
#include <algorithm>
#include <charconv>
#include <map>

namespace qopt {
namespace {

constexpr size_t maxTokenBytes = 1024;

std::optional<std::string> decodeBase64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0)
    return std::nullopt;
  std::string bytes;
  uint32_t bits = 0;
  size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    uint32_t value = c >= 'A' && c <= 'Z'   ? c - 'A'
                     : c >= 'a' && c <= 'z' ? c - 'a' + 26
                     : c >= '0' && c <= '9' ? c - '0' + 52
                     : c == '+'             ? 62
                     : c == '/'             ? 63
                                            : 64;
    if (i >= text.size() - padding)
      value = 0;
    if (value == 64)
      return std::nullopt;
    bits = bits << 6 | value;
    if (i % 4 == 3)
      for (int shift : {16, 8, 0})
        bytes += static_cast<char>(bits >> shift);
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

/// Token -> rank, which is its id.
using Ranks = std::map<std::string, uint32_t, std::less<>>;

Status parseRanks(std::string_view text, Ranks &ranks, std::vector<std::string_view> &byRank) {
  const uint64_t maxRanks = Vocabulary::maxIds(std::count(text.begin(), text.end(), '\n'));
  for (size_t number = 1; !text.empty(); ++number) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.empty())
      continue;
    auto invalid = [&](const std::string &what) {
      return Status::invalid("line " + std::to_string(number) + " " + what);
    };
    size_t space = line.find(' ');
    std::optional<std::string> token = decodeBase64(line.substr(0, space));
    if (space == std::string_view::npos || !token)
      return invalid("is not a base64 token, a space and a rank");
    if (token->size() > maxTokenBytes)
      return invalid("has a token of " + std::to_string(token->size()) +
                     " bytes, expected at most " + std::to_string(maxTokenBytes));
    uint32_t rank = 0;
    const char *last = line.data() + line.size();
    auto [stop, error] = std::from_chars(line.data() + space + 1, last, rank);
    if (error != std::errc() || stop != last || rank >= maxRanks)
      return invalid("has rank " + quote(line.substr(space + 1)) + ", expected less than " +
                     std::to_string(maxRanks));
    auto [it, fresh] = ranks.emplace(*std::move(token), rank);
    if (!fresh)
      return invalid("repeats the token of rank " + std::to_string(it->second));
    if (rank >= byRank.size())
      byRank.resize(rank + 1);
    if (!byRank[rank].empty())
      return invalid("repeats rank " + std::to_string(rank));
    byRank[rank] = it->first;
  }
  return Status::ok();
}

/// tiktoken joins the neighbours whose concatenation has the lowest rank: each
/// way to cut a token into two tokens is a merge, in the order of the token's
/// rank and then of its parts' (so do the published tokenizer.json files).
void addMerges(const Ranks &ranks, const std::vector<std::string_view> &byRank,
               artifact::Tokenizer &out) {
  std::vector<std::pair<uint32_t, uint32_t>> cuts;
  for (size_t rank = 0; rank < byRank.size(); ++rank) {
    std::string_view token = byRank[rank];
    cuts.clear();
    for (size_t cut = 1; cut < token.size(); ++cut) {
      auto left = ranks.find(token.substr(0, cut));
      auto right = ranks.find(token.substr(cut));
      if (left != ranks.end() && right != ranks.end())
        cuts.emplace_back(left->second, right->second);
    }
    std::sort(cuts.begin(), cuts.end());
    for (auto [left, right] : cuts)
      for (uint32_t id : {left, right, static_cast<uint32_t>(rank)})
        out.add_merges(id);
  }
}

} // namespace

Status tokenizerFromTiktoken(std::string_view text, const std::vector<std::string> &specials,
                             artifact::Tokenizer &out) {
  out.Clear();
  Ranks ranks;
  std::vector<std::string_view> byRank;
  if (Status status = parseRanks(text, ranks, byRank); !status)
    return status;
  for (std::string_view token : byRank)
    out.add_vocabulary(std::string(token));
  addMerges(ranks, byRank, out);
  for (const std::string &special : specials) {
    uint32_t id = static_cast<uint32_t>(out.vocabulary_size());
    out.add_vocabulary(special);
    artifact::Tokenizer::AddedToken *added = out.add_added_tokens();
    added->set_id(id);
    added->set_special(true);
    if (special == "<|begin_of_text|>") {
      out.set_bos_id(id);
      out.set_add_bos(true);
    }
    if (special == "<|end_of_text|>")
      out.set_eos_id(id);
  }
  addRegexSplit(out, llama3Regex);
  out.set_ignore_merges(true);
  return Tokenizer::create(out).status();
}

std::vector<std::string> llama3SpecialTokens() {
  auto reserved = [](int i) { return "<|reserved_special_token_" + std::to_string(i) + "|>"; };
  std::vector<std::string> tokens = {"<|begin_of_text|>",
                                     "<|end_of_text|>",
                                     reserved(0),
                                     reserved(1),
                                     "<|finetune_right_pad_id|>",
                                     reserved(2),
                                     "<|start_header_id|>",
                                     "<|end_header_id|>",
                                     "<|eom_id|>",
                                     "<|eot_id|>",
                                     "<|python_tag|>"};
  for (int i = 3; tokens.size() < 256; ++i)
    tokens.push_back(reserved(i));
  return tokens;
}

} // namespace qopt
