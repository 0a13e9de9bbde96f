//===- AllocationBound.h - How much an input may allocate -------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_FUZZ_ALLOCATIONBOUND_H
#define QOPT_FUZZ_ALLOCATIONBOUND_H

#include <cstddef>

namespace qopt::fuzz {

/// While it lives, the bytes on the heap may grow by twice the input's and 64 MiB:
/// a reader that believes a length in a file breaks that. The allocation that
/// does ends the process with its stack.
class AllocationBound {
public:
  explicit AllocationBound(size_t inputBytes);
  ~AllocationBound();
  AllocationBound(const AllocationBound &) = delete;
  AllocationBound &operator=(const AllocationBound &) = delete;
};

} // namespace qopt::fuzz

#endif // QOPT_FUZZ_ALLOCATIONBOUND_H
