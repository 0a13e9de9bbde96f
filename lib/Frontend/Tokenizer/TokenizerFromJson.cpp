//===- TokenizerFromJson.cpp - Tokenizers from tokenizer.json -------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "RegexDialect.h"
#include "Splits.h"
#include "Vocabulary.h"
#include "qopt/Frontend/Tokenizer/TokenizerImport.h"
#include "qopt/Runtime/Tokenizer.h"
#include <algorithm>
#include <nlohmann/json.hpp>

namespace qopt {
namespace {

using nlohmann::json;

constexpr int maxDepth = 64;

/// Parses \p text into an object. Deep nesting, and many more values than the text
/// of a vocabulary and its merges holds, are refused before they cost memory.
Status parseObject(std::string_view text, const char *file, json &out) {
  const size_t maxValues = (size_t(1) << 18) + text.size() / 16;
  size_t numValues = 0;
  int depth = 0;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString) {
      i += c == '\\';
      inString = c != '"';
      continue;
    }
    inString = c == '"';
    depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    numValues += c == '{' || c == '[' || c == ',';
    if (numValues > maxValues)
      return Status::invalid(std::string(file) + " has more than " + std::to_string(maxValues) +
                             " values");
    if (depth > maxDepth)
      return Status::invalid(std::string(file) + " nests deeper than " + std::to_string(maxDepth));
  }
  out = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!out.is_object())
    return Status::invalid(std::string(file) + " is not a JSON object");
  return Status::ok();
}

/// The value of \p key, or null.
const json &get(const json &object, const char *key) {
  static const json null;
  if (!object.is_object())
    return null;
  auto it = object.find(key);
  return it == object.end() ? null : *it;
}

std::string getString(const json &object, const char *key) {
  const json &value = get(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool getBool(const json &object, const char *key, bool otherwise = false) {
  const json &value = get(object, key);
  return value.is_boolean() ? value.get<bool>() : otherwise;
}

std::optional<uint64_t> asId(const json &value) {
  return value.is_number_unsigned() ? std::optional(value.get<uint64_t>()) : std::nullopt;
}

Status unsupported(const std::string &what) { return Status::invalid(what + " is not supported"); }

/// Calls \p visit for each component of a possibly nested `Sequence`, whose
/// elements are under \p listKey. Null has none.
template <typename Visit>
Status forEachComponent(const json &component, const char *listKey, Visit visit) {
  if (component.is_null())
    return Status::ok();
  if (getString(component, "type") != "Sequence")
    return visit(component);
  const json &list = get(component, listKey);
  if (!list.is_array())
    return Status::invalid("Sequence has no list " + quote(listKey));
  for (const json &element : list) // nested at most maxDepth deep
    if (Status status = forEachComponent(element, listKey, visit); !status)
      return status;
  return Status::ok();
}

class Importer {
public:
  Importer(const json &tokenizer, const json &config, artifact::Tokenizer &out)
      : tokenizer_(tokenizer), config_(config), out_(out),
        vocabulary_(out, get(get(tokenizer, "model"), "vocab").size() +
                             get(tokenizer, "added_tokens").size()) {}

  Status run() {
    for (auto step : {&Importer::readModel, &Importer::readAddedTokens, &Importer::readNormalizer,
                      &Importer::readPreTokenizer, &Importer::readSpecialTokens,
                      &Importer::readPostProcessor, &Importer::readDecoder})
      if (Status status = (this->*step)(); !status)
        return status;
    return Tokenizer::create(out_).status();
  }

private:
  Status readModel();
  Status readMerges(const json &merges);
  Status readAddedTokens();
  Status readAddedToken(const json &token, std::optional<uint64_t> id);
  Status readNormalizer();
  Status readPreTokenizer();
  Status readSplit(const json &component);
  Status readSpecialTokens();
  Status readPostProcessor();
  Status readTemplate(const json &component);
  Status readDecoder();

  const json &tokenizer_;
  const json &config_;
  artifact::Tokenizer &out_;
  Vocabulary vocabulary_;
};

Status Importer::readModel() {
  const json &model = get(tokenizer_, "model");
  const json &vocab = get(model, "vocab");
  std::string type = getString(model, "type");
  if (type != "BPE" && !(type.empty() && vocab.is_object() && model.contains("merges")))
    return unsupported("tokenizer model " + quote(type));
  for (const char *affix : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (std::string text = getString(model, affix); !text.empty())
      return unsupported("model." + std::string(affix) + " " + quote(text));
  const json &dropout = get(model, "dropout");
  if (dropout.is_number() && dropout.get<double>() != 0)
    return unsupported("model.dropout " + dropout.dump());
  if (getBool(model, "byte_fallback"))
    return unsupported("model.byte_fallback");
  out_.set_ignore_merges(getBool(model, "ignore_merges"));

  if (!vocab.is_object())
    return Status::invalid("model.vocab is not an object");
  for (const auto &[spelling, id] : vocab.items()) {
    std::optional<uint64_t> value = asId(id);
    if (!value)
      return Status::invalid("token " + quote(spelling) + " has an id that is not a number");
    if (Status status = vocabulary_.addToken(spelling, *value); !status)
      return status;
  }
  if (std::string unknown = getString(model, "unk_token"); !unknown.empty()) {
    std::optional<uint32_t> id = vocabulary_.find(unknown);
    if (!id)
      return Status::invalid("model.unk_token " + quote(unknown) + " is not in the vocabulary");
    out_.set_unk_id(*id);
    if (getBool(model, "fuse_unk") && !vocabulary_.hasAllBytes())
      return unsupported("model.fuse_unk in a vocabulary without all bytes");
  }
  return readMerges(get(model, "merges"));
}

Status Importer::readMerges(const json &merges) {
  if (!merges.is_array())
    return Status::invalid("model.merges is not an array");
  for (const json &merge : merges) {
    Status status;
    if (merge.is_string())
      status = vocabulary_.addMerge(merge.get_ref<const std::string &>());
    else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
      status = vocabulary_.addMerge(merge[0].get_ref<const std::string &>(),
                                    merge[1].get_ref<const std::string &>());
    else
      status = Status::invalid("model.merges has an entry that is neither 'a b' nor ['a', 'b']");
    if (!status)
      return status;
  }
  return Status::ok();
}

Status Importer::readAddedToken(const json &token, std::optional<uint64_t> id) {
  std::string content = getString(token, "content");
  if (!id || *id >= Tokenizer::maxVocabularySize)
    return Status::invalid("added token " + quote(content) + " has no id below " +
                           std::to_string(Tokenizer::maxVocabularySize));
  if (content.empty()) // never matched
    return Status::ok();
  artifact::Tokenizer::AddedToken added;
  added.set_id(static_cast<uint32_t>(*id));
  added.set_special(getBool(token, "special"));
  added.set_lstrip(getBool(token, "lstrip"));
  added.set_rstrip(getBool(token, "rstrip"));
  added.set_single_word(getBool(token, "single_word"));
  added.set_normalized(getBool(token, "normalized", !added.special()));
  return vocabulary_.addAddedToken(content, added);
}

Status Importer::readAddedTokens() {
  const json &list = get(tokenizer_, "added_tokens");
  if (!list.is_array() && !list.is_null())
    return Status::invalid("added_tokens is not an array");
  for (const json &token : list)
    if (Status status = readAddedToken(token, asId(get(token, "id"))); !status)
      return status;

  const json &decoder = get(config_, "added_tokens_decoder");
  if (!decoder.is_object())
    return Status::ok();
  for (const auto &[key, token] : decoder.items()) {
    if (vocabulary_.isAdded(getString(token, "content")))
      continue;
    std::optional<uint64_t> id = asId(json::parse(key, nullptr, /*allow_exceptions=*/false));
    if (Status status = readAddedToken(token, id); !status)
      return status;
  }
  return Status::ok();
}

Status Importer::readNormalizer() {
  return forEachComponent(get(tokenizer_, "normalizer"), "normalizers", [&](const json &component) {
    std::string type = getString(component, "type");
    if (type != "NFC")
      return unsupported("normalizer " + quote(type));
    out_.set_nfc(true);
    return Status::ok();
  });
}

Status Importer::readSplit(const json &component) {
  std::string behavior = getString(component, "behavior");
  if (behavior != "Isolated")
    return unsupported("pre_tokenizer Split with behavior " + quote(behavior));
  if (getBool(component, "invert"))
    return unsupported("pre_tokenizer Split with invert");
  const json &pattern = get(component, "pattern");
  if (const json &text = get(pattern, "String"); text.is_string()) {
    addRegexSplit(out_, escapeRegex(text.get_ref<const std::string &>()));
    return Status::ok();
  }
  const json &regex = get(pattern, "Regex");
  if (!regex.is_string())
    return Status::invalid("pre_tokenizer Split has no pattern of kind String or Regex");
  Result<std::string> translated = translateRegex(regex.get_ref<const std::string &>());
  if (!translated)
    return translated.status();
  addRegexSplit(out_, *translated);
  return Status::ok();
}

Status Importer::readPreTokenizer() {
  bool first = true, byteLevel = false;
  Status status = forEachComponent(
      get(tokenizer_, "pre_tokenizer"), "pretokenizers", [&](const json &component) {
        std::string type = getString(component, "type");
        // Behind ByteLevel a step would see the bytes' spelling, not the text.
        if (byteLevel)
          return unsupported("pre_tokenizer " + quote(type) + " after ByteLevel");
        bool isFirst = std::exchange(first, false);
        if (type == "Split")
          return readSplit(component);
        if (type == "Digits") {
          if (getBool(component, "individual_digits"))
            addDigitSplit(out_);
          else
            addRegexSplit(out_, R"(\p{N}+)");
          return Status::ok();
        }
        if (type != "ByteLevel")
          return unsupported("pre_tokenizer " + quote(type));
        byteLevel = true;
        // Behind another step each of its pieces would get a space.
        if (getBool(component, "add_prefix_space", true)) {
          if (!isFirst)
            return unsupported("pre_tokenizer ByteLevel with add_prefix_space after another");
          out_.set_add_prefix_space(true);
        }
        if (getBool(component, "use_regex", true))
          addRegexSplit(out_, gpt2Regex);
        return Status::ok();
      });
  if (status.isOk() && !byteLevel)
    return unsupported("pre_tokenizer without ByteLevel");
  return status;
}

Status Importer::readSpecialTokens() {
  // As transformers does, a special token that isn't an added token becomes one.
  auto read = [&](const json &value, const char *name, std::optional<uint32_t> &id) {
    std::string content =
        value.is_string() ? value.get<std::string>() : getString(value, "content");
    if (content.empty())
      return Status::ok();
    id = vocabulary_.find(content);
    if (!id)
      return Status::invalid(std::string(name) + " " + quote(content) +
                             " is not in the vocabulary");
    if (vocabulary_.isAdded(content))
      return Status::ok();
    artifact::Tokenizer::AddedToken added;
    added.set_id(*id);
    added.set_special(true);
    return vocabulary_.addAddedToken(content, added);
  };
  std::optional<uint32_t> bos, eos, pad, other;
  if (Status status = read(get(config_, "bos_token"), "bos_token", bos); !status)
    return status;
  if (Status status = read(get(config_, "eos_token"), "eos_token", eos); !status)
    return status;
  if (Status status = read(get(config_, "pad_token"), "pad_token", pad); !status)
    return status;
  const json &additional = get(config_, "additional_special_tokens");
  if (additional.is_array())
    for (const json &value : additional)
      if (Status status = read(value, "additional special token", other); !status)
        return status;
  if (bos)
    out_.set_bos_id(*bos);
  if (eos)
    out_.set_eos_id(*eos);
  if (pad)
    out_.set_pad_id(*pad);
  return Status::ok();
}

Status Importer::readPostProcessor() {
  bool seen = false;
  return forEachComponent(get(tokenizer_, "post_processor"), "processors",
                          [&](const json &component) {
                            std::string type = getString(component, "type");
                            if (type == "ByteLevel") // only changes offsets
                              return Status::ok();
                            if (type != "TemplateProcessing")
                              return unsupported("post_processor " + quote(type));
                            if (std::exchange(seen, true))
                              return unsupported("a second post_processor 'TemplateProcessing'");
                            return readTemplate(component);
                          });
}

/// Reads `[BOS] $A [EOS]`.
Status Importer::readTemplate(const json &component) {
  const json &single = get(component, "single");
  if (!single.is_array())
    return Status::invalid("post_processor TemplateProcessing has no list 'single'");
  bool text = false;
  for (const json &item : single) {
    if (item.contains("Sequence")) {
      if (text || getString(item["Sequence"], "id") != "A")
        return unsupported("post_processor template with another sequence than one A");
      text = true;
      continue;
    }
    std::string name = getString(get(item, "SpecialToken"), "id");
    const json &ids = get(get(get(component, "special_tokens"), name.c_str()), "ids");
    std::optional<uint64_t> id = ids.is_array() && ids.size() == 1 ? asId(ids[0]) : std::nullopt;
    if (!id || *id >= static_cast<uint64_t>(out_.vocabulary_size()))
      return Status::invalid("post_processor template token " + quote(name) +
                             " has no id in the vocabulary");
    uint32_t token = static_cast<uint32_t>(*id);
    bool conflict = text ? out_.add_eos() || (out_.has_eos_id() && out_.eos_id() != token)
                         : out_.add_bos() || (out_.has_bos_id() && out_.bos_id() != token);
    if (conflict)
      return unsupported("post_processor template token " + quote(name) +
                         " that is not the BOS before or the EOS behind the text");
    if (text) {
      out_.set_eos_id(token);
      out_.set_add_eos(true);
    } else {
      out_.set_bos_id(token);
      out_.set_add_bos(true);
    }
  }
  if (!text)
    return unsupported("post_processor template without a sequence");
  return Status::ok();
}

Status Importer::readDecoder() {
  int count = 0;
  Status status =
      forEachComponent(get(tokenizer_, "decoder"), "decoders", [&](const json &component) {
        std::string type = getString(component, "type");
        ++count;
        return type == "ByteLevel" ? Status::ok() : unsupported("decoder " + quote(type));
      });
  if (status.isOk() && count != 1)
    return unsupported("a list of " + std::to_string(count) + " decoders");
  return status;
}

} // namespace

Status tokenizerFromJson(std::string_view tokenizerJson, std::string_view tokenizerConfigJson,
                         artifact::Tokenizer &out) {
  out.Clear();
  json tokenizer, config;
  if (Status status = parseObject(tokenizerJson, "tokenizer.json", tokenizer); !status)
    return status;
  if (!tokenizerConfigJson.empty())
    if (Status status = parseObject(tokenizerConfigJson, "tokenizer_config.json", config); !status)
      return status;
  return Importer(tokenizer, config, out).run();
}

} // namespace qopt
