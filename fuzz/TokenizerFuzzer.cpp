//===- TokenizerFuzzer.cpp - Any tokenizer, any text ----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The input is the length of a tokenizer (two bytes, little-endian), the
// tokenizer as in the artifact, and a text. Whatever they are, a tokenizer that
// is accepted encodes every text or says why not, and decodes to the same text
// in one go and token by token.
//
//===----------------------------------------------------------------------===//

#include "AllocationBound.h"
#include "qopt/Runtime/Tokenizer.h"
#include "tokenizer.pb.h"
#include <algorithm>
#include <cstdlib>

using namespace qopt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::AllocationBound bound(size);
  if (size < 2)
    return 0;
  size_t length = std::min<size_t>(data[0] | (data[1] << 8), size - 2);
  artifact::Tokenizer source;
  if (!source.ParseFromArray(data + 2, static_cast<int>(length)))
    return 0;
  Result<Tokenizer> tokenizer = Tokenizer::create(source);
  if (!tokenizer)
    return 0;
  std::string_view text(reinterpret_cast<const char *>(data) + 2 + length, size - 2 - length);
  for (bool special : {true, false}) {
    Result<std::vector<int32_t>> ids = tokenizer->encode(text, special, special);
    if (!ids)
      continue;
    std::string decoded = tokenizer->decode(*ids, special), streamed;
    StreamingDetokenizer stream(*tokenizer, special);
    for (int32_t id : *ids)
      streamed += stream.push(id);
    streamed += stream.flush();
    if (streamed != decoded)
      std::abort();
  }
  return 0;
}
