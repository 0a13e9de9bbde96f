//===- OrderedPipeline.h - Made in parallel, used in order ------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_ORDEREDPIPELINE_H
#define QOPT_DRIVER_ORDEREDPIPELINE_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace qopt {

/// Makes items 0 .. count - 1 on `threads` threads and gives them to `use` on
/// this one, in order. At most two items a thread are made or in the making beside
/// the one in use. The first error in that order ends it, whatever threads do.
template <typename Item>
llvm::Error runInOrder(size_t count, unsigned threads,
                       llvm::function_ref<llvm::Expected<Item>(size_t)> make,
                       llvm::function_ref<llvm::Error(Item)> use) {
  threads = std::max(threads, 1u);
  const size_t ahead = 2 * size_t(threads);
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::optional<llvm::Expected<Item>>> slots(ahead); // of item i: i % ahead
  size_t started = 0, used = 0;
  bool stop = false;

  auto work = [&] {
    std::unique_lock<std::mutex> lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return stop || started == count || started < used + ahead; });
      if (stop || started == count)
        return;
      size_t index = started++;
      lock.unlock();
      llvm::Expected<Item> item = make(index);
      lock.lock();
      slots[index % ahead].emplace(std::move(item));
      changed.notify_all();
    }
  };
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < threads; ++i)
    workers.emplace_back(work);

  auto useAll = [&]() -> llvm::Error {
    for (size_t index = 0; index < count; ++index) {
      std::unique_lock<std::mutex> lock(mutex);
      std::optional<llvm::Expected<Item>> &slot = slots[index % ahead];
      changed.wait(lock, [&] { return slot.has_value(); });
      llvm::Expected<Item> item = std::move(*slot);
      slot.reset();
      used = index + 1;
      changed.notify_all();
      lock.unlock();
      if (!item)
        return item.takeError();
      if (llvm::Error error = use(std::move(*item)))
        return error;
    }
    return llvm::Error::success();
  };
  llvm::Error error = useAll();
  {
    std::lock_guard<std::mutex> lock(mutex);
    stop = true;
  }
  changed.notify_all();
  for (std::thread &worker : workers)
    worker.join();
  for (std::optional<llvm::Expected<Item>> &slot : slots)
    if (slot && !*slot)
      llvm::consumeError(slot->takeError());
  return error;
}

} // namespace qopt

#endif // QOPT_DRIVER_ORDEREDPIPELINE_H
