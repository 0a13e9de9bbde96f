//===- PackWeightsTest.cpp - All weights into an artifact -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../EndToEnd/EndToEnd.h"
#include <fstream>

using namespace qopt;
using namespace qopt::test;

namespace {

std::string contentsOf(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A model whose largest weights are packed in several pieces.
CompileOptions manyPieces(const std::string &format) {
  return {.format = format, .maxTokens = 16, .buckets = {16}, .randomSeed = 3};
}

/// Two layers of 8 heads of 64, 40,000 tokens.
std::string writeConfig(const TemporaryFolder &folder) {
  std::string path = folder.file("config.json");
  std::ofstream(path) << R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
    "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 2,
    "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 40000,
    "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "hidden_act": "silu", "tie_word_embeddings": false, "torch_dtype": "bfloat16"})";
  return path;
}

TEST(PackWeights, BytesDoNotDependOnThreads) {
  TemporaryFolder folder;
  std::string config = writeConfig(folder);
  for (const char *format : {"bf16", "w4a16", "w8a8-int8"}) {
    CompileOptions options = manyPieces(format);
    options.model = config;
    options.threads = 1;
    std::string one = contentsOf(compile(folder, options));
    EXPECT_GT(one.size(), 40000u * 512);
    for (unsigned threads : {2u, 5u}) {
      options.threads = threads;
      // Not EXPECT_EQ, which would print them.
      EXPECT_TRUE(one == contentsOf(compile(folder, options))) << format << ", " << threads;
    }
  }
}

TEST(PackWeights, EveryPhaseIsCounted) {
  TemporaryFolder folder;
  CompileOptions options = manyPieces("w4a16");
  options.model = writeConfig(folder);
  options.output = folder.file("x.qopt");
  options.cacheFolder = folder.file("cache");
  for (bool again : {false, true}) {
    Progress progress(/*quiet=*/true);
    ASSERT_EQ(llvm::toString(compileModel(options, progress).takeError()), "");
    std::vector<std::string> names;
    for (const Progress::Phase &phase : progress.phases())
      names.push_back(phase.name);
    EXPECT_EQ(names, (std::vector<std::string>{"import", "optimise the model", "plan the kernels",
                                               "generate code", "pack weights"}));
    const Progress::Phase &code = progress.phases()[3], &weights = progress.phases()[4];
    EXPECT_GT(code.bytes, 1000u);
    EXPECT_EQ(code.note.find(" 0 of them") == std::string::npos, again) << code.note;
    EXPECT_GT(weights.bytes, 10u << 20);
    EXPECT_LT(weights.bytes, std::filesystem::file_size(options.output));
  }
}

} // namespace
