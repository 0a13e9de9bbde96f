//===- KVCache.h - Keys and values of the reference interpreter --*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_INTERPRETER_KVCACHE_H
#define QOPT_LIB_INTERPRETER_KVCACHE_H

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace qopt::interpreter {

/// The paged cache without pages: of each sequence and layer the rows
/// [kv_heads * head_dim], by position.
struct KVRows {
  std::vector<std::vector<double>> keys, values;
};

using KVCache = std::map<std::pair<int64_t, int64_t>, KVRows>;

} // namespace qopt::interpreter

#endif // QOPT_LIB_INTERPRETER_KVCACHE_H
