//===- Format.cpp - The bytes around an artifact's manifest ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Format.h"
#include <algorithm>
#include <cstring>
#include <new>
#include <xxhash.h>

using namespace qopt;

namespace {

// As in PNG: the line ends show a file that went through a text conversion.
constexpr char magic[8] = {'Q', 'O', 'P', 'T', '\r', '\n', '\x1a', '\n'};
constexpr size_t headerFields = 56;

// Little-endian on any host.
void store(std::byte *to, uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i)
    to[i] = static_cast<std::byte>(value >> (8 * i));
}

uint64_t load(const std::byte *from, unsigned bytes) {
  uint64_t value = 0;
  for (unsigned i = 0; i < bytes; ++i)
    value |= uint64_t(from[i]) << (8 * i);
  return value;
}

Hash canonical(XXH128_hash_t hash) {
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, hash);
  Hash result;
  std::memcpy(result.data(), bytes.digest, result.size());
  return result;
}

} // namespace

void Hasher::Free::operator()(void *state) const {
  XXH3_freeState(static_cast<XXH3_state_t *>(state));
}

Hasher::Hasher() : state_(XXH3_createState()) {
  if (!state_)
    throw std::bad_alloc();
  reset();
}

void Hasher::reset() { XXH3_128bits_reset(static_cast<XXH3_state_t *>(state_.get())); }

void Hasher::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(static_cast<XXH3_state_t *>(state_.get()), bytes.data(), bytes.size());
}

Hash Hasher::finish() const {
  return canonical(XXH3_128bits_digest(static_cast<const XXH3_state_t *>(state_.get())));
}

Hash qopt::hashOf(std::span<const std::byte> bytes) {
  return canonical(XXH3_128bits(bytes.data(), bytes.size()));
}

std::array<std::byte, sectionAlignment> Header::encode() const {
  std::array<std::byte, sectionAlignment> bytes{};
  std::memcpy(bytes.data(), magic, sizeof(magic));
  store(&bytes[8], formatVersion, 4);
  store(&bytes[16], manifestOffset, 8);
  store(&bytes[24], manifestSize, 8);
  store(&bytes[32], manifestOffset + manifestSize, 8);
  std::copy(manifestHash.begin(), manifestHash.end(), &bytes[40]);
  return bytes;
}

Result<Header> Header::decode(std::span<const std::byte> file, const std::string &path) {
  auto invalid = [&](const std::string &what) {
    return Status::invalid("artifact '" + path + "' " + what);
  };
  if (file.size() < sizeof(magic) || std::memcmp(file.data(), magic, sizeof(magic)) != 0)
    return invalid("is not a qopt artifact: its first 8 bytes are not the magic of one");
  if (file.size() < sectionAlignment)
    return invalid("is truncated: it has " + std::to_string(file.size()) +
                   " bytes, expected at least " + std::to_string(sectionAlignment));
  uint64_t version = load(&file[8], 4);
  if (version != formatVersion)
    return invalid("has format version " + std::to_string(version) +
                   ", this runtime reads version " + std::to_string(formatVersion) +
                   ": compile the model again with this release");

  Header header;
  header.manifestOffset = load(&file[16], 8);
  header.manifestSize = load(&file[24], 8);
  uint64_t fileSize = load(&file[32], 8);
  std::copy_n(&file[40], header.manifestHash.size(), header.manifestHash.begin());
  if (fileSize != file.size())
    return invalid("has " + std::to_string(file.size()) + " bytes, expected " +
                   std::to_string(fileSize) + ": the file is truncated or was appended to");
  if (header.manifestSize > maxManifestSize)
    return invalid("has a manifest of " + std::to_string(header.manifestSize) +
                   " bytes, expected at most " + std::to_string(maxManifestSize));
  if (header.manifestOffset < sectionAlignment || header.manifestOffset % sectionAlignment != 0 ||
      header.manifestOffset > fileSize || header.manifestSize != fileSize - header.manifestOffset)
    return invalid("has its manifest at bytes " + std::to_string(header.manifestOffset) + " + " +
                   std::to_string(header.manifestSize) + ", which is not the end of the file");
  auto zero = [](std::byte byte) { return byte == std::byte(0); };
  if (!std::all_of(&file[12], &file[16], zero) ||
      !std::all_of(&file[headerFields], file.data() + sectionAlignment, zero))
    return invalid("has a header with unknown fields");
  return header;
}

std::string qopt::quoted(const std::string &text) {
  constexpr size_t most = 200;
  std::string result = "'";
  for (char c : std::string_view(text).substr(0, most)) {
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) {
      result += c;
      continue;
    }
    constexpr char digits[] = "0123456789abcdef";
    result += "\\x";
    result += digits[(c >> 4) & 15];
    result += digits[c & 15];
  }
  return result + (text.size() > most ? "...'" : "'");
}
