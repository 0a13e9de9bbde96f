//===- Tokenizer.cpp - Text to tokens and back ----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/Tokenizer.h"
#include "AddedTokens.h"
#include "BytePairEncoder.h"
#include "PreTokenizer.h"
#include "Unicode.h"
#include "qopt/Runtime/Artifact/tokenizer.pb.h"
#include <unordered_map>

namespace qopt {
namespace {

/// Bounds the work that the scan for added tokens does at one place.
constexpr size_t maxAddedTokenBytes = 1024;
constexpr size_t maxTextBytes = size_t(1) << 30;

} // namespace

struct Tokenizer::Impl {
  Impl(PreTokenizer preTokenizer, size_t merges)
      : preTokenizer(std::move(preTokenizer)), encoder(merges) {}

  Status readVocabulary(const artifact::Tokenizer &source);
  Status readAddedTokens(const artifact::Tokenizer &source);
  Status readMerges(const artifact::Tokenizer &source);
  Status readSpecialIds(const artifact::Tokenizer &source);
  Status encodeText(std::string_view text, BytePairEncoder::Scratch &scratch,
                    std::vector<PreTokenizer::Piece> &pieces, std::vector<int32_t> &out) const;

  bool contains(int64_t id) const { return id >= 0 && id < static_cast<int64_t>(tokens.size()); }

  std::vector<std::string> tokens;                        ///< id -> bytes
  std::vector<uint8_t> isAdded;                           ///< id -> boolean
  std::vector<uint8_t> isSpecial;                         ///< id -> boolean
  std::unordered_map<std::string_view, int32_t> ids;      ///< of ordinary tokens
  std::unordered_map<std::string_view, int32_t> addedIds; ///< of added tokens
  AddedTokens verbatim;                                   ///< matched in the text as it is
  AddedTokens normalized; ///< matched in what is left, after normalisation
  PreTokenizer preTokenizer;
  BytePairEncoder encoder;
  bool ignoreMerges = false, addPrefixSpace = false, nfc = false, addBos = false, addEos = false;
  std::optional<int32_t> bos, eos, pad;
};

Status Tokenizer::Impl::readVocabulary(const artifact::Tokenizer &source) {
  if (source.vocabulary_size() == 0 || source.vocabulary_size() > maxVocabularySize)
    return Status::invalid("tokenizer has " + std::to_string(source.vocabulary_size()) +
                           " tokens, expected 1 to " + std::to_string(maxVocabularySize));
  tokens.assign(source.vocabulary().begin(), source.vocabulary().end());
  isAdded.assign(tokens.size(), false);
  isSpecial.assign(tokens.size(), false);
  return Status::ok();
}

Status Tokenizer::Impl::readAddedTokens(const artifact::Tokenizer &source) {
  for (const artifact::Tokenizer::AddedToken &added : source.added_tokens()) {
    auto invalid = [&](const std::string &what) {
      return Status::invalid("added token " + std::to_string(added.id()) + " " + what);
    };
    if (!contains(added.id()))
      return invalid("is outside of the vocabulary of " + std::to_string(tokens.size()));
    int32_t id = static_cast<int32_t>(added.id());
    if (isAdded[id]) // addedIds looks into its text, which must not change any more
      return invalid("is there twice");
    std::string &content = tokens[id];
    if (content.empty() || content.size() > maxAddedTokenBytes)
      return invalid("has " + std::to_string(content.size()) + " bytes, expected 1 to " +
                     std::to_string(maxAddedTokenBytes));
    if (unicode::firstInvalid(content))
      return invalid("is not valid UTF-8");
    if (added.normalized() && nfc)
      if (std::optional<std::string> normal = unicode::toNFC(content))
        content = *std::move(normal);
    AddedTokens::Token token = {id, added.special(), added.lstrip(), added.rstrip(),
                                added.single_word()};
    if (!addedIds.emplace(content, id).second)
      return invalid("repeats added token " + std::to_string(addedIds[content]));
    isAdded[id] = true;
    isSpecial[id] = added.special();
    (added.normalized() ? normalized : verbatim).add(content, token);
  }
  return Status::ok();
}

Status Tokenizer::Impl::readMerges(const artifact::Tokenizer &source) {
  if (source.merges_size() % 3 != 0)
    return Status::invalid("tokenizer has " + std::to_string(source.merges_size()) +
                           " merge entries, expected triples");
  for (int i = 0; i < source.merges_size(); i += 3) {
    int64_t left = source.merges(i), right = source.merges(i + 1), merged = source.merges(i + 2);
    auto invalid = [&](const std::string &what) {
      return Status::invalid("merge " + std::to_string(i / 3) + " " + what);
    };
    if (!contains(left) || !contains(right) || !contains(merged))
      return invalid("names a token outside of the vocabulary of " + std::to_string(tokens.size()));
    const std::string &l = tokens[left], &r = tokens[right], &m = tokens[merged];
    if (l.empty() || r.empty() || m.size() != l.size() + r.size() || !m.starts_with(l) ||
        !m.ends_with(r))
      return invalid("of tokens " + std::to_string(left) + " and " + std::to_string(right) +
                     " gives token " + std::to_string(merged) + ", which is not their sequence");
    encoder.addMerge(static_cast<int32_t>(left), static_cast<int32_t>(right),
                     static_cast<int32_t>(merged));
  }
  return Status::ok();
}

Status Tokenizer::Impl::readSpecialIds(const artifact::Tokenizer &source) {
  std::optional<int32_t> unknown;
  auto read = [&](const char *name, bool present, uint32_t id, std::optional<int32_t> &out) {
    if (!present)
      return Status::ok();
    if (!contains(id))
      return Status::invalid("tokenizer has " + std::string(name) + " " + std::to_string(id) +
                             ", expected less than " + std::to_string(tokens.size()));
    out = static_cast<int32_t>(id);
    return Status::ok();
  };
  if (Status s = read("bos_id", source.has_bos_id(), source.bos_id(), bos); !s)
    return s;
  if (Status s = read("eos_id", source.has_eos_id(), source.eos_id(), eos); !s)
    return s;
  if (Status s = read("pad_id", source.has_pad_id(), source.pad_id(), pad); !s)
    return s;
  if (Status s = read("unk_id", source.has_unk_id(), source.unk_id(), unknown); !s)
    return s;
  if (addBos && !bos)
    return Status::invalid("tokenizer adds a BOS token but has no bos_id");
  if (addEos && !eos)
    return Status::invalid("tokenizer adds an EOS token but has no eos_id");

  // An added token can be a byte of the vocabulary too; an ordinary one wins.
  for (int byte = 0; byte < 256; ++byte)
    encoder.setByte(static_cast<uint8_t>(byte), unknown);
  for (bool added : {true, false})
    for (size_t id = tokens.size(); id-- > 0;)
      if (tokens[id].size() == 1 && isAdded[id] == added)
        encoder.setByte(static_cast<uint8_t>(tokens[id][0]), static_cast<int32_t>(id));
  for (size_t id = 0; id < tokens.size(); ++id)
    if (!tokens[id].empty() && !isAdded[id])
      ids.emplace(tokens[id], static_cast<int32_t>(id));
  return Status::ok();
}

Result<Tokenizer> Tokenizer::create(const artifact::Tokenizer &source) {
  Result<PreTokenizer> preTokenizer = PreTokenizer::create(source);
  if (!preTokenizer)
    return preTokenizer.status();
  auto impl = std::make_shared<Impl>(*std::move(preTokenizer), source.merges_size() / 3);
  impl->ignoreMerges = source.ignore_merges();
  impl->addPrefixSpace = source.add_prefix_space();
  impl->nfc = source.nfc();
  impl->addBos = source.add_bos();
  impl->addEos = source.add_eos();
  if (Status status = impl->readVocabulary(source); !status)
    return status;
  if (Status status = impl->readAddedTokens(source); !status)
    return status;
  if (Status status = impl->readMerges(source); !status)
    return status;
  if (Status status = impl->readSpecialIds(source); !status)
    return status;
  return Tokenizer(std::move(impl));
}

Status Tokenizer::Impl::encodeText(std::string_view text, BytePairEncoder::Scratch &scratch,
                                   std::vector<PreTokenizer::Piece> &pieces,
                                   std::vector<int32_t> &out) const {
  std::string prefixed;
  if (addPrefixSpace && text.front() != ' ')
    text = (prefixed = " ").append(text);
  if (Status status = preTokenizer.split(text, pieces); !status)
    return status;
  for (PreTokenizer::Piece range : pieces) {
    std::string_view piece = text.substr(range.begin, range.end - range.begin);
    if (ignoreMerges) {
      if (auto it = ids.find(piece); it != ids.end()) {
        out.push_back(it->second);
        continue;
      }
    }
    encoder.encode(piece, scratch, out);
  }
  return Status::ok();
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text, bool addSpecialTokens,
                                               bool parseSpecial) const {
  if (text.size() > maxTextBytes)
    return Status::invalid("text has " + std::to_string(text.size()) + " bytes, expected at most " +
                           std::to_string(maxTextBytes));
  if (std::optional<size_t> at = unicode::firstInvalid(text))
    return Status::invalid("text is not valid UTF-8 at byte " + std::to_string(*at));

  const Impl &impl = *impl_;
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 2);
  if (addSpecialTokens && impl.addBos)
    ids.push_back(*impl.bos);

  BytePairEncoder::Scratch scratch;
  std::vector<PreTokenizer::Piece> pieces;
  std::vector<AddedTokens::Segment> outer, inner;
  impl.verbatim.split(text, parseSpecial, outer);
  for (const AddedTokens::Segment &segment : outer) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
      continue;
    }
    std::string_view part = text.substr(segment.begin, segment.end - segment.begin);
    std::optional<std::string> normal = impl.nfc ? unicode::toNFC(part) : std::nullopt;
    if (normal)
      part = *normal;
    inner.clear();
    impl.normalized.split(part, parseSpecial, inner);
    for (const AddedTokens::Segment &piece : inner) {
      if (piece.id >= 0) {
        ids.push_back(piece.id);
        continue;
      }
      if (Status status = impl.encodeText(part.substr(piece.begin, piece.end - piece.begin),
                                          scratch, pieces, ids);
          !status)
        return status;
    }
  }
  if (addSpecialTokens && impl.addEos)
    ids.push_back(*impl.eos);
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skipSpecial) const {
  std::string bytes;
  for (int32_t id : ids)
    if (!skipSpecial || !isSpecial(id))
      bytes += token(id);
  std::string text;
  text.reserve(bytes.size());
  if (unicode::appendLossy(bytes, text) != 0)
    text += unicode::replacement;
  return text;
}

int32_t Tokenizer::vocabularySize() const { return static_cast<int32_t>(impl_->tokens.size()); }

std::string_view Tokenizer::token(int32_t id) const {
  return impl_->contains(id) ? std::string_view(impl_->tokens[id]) : std::string_view();
}

std::optional<int32_t> Tokenizer::tokenId(std::string_view bytes) const {
  for (const auto *map : {&impl_->addedIds, &impl_->ids})
    if (auto it = map->find(bytes); it != map->end())
      return it->second;
  return std::nullopt;
}

bool Tokenizer::isSpecial(int32_t id) const { return impl_->contains(id) && impl_->isSpecial[id]; }

std::optional<int32_t> Tokenizer::bosId() const { return impl_->bos; }
std::optional<int32_t> Tokenizer::eosId() const { return impl_->eos; }
std::optional<int32_t> Tokenizer::padId() const { return impl_->pad; }

std::string StreamingDetokenizer::push(int32_t id) {
  if (skipSpecial_ && tokenizer_.isSpecial(id))
    return {};
  pending_ += tokenizer_.token(id);
  std::string text;
  size_t unfinished = unicode::appendLossy(pending_, text);
  pending_.erase(0, pending_.size() - unfinished);
  return text;
}

std::string StreamingDetokenizer::flush() {
  std::string text(pending_.empty() ? std::string_view() : unicode::replacement);
  pending_.clear();
  return text;
}

} // namespace qopt
