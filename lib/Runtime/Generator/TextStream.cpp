//===- TextStream.cpp - Tokens to text, up to a stop string ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TextStream.h"
#include <algorithm>

using namespace qopt;

TextStream::TextStream(Tokenizer tokenizer, bool skipSpecial, std::vector<std::string> stops)
    : detokenizer_(std::move(tokenizer), skipSpecial), stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string &stop) { return stop.empty(); });
}

std::string TextStream::push(int32_t token) { return settle(detokenizer_.push(token), false); }

std::string TextStream::flush() { return settle(detokenizer_.flush(), true); }

std::string TextStream::settle(const std::string &text, bool end) {
  if (stopped_)
    return {};
  held_ += text;
  size_t first = std::string::npos;
  for (const std::string &stop : stops_)
    first = std::min(first, held_.find(stop));
  if (first != std::string::npos) {
    stopped_ = true;
    return held_.substr(0, first);
  }
  // The longest end of the text that starts a stop string.
  size_t keep = 0;
  for (const std::string &stop : stops_)
    for (size_t length = end ? 0 : std::min(stop.size() - 1, held_.size()); length > keep; --length)
      if (held_.compare(held_.size() - length, length, stop, 0, length) == 0)
        keep = length;
  std::string settled = held_.substr(0, held_.size() - keep);
  held_.erase(0, settled.size());
  return settled;
}
