//===- ChatTemplateFuzzer.cpp - Any template, any conversation ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The input is a template and, after a zero byte, messages as JSON. Whatever
// they are, parsing and rendering end within their bounds.
//
//===----------------------------------------------------------------------===//

#include "AllocationBound.h"
#include "qopt/Runtime/ChatTemplate.h"
#include <cstdlib>

using namespace qopt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::AllocationBound bound(size);
  std::string_view input(reinterpret_cast<const char *>(data), size);
  size_t zero = input.find('\0');
  std::string_view source = input.substr(0, zero);
  std::string_view messages = R"([{"role": "user", "content": "Hi", "n": [1, 2.5, null, true]},
                                  {"role": "assistant", "tool_calls": [{"name": "f"}]}])";
  if (zero != std::string_view::npos)
    messages = input.substr(zero + 1);

  Result<ChatTemplate> chat = ChatTemplate::parse(source, {.bos = "<s>", .eos = "</s>"});
  if (!chat)
    return 0;
  RenderOptions options;
  options.addGenerationPrompt = true;
  options.tools = R"([{"type": "function", "function": {"name": "f"}}])";
  options.now = [] {
    std::tm now = {};
    now.tm_year = 124;
    return now;
  };
  options.limits = {1 << 16, 1 << 20};
  Result<std::string> first = chat->renderJson(messages, options);
  Result<std::string> second = chat->renderJson(messages, options);
  bool same = first.isOk() == second.isOk() && (!first || *first == *second) &&
              first.status().message() == second.status().message();
  if (!same || (first && first->size() > options.limits.maxOutputBytes))
    std::abort();
  return 0;
}
