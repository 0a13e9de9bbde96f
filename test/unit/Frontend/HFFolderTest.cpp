//===- HFFolderTest.cpp - Hugging Face folders ---------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/HF/HFFolder.h"
#include "TestFiles.h"
#include "qopt/Frontend/LlamaTensors.h"
#include <cstdlib>
#include <nlohmann/json.hpp>

using namespace qopt;
using namespace qopt::test;
using nlohmann::json;

namespace {

/// A copy of hf-tiny in which files can be replaced.
class HFFolderTest : public testing::Test {
protected:
  HFFolderTest() {
    for (const char *name : {"config.json", "generation_config.json", "tokenizer.json",
                             "tokenizer_config.json", "model.safetensors"})
      folder.write(name, readFile(fixture(std::string("hf-tiny/") + name)));
  }
  llvm::Expected<ImportedModel> import() { return importHF(folder.path(), context); }

  /// Replaces keys of a JSON file; null removes.
  void patch(const char *name, const json &changes) {
    json object = json::parse(readFile(folder.path(name)));
    object.merge_patch(changes);
    folder.write(name, object.dump());
  }
  /// The header and the data of model.safetensors.
  std::pair<json, std::string> split() {
    std::string file = readFile(folder.path("model.safetensors"));
    uint64_t length;
    std::memcpy(&length, file.data(), 8);
    return {json::parse(file.substr(8, length)), file.substr(8 + length)};
  }

  TempFolder folder;
  mlir::MLIRContext context;
};

std::vector<float> values(const WeightTensor &tensor) {
  std::vector<float> out(tensor.rows() * tensor.rowSize());
  expectOk(tensor.readRows(0, tensor.rows(), out.data()));
  return out;
}

TEST_F(HFFolderTest, importsEverything) {
  ImportedModel model = unwrap(import());
  EXPECT_EQ(model.sourceKind, "hf");
  EXPECT_EQ(model.sourceHash.size(), 32u);
  EXPECT_EQ(model.config.type, FloatType::bf16);
  EXPECT_EQ(model.weights.size(), llamaTensors(model.config).size());
  EXPECT_EQ(model.tokenizer.vocabulary_size(), 261);
  EXPECT_EQ(model.chatTemplate.bos_token(), "<|start|>");
  EXPECT_EQ(model.chatTemplate.eos_token(), "<|end|>");
  EXPECT_EQ(model.chatTemplate.source().substr(0, 6), "{% for");
  ASSERT_EQ(model.generation.eos_ids_size(), 2);
  EXPECT_EQ(model.generation.eos_ids(1), 260u);
  EXPECT_TRUE(model.generation.do_sample());
  EXPECT_FLOAT_EQ(model.generation.temperature(), 0.6f);
  EXPECT_EQ(model.generation.top_k(), 50u);
  EXPECT_TRUE(model.notes.empty());
}

TEST_F(HFFolderTest, hashDependsOnMetadataOnly) {
  std::string before = unwrap(import()).sourceHash;
  EXPECT_EQ(before, unwrap(import()).sourceHash);
  patch("config.json", {{"rms_norm_eps", 2e-5}});
  EXPECT_NE(before, unwrap(import()).sourceHash);
}

TEST_F(HFFolderTest, shardsEqualASingleFile) {
  ImportedModel single = unwrap(import());
  auto [header, data] = split();
  json first = json::object(), second = json::object(), map = json::object();
  std::string firstData, secondData;
  bool odd = false;
  for (auto &[name, entry] : header.items()) {
    size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
    std::string &target = odd ? firstData : secondData;
    entry["data_offsets"] = {target.size(), target.size() + end - begin};
    target += data.substr(begin, end - begin);
    (odd ? first : second)[name] = entry;
    map[name] = odd ? "model-1.safetensors" : "model-2.safetensors";
    odd = !odd;
  }
  folder.write("model-1.safetensors", safeTensors(first.dump(), firstData));
  folder.write("model-2.safetensors", safeTensors(second.dump(), secondData));
  auto index = [&](const json &files) {
    folder.write("model.safetensors.index.json", json{{"weight_map", files}}.dump());
  };
  index(map);
  ImportedModel sharded = unwrap(import());
  ASSERT_EQ(sharded.weights.size(), single.weights.size());
  for (const auto &[name, tensor] : single.weights)
    EXPECT_EQ(values(*tensor), values(*sharded.weights.find(name))) << name;
  EXPECT_EQ(single.sourceHash, sharded.sourceHash);

  json wrong = map;
  wrong["model.norm.weight"] = "../model.safetensors";
  index(wrong);
  expectError(import(), "file name '../model.safetensors' must be relative");
  wrong["model.norm.weight"] = 3;
  index(wrong);
  expectError(import(), "tensor 'model.norm.weight' has no file name");
  wrong = map;
  wrong["model.extra"] = "model-1.safetensors";
  index(wrong);
  expectError(import(), "tensor 'model.extra' and 0 others are not in the files");
  folder.write("model.safetensors.index.json", "{}");
  expectError(import(), "expected an object 'weight_map'");
}

TEST_F(HFFolderTest, listsWrongTensors) {
  patch("config.json", {{"intermediate_size", 63}, {"num_hidden_layers", 1}});
  expectError(import(), "tensor 'model.layers.0.mlp.up_proj.weight' has shape [64, 32], expected "
                        "[63, 32]");
  expectError(import(), "tensor 'model.layers.1.input_layernorm.weight' of shape [32] is not part "
                        "of a Llama model");
  patch("config.json",
        {{"intermediate_size", 64}, {"num_hidden_layers", 2}, {"tie_word_embeddings", false}});
  expectError(import(), "tensor 'lm_head.weight' is missing, expected shape [261, 32]");
  patch("config.json", {{"num_hidden_layers", 12}});
  expectError(import(), "more tensors");
}

TEST_F(HFFolderTest, tiedHeadMustEqualTheTable) {
  auto [header, data] = split();
  json table = header["model.embed_tokens.weight"];
  size_t begin = table["data_offsets"][0], size = table["data_offsets"][1].get<size_t>() - begin;
  table["data_offsets"] = {data.size(), data.size() + size};
  header["lm_head.weight"] = table;
  std::string copy = data.substr(begin, size);
  folder.write("model.safetensors", safeTensors(header.dump(), data + copy));
  EXPECT_EQ(unwrap(import()).weights.find("lm_head.weight"), nullptr);
  copy[1] ^= 1;
  folder.write("model.safetensors", safeTensors(header.dump(), data + copy));
  expectError(import(), "tensor 'lm_head.weight' differs from 'model.embed_tokens.weight'");
}

TEST_F(HFFolderTest, comparesTablesOfAnyShape) {
  // One row of half a million: read row by row, not in blocks of rows.
  patch("config.json", {{"vocab_size", 1}, {"hidden_size", 1 << 19}, {"eos_token_id", nullptr}});
  llvm::sys::fs::remove(folder.path("generation_config.json"));
  llvm::sys::fs::remove(folder.path("tokenizer.json"));
  constexpr int64_t bytes = 1 << 20;
  json header;
  for (int64_t i : {0, 1})
    header[i ? "lm_head.weight" : "model.embed_tokens.weight"] = {
        {"dtype", "BF16"}, {"shape", {1, 1 << 19}}, {"data_offsets", {i * bytes, (i + 1) * bytes}}};
  folder.write("model.safetensors", safeTensors(header.dump(), std::string(2 * bytes, '\0')));
  expectError(import(), "tensor 'model.layers.0.input_layernorm.weight' is missing");
}

TEST_F(HFFolderTest, refusesOtherTypes) {
  auto [header, data] = split();
  header["model.norm.weight"]["dtype"] = "I16";
  folder.write("model.safetensors", safeTensors(header.dump(), data));
  expectError(import(), "tensor 'model.norm.weight' has dtype I16, expected F32, F16 or BF16");
  std::tie(header, data) = split();
  header["model.norm.weight"]["dtype"] = "BF16";
  header["empty"] = {{"dtype", "F32"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
  folder.write("model.safetensors", safeTensors(header.dump(), data));
  expectError(import(), "tensor 'empty' has no elements");
}

TEST_F(HFFolderTest, leavesOutRotaryBuffers) {
  auto [header, data] = split();
  header["model.layers.0.self_attn.rotary_emb.inv_freq"] = {
      {"dtype", "F32"}, {"shape", {1}}, {"data_offsets", {data.size(), data.size() + 4}}};
  folder.write("model.safetensors", safeTensors(header.dump(), data + "1234"));
  unwrap(import());
}

TEST_F(HFFolderTest, chatTemplateInEverySpelling) {
  patch("tokenizer_config.json",
        {{"chat_template", json::array({{{"name", "tool_use"}, {"template", "A"}},
                                        {{"name", "default"}, {"template", "B"}}})}});
  EXPECT_EQ(unwrap(import()).chatTemplate.source(), "B");
  folder.write("chat_template.jinja", "C");
  EXPECT_EQ(unwrap(import()).chatTemplate.source(), "C");
  folder.write("chat_template.jinja", "\xff");
  expectError(import(), "chat_template.jinja: is not valid UTF-8");
  llvm::sys::fs::remove(folder.path("chat_template.jinja"));
  patch("tokenizer_config.json", {{"chat_template", 3}});
  expectError(import(), "key 'chat_template' must be a text or a list");
  patch("tokenizer_config.json", {{"chat_template", nullptr}});
  EXPECT_EQ(unwrap(import()).chatTemplate.source(), "");
}

TEST_F(HFFolderTest, checksGenerationDefaults) {
  patch("generation_config.json", {{"eos_token_id", 261}});
  expectError(import(), "eos_token_id 261 is outside of the vocabulary of 261");
  patch("generation_config.json", {{"eos_token_id", "x"}});
  expectError(import(), "key 'eos_token_id' is \"x\"");
  patch("generation_config.json", {{"eos_token_id", 1}, {"top_k", -1}});
  expectError(import(), "key 'top_k' is -1");
  patch("generation_config.json", {{"top_k", nullptr}, {"temperature", "hot"}});
  expectError(import(), "key 'temperature' is \"hot\", expected a number");
  patch("generation_config.json", {{"temperature", 1e300}});
  expectError(import(), "key 'temperature' is 1e+300, expected a number from 0");
  patch("generation_config.json", {{"temperature", 1}, {"top_p", -1}});
  expectError(import(), "key 'top_p' is -1, expected a number from 0");
  patch("generation_config.json", {{"top_p", 1}, {"top_k", UINT64_MAX}});
  expectError(import(), "key 'top_k' is 18446744073709551615, expected an integer");
  folder.write("generation_config.json", "[]");
  expectError(import(), "generation_config.json: expected a JSON object");
  llvm::sys::fs::remove(folder.path("generation_config.json"));
  EXPECT_EQ(unwrap(import()).generation.eos_ids(0), 259u); // of config.json
}

TEST_F(HFFolderTest, tokenizerIsOptionalButMustBeRight) {
  folder.write("tokenizer.json", "{}");
  expectError(import(), "tokenizer.json: ");
  llvm::sys::fs::remove(folder.path("tokenizer.json"));
  ImportedModel model = unwrap(import());
  EXPECT_EQ(model.tokenizer.vocabulary_size(), 0);
  ASSERT_EQ(model.notes.size(), 1u);
}

TEST_F(HFFolderTest, missingFiles) {
  llvm::sys::fs::remove(folder.path("model.safetensors"));
  expectError(import(), "expected model.safetensors or model.safetensors.index.json");
  llvm::sys::fs::remove(folder.path("config.json"));
  expectError(import(), "expected a config.json");
  expectError(importHF("/nonexistent", context), "neither a folder nor a model");
}

TEST_F(HFFolderTest, findsTheHubCache) {
  TempFolder cache;
  cache.write("models--org--tiny/refs/main", "abc123\n");
  for (const char *name : {"config.json", "model.safetensors"}) {
    std::string blob =
        cache.write(std::string("models--org--tiny/blobs/") + name, readFile(folder.path(name)));
    std::string snapshot = cache.path("models--org--tiny/snapshots/abc123");
    llvm::sys::fs::create_directories(snapshot);
    ASSERT_FALSE(llvm::sys::fs::create_link(blob, snapshot + "/" + name));
  }
  setenv("HF_HUB_CACHE", cache.path().c_str(), 1);
  EXPECT_EQ(unwrap(importHF("org/tiny", context)).name, "org/tiny");
  EXPECT_FALSE(findHFFolder("org/none"));
  EXPECT_FALSE(findHFFolder("../tiny"));
  cache.write("models--org--tiny/refs/main", "../../other");
  EXPECT_FALSE(findHFFolder("org/tiny"));
  unsetenv("HF_HUB_CACHE");
}

} // namespace
