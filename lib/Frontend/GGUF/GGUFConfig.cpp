//===- GGUFConfig.cpp - A Llama configuration from metadata ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GGUFConfig.h"
#include "qopt/Frontend/LlamaTensors.h"
#include "qopt/Frontend/ModelFiles.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace qopt;

namespace {

const char *const readKeys[] = {"block_count",
                                "context_length",
                                "embedding_length",
                                "feed_forward_length",
                                "attention.head_count",
                                "attention.head_count_kv",
                                "attention.layer_norm_rms_epsilon",
                                "attention.key_length",
                                "attention.value_length",
                                "rope.dimension_count",
                                "rope.freq_base",
                                "rope.scaling.type",
                                "rope.scaling.factor",
                                "rope.scaling.original_context_length",
                                "rope.scaling.finetuned",
                                "rope.scale_linear",
                                "vocab_size"};

/// Keys that change the mathematics unless they have this value.
struct NeutralKey {
  const char *key;
  double neutral;
};
const NeutralKey neutralKeys[] = {{"expert_count", 0},
                                  {"expert_used_count", 0},
                                  {"attention.sliding_window", 0},
                                  {"attention.scale", 0},
                                  {"attention.clamp_kqv", 0},
                                  {"attention.max_alibi_bias", 0},
                                  {"attention.causal", 1},
                                  {"attn_logit_softcapping", 0},
                                  {"final_logit_softcapping", 0},
                                  {"logit_scale", 1},
                                  {"embedding_scale", 1},
                                  {"residual_scale", 1},
                                  {"use_parallel_residual", 0},
                                  {"pooling_type", 0},
                                  {"rope.scaling.attn_factor", 1},
                                  {"rope.scaling.yarn_log_multiplier", 0}};

class ConfigReader {
public:
  ConfigReader(const GGUFFile &file) : file(file) {}
  Expected<LlamaConfig> read(std::vector<std::string> &notes);

private:
  std::string key(StringRef name) { return ("llama." + name).str(); }
  int64_t size(StringRef name, std::optional<int64_t> otherwise = {});
  double number(StringRef name, std::optional<double> otherwise = {});
  void readHeads(LlamaConfig &config);
  void readRope(LlamaConfig &config);
  void checkKeys(std::vector<std::string> &notes);
  const GGUFTensor *tensor(StringRef name) {
    const auto *found =
        find_if(file.tensors(), [&](const GGUFTensor &t) { return t.name == name; });
    return found == file.tensors().end() ? nullptr : found;
  }
  void fail(const Twine &why) {
    if (problem.empty())
      problem = why.str();
  }

  const GGUFFile &file;
  std::string problem;
};

int64_t ConfigReader::size(StringRef name, std::optional<int64_t> otherwise) {
  std::optional<int64_t> value = file.integer(key(name));
  // Some files give one number for each layer; all must agree.
  if (std::optional<std::vector<int64_t>> layers = file.integers(key(name)); layers)
    if (!layers->empty() && all_equal(*layers))
      value = layers->front();
  if (!value && file.metadata().count(key(name)))
    fail("metadata '" + key(name) + "' must be an integer, the same for every layer");
  if (!value && !otherwise)
    fail("metadata '" + key(name) + "' is missing, expected an integer");
  return value.value_or(otherwise.value_or(0));
}

double ConfigReader::number(StringRef name, std::optional<double> otherwise) {
  std::optional<double> value = file.number(key(name));
  if (!value && file.metadata().count(key(name)))
    fail("metadata '" + key(name) + "' must be a floating-point number");
  if (!value && !otherwise)
    fail("metadata '" + key(name) + "' is missing, expected a number");
  return value.value_or(otherwise.value_or(0.0));
}

void ConfigReader::readHeads(LlamaConfig &config) {
  config.numHeads = size("attention.head_count");
  config.numKVHeads = size("attention.head_count_kv", config.numHeads);
  int64_t derived = config.numHeads > 0 ? config.hiddenSize / config.numHeads : 0;
  config.headDim = size("attention.key_length", size("rope.dimension_count", derived));
  for (StringRef name : {"attention.value_length", "rope.dimension_count"}) {
    int64_t other = size(name, config.headDim);
    if (other != config.headDim)
      fail(formatv("metadata '{0}' is {1}, expected the head dimension {2}", key(name), other,
                   config.headDim)
               .str());
  }
}

void ConfigReader::readRope(LlamaConfig &config) {
  config.rope.theta = number("rope.freq_base", 10000.0);
  std::string type = file.string(key("rope.scaling.type")).value_or("");
  double factor = number("rope.scaling.factor", number("rope.scale_linear", 1.0));
  if (type.empty())
    type = factor == 1.0 ? "none" : "linear";
  if (type == "linear") {
    config.rope.scaling = RopeConfig::Scaling::linear;
    config.rope.factor = factor;
    return;
  }
  if (type != "none")
    fail("metadata 'llama.rope.scaling.type' is '" + printable(type) +
         "', expected none or linear, or llama3 as a tensor rope_freqs.weight");
}

void ConfigReader::checkKeys(std::vector<std::string> &notes) {
  StringSet<> known;
  for (const char *name : readKeys)
    known.insert(name);
  for (const NeutralKey &entry : neutralKeys) {
    known.insert(entry.key);
    std::string name = key(entry.key);
    if (!file.metadata().count(name))
      continue;
    std::optional<double> value = file.number(name);
    if (std::optional<int64_t> integer = file.integer(name))
      value = static_cast<double>(*integer);
    if (std::optional<bool> flag = file.boolean(name))
      value = *flag;
    if (value != entry.neutral)
      fail(formatv("metadata '{0}' is {1}, expected {2}: anything else changes the mathematics and "
                   "is not supported",
                   name, value ? numberText(*value) : "not a number", numberText(entry.neutral))
               .str());
  }
  if (file.metadata().count(key("tensor_data_layout")))
    fail("metadata 'llama.tensor_data_layout' is not supported");
  if (file.integer("split.count").value_or(1) > 1)
    fail("is one part of a split model, expected a single file");
  for (const auto &[name, value] : file.metadata()) {
    StringRef plain = name;
    if (plain.consume_front("llama.") && !known.contains(plain))
      notes.push_back("metadata '" + printable(name) + "' is not known and was ignored");
  }
}

Expected<LlamaConfig> ConfigReader::read(std::vector<std::string> &notes) {
  std::string architecture = file.string("general.architecture").value_or("");
  if (architecture != "llama")
    return createStringError("architecture '" + printable(architecture) +
                             "' is not supported, expected llama");
  checkKeys(notes);
  LlamaConfig config;
  config.type = FloatType::f32; // in which the values of every block format are exact
  config.hiddenSize = size("embedding_length");
  config.intermediateSize = size("feed_forward_length");
  config.numLayers = size("block_count");
  config.maxContext = size("context_length", 0);
  if (config.maxContext < 0 || config.maxContext > INT32_MAX)
    fail(formatv("metadata 'llama.context_length' is {0}, expected 0 to {1}", config.maxContext,
                 INT32_MAX)
             .str());
  config.rmsNormEps = number("attention.layer_norm_rms_epsilon");
  readHeads(config);
  readRope(config);
  const GGUFTensor *table = tensor("token_embd.weight");
  if (!table)
    fail("tensor 'token_embd.weight' is missing");
  else
    config.vocabSize = table->shape.front();
  config.tiedEmbeddings = !tensor("output.weight");
  config.attentionBias = tensor("blk.0.attn_q.bias");
  config.mlpBias = tensor("blk.0.ffn_gate.bias");
  if (!problem.empty())
    return createStringError(problem);
  if (Error error = checkLlamaConfig(config))
    return error;
  return config;
}

} // namespace

Expected<LlamaConfig> qopt::readGGUFConfig(const GGUFFile &file, std::vector<std::string> &notes) {
  return ConfigReader(file).read(notes);
}

Error qopt::applyRopeFactors(ArrayRef<float> factors, LlamaConfig &config) {
  if (factors.size() != static_cast<size_t>(config.headDim / 2))
    return createStringError(formatv("tensor 'rope_freqs.weight' has {0} elements, expected {1}",
                                     factors.size(), config.headDim / 2));
  if (!all_of(factors, [](float factor) { return factor > 0.0f && std::isfinite(factor); }))
    return createStringError("tensor 'rope_freqs.weight' must hold positive numbers");
  if (config.rope.scaling != RopeConfig::Scaling::none)
    return createStringError("tensor 'rope_freqs.weight' and 'llama.rope.scaling.type' can't be "
                             "combined");
  std::vector<float> plain = ropeFrequencies(config.headDim, config.rope);
  // Converters write the factors of the published llama3 scaling: low 1, high 4,
  // original context 8192. Equal to rounding, they are that scaling.
  RopeConfig llama3 = config.rope;
  llama3.scaling = RopeConfig::Scaling::llama3;
  llama3.factor = *llvm::max_element(factors);
  std::vector<float> scaled = ropeFrequencies(config.headDim, llama3);
  auto agrees = [&](size_t i) {
    return std::abs(plain[i] / factors[i] - scaled[i]) <= 1e-5f * scaled[i];
  };
  if (llama3.factor > 1.0 && all_of(seq(factors.size()), agrees)) {
    config.rope = llama3;
    return Error::success();
  }
  config.rope.scaling = RopeConfig::Scaling::table;
  for (size_t i = 0; i < factors.size(); ++i)
    config.rope.table.push_back(plain[i] / factors[i]);
  return Error::success();
}
