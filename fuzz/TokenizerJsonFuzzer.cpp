//===- TokenizerJsonFuzzer.cpp - Hostile tokenizer.json files -------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The input is a tokenizer.json, behind a zero byte a tokenizer_config.json, and
// behind another a text, which a tokenizer that is accepted encodes and decodes.
//
//===----------------------------------------------------------------------===//

#include "AllocationBound.h"
#include "qopt/Frontend/Tokenizer/TokenizerImport.h"
#include "qopt/Runtime/Tokenizer.h"

using namespace qopt;

/// The text up to the next zero byte, which is taken off \p rest.
static std::string_view takePart(std::string_view &rest) {
  size_t end = rest.find('\0');
  std::string_view part = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return part;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::AllocationBound bound(size);
  std::string_view text(reinterpret_cast<const char *>(data), size);
  std::string_view tokenizerJson = takePart(text), configJson = takePart(text);
  artifact::Tokenizer imported;
  if (!tokenizerFromJson(tokenizerJson, configJson, imported))
    return 0;
  Result<Tokenizer> tokenizer = Tokenizer::create(imported);
  if (!tokenizer)
    std::abort(); // what is accepted can be used
  Result<std::vector<int32_t>> ids = tokenizer->encode(text, true, true);
  if (ids)
    (void)tokenizer->decode(*ids, true);
  return 0;
}
