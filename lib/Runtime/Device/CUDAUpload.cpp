//===- CUDAUpload.cpp - Weights to the GPU --------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CUDAUpload.h"
#include "ThreadPool.h"
#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <pthread.h>
#include <sys/mman.h>
#include <system_error>
#include <thread>

using namespace qopt;
using namespace qopt::cuda;

namespace {

constexpr size_t chunkBytes = 4 << 20;
constexpr unsigned maxThreads = 8; // more than a link to a GPU can take

/// Makes the pages of a mapping present in one call instead of one fault each.
void populate(std::span<const std::byte> bytes) {
#ifdef MADV_POPULATE_READ
  uintptr_t begin = reinterpret_cast<uintptr_t>(bytes.data()) & ~uintptr_t(4095);
  uintptr_t end = reinterpret_cast<uintptr_t>(bytes.data()) + bytes.size();
  (void)::madvise(reinterpret_cast<void *>(begin), end - begin, MADV_POPULATE_READ); // best effort
#endif
}

/// Two pinned chunks: one is filled while the other is copied.
class Buffers {
public:
  explicit Buffers(const CUDAContext &context) : context(context), driver(context.driver()) {}
  ~Buffers() {
    for (CUevent event : events)
      if (event) {
        driver.cuEventSynchronize(event); // the copy reads the memory
        driver.cuEventDestroy(event);
      }
    if (memory)
      driver.cuMemFreeHost(memory);
  }

  Status allocate() {
    if (Status status = context.enter(); !status)
      return status;
    CUresult result = driver.cuMemHostAlloc(&memory, 2 * chunkBytes, 0);
    if (result != success) {
      memory = nullptr;
      return driver.check(result, "cuMemHostAlloc");
    }
    for (CUevent &event : events)
      if (Status status =
              driver.check(driver.cuEventCreate(&event, eventDisableTiming), "cuEventCreate");
          !status)
        return status;
    return Status::ok();
  }

  /// Queues the copy of one chunk.
  Status copy(const Transfer &chunk) {
    next ^= 1;
    // Done at once where the event was never recorded.
    if (Status status = driver.check(driver.cuEventSynchronize(events[next]), "copying weights");
        !status)
      return status;
    std::byte *buffer = static_cast<std::byte *>(memory) + next * chunkBytes;
    populate(chunk.from);
    std::memcpy(buffer, chunk.from.data(), chunk.from.size());
    if (Status status = driver.check(
            driver.cuMemcpyHtoDAsync(chunk.to, buffer, chunk.from.size(), context.stream()),
            "cuMemcpyHtoDAsync");
        !status)
      return status;
    return driver.check(driver.cuEventRecord(events[next], context.stream()), "cuEventRecord");
  }

private:
  const CUDAContext &context;
  const CUDADriver &driver;
  void *memory = nullptr;
  CUevent events[2] = {};
  unsigned next = 0;
};

std::vector<Transfer> chunksOf(std::span<const Transfer> transfers) {
  std::vector<Transfer> chunks;
  for (const Transfer &transfer : transfers)
    for (size_t at = 0; at < transfer.from.size(); at += chunkBytes)
      chunks.push_back(
          {transfer.to + at,
           transfer.from.subspan(at, std::min(chunkBytes, transfer.from.size() - at))});
  return chunks;
}

} // namespace

Status qopt::cuda::upload(const CUDAContext &context, std::span<const Transfer> transfers) {
  std::vector<Transfer> chunks = chunksOf(transfers);
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Status first; // error
  auto work = [&] {
    Buffers buffers(context);
    Status status = buffers.allocate();
    for (size_t i; status.isOk() && (i = next.fetch_add(1)) < chunks.size();)
      status = buffers.copy(chunks[i]);
    if (status)
      return;
    next = chunks.size(); // the others stop, too
    std::lock_guard lock(mutex);
    if (first)
      first = status;
  };
  unsigned threads = std::min(usableCPUs().threads, maxThreads);
  threads = static_cast<unsigned>(std::min<size_t>(threads, (chunks.size() + 1) / 2));
  std::vector<std::thread> helpers;
  for (unsigned i = 1; i < threads; ++i) {
    try {
      helpers.emplace_back(work);
      ::pthread_setname_np(helpers.back().native_handle(), "qopt-upload");
    } catch (const std::system_error &) {
      break; // fewer threads copy as well
    }
  }
  work();
  for (std::thread &helper : helpers)
    helper.join();
  return first;
}
