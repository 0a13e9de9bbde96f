//===- KVCache.cpp - Pages of keys and values -----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KVCache.h"
#include <cassert>

using namespace qopt;

KVCache::KVCache(Device &device, DeviceMemory memory, uint32_t pages, uint64_t pageBytes)
    : device_(device), memory_(std::move(memory)), pageBytes_(pageBytes), holders_(pages),
      written_(pages) {
  for (uint32_t page = pages; page-- > 0;)
    free_.push_back(static_cast<int32_t>(page));
}

Result<std::unique_ptr<KVCache>> KVCache::create(Device &device, uint32_t pages,
                                                 uint64_t pageBytes) {
  Result<DeviceMemory> memory = device.allocate(uint64_t(pages) * pageBytes);
  if (!memory)
    return memory.status();
  return std::unique_ptr<KVCache>(new KVCache(device, std::move(*memory), pages, pageBytes));
}

int32_t KVCache::allocate() {
  if (free_.empty())
    return -1;
  int32_t page = free_.back();
  if (written_[page] && !device_.zero(memory_.address() + page * pageBytes_, pageBytes_))
    return -1;
  free_.pop_back();
  written_[page] = true;
  holders_[page] = 1;
  return page;
}

void KVCache::retain(int32_t page) {
  assert(holders_[page] > 0 && "a free page has no holder to share it with");
  ++holders_[page];
}

void KVCache::release(int32_t page) {
  assert(holders_[page] > 0 && "released more often than held");
  if (--holders_[page] == 0)
    free_.push_back(page);
}
