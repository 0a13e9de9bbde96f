//===- TokenizerFromGGUF.cpp - Tokenizers from GGUF files -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Splits.h"
#include "Vocabulary.h"
#include "qopt/Frontend/Tokenizer/TokenizerImport.h"
#include "qopt/Runtime/Tokenizer.h"

namespace qopt {
namespace {

/// Values of tokenizer.ggml.token_type (the GGUF specification).
enum TokenType : int32_t { normal = 1, unknown = 2, control = 3, userDefined = 4, unused = 5 };

/// What tokenizer.ggml.pre stands for in llama.cpp, with the regexes of the
/// tokenizer.json files that it approximates.
struct PreTokenizerKind {
  std::string_view name;
  bool digits; ///< individual digits first
  std::initializer_list<const char *> regexes;
  bool ignoreMerges, addBos;
};

// llama.cpp's fallback for models that don't say: a guess by its authors, kept
// because files with it were made and tested with exactly these splits.
constexpr char defaultPunctuation[] = R"([\p{P}\$\+<=>\^~\|]+)";
constexpr char tekkenRegex[] =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

const PreTokenizerKind *findKind(std::string_view name) {
  static const PreTokenizerKind kinds[] = {
      {"default",
       false,
       {defaultPunctuation, gpt2Regex, R"(\p{N}+)", "[0-9][0-9][0-9]"},
       false,
       false},
      {"gpt-2", false, {gpt2Regex}, false, false},
      {"smollm", true, {gpt2Regex}, false, false},
      {"starcoder", true, {gpt2Regex}, false, false},
      {"refact", true, {gpt2Regex}, false, false},
      {"llama-bpe", false, {llama3Regex}, true, true},
      {"llama3", false, {llama3Regex}, true, true},
      {"llama-v3", false, {llama3Regex}, true, true},
      {"tekken", false, {tekkenRegex}, true, true},
  };
  for (const PreTokenizerKind &kind : kinds)
    if (kind.name == name)
      return &kind;
  return nullptr;
}

Status addTokens(const GGUFVocabulary &source, Vocabulary &vocabulary) {
  for (size_t id = 0; id < source.tokens.size(); ++id) {
    const std::string &token = source.tokens[id];
    int32_t type = source.types.empty() ? normal : source.types[id];
    if (type == unused || token.empty())
      continue;
    if (type == normal) {
      if (Status status = vocabulary.addToken(token, id); !status)
        return status;
      continue;
    }
    if (type != unknown && type != control && type != userDefined)
      return Status::invalid("token " + std::to_string(id) + " has type " + std::to_string(type) +
                             ", expected 1 to 5 in a vocabulary of bytes");
    artifact::Tokenizer::AddedToken added;
    added.set_id(static_cast<uint32_t>(id));
    added.set_special(type != userDefined);
    if (Status status = vocabulary.addAddedToken(token, added); !status)
      return status;
  }
  return Status::ok();
}

} // namespace

Status tokenizerFromGGUF(const GGUFVocabulary &source, artifact::Tokenizer &out) {
  out.Clear();
  if (source.model != "gpt2")
    return Status::invalid("tokenizer.ggml.model is " + quote(source.model) +
                           ", expected 'gpt2' (byte-level BPE)");
  const PreTokenizerKind *kind = findKind(source.pre.empty() ? "default" : source.pre);
  if (!kind)
    return Status::invalid(
        "tokenizer.ggml.pre is " + quote(source.pre) +
        ", expected default, gpt-2, smollm, starcoder, refact, llama-bpe or tekken");
  if (source.tokens.size() > Tokenizer::maxVocabularySize)
    return Status::invalid("tokenizer.ggml.tokens has " + std::to_string(source.tokens.size()) +
                           " entries, expected at most " +
                           std::to_string(Tokenizer::maxVocabularySize));
  if (!source.types.empty() && source.types.size() != source.tokens.size())
    return Status::invalid("tokenizer.ggml.token_type has " + std::to_string(source.types.size()) +
                           " entries, expected " + std::to_string(source.tokens.size()));
  if (source.unk && *source.unk >= source.tokens.size())
    return Status::invalid("tokenizer.ggml.unknown_token_id is " + std::to_string(*source.unk) +
                           ", expected less than " + std::to_string(source.tokens.size()));

  Vocabulary vocabulary(out, source.tokens.size());
  if (Status status = addTokens(source, vocabulary); !status)
    return status;
  while (static_cast<size_t>(out.vocabulary_size()) < source.tokens.size())
    out.add_vocabulary(); // unused ids at the end
  for (const std::string &merge : source.merges)
    if (Status status = vocabulary.addMerge(merge); !status)
      return status;
  if (kind->digits)
    addDigitSplit(out);
  for (const char *regex : kind->regexes)
    addRegexSplit(out, regex);
  out.set_ignore_merges(kind->ignoreMerges);
  if (source.bos)
    out.set_bos_id(*source.bos);
  if (source.eos)
    out.set_eos_id(*source.eos);
  if (source.pad)
    out.set_pad_id(*source.pad);
  out.set_add_bos(source.addBos.value_or(kind->addBos && source.bos));
  out.set_add_eos(source.addEos.value_or(false));
  return Tokenizer::create(out).status();
}

} // namespace qopt
