//===- QOptOps.cpp - Verification and folding of operations ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "qopt/Dialect/QOpt/IR/KVCache.h"
#include "qopt/Dialect/QOpt/IR/QOptDialect.h"

using namespace mlir;
using namespace qopt;

static RankedTensorType tensorOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static int64_t lastDim(Value value) { return tensorOf(value).getShape().back(); }
static QuantizedType quantizedOf(Value value) {
  return dyn_cast<QuantizedType>(tensorOf(value).getElementType());
}

/// All dimensions but the last must be the same: both hold the same tokens.
static LogicalResult verifySameTokens(Operation *op, Value a, Value b) {
  if (tensorOf(a).getShape().drop_back() == tensorOf(b).getShape().drop_back())
    return success();
  return op->emitOpError("expected the same tokens in ") << a.getType() << " and " << b.getType();
}

static LogicalResult verifyLastDim(Operation *op, Value value, int64_t expected, StringRef what) {
  if (lastDim(value) == expected)
    return success();
  return op->emitOpError() << what << " has last dimension " << lastDim(value) << ", expected "
                           << expected;
}

static LogicalResult verifyRank(Operation *op, Value value, int64_t rank, StringRef what) {
  if (tensorOf(value).getRank() == rank)
    return success();
  return op->emitOpError() << what << " has rank " << tensorOf(value).getRank() << ", expected "
                           << rank;
}

/// A quantized result stands for activations, scaled per token.
static LogicalResult verifyPerToken(Operation *op, Value result) {
  QuantizedType type = quantizedOf(result);
  if (!type || type.isPerToken())
    return success();
  return op->emitOpError("quantized result must be per_token, found ") << type;
}

//===----------------------------------------------------------------------===//
// weight
//===----------------------------------------------------------------------===//

ParseResult qopt::parseSymbolList(OpAsmParser &parser, ArrayAttr &names) {
  SmallVector<Attribute> symbols;
  auto parseOne = [&]() -> ParseResult {
    StringAttr name;
    if (parser.parseSymbolName(name))
      return failure();
    symbols.push_back(FlatSymbolRefAttr::get(name));
    return success();
  };
  if (parser.parseCommaSeparatedList(parseOne))
    return failure();
  names = parser.getBuilder().getArrayAttr(symbols);
  return success();
}

void qopt::printSymbolList(OpAsmPrinter &printer, Operation *, ArrayAttr names) {
  llvm::interleaveComma(names.getAsRange<FlatSymbolRefAttr>(), printer,
                        [&](FlatSymbolRefAttr name) { printer.printSymbolName(name.getValue()); });
}

LogicalResult WeightOp::verify() {
  if (getSources().empty())
    return emitOpError("needs at least one name");
  auto type = tensorOf(getResult());
  if (!type.hasStaticShape())
    return emitOpError("result must have a static shape, found ") << type;
  if (type.getNumElements() == 0)
    return emitOpError("result must have elements, found ") << type;
  for (QuantizedType q : {quantizedOf(getResult()), getStored().value_or(QuantizedType())}) {
    if (!q)
      continue;
    if (q.isPerToken())
      return emitOpError("a weight can't be quantized per_token");
    if (q.isGrouped() && type.getShape().back() % q.getGroupSize() != 0)
      return emitOpError() << "group size " << q.getGroupSize()
                           << " does not divide K = " << type.getShape().back();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Tensor operations
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::verify() {
  if (failed(verifyRank(*this, getTable(), 2, "table")))
    return failure();
  if (tensorOf(getResult()).getShape().drop_back() != tensorOf(getTokens()).getShape())
    return emitOpError("result must have one row for each token");
  return verifyLastDim(*this, getResult(), lastDim(getTable()), "result");
}

LogicalResult RMSNormOp::verify() {
  if (failed(verifyRank(*this, getWeight(), 1, "weight")) ||
      failed(verifySameTokens(*this, getInput(), getResult())) ||
      failed(verifyLastDim(*this, getResult(), lastDim(getInput()), "result")) ||
      failed(verifyLastDim(*this, getWeight(), lastDim(getInput()), "weight")))
    return failure();
  return verifyPerToken(*this, getResult());
}

/// Codes are multiplied by codes of the same storage.
static LogicalResult verifyProduct(Operation *op, Value input, Value weight) {
  QuantizedType x = quantizedOf(input), w = quantizedOf(weight);
  if (!x)
    return success();
  if (!x.isPerToken())
    return op->emitOpError("quantized input must be per_token, found ") << x;
  if (!w || !w.isPerChannel() || w.getStorage() != x.getStorage())
    return op->emitOpError("input quantized as ")
           << x.getStorage() << " per_token needs a weight of the same storage per_channel";
  return success();
}

LogicalResult LinearOp::verify() {
  if (failed(verifyRank(*this, getWeight(), 2, "weight")) ||
      failed(verifySameTokens(*this, getInput(), getResult())) ||
      failed(verifyLastDim(*this, getInput(), lastDim(getWeight()), "input")))
    return failure();
  int64_t n = tensorOf(getWeight()).getDimSize(0);
  if (failed(verifyLastDim(*this, getResult(), n, "result")))
    return failure();
  if (getBias() && (failed(verifyRank(*this, getBias(), 1, "bias")) ||
                    failed(verifyLastDim(*this, getBias(), n, "bias"))))
    return failure();
  if (getResidual() && tensorOf(getResidual()).getShape() != tensorOf(getResult()).getShape())
    return emitOpError("residual has type ")
           << getResidual().getType() << ", expected the shape of " << getResult().getType();
  return verifyProduct(*this, getInput(), getWeight());
}

LogicalResult RopeOp::verify() {
  if (getInput().getType() != getResult().getType())
    return emitOpError("input and result must have the same type");
  if (lastDim(getInput()) % getRope().getHeadDim() != 0)
    return emitOpError() << "last dimension " << lastDim(getInput())
                         << " is not a multiple of head_dim " << getRope().getHeadDim();
  return success();
}

LogicalResult SiluMulOp::verify() {
  if (getGate().getType() != getUp().getType())
    return emitOpError("gate and up must have the same type");
  if (failed(verifySameTokens(*this, getGate(), getResult())) ||
      failed(verifyLastDim(*this, getResult(), lastDim(getGate()), "result")))
    return failure();
  return verifyPerToken(*this, getResult());
}

LogicalResult SliceOp::verify() {
  if (failed(verifySameTokens(*this, getInput(), getResult())))
    return failure();
  int64_t offset = getOffset(), end = offset + lastDim(getResult());
  if (offset < 0 || end > lastDim(getInput()))
    return emitOpError() << "columns [" << offset << ", " << end << ") are outside of the input's "
                         << lastDim(getInput());
  return success();
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  // slice(x) of every column is x.
  if (getInput().getType() == getResult().getType())
    return getInput();
  // slice(slice(x, a), b) = slice(x, a + b)
  if (auto inner = getInput().getDefiningOp<SliceOp>()) {
    getInputMutable().assign(inner.getInput());
    setOffset(getOffset() + inner.getOffset());
    return getResult();
  }
  return {};
}

LogicalResult QuantizeOp::verify() {
  if (!quantizedOf(getResult()))
    return emitOpError("result must be quantized, found ") << getResult().getType();
  if (tensorOf(getInput()).getShape() != tensorOf(getResult()).getShape())
    return emitOpError("input and result must have the same shape");
  return verifyPerToken(*this, getResult());
}

LogicalResult DequantizeOp::verify() {
  if (!quantizedOf(getInput()))
    return emitOpError("input must be quantized, found ") << getInput().getType();
  if (tensorOf(getInput()).getShape() != tensorOf(getResult()).getShape())
    return emitOpError("input and result must have the same shape");
  return success();
}

LogicalResult LogitsOp::verify() {
  if (failed(verifyRank(*this, getWeight(), 2, "weight")) ||
      failed(verifyLastDim(*this, getInput(), lastDim(getWeight()), "input")) ||
      failed(verifyLastDim(*this, getResult(), tensorOf(getWeight()).getDimSize(0), "result")) ||
      failed(verifyProduct(*this, getInput(), getWeight())))
    return failure();
  if (getBatch())
    return verifyRank(*this, getResult(), tensorOf(getInput()).getRank(), "result");
  return verifySameTokens(*this, getInput(), getResult());
}

//===----------------------------------------------------------------------===//
// Attention and the cache
//===----------------------------------------------------------------------===//

LogicalResult AttentionOp::verify() {
  int64_t heads = getNumHeads(), kvHeads = getNumKvHeads();
  if (heads <= 0 || kvHeads <= 0 || heads % kvHeads != 0)
    return emitOpError() << "num_heads " << heads << " is not a multiple of num_kv_heads "
                         << kvHeads;
  int64_t headDim = lastDim(getPastKey());
  for (Value past : {getPastKey(), getPastValue(), getPresentKey(), getPresentValue()}) {
    if (failed(verifyRank(*this, past, 4, "past or present")) ||
        failed(verifyLastDim(*this, past, headDim, "past or present")))
      return failure();
    if (tensorOf(past).getDimSize(1) != kvHeads)
      return emitOpError() << "past or present has " << tensorOf(past).getDimSize(1)
                           << " heads, expected " << kvHeads;
  }
  for (Value value : {getQuery(), getResult()})
    if (failed(verifyRank(*this, value, 3, "query or result")) ||
        failed(verifyLastDim(*this, value, heads * headDim, "query or result")))
      return failure();
  for (Value value : {getKey(), getValue()})
    if (failed(verifyRank(*this, value, 3, "key or value")) ||
        failed(verifyLastDim(*this, value, kvHeads * headDim, "key or value")))
      return failure();
  return verifyRank(*this, getMask(), 2, "mask");
}

LogicalResult PagedAttentionOp::verify() {
  KVCacheType cache = getCache().getType();
  if (failed(verifyLayer(*this, cache, getLayer())))
    return failure();
  int64_t heads = getNumHeads();
  if (heads <= 0 || heads % cache.getKvHeads() != 0)
    return emitOpError() << "num_heads " << heads << " is not a multiple of the cache's "
                         << cache.getKvHeads() << " heads";
  if (getQuery().getType() != getResult().getType())
    return emitOpError("query and result must have the same type");
  if (failed(verifyRank(*this, getQuery(), 2, "query")))
    return failure();
  return verifyLastDim(*this, getQuery(), heads * cache.getHeadDim(), "query");
}

LogicalResult KVAppendOp::verify() {
  KVCacheType cache = getCache().getType();
  if (failed(verifyLayer(*this, cache, getLayer())))
    return failure();
  return verifyKeyAndValue(*this, cache, getKey(), getValue());
}

LogicalResult RopeAppendOp::verify() {
  KVCacheType cache = getCache().getType();
  if (failed(verifyLayer(*this, cache, getLayer())) ||
      failed(verifyKeyAndValue(*this, cache, getKey(), getValue())))
    return failure();
  if (getRope().getHeadDim() != cache.getHeadDim())
    return emitOpError() << "rope has head_dim " << getRope().getHeadDim()
                         << ", expected the cache's " << cache.getHeadDim();
  if (lastDim(getQuery()) % cache.getHeadDim() != 0)
    return emitOpError() << "query has last dimension " << lastDim(getQuery())
                         << ", expected a multiple of head_dim " << cache.getHeadDim();
  if (getQuery().getType() != getResult().getType())
    return emitOpError("query and result must have the same type");
  return success();
}

#define GET_OP_CLASSES
#include "qopt/Dialect/QOpt/IR/QOptOps.cpp.inc"
