//===- ObjectCache.h - Objects made before, by content ----------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A folder of objects, each named after the hash of all that it was made from.
/// A file is a hash of the object and the object: one that was damaged is found
/// out and made anew. Files appear by renaming, whole, and the oldest go when
/// they exceed the bound together. Nothing here is an error: where there is no
/// folder there is no cache. Machine code comes from it, so a folder that others
/// may write to is not used.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_OBJECTCACHE_H
#define QOPT_LIB_TARGET_OBJECTCACHE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>

namespace qopt {

class ObjectCache {
public:
  static constexpr uint64_t defaultMaxBytes = 256 << 20;

  /// A cache in `folder`, made when it is missing; none where it is empty or
  /// can't be used.
  explicit ObjectCache(llvm::StringRef folder, uint64_t maxBytes = defaultMaxBytes);

  bool isEnabled() const { return !folder.empty(); }

  /// The name of what is made of `parts`, one after another.
  static std::string key(llvm::ArrayRef<llvm::StringRef> parts);

  std::optional<llvm::SmallVector<char, 0>> find(llvm::StringRef key) const;
  void insert(llvm::StringRef key, llvm::ArrayRef<char> object) const;

  /// Removes the files that were used longest ago, down to the bound.
  void prune() const;

private:
  std::string pathOf(llvm::StringRef key) const;

  std::string folder; // empty: no cache
  uint64_t maxBytes;
};

} // namespace qopt

#endif // QOPT_LIB_TARGET_OBJECTCACHE_H
