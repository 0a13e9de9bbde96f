//===- CachePages.h - Where a token's keys and values are -------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_LIB_TARGET_CPU_CACHEPAGES_H
#define QOPT_LIB_TARGET_CPU_CACHEPAGES_H

#include "KernelBuilder.h"

namespace qopt {

/// A page on the CPU (kernel.kv_append): for each layer its keys
/// [kv_heads][head_dim][page_tokens], then its values
/// [kv_heads][page_tokens][head_dim]. Keys are transposed so that a vector holds
/// tokens, and a score's sum over head_dim needs no reduction.
struct CachePages {
  explicit CachePages(KVCacheType type)
      : kvHeads(type.getKvHeads()), headDim(type.getHeadDim()), pageTokens(type.getPageTokens()),
        layers(type.getLayers()), element(type.getType()) {}

  int64_t kvHeads, headDim, pageTokens, layers;
  Type element;

  int64_t elementBytes() const { return element.getIntOrFloatBitWidth() / 8; }
  int64_t headBytes() const { return headDim * pageTokens * elementBytes(); }
  int64_t keyRowBytes() const { return pageTokens * elementBytes(); } ///< of one channel
  int64_t valueRowBytes() const { return headDim * elementBytes(); }  ///< of one token
  int64_t layerBytes() const { return 2 * kvHeads * headBytes(); }
  int64_t pageBytes() const { return layers * layerBytes(); }

  /// The position of the token `row` in its sequence.
  Value position(KernelBuilder &b, const KernelArguments &args, Value row) const {
    return b.extU(b.load(b.getI32Type(), b.rowAt(args.positions, row, 4)), b.getI64Type());
  }

  /// The layer's part of the page that holds tokens [index, index + 1) *
  /// pageTokens of the sequence of `row`. The cache's argument is already the
  /// layer's part of page 0.
  Value page(KernelBuilder &b, const KernelArguments &args, Value cache, Value row,
             Value index) const {
    Value sequence =
        b.extU(b.load(b.getI32Type(), b.rowAt(args.sequences, row, 4)), b.getI64Type());
    Value entry = b.addI(b.mulI(sequence, args.blockTableStride), index);
    Value page =
        b.extU(b.load(b.getI32Type(), b.rowAt(args.blockTables, entry, 4)), b.getI64Type());
    return b.rowAt(args.pointer(cache), page, pageBytes());
  }

  Value keys(KernelBuilder &b, Value page, Value head) const {
    return b.rowAt(page, head, headBytes());
  }
  Value values(KernelBuilder &b, Value page, Value head) const {
    return b.at(b.rowAt(page, head, headBytes()), kvHeads * headBytes());
  }
};

} // namespace qopt

#endif // QOPT_LIB_TARGET_CPU_CACHEPAGES_H
