//===- ImportModelTest.cpp - What a path names ----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Frontend/TestFiles.h"
#include "qopt/Frontend/Import.h"

using namespace qopt;
using namespace qopt::test;

namespace {

ImportOptions seeded(uint64_t seed) {
  ImportOptions options;
  options.randomSeed = seed;
  return options;
}

TEST(ImportModel, knowsTheSources) {
  mlir::MLIRContext context;
  auto kind = [&](const std::string &path, const ImportOptions &options = {}) {
    return unwrap(importModel(path, context, options)).sourceKind;
  };
  EXPECT_EQ(kind(fixture("hf-tiny")), "hf");
  EXPECT_EQ(kind(fixture("tiny-bf16.gguf")), "gguf");
  EXPECT_EQ(kind(fixture("hf-tiny"), seeded(1)), "random");
  EXPECT_EQ(kind(fixture("hf-tiny/config.json"), seeded(1)), "random");
  EXPECT_EQ(kind("llama-3.2-1b", seeded(1)), "random");
}

TEST(ImportModel, listsWhatItAccepts) {
  mlir::MLIRContext context;
  TempFolder folder;
  auto refuses = [&](const std::string &path, const char *why, const ImportOptions &options = {}) {
    expectError(importModel(path, context, options), why);
    expectError(importModel(path, context, options), "a model is an ONNX file (.onnx), a GGUF");
  };
  refuses("nothing", "nothing: no such file or folder");
  refuses("llama-3.1-8b", "a configuration has no weights (--random-weights SEED draws some)");
  refuses(fixture("hf-tiny/config.json"), "a configuration has no weights");
  refuses(fixture("tiny-bf16.gguf"), "a GGUF file has weights", seeded(1));
  refuses(folder.write("x.gguf", "text"), "does not begin with 'GGUF'");
  refuses(folder.write("x.bin", "text"), "not a model file that is known");
}

} // namespace
