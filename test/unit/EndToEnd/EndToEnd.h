//===- EndToEnd.h - Compile, run, compare -----------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_UNIT_ENDTOEND_ENDTOEND_H
#define QOPT_TEST_UNIT_ENDTOEND_ENDTOEND_H

#include "qopt/Driver/Compile.h"
#include "qopt/Runtime/Executor.h"
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <random>

namespace qopt::test {

/// The tiny Llama of the fixtures: hidden 128, 2 layers, 8 heads of 16, 512 tokens.
inline std::string tinyModel() { return QOPT_TEST_DIR "/fixtures/exports/hf"; }

/// The real model's GGUF file; empty where the environment names none.
inline std::string smolModel() {
  const char *path = std::getenv("QOPT_TEST_SMOLLM2");
  return path ? path : "";
}

/// A folder of this process, removed at its end.
class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "qopt-test.XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string file(const std::string &name) const { return path_ / name; }

private:
  std::filesystem::path path_;
};

/// Compiles to a new file of `folder`; a failure is the test's.
inline std::string compile(const TemporaryFolder &folder, CompileOptions options) {
  static int count = 0;
  options.output = folder.file(std::to_string(count++) + ".qopt");
  Progress progress(/*quiet=*/true);
  llvm::Expected<std::string> path = compileModel(options, progress);
  if (!path) {
    ADD_FAILURE() << llvm::toString(path.takeError());
    return "";
  }
  return *path;
}

inline Executor load(const std::string &path, unsigned threads = 2, ExecutorOptions options = {}) {
  Result<Model> model = Model::load(path, {.threads = threads});
  if (!model)
    throw std::runtime_error(model.status().message());
  if (!options.maxSequences)
    options.maxSequences = 20;
  if (!options.maxContext)
    options.maxContext = 512;
  Result<Executor> executor = Executor::create(*model, options);
  if (!executor)
    throw std::runtime_error(executor.status().message());
  return std::move(*executor);
}

/// The logits [T, vocabulary] of `tokens`, in steps of at most `chunk`.
inline std::vector<float> logitsOf(Executor &executor, const std::vector<int32_t> &tokens,
                                   uint32_t chunk = 0) {
  std::vector<float> logits;
  Sequence sequence = executor.newSequence();
  Status status = executor.forward(
      sequence, tokens,
      [&](uint32_t, std::span<const float> rows) {
        logits.insert(logits.end(), rows.begin(), rows.end());
        return Status();
      },
      chunk);
  EXPECT_TRUE(status) << status.message();
  return logits;
}

inline std::vector<int32_t> randomTokens(size_t count, int32_t vocabulary, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens(count);
  for (int32_t &token : tokens)
    token = static_cast<int32_t>(random() % vocabulary);
  return tokens;
}

/// |a - b| / |b|, Frobenius.
template <typename A, typename B>
double relativeError(const std::vector<A> &a, const std::vector<B> &b) {
  EXPECT_EQ(a.size(), b.size());
  double error = 0, norm = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    error += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    norm += double(b[i]) * b[i];
  }
  return std::sqrt(error / norm);
}

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_ENDTOEND_ENDTOEND_H
