//===- HFTexts.cpp - Tokenizer, template and defaults of a folder ---------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JsonFields.h"
#include "qopt/Frontend/HF/HFFolder.h"
#include "qopt/Frontend/Tokenizer/TokenizerImport.h"

using namespace llvm;
using namespace qopt;
using nlohmann::json;

static constexpr uint64_t maxTokenizerBytes = 64 << 20, maxConfigBytes = 16 << 20;

/// The object of a JSON file of the folder; an empty one when it isn't there.
static Expected<json> readObject(StringRef folder, StringRef name) {
  Expected<std::optional<std::string>> text = readOptionalFile(folder, name, maxConfigBytes);
  if (!text)
    return text.takeError();
  if (!*text)
    return json::object();
  std::string what = folder.str() + "/" + name.str();
  Expected<json> object = parseJson(**text, what);
  if (object && !object->is_object())
    return createStringError(what + ": expected a JSON object");
  return object;
}

/// A special token is its text, or an object with the text as `content`.
static std::string tokenText(const json &config, const json &map, StringRef key) {
  for (const json *source : {&config, &map}) {
    const json *value = JsonFields(*source).find(key);
    if (value && value->is_object())
      value = JsonFields(*value).find("content");
    if (value && value->is_string())
      return value->get<std::string>();
  }
  return "";
}

/// The file chat_template.jinja, else `chat_template`: a text, or a list of
/// {name, template} with one named default.
static Error readChatTemplate(StringRef folder, const json &config, artifact::ChatTemplate &out) {
  Expected<std::optional<std::string>> file =
      readOptionalFile(folder, "chat_template.jinja", maxConfigBytes);
  if (!file)
    return file.takeError();
  if (*file) {
    if (!isUTF8(**file))
      return createStringError(folder + "/chat_template.jinja: is not valid UTF-8");
    out.set_source(std::move(**file));
    return Error::success();
  }
  const json *value = JsonFields(config).find("chat_template");
  if (!value)
    return Error::success();
  if (value->is_string()) {
    out.set_source(value->get<std::string>());
    return Error::success();
  }
  if (value->is_array())
    for (const json &entry : *value)
      if (entry.is_object() && entry.value("name", json()) == "default" &&
          entry.value("template", json()).is_string()) {
        out.set_source(entry["template"].get<std::string>());
        return Error::success();
      }
  return createStringError(folder + "/tokenizer_config.json: key 'chat_template' must be a text or "
                                    "a list with an entry named default");
}

static Error readGeneration(StringRef folder, const HFConfig &config,
                            artifact::GenerationConfig &out) {
  std::string what = folder.str() + "/generation_config.json";
  Expected<json> object = readObject(folder, "generation_config.json");
  if (!object)
    return object.takeError();
  JsonFields fields(*object);
  std::vector<uint32_t> eosIds = config.eosIds;
  if (const json *eos = fields.find("eos_token_id")) {
    eosIds.clear();
    if (!readTokenIds(*eos, eosIds))
      return createStringError(what + ": key 'eos_token_id' is " + valueText(*eos) +
                               ", expected a token or a list of tokens");
  }
  for (uint32_t id : eosIds) {
    if (id >= config.llama.vocabSize)
      return createStringError(formatv("{0}: eos_token_id {1} is outside of the vocabulary of {2}",
                                       what, id, config.llama.vocabSize));
    out.add_eos_ids(id);
  }
  out.set_do_sample(fields.boolean("do_sample", false));
  auto number = [&](StringRef key) {
    double value = fields.number(key, 1.0);
    if (!(value >= 0.0 && value <= std::numeric_limits<float>::max()))
      fields.fail("key '" + key + "' is " + numberText(value) + ", expected a number from 0");
    return static_cast<float>(value);
  };
  out.set_temperature(number("temperature"));
  int64_t topK = fields.integer("top_k", out.do_sample() ? 50 : 0); // the reference's default
  if (topK < 0 || topK > INT32_MAX)
    fields.fail(formatv("key 'top_k' is {0}, expected 0 to {1}", topK, INT32_MAX).str());
  out.set_top_k(topK);
  out.set_top_p(number("top_p"));
  out.set_repetition_penalty(number("repetition_penalty"));
  if (Error error = fields.takeError())
    return inContext(what, std::move(error));
  return Error::success();
}

static Error readTokenizer(StringRef folder, ImportedModel &model) {
  Expected<std::optional<std::string>> text =
      readOptionalFile(folder, "tokenizer.json", maxTokenizerBytes);
  if (!text)
    return text.takeError();
  if (!*text) {
    model.notes.push_back("no tokenizer.json: the artifact takes and gives tokens only");
    return Error::success();
  }
  Expected<std::optional<std::string>> config =
      readOptionalFile(folder, "tokenizer_config.json", maxConfigBytes);
  if (!config)
    return config.takeError();
  Status status = tokenizerFromJson(**text, config->value_or(""), model.tokenizer);
  if (!status)
    return createStringError(folder + "/tokenizer.json: " + status.message());
  return Error::success();
}

Error qopt::readHFTexts(StringRef folder, const HFConfig &config, ImportedModel &model) {
  if (Error error = readTokenizer(folder, model))
    return error;
  Expected<json> tokenizerConfig = readObject(folder, "tokenizer_config.json");
  if (!tokenizerConfig)
    return tokenizerConfig.takeError();
  Expected<json> specialTokens = readObject(folder, "special_tokens_map.json");
  if (!specialTokens)
    return specialTokens.takeError();
  artifact::ChatTemplate &chat = model.chatTemplate;
  if (Error error = readChatTemplate(folder, *tokenizerConfig, chat))
    return error;
  if (!chat.source().empty()) {
    chat.set_bos_token(tokenText(*tokenizerConfig, *specialTokens, "bos_token"));
    chat.set_eos_token(tokenText(*tokenizerConfig, *specialTokens, "eos_token"));
    chat.set_pad_token(tokenText(*tokenizerConfig, *specialTokens, "pad_token"));
    chat.set_unk_token(tokenText(*tokenizerConfig, *specialTokens, "unk_token"));
  }
  return readGeneration(folder, config, model.generation);
}
