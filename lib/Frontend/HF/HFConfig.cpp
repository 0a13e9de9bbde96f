//===- HFConfig.cpp - Hugging Face config.json ----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/HF/HFConfig.h"
#include "JsonFields.h"
#include "qopt/Frontend/LlamaTensors.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace llvm;
using namespace qopt;
using nlohmann::json;

namespace {

/// Keys that are read here.
const char *const readKeys[] = {"architectures",
                                "model_type",
                                "vocab_size",
                                "hidden_size",
                                "intermediate_size",
                                "num_hidden_layers",
                                "num_attention_heads",
                                "num_key_value_heads",
                                "head_dim",
                                "max_position_embeddings",
                                "rms_norm_eps",
                                "attention_bias",
                                "mlp_bias",
                                "tie_word_embeddings",
                                "dtype",
                                "torch_dtype",
                                "rope_theta",
                                "rope_scaling",
                                "rope_parameters",
                                "hidden_act",
                                "eos_token_id",
                                "_name_or_path",
                                "quantization_config",
                                "compression_config",
                                "layer_types"};

/// Keys of training, generation and file keeping. pretraining_tp only splits
/// the products of a linear layer.
const char *const harmlessKeys[] = {"bos_token_id",
                                    "pad_token_id",
                                    "unk_token_id",
                                    "sep_token_id",
                                    "decoder_start_token_id",
                                    "initializer_range",
                                    "attention_dropout",
                                    "hidden_dropout",
                                    "resid_pdrop",
                                    "embd_pdrop",
                                    "use_cache",
                                    "pretraining_tp",
                                    "transformers_version",
                                    "_commit_hash",
                                    "_attn_implementation_autoset",
                                    "_attn_implementation",
                                    "attn_implementation",
                                    "return_dict",
                                    "output_attentions",
                                    "output_hidden_states",
                                    "torchscript",
                                    "use_bfloat16",
                                    "tokenizer_class",
                                    "prefix",
                                    "problem_type",
                                    "chunk_size_feed_forward",
                                    "id2label",
                                    "label2id",
                                    "num_labels",
                                    "task_specific_params",
                                    "finetuning_task",
                                    "is_llama_config",
                                    "unsloth_version",
                                    "unsloth_fixed",
                                    "transformers.js_config",
                                    "gradient_checkpointing",
                                    "router_aux_loss_coef",
                                    "tie_encoder_decoder",
                                    "min_length",
                                    "max_length",
                                    "do_sample",
                                    "early_stopping",
                                    "num_beams",
                                    "temperature",
                                    "top_k",
                                    "top_p",
                                    "typical_p",
                                    "repetition_penalty",
                                    "length_penalty",
                                    "no_repeat_ngram_size",
                                    "bad_words_ids",
                                    "num_return_sequences",
                                    "output_scores",
                                    "return_dict_in_generate",
                                    "forced_bos_token_id",
                                    "forced_eos_token_id",
                                    "remove_invalid_values",
                                    "suppress_tokens",
                                    "begin_suppress_tokens",
                                    "diversity_penalty",
                                    "num_beam_groups",
                                    "encoder_no_repeat_ngram_size",
                                    "exponential_decay_length_penalty"};

/// Keys that other models of the family use to change the mathematics, with the
/// value, as JSON, that leaves it alone.
struct NeutralKey {
  const char *key;
  const char *neutral;
};
const NeutralKey neutralKeys[] = {{"sliding_window", "null"},
                                  {"use_sliding_window", "false"},
                                  {"partial_rotary_factor", "1.0"},
                                  {"rope_interleaved", "false"},
                                  {"no_rope_layers", "null"},
                                  {"no_rope_layer_interval", "null"},
                                  {"embedding_multiplier", "1.0"},
                                  {"residual_multiplier", "1.0"},
                                  {"logits_scaling", "1.0"},
                                  {"logit_scale", "1.0"},
                                  {"attention_multiplier", "null"},
                                  {"attn_logit_softcapping", "null"},
                                  {"final_logit_softcapping", "null"},
                                  {"query_pre_attn_scalar", "null"},
                                  {"attn_temperature_tuning", "false"},
                                  {"attention_chunk_size", "null"},
                                  {"clip_qkv", "null"},
                                  {"use_qk_norm", "false"},
                                  {"qk_layernorm", "false"},
                                  {"num_local_experts", "null"},
                                  {"num_experts", "null"},
                                  {"n_routed_experts", "null"},
                                  {"add_cross_attention", "false"},
                                  {"is_encoder_decoder", "false"},
                                  {"use_parallel_residual", "false"},
                                  {"pruned_heads", "{}"}};

class ConfigReader {
public:
  explicit ConfigReader(const json &object) : object(object), fields(object) {}
  Error read(HFConfig &config);

private:
  void readArchitecture();
  void readSizes(LlamaConfig &llama);
  void readRope(LlamaConfig &llama);
  void readDtype(HFConfig &config);
  void readEos(HFConfig &config);
  void checkUnsupported(HFConfig &config);

  const json &object;
  JsonFields fields;
};

void ConfigReader::readArchitecture() {
  std::string architecture = "LlamaForCausalLM";
  const json *list = fields.find("architectures");
  if (list) {
    if (!list->is_array() || list->size() != 1 || !(*list)[0].is_string())
      return fields.fail("key 'architectures' is " + valueText(*list) +
                         ", expected one name: LlamaForCausalLM");
    architecture = (*list)[0].get<std::string>();
  } else if (std::string type = fields.string("model_type", "llama"); type != "llama") {
    return fields.fail("key 'model_type' is '" + printable(type) + "', expected llama");
  }
  if (architecture == "MistralForCausalLM") {
    // Llama's mathematics, but for the window, which is 4096 where the key is absent.
    if (!object.contains("sliding_window"))
      fields.fail("key 'sliding_window' is missing, which means 4096 tokens in a "
                  "MistralForCausalLM; expected null");
    return;
  }
  if (architecture != "LlamaForCausalLM")
    fields.fail("architecture '" + printable(architecture) +
                "' is not supported, expected LlamaForCausalLM or MistralForCausalLM");
}

void ConfigReader::readSizes(LlamaConfig &llama) {
  llama.vocabSize = fields.required("vocab_size");
  llama.hiddenSize = fields.required("hidden_size");
  llama.intermediateSize = fields.required("intermediate_size");
  llama.numLayers = fields.required("num_hidden_layers");
  llama.numHeads = fields.required("num_attention_heads");
  llama.numKVHeads = fields.integer("num_key_value_heads", llama.numHeads);
  llama.headDim = fields.integer("head_dim", 0);
  if (llama.headDim == 0 && llama.numHeads > 0) {
    if (llama.hiddenSize % llama.numHeads != 0)
      fields.fail(formatv("hidden_size {0} is not a multiple of num_attention_heads {1}, and there "
                          "is no head_dim",
                          llama.hiddenSize, llama.numHeads)
                      .str());
    llama.headDim = llama.hiddenSize / llama.numHeads;
  }
  llama.maxContext = fields.integer("max_position_embeddings", 0);
  if (llama.maxContext < 0 || llama.maxContext > INT32_MAX)
    fields.fail(formatv("key 'max_position_embeddings' is {0}, expected 1 to {1}", llama.maxContext,
                        INT32_MAX)
                    .str());
  llama.rmsNormEps = fields.number("rms_norm_eps", 1e-6); // the reference's default
  llama.attentionBias = fields.boolean("attention_bias", false);
  llama.mlpBias = fields.boolean("mlp_bias", false);
  llama.tiedEmbeddings = fields.boolean("tie_word_embeddings", false);
  std::string activation = fields.string("hidden_act", "silu");
  if (activation != "silu" && activation != "swish")
    fields.fail("key 'hidden_act' is '" + printable(activation) + "', expected silu");
}

/// Three spellings: `rope_theta` with `rope_scaling` {type}, then {rope_type};
/// since transformers 5 `rope_parameters` {rope_theta, rope_type}.
void ConfigReader::readRope(LlamaConfig &llama) {
  const json *parameters = fields.find("rope_parameters");
  const json *scaling = fields.find("rope_scaling");
  if (parameters && scaling && *parameters != *scaling)
    return fields.fail("keys 'rope_parameters' and 'rope_scaling' are both given and differ");
  static const json none = json::object();
  const json &rope = parameters ? *parameters : scaling ? *scaling : none;
  if (!rope.is_object())
    return fields.fail("rope parameters are " + valueText(rope) + ", expected an object");

  JsonFields ropeFields(rope);
  double theta = fields.number("rope_theta", 10000.0);
  llama.rope.theta = ropeFields.number("rope_theta", theta);
  if (fields.find("rope_theta") && llama.rope.theta != theta)
    fields.fail("keys 'rope_theta' and 'rope_parameters' give different values");

  static const StringSet<> known = {"rope_theta",
                                    "rope_type",
                                    "type",
                                    "factor",
                                    "low_freq_factor",
                                    "high_freq_factor",
                                    "partial_rotary_factor",
                                    "original_max_position_embeddings"};
  for (const auto &[key, value] : rope.items())
    if (!known.contains(key) && !value.is_null())
      ropeFields.fail("key '" + printable(key) + "' is " + valueText(value) +
                      ", which is not supported");
  double partial = ropeFields.number("partial_rotary_factor", 1.0);
  if (partial != 1.0)
    ropeFields.fail("key 'partial_rotary_factor' is " + numberText(partial) + ", expected 1");

  std::string type = ropeFields.string("rope_type", ropeFields.string("type", "default"));
  auto required = [&](StringRef key) {
    if (!ropeFields.find(key))
      ropeFields.fail("key '" + key + "' is missing, expected a number for rope_type " +
                      printable(type));
    return ropeFields.number(key, 1.0);
  };
  if (type == "linear") {
    llama.rope.scaling = RopeConfig::Scaling::linear;
    llama.rope.factor = required("factor");
  } else if (type == "llama3") {
    llama.rope.scaling = RopeConfig::Scaling::llama3;
    llama.rope.factor = required("factor");
    llama.rope.lowFreqFactor = required("low_freq_factor");
    llama.rope.highFreqFactor = required("high_freq_factor");
    llama.rope.originalContext = ropeFields.required("original_max_position_embeddings");
  } else if (type != "default") {
    ropeFields.fail("key 'rope_type' is '" + printable(type) +
                    "', expected default, linear or llama3");
  }
  if (Error error = ropeFields.takeError())
    fields.fail((parameters ? "rope_parameters: " : "rope_scaling: ") + toString(std::move(error)));
}

void ConfigReader::readDtype(HFConfig &config) {
  std::string name = fields.string("dtype", fields.string("torch_dtype", ""));
  StringRef plain = name;
  plain.consume_front("torch.");
  if (plain == "float32")
    config.dtype = FloatType::f32;
  else if (plain == "float16")
    config.dtype = FloatType::f16;
  else if (plain == "bfloat16")
    config.dtype = FloatType::bf16;
  else if (!plain.empty() && plain != "auto")
    fields.fail("key 'dtype' is '" + printable(name) + "', expected float32, float16 or bfloat16");
}

void ConfigReader::readEos(HFConfig &config) {
  const json *eos = fields.find("eos_token_id");
  if (!eos)
    return;
  if (!readTokenIds(*eos, config.eosIds))
    fields.fail("key 'eos_token_id' is " + valueText(*eos) +
                ", expected a token or a list of tokens");
}

void ConfigReader::checkUnsupported(HFConfig &config) {
  for (StringRef key : {"quantization_config", "compression_config"})
    if (const json *value = fields.find(key)) {
      const json *method = value->is_object() ? JsonFields(*value).find("quant_method") : nullptr;
      fields.fail("key '" + key + "' says that the checkpoint is quantized (" +
                  (method ? valueText(*method) : "no quant_method") +
                  "), expected F32, F16 or BF16 weights");
    }
  if (const json *layers = fields.find("layer_types"))
    if (!layers->is_array() ||
        any_of(*layers, [](const json &type) { return type != "full_attention"; }))
      fields.fail("key 'layer_types' is " + valueText(*layers) +
                  ", expected full_attention for every layer");
  StringSet<> known;
  for (const char *key : readKeys)
    known.insert(key);
  for (const char *key : harmlessKeys)
    known.insert(key);
  for (const NeutralKey &entry : neutralKeys) {
    known.insert(entry.key);
    const json *value = fields.find(entry.key);
    if (value && *value != json::parse(entry.neutral))
      fields.fail(formatv("key '{0}' is {1}, expected {2}: anything else changes the mathematics "
                          "and is not supported",
                          entry.key, valueText(*value), entry.neutral)
                      .str());
  }
  for (const auto &[key, value] : object.items())
    if (!known.contains(key) && !value.is_null())
      config.notes.push_back("config.json: key '" + printable(key) +
                             "' is not known and was ignored");
}

Error ConfigReader::read(HFConfig &config) {
  readArchitecture();
  checkUnsupported(config);
  readSizes(config.llama);
  readRope(config.llama);
  readDtype(config);
  readEos(config);
  std::string name = fields.string("_name_or_path", "");
  config.name = StringRef(name).rtrim('/').rsplit('/').second;
  if (config.name.empty())
    config.name = name;
  if (Error error = fields.takeError())
    return error;
  config.llama.type = config.dtype.value_or(FloatType::f32);
  return checkLlamaConfig(config.llama);
}

} // namespace

bool qopt::readTokenIds(const json &value, std::vector<uint32_t> &ids) {
  auto readOne = [&](const json &id) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > INT32_MAX)
      return false;
    ids.push_back(id.get<uint32_t>());
    return true;
  };
  return value.is_array() ? all_of(value, readOne) : readOne(value);
}

Expected<HFConfig> qopt::parseHFConfig(StringRef text, StringRef what) {
  Expected<json> object = parseJson(text, what);
  if (!object)
    return object.takeError();
  if (!object->is_object())
    return createStringError(what + ": expected a JSON object");
  HFConfig config;
  if (Error error = ConfigReader(*object).read(config))
    return inContext(what, std::move(error));
  return config;
}
