//===- KVCache.cpp - Checks of operations on a cache ----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Dialect/QOpt/IR/KVCache.h"

using namespace mlir;
using namespace qopt;

LogicalResult qopt::verifyLayer(Operation *op, KVCacheType cache, int64_t layer) {
  if (layer >= 0 && layer < cache.getLayers())
    return success();
  return op->emitOpError() << "layer " << layer << " is outside of the cache's "
                           << cache.getLayers();
}

static LogicalResult verifyRows(Operation *op, Value value, int64_t width, StringRef what) {
  auto type = cast<ShapedType>(value.getType());
  if (type.getRank() != 2)
    return op->emitOpError() << what << " has rank " << type.getRank() << ", expected 2";
  if (type.getDimSize(1) != width)
    return op->emitOpError() << what << " has " << type.getDimSize(1) << " columns, expected "
                             << width;
  return success();
}

LogicalResult qopt::verifyKeyAndValue(Operation *op, KVCacheType cache, Value key, Value value) {
  int64_t width = cache.getKvHeads() * cache.getHeadDim();
  if (failed(verifyRows(op, key, width, "key")))
    return failure();
  return verifyRows(op, value, width, "value");
}
