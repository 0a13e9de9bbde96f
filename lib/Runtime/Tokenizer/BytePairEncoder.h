//===- BytePairEncoder.h - Merging bytes into tokens ------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_TOKENIZER_BYTEPAIRENCODER_H
#define QOPT_LIB_RUNTIME_TOKENIZER_BYTEPAIRENCODER_H

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace qopt {

/// Byte-pair merging: of all adjacent pairs the one with the lowest rank, the
/// leftmost of equals, becomes one token, until no pair has a merge.
class BytePairEncoder {
public:
  /// Working memory of one caller, kept from piece to piece.
  struct Scratch {
    struct Symbol {
      int32_t id;
      int32_t previous, next; ///< positions, -1: none
    };
    struct Candidate {
      uint64_t order; ///< rank, then position: smaller merges first
      int32_t merged;
    };
    std::vector<int32_t> ids;
    std::vector<uint64_t> merges;
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
  };

  /// Room for \p count merges.
  explicit BytePairEncoder(size_t count);

  /// Merges are added in order of rank; a repeated pair takes the later one.
  void addMerge(int32_t left, int32_t right, int32_t merged);

  /// What the byte is without merges: a token, or nothing.
  void setByte(uint8_t byte, std::optional<int32_t> id) { bytes_[byte] = id.value_or(-1); }

  /// Appends the tokens of \p piece (less than 2^31 bytes) in O(n log n).
  void encode(std::string_view piece, Scratch &scratch, std::vector<int32_t> &out) const;

private:
  static constexpr uint64_t noKey = ~uint64_t(0);
  static constexpr uint64_t noMerge = ~uint64_t(0);
  struct Slot {
    uint64_t key = noKey;     ///< left << 32 | right
    uint64_t merge = noMerge; ///< rank << 32 | merged
  };

  Slot &slot(uint64_t key);
  /// rank << 32 | merged, or noMerge, which is above all others.
  uint64_t find(int32_t left, int32_t right) const;
  void mergeShort(std::vector<int32_t> &ids, std::vector<uint64_t> &merges) const;
  void mergeLong(Scratch &scratch) const;

  std::vector<Slot> slots_; ///< open addressing, a power of two, at most half full
  uint32_t rank_ = 0;
  std::array<int32_t, 256> bytes_;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TOKENIZER_BYTEPAIRENCODER_H
