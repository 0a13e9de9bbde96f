//===- GGUFImportTest.cpp - Models from GGUF files -----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GGUFWriter.h"
#include "qopt/Frontend/Import.h"
#include "qopt/Frontend/LlamaTensors.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/SHA256.h"
#include <cstdlib>
#include <functional>

using namespace qopt;
using namespace qopt::test;

namespace {

std::vector<float> values(const WeightTensor &tensor) {
  std::vector<float> out(tensor.rows() * tensor.rowSize());
  expectOk(tensor.readRows(0, tensor.rows(), out.data()));
  return out;
}

std::string text(mlir::ModuleOp module) {
  std::string printed;
  llvm::raw_string_ostream stream(printed);
  module.print(stream);
  return printed;
}

TEST(GGUFImport, equalsTheHuggingFaceFolder) {
  mlir::MLIRContext context;
  ImportedModel gguf = unwrap(importGGUF(fixture("tiny-bf16.gguf"), context));
  ImportedModel hf = unwrap(importHF(fixture("hf-tiny"), context));
  EXPECT_EQ(gguf.config.type, FloatType::f32);
  ASSERT_EQ(gguf.weights.size(), hf.weights.size());
  for (const auto &[name, tensor] : hf.weights)
    EXPECT_EQ(values(*tensor), values(*gguf.weights.find(name))) << name;

  // Rope factors became llama3 scaling, epsilon the decimal number: one module.
  hf.config.type = FloatType::f32;
  EXPECT_EQ(text(*unwrap(buildLlamaModule(hf.config, hf.weights, context))), text(*gguf.module));
  EXPECT_EQ(gguf.tokenizer.SerializeAsString(), hf.tokenizer.SerializeAsString());
  EXPECT_EQ(gguf.chatTemplate.SerializeAsString(), hf.chatTemplate.SerializeAsString());
  EXPECT_EQ(gguf.generation.eos_ids(0), 259u);
  EXPECT_EQ(gguf.name, "tiny");
  EXPECT_EQ(gguf.sourceKind, "gguf");
}

/// A model of one layer, hidden 32, 2 heads of 16, vocabulary 4; all Q4_0 but
/// norms. `change` may add keys and tensors or leave some out by name.
struct Parts {
  std::vector<std::string> without;
  std::function<void(GGUFWriter &)> change = [](GGUFWriter &) {};
};

std::string tinyFile(const Parts &parts) {
  GGUFWriter writer;
  auto wanted = [&](llvm::StringRef name) { return !llvm::is_contained(parts.without, name); };
  auto integer = [&](llvm::StringRef name, uint32_t value) {
    if (wanted(name))
      writer.integer(name, value);
  };
  if (wanted("general.architecture"))
    writer.string("general.architecture", "llama");
  integer("llama.embedding_length", 32);
  integer("llama.feed_forward_length", 64);
  integer("llama.block_count", 1);
  integer("llama.attention.head_count", 2);
  if (wanted("llama.attention.layer_norm_rms_epsilon"))
    writer.number("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  auto tensor = [&](llvm::StringRef name, uint64_t in, uint64_t out) {
    if (!wanted(name))
      return;
    if (out == 0)
      writer.tensor(name, {in}, 0, std::string(in * 4, '\0'));
    else
      writer.tensor(name, {in, out}, 2, std::string(in / 32 * out * 18, '\0'));
  };
  tensor("token_embd.weight", 32, 4);
  tensor("output_norm.weight", 32, 0);
  tensor("blk.0.attn_norm.weight", 32, 0);
  for (const char *name : {"q", "k", "v", "output"})
    tensor("blk.0.attn_" + std::string(name) + ".weight", 32, 32);
  tensor("blk.0.ffn_norm.weight", 32, 0);
  tensor("blk.0.ffn_gate.weight", 32, 64);
  tensor("blk.0.ffn_up.weight", 32, 64);
  tensor("blk.0.ffn_down.weight", 64, 32);
  parts.change(writer);
  return writer.file();
}

llvm::Expected<ImportedModel> importParts(const Parts &parts, mlir::MLIRContext &context) {
  TempFolder folder;
  return importGGUF(folder.write("m.gguf", tinyFile(parts)), context);
}

void expectPartsError(const Parts &parts, llvm::StringRef error) {
  mlir::MLIRContext context;
  expectError(importParts(parts, context), error);
}

TEST(GGUFImport, keepsIntegersAsAnAttribute) {
  mlir::MLIRContext context;
  ImportedModel model = unwrap(importParts({}, context));
  EXPECT_TRUE(model.config.tiedEmbeddings);
  EXPECT_EQ(model.config.headDim, 16);
  EXPECT_EQ(model.config.numKVHeads, 2);
  EXPECT_NE(text(*model.module)
                .find("qopt.weight @model.layers.0.mlp.down_proj.weight stored !qopt.q<i4, group = "
                      "32, scale = f16> : tensor<32x64xf32>"),
            std::string::npos)
      << text(*model.module);
  ASSERT_EQ(model.notes.size(), 1u); // no vocabulary
}

TEST(GGUFImport, biasesUntiedHeadAndNotes) {
  mlir::MLIRContext context;
  ImportedModel model = unwrap(importParts(
      {{},
       [](GGUFWriter &writer) {
         writer.tensor("output.weight", {32, 4}, 2, std::string(72, '\0'));
         for (const char *name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_down"})
           writer.tensor("blk.0." + std::string(name) + ".bias", {32}, 0, std::string(128, '\0'));
         for (const char *name : {"ffn_gate", "ffn_up"})
           writer.tensor("blk.0." + std::string(name) + ".bias", {64}, 0, std::string(256, '\0'));
         writer.integer("llama.brand_new", 1);
         writer.integer("llama.expert_count", 0);
         writer.flag("llama.attention.causal", true);
       }},
      context));
  EXPECT_TRUE(model.config.attentionBias && model.config.mlpBias && !model.config.tiedEmbeddings);
  EXPECT_EQ(model.notes[0], "metadata 'llama.brand_new' is not known and was ignored");
}

TEST(GGUFImport, ropeScalings) {
  mlir::MLIRContext context;
  auto rope = [&](std::function<void(GGUFWriter &)> change) {
    return unwrap(importParts({{}, std::move(change)}, context)).config.rope;
  };
  RopeConfig linear = rope([](GGUFWriter &writer) {
    writer.string("llama.rope.scaling.type", "linear");
    writer.number("llama.rope.scaling.factor", 4.0f);
  });
  EXPECT_EQ(linear.scaling, RopeConfig::Scaling::linear);
  EXPECT_EQ(linear.factor, 4.0);
  EXPECT_EQ(rope([](GGUFWriter &w) { w.number("llama.rope.scale_linear", 2.0f); }).factor, 2.0);

  std::vector<float> factors = {1, 2, 3, 4, 5, 6, 7, 9};
  RopeConfig table = rope(
      [&](GGUFWriter &writer) { writer.tensor("rope_freqs.weight", {8}, 0, floatBytes(factors)); });
  ASSERT_EQ(table.scaling, RopeConfig::Scaling::table);
  std::vector<float> plain = ropeFrequencies(16, {});
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(table.table[i], plain[i] / factors[i]);
}

TEST(GGUFImport, ropeErrors) {
  auto factors = [](std::vector<float> values, uint32_t type = 0) {
    return [=](GGUFWriter &writer) {
      writer.tensor("rope_freqs.weight", {values.size()}, type, floatBytes(values));
    };
  };
  expectPartsError({{}, factors({1, 2})}, "tensor 'rope_freqs.weight' has 2 elements, expected 8");
  expectPartsError({{}, factors({1, 2, 3, 4, 5, 6, 7, 0})}, "must hold positive numbers");
  expectPartsError({{}, factors({1, 2, 3, 4, 5, 6, 7, 8}, 1)}, "expected a vector of type F32");
  expectPartsError({{},
                    [&](GGUFWriter &writer) {
                      factors({1, 2, 3, 4, 5, 6, 7, 8})(writer);
                      writer.number("llama.rope.scale_linear", 2.0f);
                    }},
                   "can't be combined");
  expectPartsError({{}, [](GGUFWriter &w) { w.string("llama.rope.scaling.type", "yarn"); }},
                   "metadata 'llama.rope.scaling.type' is 'yarn', expected none or linear");
}

TEST(GGUFImport, metadataErrors) {
  auto with = [](std::function<void(GGUFWriter &)> change, std::vector<std::string> without = {}) {
    return Parts{std::move(without), std::move(change)};
  };
  expectPartsError({{"general.architecture"}}, "architecture '' is not supported, expected llama");
  expectPartsError(with([](GGUFWriter &w) { w.string("general.name", "\xff"); }),
                   "metadata 'general.name' is not valid UTF-8");
  expectPartsError({{"llama.block_count"}}, "metadata 'llama.block_count' is missing");
  expectPartsError({{"llama.attention.layer_norm_rms_epsilon"}},
                   "'llama.attention.layer_norm_rms_epsilon' is missing, expected a number");
  expectPartsError(
      with([](GGUFWriter &w) { w.string("llama.block_count", "1"); }, {"llama.block_count"}),
      "metadata 'llama.block_count' must be an integer");
  expectPartsError(with([](GGUFWriter &w) { w.integer("llama.rope.freq_base", 1); }),
                   "metadata 'llama.rope.freq_base' must be a floating-point number");
  expectPartsError(
      with([](GGUFWriter &w) { w.integer("llama.block_count", 0); }, {"llama.block_count"}),
      "number of layers is 0");
  expectPartsError(with([](GGUFWriter &w) { w.integer("llama.expert_count", 8); }),
                   "metadata 'llama.expert_count' is 8, expected 0");
  expectPartsError(with([](GGUFWriter &w) { w.number("llama.logit_scale", 0.5f); }),
                   "metadata 'llama.logit_scale' is 0.5");
  expectPartsError(with([](GGUFWriter &w) { w.flag("llama.attention.causal", false); }),
                   "metadata 'llama.attention.causal' is 0");
  expectPartsError(with([](GGUFWriter &w) { w.string("llama.logit_scale", "x"); }),
                   "metadata 'llama.logit_scale' is not a number");
  expectPartsError(with([](GGUFWriter &w) { w.string("llama.tensor_data_layout", "x"); }),
                   "metadata 'llama.tensor_data_layout' is not supported");
  expectPartsError(with([](GGUFWriter &w) { w.integer("split.count", 2); }),
                   "is one part of a split model");
  expectPartsError(with([](GGUFWriter &w) {
                     w.integer("llama.attention.key_length", 16);
                     w.integer("llama.rope.dimension_count", 8);
                   }),
                   "metadata 'llama.rope.dimension_count' is 8, expected the head dimension 16");
  expectPartsError(with([](GGUFWriter &w) { w.integer("llama.attention.value_length", 8); }),
                   "metadata 'llama.attention.value_length' is 8, expected the head dimension 16");
  expectPartsError(with([](GGUFWriter &w) { w.integer("llama.context_length", UINT32_MAX); }),
                   "metadata 'llama.context_length' is 4294967295");
  expectPartsError(with([](GGUFWriter &w) { w.integer("tokenizer.ggml.eos_token_id", 4); }),
                   "metadata 'tokenizer.ggml.eos_token_id' is 4, expected a token below 4");
  expectPartsError(
      with([](GGUFWriter &w) { w.strings("tokenizer.ggml.tokens", {"a", "b", "c", "d", "e"}); }),
      "tokenizer has 5 tokens, expected at most the 4 rows");
  expectPartsError(with([](GGUFWriter &w) {
                     w.strings("tokenizer.ggml.tokens", {"a"});
                     w.string("tokenizer.ggml.model", "llama");
                   }),
                   "llama");
}

TEST(GGUFImport, tensorErrors) {
  auto added = [](llvm::StringRef name, std::vector<uint64_t> shape, uint32_t type, size_t bytes,
                  std::vector<std::string> without = {}) {
    return Parts{std::move(without), [=, name = name.str()](GGUFWriter &writer) {
                   writer.tensor(name, shape, type, std::string(bytes, '\0'));
                 }};
  };
  expectPartsError({{"token_embd.weight"}}, "tensor 'token_embd.weight' is missing");
  expectPartsError({{"blk.0.ffn_up.weight"}},
                   "tensor 'model.layers.0.mlp.up_proj.weight' is missing");
  for (const char *name :
       {"blk.0.attn_q_norm.weight", "blk.x.attn_q.weight", "blk.0.attn_q.scale", "other"})
    expectPartsError(added(name, {32}, 0, 128),
                     std::string("tensor '") + name + "' is not part of a model of architecture");
  expectPartsError(added("blk.0.attn_q.bias", {32}, 2, 18),
                   "tensor 'blk.0.attn_q.bias' is a vector of type Q4_0");
  expectPartsError(added("blk.0.attn_q.weight", {32, 24}, 2, 24 * 18, {"blk.0.attn_q.weight"}),
                   "tensor 'blk.0.attn_q.weight' has 24 rows, expected a multiple of the head "
                   "dimension 16");
}

/// Every tensor of the real model, bit for bit as the gguf package decodes it.
TEST(GGUFImport, smolLM2) {
  const char *path = std::getenv("QOPT_TEST_SMOLLM2");
  if (!path)
    GTEST_SKIP() << "QOPT_TEST_SMOLLM2 names no file";
  mlir::MLIRContext context;
  ImportedModel model = unwrap(importGGUF(path, context));
  EXPECT_EQ(model.weights.size(), 272u);
  EXPECT_EQ(model.tokenizer.vocabulary_size(), 49152);
  EXPECT_EQ(model.config.numLayers, 30);
  EXPECT_EQ(model.config.rmsNormEps, 1e-5);

  llvm::StringMap<std::string> digests;
  std::string lines = readFile(fixture("smollm2-sha256.txt"));
  for (llvm::StringRef line : llvm::split(llvm::StringRef(lines).trim(), '\n')) {
    auto [name, digest] = line.split(' ');
    digests[name] = digest.str();
  }
  ASSERT_EQ(digests.size(), 272u);
  std::vector<std::pair<std::string, std::string>> names = {
      {"token_embd.weight", "model.embed_tokens.weight"},
      {"output_norm.weight", "model.norm.weight"}};
  for (int i = 0; i < 30; ++i)
    for (auto [file, canonical] :
         {std::pair("attn_norm", "input_layernorm"), std::pair("attn_q", "self_attn.q_proj"),
          std::pair("attn_k", "self_attn.k_proj"), std::pair("attn_v", "self_attn.v_proj"),
          std::pair("attn_output", "self_attn.o_proj"),
          std::pair("ffn_norm", "post_attention_layernorm"), std::pair("ffn_gate", "mlp.gate_proj"),
          std::pair("ffn_up", "mlp.up_proj"), std::pair("ffn_down", "mlp.down_proj")})
      names.push_back({"blk." + std::to_string(i) + "." + file + ".weight",
                       "model.layers." + std::to_string(i) + "." + canonical + ".weight"});
  ASSERT_EQ(names.size(), 272u);
  for (const auto &[file, canonical] : names) {
    std::string bytes = floatBytes(values(*model.weights.find(canonical)));
    auto digest = llvm::SHA256::hash(
        llvm::ArrayRef(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
    EXPECT_EQ(llvm::toHex(digest, /*LowerCase=*/true), digests[file]) << file;
  }
}

} // namespace
