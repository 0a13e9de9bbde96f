//===- AddedTokens.cpp - Tokens matched verbatim in the text --------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "AddedTokens.h"
#include "Unicode.h"
#include <algorithm>

namespace qopt {
namespace {

bool startsWithWord(std::string_view text) {
  return !text.empty() && unicode::isWord(unicode::step(text, 0).codePoint);
}

bool endsWithWord(std::string_view text) {
  return !text.empty() &&
         unicode::isWord(unicode::step(text, unicode::lastCharacter(text)).codePoint);
}

/// The end of the white space that starts at \p at.
size_t skipSpaceForward(std::string_view text, size_t at) {
  while (at < text.size()) {
    unicode::Step next = unicode::step(text, at);
    if (!unicode::isWhiteSpace(next.codePoint))
      break;
    at += next.length;
  }
  return at;
}

/// The start of the white space that ends at \p at, not before \p from.
size_t skipSpaceBackward(std::string_view text, size_t at, size_t from) {
  while (at > from) {
    size_t last = unicode::lastCharacter(text.substr(0, at));
    if (last < from || !unicode::isWhiteSpace(unicode::step(text, last).codePoint))
      break;
    at = last;
  }
  return at;
}

} // namespace

bool AddedTokens::add(std::string_view content, Token token) {
  uint32_t node = 0;
  for (char c : content) {
    uint8_t byte = c;
    auto &children = nodes_[node].children;
    auto it = std::lower_bound(children.begin(), children.end(), std::pair(byte, uint32_t(0)));
    if (it == children.end() || it->first != byte) {
      uint32_t fresh = static_cast<uint32_t>(nodes_.size());
      children.insert(it, {byte, fresh});
      if (node == 0)
        starts_[byte] = fresh;
      nodes_.emplace_back();
      node = fresh;
      continue;
    }
    node = it->second;
  }
  if (nodes_[node].token >= 0)
    return false;
  nodes_[node].token = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(token);
  return true;
}

uint32_t AddedTokens::child(uint32_t node, uint8_t byte) const {
  const auto &children = nodes_[node].children;
  auto it = std::lower_bound(children.begin(), children.end(), std::pair(byte, uint32_t(0)));
  return it == children.end() || it->first != byte ? 0 : it->second;
}

void AddedTokens::split(std::string_view text, bool parseSpecial, std::vector<Segment> &out) const {
  size_t covered = 0; // up to here the text is in segments
  for (size_t at = 0; at < text.size();) {
    size_t stop = 0;
    const Token *token = nullptr;
    uint32_t node = starts_[static_cast<uint8_t>(text[at])];
    for (size_t end = at + 1; node != 0;) {
      if (nodes_[node].token >= 0) {
        token = &tokens_[nodes_[node].token];
        stop = end;
      }
      node = end < text.size() ? child(node, text[end++]) : 0;
    }
    if (!token) {
      ++at;
      continue;
    }
    size_t start = at;
    at = stop; // the scan goes on behind the match, whether it counts or not
    if (token->special && !parseSpecial)
      continue;
    if (token->singleWord &&
        (endsWithWord(text.substr(0, start)) || startsWithWord(text.substr(stop))))
      continue;
    if (token->lstrip)
      start = skipSpaceBackward(text, start, covered);
    if (token->rstrip)
      stop = skipSpaceForward(text, stop);
    if (covered < start)
      out.push_back({-1, covered, start});
    out.push_back({token->id, start, stop});
    covered = stop;
  }
  if (covered < text.size())
    out.push_back({-1, covered, text.size()});
}

} // namespace qopt
