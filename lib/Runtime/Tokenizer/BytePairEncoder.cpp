//===- BytePairEncoder.cpp - Merging bytes into tokens --------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "BytePairEncoder.h"
#include <algorithm>
#include <bit>

namespace qopt {
namespace {

/// Up to this many symbols a scan for the lowest rank beats a heap.
constexpr size_t shortPiece = 32;

/// The finalizer of MurmurHash3.
uint64_t mix(uint64_t key) {
  key = (key ^ (key >> 33)) * 0xFF51AFD7ED558CCDu;
  key = (key ^ (key >> 33)) * 0xC4CEB9FE1A85EC53u;
  return key ^ (key >> 33);
}

uint64_t pairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
}

int32_t mergedId(uint64_t merge) { return static_cast<int32_t>(merge & 0xFFFFFFFFu); }

} // namespace

BytePairEncoder::BytePairEncoder(size_t count) : slots_(std::bit_ceil(2 * count + 2)) {
  bytes_.fill(-1);
}

BytePairEncoder::Slot &BytePairEncoder::slot(uint64_t key) {
  size_t mask = slots_.size() - 1;
  size_t at = mix(key) & mask;
  while (slots_[at].key != key && slots_[at].key != noKey)
    at = (at + 1) & mask;
  return slots_[at];
}

uint64_t BytePairEncoder::find(int32_t left, int32_t right) const {
  uint64_t key = pairKey(left, right);
  size_t mask = slots_.size() - 1;
  size_t at = mix(key) & mask;
  while (slots_[at].key != key) {
    if (slots_[at].key == noKey)
      return noMerge;
    at = (at + 1) & mask;
  }
  return slots_[at].merge;
}

void BytePairEncoder::addMerge(int32_t left, int32_t right, int32_t merged) {
  Slot &entry = slot(pairKey(left, right));
  entry.key = pairKey(left, right);
  entry.merge = static_cast<uint64_t>(rank_++) << 32 | static_cast<uint32_t>(merged);
}

void BytePairEncoder::encode(std::string_view piece, Scratch &scratch,
                             std::vector<int32_t> &out) const {
  std::vector<int32_t> &ids = scratch.ids;
  ids.clear();
  for (char c : piece)
    if (int32_t id = bytes_[static_cast<uint8_t>(c)]; id >= 0)
      ids.push_back(id);
  if (ids.size() <= shortPiece)
    mergeShort(ids, scratch.merges);
  else
    mergeLong(scratch);
  out.insert(out.end(), ids.begin(), ids.end());
}

void BytePairEncoder::mergeShort(std::vector<int32_t> &ids, std::vector<uint64_t> &merges) const {
  // merges[i] is that of the pair (ids[i], ids[i + 1]).
  merges.clear();
  for (size_t i = 0; i + 1 < ids.size(); ++i)
    merges.push_back(find(ids[i], ids[i + 1]));
  while (!merges.empty()) {
    // Ranks differ unless the pairs are equal, so the first minimum is the leftmost.
    size_t at = std::min_element(merges.begin(), merges.end()) - merges.begin();
    if (merges[at] == noMerge)
      return;
    ids[at] = mergedId(merges[at]);
    ids.erase(ids.begin() + at + 1);
    merges.erase(merges.begin() + at);
    if (at < merges.size())
      merges[at] = find(ids[at], ids[at + 1]);
    if (at > 0)
      merges[at - 1] = find(ids[at - 1], ids[at]);
  }
}

void BytePairEncoder::mergeLong(Scratch &scratch) const {
  std::vector<Scratch::Symbol> &symbols = scratch.symbols;
  std::vector<Scratch::Candidate> &heap = scratch.heap;
  auto after = [](const Scratch::Candidate &a, const Scratch::Candidate &b) {
    return a.order > b.order;
  };
  auto push = [&](int32_t at) {
    uint64_t merge = find(symbols[at].id, symbols[symbols[at].next].id);
    if (merge == noMerge)
      return;
    heap.push_back({(merge & ~uint64_t(0xFFFFFFFF)) | static_cast<uint32_t>(at), mergedId(merge)});
    std::push_heap(heap.begin(), heap.end(), after);
  };

  symbols.clear();
  heap.clear();
  int32_t count = static_cast<int32_t>(scratch.ids.size());
  for (int32_t i = 0; i < count; ++i)
    symbols.push_back({scratch.ids[i], i - 1, i + 1 < count ? i + 1 : -1});
  for (int32_t i = 0; i + 1 < count; ++i)
    push(i);

  constexpr int32_t swallowed = -1;
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), after);
    Scratch::Candidate best = heap.back();
    heap.pop_back();
    int32_t at = static_cast<int32_t>(best.order & 0xFFFFFFFFu);
    Scratch::Symbol &left = symbols[at];
    if (left.id == swallowed || left.next < 0)
      continue;
    // A candidate is stale when a neighbour was merged away since it was pushed.
    uint64_t merge = find(left.id, symbols[left.next].id);
    if (merge == noMerge || mergedId(merge) != best.merged)
      continue;
    Scratch::Symbol &right = symbols[left.next];
    left.id = best.merged;
    left.next = right.next;
    right.id = swallowed;
    if (left.next >= 0) {
      symbols[left.next].previous = at;
      push(at);
    }
    if (left.previous >= 0)
      push(left.previous);
  }

  scratch.ids.clear();
  for (int32_t at = 0; at >= 0; at = symbols[at].next)
    scratch.ids.push_back(symbols[at].id);
}

} // namespace qopt
