//===- KVCache.h - Checks of operations on a cache --------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_QOPT_IR_KVCACHE_H
#define QOPT_DIALECT_QOPT_IR_KVCACHE_H

#include "qopt/Dialect/QOpt/IR/QOptDialect.h"

namespace qopt {

/// Whether the cache has the layer.
mlir::LogicalResult verifyLayer(mlir::Operation *op, KVCacheType cache, int64_t layer);

/// Whether keys and values, tensors or buffers, are those of a step's tokens for one
/// layer: [T, kv_heads * head_dim].
mlir::LogicalResult verifyKeyAndValue(mlir::Operation *op, KVCacheType cache, mlir::Value key,
                                      mlir::Value value);

} // namespace qopt

#endif // QOPT_DIALECT_QOPT_IR_KVCACHE_H
