//===- main.cpp - A chat with an artifact, in C++ -------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   embed_cpp MODEL.qopt "What is gravity?" ["and on the moon?" ...]
//
// Holds a conversation: each question sees the ones before and their answers.
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Generator.h"
#include <cstdio>

static int fail(const qopt::Status &status) {
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return static_cast<int>(status.code());
}

int main(int argc, char **argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MODEL.qopt QUESTION...\n", argv[0]);
    return 2;
  }
  qopt::Result<qopt::Model> model = qopt::Model::load(argv[1]);
  if (!model)
    return fail(model.status());
  qopt::Result<qopt::Generator> generator = qopt::Generator::create(*model);
  if (!generator)
    return fail(generator.status());

  qopt::GenerateOptions options = generator->defaults();
  options.maxTokens = 64;
  options.sampling.temperature = 0;
  // Text arrives as it is generated; returning false would end the answer.
  auto print = [](const qopt::TextEvent &event) {
    std::fwrite(event.text.data(), 1, event.text.size(), stdout);
    std::fflush(stdout);
    return true;
  };

  std::vector<qopt::ChatMessage> messages;
  for (int i = 2; i < argc; ++i) {
    messages.push_back({"user", argv[i]});
    std::printf("%s\n-> ", argv[i]);
    qopt::Result<qopt::Completion> answer = generator->chat(messages, options, print);
    if (!answer)
      return fail(answer.status());
    std::printf("\n(%zu tokens)\n", answer->tokens.size());
    messages.push_back({"assistant", answer->text});
  }
  return 0;
}
