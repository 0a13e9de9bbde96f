//===- Vocabulary.cpp - Tokens and merges in the byte-level spelling ------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Vocabulary.h"
#include "qopt/Runtime/Tokenizer.h"
#include <array>

namespace qopt {
namespace {

/// GPT-2's alphabet: printable bytes of Latin-1 stand for themselves, the
/// others for U+0100 onwards in order. Maps the code point to the byte or -1.
std::array<int16_t, 0x144> makeAlphabet() {
  std::array<int16_t, 0x144> bytes;
  bytes.fill(-1);
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    bytes[printable ? byte : next++] = static_cast<int16_t>(byte);
  }
  return bytes;
}

/// The bytes that \p spelling stands for, if all of its characters do.
std::optional<std::string> bytesOf(std::string_view spelling) {
  static const std::array<int16_t, 0x144> alphabet = makeAlphabet();
  std::string bytes;
  for (size_t i = 0; i < spelling.size(); ++i) {
    uint32_t c = static_cast<uint8_t>(spelling[i]);
    if (c >= 0x80) { // the alphabet ends below U+0800: at most two bytes
      if (c < 0xC2 || c > 0xDF || i + 1 == spelling.size())
        return std::nullopt;
      c = (c & 0x1F) << 6 | (static_cast<uint8_t>(spelling[++i]) & 0x3F);
    }
    if (c >= alphabet.size() || alphabet[c] < 0)
      return std::nullopt;
    bytes += static_cast<char>(alphabet[c]);
  }
  return bytes;
}

} // namespace

std::string quote(std::string_view text) {
  constexpr size_t longest = 80;
  std::string result = "'";
  for (char c : text.substr(0, longest))
    result += static_cast<uint8_t>(c) < 0x20 || c == 0x7F ? '?' : c;
  return result + (text.size() > longest ? "...'" : "'");
}

Status Vocabulary::store(std::string bytes, uint64_t id) {
  if (id >= maxIds_)
    return Status::invalid("token has id " + std::to_string(id) + ", expected less than " +
                           std::to_string(maxIds_));
  while (static_cast<uint64_t>(out_.vocabulary_size()) <= id)
    out_.add_vocabulary();
  out_.set_vocabulary(static_cast<int>(id), std::move(bytes));
  return Status::ok();
}

Status Vocabulary::addToken(const std::string &spelling, uint64_t id) {
  if (id < static_cast<uint64_t>(out_.vocabulary_size()) &&
      !out_.vocabulary(static_cast<int>(id)).empty())
    return Status::invalid("token " + quote(spelling) + " has id " + std::to_string(id) +
                           ", which another token has too");
  if (Status status = store(bytesOf(spelling).value_or(spelling), id); !status)
    return status;
  ids_.emplace(spelling, static_cast<uint32_t>(id));
  return Status::ok();
}

Status Vocabulary::addMerge(const std::string &left, const std::string &right) {
  std::optional<uint32_t> l = find(left), r = find(right), merged = find(left + right);
  if (!l || !r || !merged)
    return Status::invalid("merge of " + quote(left) + " and " + quote(right) +
                           " needs the token " +
                           quote(!l   ? left
                                 : !r ? right
                                      : left + right) +
                           ", which is not in the vocabulary");
  // No text leads to a merge of characters that stand for no byte.
  if (!bytesOf(left) || !bytesOf(right))
    return Status::ok();
  for (uint32_t id : {*l, *r, *merged})
    out_.add_merges(id);
  return Status::ok();
}

Status Vocabulary::addMerge(std::string_view merge) {
  size_t space = merge.find(' ');
  if (space == std::string_view::npos || space == 0 || space + 1 == merge.size() ||
      merge.find(' ', space + 1) != std::string_view::npos)
    return Status::invalid("merge " + quote(merge) + " is not two tokens with a space between");
  return addMerge(std::string(merge.substr(0, space)), std::string(merge.substr(space + 1)));
}

Status Vocabulary::addAddedToken(const std::string &content,
                                 const artifact::Tokenizer::AddedToken &added) {
  if (std::optional<uint32_t> known = find(content)) {
    if (*known != added.id())
      return Status::invalid("added token " + quote(content) + " has id " +
                             std::to_string(added.id()) + ", in the vocabulary it has " +
                             std::to_string(*known));
  } else if (added.id() < static_cast<uint32_t>(out_.vocabulary_size()) &&
             !out_.vocabulary(static_cast<int>(added.id())).empty()) {
    return Status::invalid("added token " + quote(content) + " has id " +
                           std::to_string(added.id()) + ", which another token has too");
  }
  if (Status status = store(content, added.id()); !status)
    return status;
  ids_.emplace(content, added.id());
  if (added_.emplace(content, added.id()).second)
    *out_.add_added_tokens() = added;
  return Status::ok();
}

std::optional<uint32_t> Vocabulary::find(const std::string &spelling) const {
  auto it = ids_.find(spelling);
  return it == ids_.end() ? std::nullopt : std::optional(it->second);
}

bool Vocabulary::hasAllBytes() const {
  std::array<bool, 256> seen = {};
  for (const std::string &token : out_.vocabulary())
    if (token.size() == 1)
      seen[static_cast<uint8_t>(token[0])] = true;
  for (bool byte : seen)
    if (!byte)
      return false;
  return true;
}

} // namespace qopt
