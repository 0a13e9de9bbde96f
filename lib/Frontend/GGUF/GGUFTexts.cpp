//===- GGUFTexts.cpp - Tokenizer, template and defaults of a file ---------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GGUFConfig.h"
#include "qopt/Frontend/ModelFiles.h"
#include "qopt/Frontend/Tokenizer/TokenizerImport.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace qopt;

/// A token of the vocabulary that `key` names, or nothing where it is absent.
static Expected<std::optional<uint32_t>> tokenId(const GGUFFile &file, StringRef key,
                                                 int64_t vocabSize) {
  if (!file.metadata().count(key.str()))
    return std::nullopt;
  std::optional<int64_t> id = file.integer(key);
  if (!id || *id < 0 || *id >= vocabSize)
    return createStringError(formatv("metadata '{0}' is {1}, expected a token below {2}", key,
                                     id ? std::to_string(*id) : "not an integer", vocabSize));
  return static_cast<uint32_t>(*id);
}

namespace {
struct SpecialTokens {
  std::optional<uint32_t> bos, eos, eot, eom, unk, pad;
};
} // namespace

static Expected<SpecialTokens> readSpecialTokens(const GGUFFile &file, int64_t vocabSize) {
  SpecialTokens tokens;
  std::pair<StringRef, std::optional<uint32_t> *> keys[] = {
      {"tokenizer.ggml.bos_token_id", &tokens.bos},
      {"tokenizer.ggml.eos_token_id", &tokens.eos},
      {"tokenizer.ggml.eot_token_id", &tokens.eot},
      {"tokenizer.ggml.eom_token_id", &tokens.eom},
      {"tokenizer.ggml.unknown_token_id", &tokens.unk},
      {"tokenizer.ggml.padding_token_id", &tokens.pad}};
  for (auto [key, target] : keys) {
    Expected<std::optional<uint32_t>> id = tokenId(file, key, vocabSize);
    if (!id)
      return id.takeError();
    *target = *id;
  }
  return tokens;
}

static Error readTokenizer(const GGUFFile &file, GGUFVocabulary &vocabulary,
                           const SpecialTokens &tokens, ImportedModel &model) {
  size_t numTokens = vocabulary.tokens.size();
  if (numTokens > static_cast<uint64_t>(model.config.vocabSize))
    return createStringError(formatv("tokenizer has {0} tokens, expected at most the {1} rows of "
                                     "tensor 'token_embd.weight'",
                                     numTokens, model.config.vocabSize));
  for (int64_t type : file.integers("tokenizer.ggml.token_type").value_or(std::vector<int64_t>()))
    vocabulary.types.push_back(static_cast<int32_t>(type));
  vocabulary.merges = file.strings("tokenizer.ggml.merges").value_or(std::vector<std::string>());
  vocabulary.model = file.string("tokenizer.ggml.model").value_or("");
  vocabulary.pre = file.string("tokenizer.ggml.pre").value_or("");
  vocabulary.bos = tokens.bos;
  vocabulary.eos = tokens.eos;
  vocabulary.unk = tokens.unk;
  vocabulary.pad = tokens.pad;
  vocabulary.addBos = file.boolean("tokenizer.ggml.add_bos_token");
  vocabulary.addEos = file.boolean("tokenizer.ggml.add_eos_token");
  Status status = tokenizerFromGGUF(vocabulary, model.tokenizer);
  return status ? Error::success() : createStringError(status.message());
}

Error qopt::readGGUFTexts(const GGUFFile &file, ImportedModel &model) {
  Expected<SpecialTokens> tokens = readSpecialTokens(file, model.config.vocabSize);
  if (!tokens)
    return tokens.takeError();
  for (std::optional<uint32_t> id : {tokens->eos, tokens->eot, tokens->eom})
    if (id && !is_contained(model.generation.eos_ids(), *id))
      model.generation.add_eos_ids(*id);

  GGUFVocabulary vocabulary;
  vocabulary.tokens = file.strings("tokenizer.ggml.tokens").value_or(std::vector<std::string>());
  if (vocabulary.tokens.empty()) {
    model.notes.push_back("no vocabulary: the artifact takes and gives tokens only");
    return Error::success();
  }
  if (Error error = readTokenizer(file, vocabulary, *tokens, model))
    return error;
  std::string source = file.string("tokenizer.chat_template").value_or("");
  if (source.empty())
    return Error::success();
  if (!isUTF8(source))
    return createStringError("metadata 'tokenizer.chat_template' is not valid UTF-8");
  auto text = [&](std::optional<uint32_t> id) {
    return id && *id < vocabulary.tokens.size() ? vocabulary.tokens[*id] : std::string();
  };
  model.chatTemplate.set_source(std::move(source));
  model.chatTemplate.set_bos_token(text(tokens->bos));
  model.chatTemplate.set_eos_token(text(tokens->eos));
  model.chatTemplate.set_pad_token(text(tokens->pad));
  model.chatTemplate.set_unk_token(text(tokens->unk));
  return Error::success();
}
