//===- KVCache.h - Pages of keys and values ---------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// One pool of pages on the device, and who holds each.
///
/// A page is zero when it is handed out: attention may read the part of a page
/// behind its sequence's end (and mask it), and must find there neither NaN nor
/// what another request wrote.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_ENGINE_KVCACHE_H
#define QOPT_RUNTIME_ENGINE_KVCACHE_H

#include "qopt/Runtime/Device.h"
#include <cstdint>
#include <memory>
#include <vector>

namespace qopt {

class KVCache {
public:
  static Result<std::unique_ptr<KVCache>> create(Device &device, uint32_t pages,
                                                 uint64_t pageBytes);

  /// A page with one holder, or -1 when none is free.
  int32_t allocate();
  void retain(int32_t page);
  /// The last holder's release frees the page.
  void release(int32_t page);

  uint32_t pages() const { return static_cast<uint32_t>(holders_.size()); }
  uint32_t freePages() const { return static_cast<uint32_t>(free_.size()); }
  uint64_t address() const { return memory_.address(); }

private:
  KVCache(Device &device, DeviceMemory memory, uint32_t pages, uint64_t pageBytes);

  Device &device_;
  DeviceMemory memory_;
  uint64_t pageBytes_;
  std::vector<uint32_t> holders_; ///< of each page; 0: free
  std::vector<bool> written_;     ///< has been handed out before
  std::vector<int32_t> free_;     ///< a stack: the last page used is warm
};

} // namespace qopt

#endif // QOPT_RUNTIME_ENGINE_KVCACHE_H
