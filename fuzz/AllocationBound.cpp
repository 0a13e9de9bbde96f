//===- AllocationBound.cpp - How much an input may allocate ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AllocationBound.h"
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sanitizer/allocator_interface.h>
#include <sanitizer/common_interface_defs.h>

namespace {

constexpr int64_t noBound = INT64_MAX;

std::atomic<int64_t> liveBytes{0};
std::atomic<int64_t> mostLiveBytes{noBound};

void countAllocation(const volatile void *, size_t bytes) {
  int64_t live = liveBytes += static_cast<int64_t>(bytes);
  int64_t most = mostLiveBytes;
  if (live <= most)
    return;
  mostLiveBytes = noBound; // the report allocates
  std::fprintf(stderr, "allocation of %zu bytes: %lld more than the input may have at once\n",
               bytes, static_cast<long long>(live - most));
  __sanitizer_print_stack_trace();
  std::abort();
}

void countRelease(const volatile void *pointer) {
  liveBytes -= static_cast<int64_t>(__sanitizer_get_allocated_size(pointer));
}

} // namespace

qopt::fuzz::AllocationBound::AllocationBound(size_t inputBytes) {
  static const int installed =
      __sanitizer_install_malloc_and_free_hooks(countAllocation, countRelease);
  if (installed == 0)
    std::abort();
  mostLiveBytes = liveBytes + 2 * static_cast<int64_t>(inputBytes) + (int64_t{64} << 20);
}

qopt::fuzz::AllocationBound::~AllocationBound() { mostLiveBytes = noBound; }
