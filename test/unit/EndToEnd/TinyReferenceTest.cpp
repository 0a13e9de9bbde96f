//===- TinyReferenceTest.cpp - Every source against PyTorch ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// One tiny model from its Hugging Face folder and from its ONNX exports. The
/// references were made by make_tiny_reference.py.
///
//===----------------------------------------------------------------------===//

#include "EndToEnd.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include "qopt/Support/Npy.h"

using namespace qopt;
using namespace qopt::test;

namespace {

std::string exported(const std::string &name) {
  return QOPT_TEST_DIR "/fixtures/exports/" + name + ".onnx";
}

/// The first rows prefill together, of unequal lengths; then both decode.
std::vector<float> batchedLogits(Executor &executor, const NpyArray<int64_t> &tokens) {
  int64_t rows = tokens.shape[0], length = tokens.shape[1];
  size_t vocabulary = executor.model().vocabularySize();
  std::vector<int32_t> ids(tokens.data.begin(), tokens.data.end());
  std::vector<Sequence> sequences(rows);
  std::vector<float> logits(rows * length * vocabulary);
  for (Sequence &sequence : sequences)
    sequence = executor.newSequence();
  for (bool more = true; more;) {
    std::vector<Chunk> chunks;
    std::vector<size_t> places;
    for (int64_t row = 0; row < rows; ++row) {
      int64_t done = sequences[row].length();
      int64_t count = done == 0 ? length - 8 - 2 * row : 1;
      if (done == length)
        continue;
      chunks.push_back({&sequences[row], std::span(ids).subspan(row * length + done, count),
                        LogitRows::all});
      for (int64_t i = 0; i < count; ++i)
        places.push_back(row * length + done + i);
    }
    more = !chunks.empty();
    if (!more)
      break;
    Result<std::span<const float>> result = executor.step(chunks);
    EXPECT_TRUE(result) << result.status().message();
    if (!result)
      break;
    for (size_t i = 0; i < places.size(); ++i)
      std::copy_n(result->begin() + i * vocabulary, vocabulary,
                  logits.begin() + places[i] * vocabulary);
  }
  return logits;
}

class TinyReference : public testing::TestWithParam<const char *> {
protected:
  static std::string source() {
    return std::string(GetParam()) == "hf" ? tinyModel() : exported(GetParam());
  }
  static CompileOptions options(std::string model, std::string format) {
    return {.model = std::move(model), .format = std::move(format), .maxTokens = 64, .buckets = {64}};
  }

  TemporaryFolder folder;
};

TEST_P(TinyReference, LogitsAreThoseOfPyTorch) {
  NpyArray<int64_t> tokens;
  NpyArray<float> expected;
  ASSERT_TRUE(readNpy(QOPT_TEST_DIR "/unit/EndToEnd/tiny_reference/tokens.npy", tokens));
  ASSERT_TRUE(readNpy(QOPT_TEST_DIR "/unit/EndToEnd/tiny_reference/logits.npy", expected));
  for (auto [format, bound] : {std::pair("fp32", 1e-4), {"bf16", 2e-2}}) {
    Executor executor = load(compile(folder, options(source(), format)));
    EXPECT_LE(relativeError(batchedLogits(executor, tokens), expected.data), bound) << format;
  }
}

TEST_P(TinyReference, WeightsArePackedAsFromTheFolder) {
  for (const char *format : {"bf16", "w4a16"}) {
    Result<Artifact> artifact = Artifact::open(compile(folder, options(source(), format)));
    Result<Artifact> reference = Artifact::open(compile(folder, options(tinyModel(), format)));
    ASSERT_TRUE(artifact && reference);
    const artifact::Program &a = artifact->manifest().programs(0),
                            &b = reference->manifest().programs(0);
    ASSERT_EQ(a.weights_size(), b.weights_size());
    for (int i = 0; i < a.weights_size(); ++i) {
      EXPECT_EQ(a.weights(i).name(), b.weights(i).name());
      EXPECT_EQ(a.weights(i).type(), b.weights(i).type());
      EXPECT_EQ(a.weights(i).section().hash(), b.weights(i).section().hash()) << a.weights(i).name();
    }
    EXPECT_EQ(a.code().hash(), b.code().hash());
  }
}

INSTANTIATE_TEST_SUITE_P(Sources, TinyReference,
                         testing::Values("hf", "dynamo_past_op18", "dynamo_past_op23",
                                         "legacy_past_op17"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
