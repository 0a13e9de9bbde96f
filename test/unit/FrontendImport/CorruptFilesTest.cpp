//===- CorruptFilesTest.cpp - Files cut short and with wrong bits ---------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each file is cut at 200 places, and has a bit flipped at 200: what comes of it
// is a model or one error that begins with the file's name, and nothing else.
//
//===----------------------------------------------------------------------===//

#include "../Frontend/TestFiles.h"
#include "mlir/IR/Diagnostics.h"
#include "qopt/Frontend/Import.h"
#include <filesystem>
#include <random>

using namespace qopt;
using namespace qopt::test;

namespace {

constexpr int places = 200;

using Import = std::function<llvm::Expected<ImportedModel>(const std::string &bytes,
                                                           mlir::MLIRContext &context)>;

/// Imports `bytes`, a damaged file, and reads what weights the model then has.
/// Whether there was a model.
bool survives(const std::string &bytes, const std::string &name, const Import &import) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  mlir::ScopedDiagnosticHandler handler(&context, [](mlir::Diagnostic &diagnostic) {
    ADD_FAILURE() << "beside the error: " << diagnostic.str();
    return mlir::success();
  });
  llvm::Expected<ImportedModel> model = import(bytes, context);
  if (!model) {
    std::string message = llvm::toString(model.takeError());
    EXPECT_TRUE(llvm::StringRef(message).starts_with(name)) << message;
    EXPECT_LT(message.size(), 20000u) << message;
    for (char c : message)
      EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n') << message;
    return false;
  }
  for (const auto &[key, tensor] : model->weights) {
    std::vector<float> row(tensor->rowSize());
    for (int64_t i = 0; i < tensor->rows(); ++i)
      llvm::consumeError(tensor->readRows(i, 1, row.data()));
  }
  return true;
}

void damage(const std::string &file, const std::string &name, const Import &import) {
  ASSERT_TRUE(survives(file, name, import));
  std::minstd_rand numbers(1);
  for (int i = 0; i < places; ++i)
    survives(file.substr(0, numbers() % file.size()), name, import);
  for (int i = 0; i < places; ++i) {
    std::string flipped = file;
    flipped[numbers() % file.size()] ^= static_cast<char>(1 << (numbers() % 8));
    survives(flipped, name, import);
  }
}

TEST(CorruptFiles, gguf) {
  damage(readFile(fixture("tiny-bf16.gguf")), "m.gguf",
         [](const std::string &bytes, mlir::MLIRContext &context) {
           return importGGUF(llvm::MemoryBuffer::getMemBuffer(bytes, "m.gguf", false), context);
         });
}

/// Damages one file of a copy of a Hugging Face folder.
void damageInFolder(const char *name) {
  TempFolder folder;
  for (const auto &entry : std::filesystem::directory_iterator(fixture("hf-tiny")))
    std::filesystem::copy(entry.path(), folder.path());
  damage(readFile(folder.path(name)), folder.path(),
         [&](const std::string &bytes, mlir::MLIRContext &context) {
           folder.write(name, bytes);
           return importHF(folder.path(), context);
         });
}

TEST(CorruptFiles, safeTensors) { damageInFolder("model.safetensors"); }
TEST(CorruptFiles, config) { damageInFolder("config.json"); }
TEST(CorruptFiles, generationConfig) { damageInFolder("generation_config.json"); }
TEST(CorruptFiles, tokenizer) { damageInFolder("tokenizer.json"); }
TEST(CorruptFiles, tokenizerConfig) { damageInFolder("tokenizer_config.json"); }

TEST(CorruptFiles, onnx) {
  // In place, with its external data beside it.
  std::string path = QOPT_TEST_DIR "/fixtures/exports/dynamo_past_op23.onnx";
  damage(readFile(path), path, [&](const std::string &bytes, mlir::MLIRContext &context) {
    ImportOptions options;
    options.importCheck = false;
    return importONNX(llvm::MemoryBufferRef(bytes, path), context, options);
  });
}

TEST(CorruptFiles, shardsThatLeadOut) {
  TempFolder folder, other;
  std::string secret = other.write("secret", readFile(fixture("hf-tiny/model.safetensors")));
  folder.write("config.json", readFile(fixture("hf-tiny/config.json")));
  std::filesystem::create_symlink(secret, folder.path("symlink"));
  std::filesystem::create_hard_link(secret, folder.path("hardlink"));
  auto refuses = [&](const std::string &shard, const char *why) {
    folder.write("model.safetensors.index.json",
                 R"({"weight_map": {"model.norm.weight": ")" + shard + R"("}})");
    mlir::MLIRContext context;
    expectError(importHF(folder.path(), context), why);
  };
  refuses("../secret", "must be relative and without '..'");
  refuses("a/../../secret", "must be relative and without '..'");
  refuses(secret, "must be relative and without '..'");
  refuses("symlink", "leads out of the model's folder");
  refuses("hardlink", "hardlink: has 2 hard links, expected 1");
}

TEST(CorruptFiles, filesThatLeadOut) {
  TempFolder folder, other;
  for (const auto &entry : std::filesystem::directory_iterator(fixture("hf-tiny")))
    std::filesystem::copy(entry.path(), folder.path());
  for (const char *name : {"config.json", "tokenizer.json", "tokenizer_config.json",
                           "generation_config.json", "model.safetensors"}) {
    std::string text = readFile(folder.path(name));
    std::filesystem::remove(folder.path(name));
    std::filesystem::create_symlink(other.write(name, text), folder.path(name));
    mlir::MLIRContext context;
    expectError(importHF(folder.path(), context), "leads out of the model's folder");
    std::filesystem::remove(folder.path(name));
    folder.write(name, text);
  }
}

TEST(CorruptFiles, weightsThatAreNoNumbers) {
  TempFolder folder;
  for (const auto &entry : std::filesystem::directory_iterator(fixture("hf-tiny")))
    std::filesystem::copy(entry.path(), folder.path());
  std::string file = readFile(folder.path("model.safetensors"));
  file[file.size() - 1] = '\x7f'; // the last bf16 of the last tensor
  file[file.size() - 2] = '\xc0';
  folder.write("model.safetensors", file);
  mlir::MLIRContext context;
  ImportedModel model = unwrap(importHF(folder.path(), context));
  int numBad = 0;
  for (const auto &[name, tensor] : model.weights) {
    std::vector<float> values(tensor->rows() * tensor->rowSize());
    llvm::Error error = tensor->readRows(0, tensor->rows(), values.data());
    if (!error)
      continue;
    ++numBad;
    expectError(std::move(error), "tensor '" + name + "' holds NaN at row");
  }
  EXPECT_EQ(numBad, 1);
}

} // namespace
