//===- HFConfigTest.cpp - config.json ------------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/HF/HFConfig.h"
#include "TestFiles.h"
#include <nlohmann/json.hpp>

using namespace qopt;
using namespace qopt::test;
using nlohmann::json;

namespace {

json base() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"vocab_size", 100},
          {"hidden_size", 64},
          {"intermediate_size", 128},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4}};
}

HFConfig parse(const json &config) { return unwrap(parseHFConfig(config.dump(), "config.json")); }

TEST(HFConfig, derivesWhatIsNotGiven) {
  HFConfig config = parse(base());
  EXPECT_EQ(config.llama.headDim, 16);
  EXPECT_EQ(config.llama.numKVHeads, 4);
  EXPECT_EQ(config.llama.rmsNormEps, 1e-6);
  EXPECT_EQ(config.llama.rope.theta, 10000.0);
  EXPECT_EQ(config.llama.rope.scaling, RopeConfig::Scaling::none);
  EXPECT_FALSE(config.dtype);
  EXPECT_TRUE(config.notes.empty());
}

TEST(HFConfig, readsWhatIsGiven) {
  json object = base();
  object.update({{"head_dim", 32},
                 {"num_key_value_heads", 2},
                 {"rms_norm_eps", 1e-5},
                 {"attention_bias", true},
                 {"mlp_bias", true},
                 {"tie_word_embeddings", true},
                 {"torch_dtype", "float16"},
                 {"max_position_embeddings", 2048},
                 {"eos_token_id", {1, 2}},
                 {"pretraining_tp", 2},
                 {"sliding_window", nullptr},
                 {"_name_or_path", "org/Some-Model"},
                 {"brand_new", 3}});
  HFConfig config = parse(object);
  EXPECT_EQ(config.llama.headDim, 32);
  EXPECT_EQ(config.llama.numKVHeads, 2);
  EXPECT_TRUE(config.llama.attentionBias && config.llama.mlpBias && config.llama.tiedEmbeddings);
  EXPECT_EQ(config.dtype, FloatType::f16);
  EXPECT_EQ(config.llama.maxContext, 2048);
  EXPECT_EQ(config.eosIds, (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(config.name, "Some-Model");
  ASSERT_EQ(config.notes.size(), 1u);
  EXPECT_NE(config.notes[0].find("'brand_new'"), std::string::npos);
}

TEST(HFConfig, spellingsOfRopeAgree) {
  json values = {{"factor", 8.0},
                 {"low_freq_factor", 1.0},
                 {"high_freq_factor", 4.0},
                 {"original_max_position_embeddings", 256}};
  json oldest = base(), old = base(), current = base();
  oldest["rope_theta"] = old["rope_theta"] = 5e5;
  oldest["rope_scaling"] = old["rope_scaling"] = current["rope_parameters"] = values;
  oldest["rope_scaling"]["type"] = "llama3";
  old["rope_scaling"]["rope_type"] = "llama3";
  current["rope_parameters"].update({{"rope_type", "llama3"}, {"rope_theta", 5e5}});
  for (const json &object : {oldest, old, current}) {
    RopeConfig rope = parse(object).llama.rope;
    EXPECT_EQ(rope.scaling, RopeConfig::Scaling::llama3);
    EXPECT_EQ(rope.theta, 5e5);
    EXPECT_EQ(rope.factor, 8.0);
    EXPECT_EQ(rope.originalContext, 256);
  }
  json linear = base();
  linear["rope_scaling"] = {{"type", "linear"}, {"factor", 2}};
  EXPECT_EQ(parse(linear).llama.rope.scaling, RopeConfig::Scaling::linear);
  EXPECT_EQ(parse(linear).llama.rope.factor, 2.0);
}

TEST(HFConfig, acceptsMistralWithoutWindow) {
  json object = base();
  object["architectures"] = {"MistralForCausalLM"};
  object["sliding_window"] = nullptr;
  parse(object);
  object.erase("sliding_window");
  expectError(parseHFConfig(object.dump(), "c"), "key 'sliding_window' is missing");
  object["sliding_window"] = 4096;
  expectError(parseHFConfig(object.dump(), "c"), "key 'sliding_window' is 4096, expected null");
}

struct WrongKey {
  const char *key;
  const char *value;
  const char *error;
};

class HFConfigErrors : public testing::TestWithParam<WrongKey> {};

TEST_P(HFConfigErrors, nameKeyAndValue) {
  json object = base();
  object[GetParam().key] = json::parse(GetParam().value);
  expectError(parseHFConfig(object.dump(), "config.json"), GetParam().error);
  expectError(parseHFConfig(object.dump(), "config.json"), "config.json: ");
}

INSTANTIATE_TEST_SUITE_P(
    Keys, HFConfigErrors,
    testing::Values(
        WrongKey{"architectures", R"(["Qwen2ForCausalLM"])", "architecture 'Qwen2ForCausalLM'"},
        WrongKey{"architectures", "[]", "key 'architectures' is []"},
        WrongKey{"vocab_size", "null", "key 'vocab_size' is missing"},
        WrongKey{"vocab_size", "0", "vocabulary size is 0"},
        WrongKey{"vocab_size", "\"7\"", "key 'vocab_size' is \"7\", expected an integer"},
        WrongKey{"hidden_size", "65", "hidden_size 65 is not a multiple of num_attention_heads 4"},
        WrongKey{"hidden_size", "-4", "hidden size is -4"},
        WrongKey{"num_hidden_layers", "5000", "number of layers is 5000"},
        WrongKey{"num_attention_heads", "0", "number of heads is 0"},
        WrongKey{"num_key_value_heads", "3", "4 heads are not a multiple of 3 KV heads"},
        WrongKey{"head_dim", "15", "head dimension is 15, expected an even number"},
        WrongKey{"max_position_embeddings", "-1", "key 'max_position_embeddings' is -1"},
        WrongKey{"rms_norm_eps", "-1", "RMSNorm epsilon is -1"},
        WrongKey{"rms_norm_eps", "true", "key 'rms_norm_eps' is true, expected a number"},
        WrongKey{"hidden_act", "\"gelu\"", "key 'hidden_act' is 'gelu', expected silu"},
        WrongKey{"mlp_bias", "1", "key 'mlp_bias' is 1, expected true or false"},
        WrongKey{"dtype", "\"float64\"", "key 'dtype' is 'float64'"},
        WrongKey{"dtype", "3", "key 'dtype' is 3, expected a string"},
        WrongKey{"eos_token_id", "\"x\"", "key 'eos_token_id' is \"x\""},
        WrongKey{"quantization_config", R"({"quant_method": "gptq"})", "is quantized (\"gptq\")"},
        WrongKey{"quantization_config", "{}", "is quantized (no quant_method)"},
        WrongKey{"layer_types", R"(["sliding_attention"])", "key 'layer_types' is"},
        WrongKey{"sliding_window", "128", "key 'sliding_window' is 128, expected null"},
        WrongKey{"partial_rotary_factor", "0.5", "key 'partial_rotary_factor' is 0.5"},
        WrongKey{"num_local_experts", "8", "key 'num_local_experts' is 8"},
        WrongKey{"rope_theta", "0", "rope theta is 0"},
        WrongKey{"rope_scaling", "[1]", "rope parameters are [1], expected an object"},
        WrongKey{"rope_scaling", R"({"type": "yarn", "factor": 2})", "key 'rope_type' is 'yarn'"},
        WrongKey{"rope_scaling", R"({"type": "linear"})", "key 'factor' is missing"},
        WrongKey{"rope_scaling", R"({"type": "linear", "factor": 0})", "rope scaling factor is 0"},
        WrongKey{"rope_scaling", R"({"type": "linear", "factor": 2, "beta_fast": 1})",
                 "key 'beta_fast' is 1, which is not supported"},
        WrongKey{"rope_parameters", R"({"rope_type": "llama3", "factor": 8})",
                 "key 'low_freq_factor' is missing"},
        WrongKey{"rope_parameters",
                 R"({"rope_type": "llama3", "factor": 8, "low_freq_factor": 4,
                     "high_freq_factor": 1, "original_max_position_embeddings": 8192})",
                 "llama3 rope scaling has low 4"},
        WrongKey{"rope_parameters", R"({"rope_type": "default", "partial_rotary_factor": 0.25})",
                 "key 'partial_rotary_factor' is 0.25, expected 1"}));

TEST(HFConfig, conflictsAreErrors) {
  json object = base();
  object["rope_theta"] = 1e4;
  object["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 5e5}};
  expectError(parseHFConfig(object.dump(), "c"), "give different values");
  object["rope_scaling"] = {{"type", "linear"}, {"factor", 2}};
  expectError(parseHFConfig(object.dump(), "c"), "are both given and differ");
  object = base();
  object.erase("architectures");
  object["model_type"] = "gemma";
  expectError(parseHFConfig(object.dump(), "c"), "key 'model_type' is 'gemma'");
  expectError(parseHFConfig("[]", "c"), "c: expected a JSON object");
}

} // namespace
