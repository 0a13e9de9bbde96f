//===- KernelOps.cpp - Syntax and verification of operations --------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include "qopt/Dialect/QOpt/IR/KVCache.h"

using namespace mlir;
using namespace qopt::kernel;
using qopt::KVCacheType;
using qopt::QuantizedType;

static MemRefType bufferOf(Value value) { return cast<MemRefType>(value.getType()); }
static int64_t lastDim(Value value) { return bufferOf(value).getShape().back(); }

static LogicalResult verifyLastDim(Operation *op, Value value, int64_t expected, StringRef what) {
  if (lastDim(value) == expected)
    return success();
  return op->emitOpError() << what << " has " << lastDim(value) << " columns, expected "
                           << expected;
}

/// A launch writes values, or per-token codes and their float32 scales.
static LogicalResult verifyValuesOrCodes(Operation *op, OperandRange outs, int64_t columns) {
  if (outs.size() != 1 && outs.size() != 2)
    return op->emitOpError() << "has " << outs.size()
                             << " outputs, expected 1, or 2 for codes and scales";
  if (failed(verifyLastDim(op, outs[0], columns, "output")))
    return failure();
  if (outs.size() == 1)
    return success();
  Type codes = bufferOf(outs[0]).getElementType();
  if (!codes.isInteger(8) && !isa<Float8E4M3FNType>(codes))
    return op->emitOpError("codes must be i8 or f8E4M3FN, found ") << codes;
  MemRefType scales = bufferOf(outs[1]);
  if (scales.getRank() != 1 || !scales.getElementType().isF32())
    return op->emitOpError("scales must be memref<?xf32>, found ") << scales;
  return success();
}

static LogicalResult verifyOneOutput(Operation *op, OperandRange outs) {
  if (outs.size() == 1)
    return success();
  return op->emitOpError() << "has " << outs.size() << " outputs, expected 1";
}

//===----------------------------------------------------------------------===//
// Syntax
//===----------------------------------------------------------------------===//

static ParseResult parseInteger(OpAsmParser &parser, IntegerAttr &value) {
  int64_t integer;
  if (parser.parseInteger(integer))
    return failure();
  value = parser.getBuilder().getI64IntegerAttr(integer);
  return success();
}

static void printInteger(OpAsmPrinter &printer, Operation *, IntegerAttr value) {
  printer << value.getInt();
}

//===----------------------------------------------------------------------===//
// The plan and its values
//===----------------------------------------------------------------------===//

LogicalResult PlanOp::verify() {
  int64_t tokens = getMaxTokens(), logitRows = getMaxLogitRows();
  if (tokens <= 0 || logitRows <= 0)
    return emitOpError("max_tokens and max_logit_rows must be positive");
  if (logitRows > tokens)
    return emitOpError() << "max_logit_rows " << logitRows << " exceeds max_tokens " << tokens;
  if (getQueryTile().value_or(1) <= 0)
    return emitOpError() << "query_tile must be positive, found " << *getQueryTile();
  if (int64_t arena = getArenaBytes().value_or(0); arena < 0)
    return emitOpError() << "arena_bytes must not be negative, found " << arena;
  return success();
}

LogicalResult AllocOp::verify() {
  MemRefType type = bufferOf(getResult());
  if (!type.getLayout().isIdentity() || type.getRank() == 0 || !type.isDynamicDim(0) ||
      type.getNumDynamicDims() != 1)
    return emitOpError("expected contiguous rows of a static size, found ") << type;
  return success();
}

/// 32-bit words of how a row is sampled.
static constexpr int64_t samplingWords = 14;

LogicalResult InputOp::verify() {
  auto type = cast<MemRefType>(getType());
  if (getKind() != StepInput::Sampling && type.getRank() != 1)
    return emitOpError() << stringifyStepInput(getKind()) << " must be memref<?xi32>, found "
                         << type;
  if (getKind() == StepInput::Sampling &&
      (type.getRank() != 2 || type.getDimSize(1) != samplingWords))
    return emitOpError() << "sampling must be memref<?x" << samplingWords << "xi32>, found "
                         << type;
  return success();
}

/// Tokens and log-probabilities, one of each for a row.
static LogicalResult verifySampled(Operation *op, OperandRange sampled) {
  auto isVector = [&](Value value, bool isToken) {
    MemRefType type = bufferOf(value);
    return type.getRank() == 1 &&
           (isToken ? type.getElementType().isInteger(32) : type.getElementType().isF32());
  };
  if (sampled.size() == 2 && isVector(sampled[0], true) && isVector(sampled[1], false))
    return success();
  return op->emitOpError(
      "must sample tokens and log-probabilities: memref<?xi32> and memref<?xf32>");
}

LogicalResult OutputOp::verify() {
  MemRefType type = bufferOf(getLogits());
  if (type.getRank() != 2 || !type.getElementType().isF32())
    return emitOpError("logits must be memref<?xNxf32>, found ") << type;
  return getSampled().empty() ? success() : verifySampled(*this, getSampled());
}

LogicalResult SliceOp::verify() {
  MemRefType input = bufferOf(getInput()), result = bufferOf(getResult());
  if (!input.getLayout().isIdentity() || input.getRank() != 2 || result.getRank() != 2)
    return emitOpError("input must be a contiguous buffer of rank 2, found ") << input;
  if (result.getElementType() != input.getElementType())
    return emitOpError("input and result must have the same element type");
  int64_t stride = input.getDimSize(1), offset = getOffset();
  if (offset < 0 || offset + result.getDimSize(1) > stride)
    return emitOpError() << "columns [" << offset << ", " << offset + result.getDimSize(1)
                         << ") are outside of the input's " << stride;
  auto expected = StridedLayoutAttr::get(getContext(), offset, {stride, 1});
  if (result.getLayout() != expected)
    return emitOpError("result has layout ") << result.getLayout() << ", expected " << expected;
  return success();
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

/// A vector of the step: tokens, or rows.
static LogicalResult verifyIndices(Operation *op, Value value, StringRef what) {
  MemRefType type = bufferOf(value);
  if (type.getRank() == 1 && type.getElementType().isInteger(32))
    return success();
  return op->emitOpError() << what << " must be memref<?xi32>, found " << type;
}

LogicalResult EmbeddingOp::verify() {
  if (failed(verifyIndices(*this, getTokens(), "tokens")) ||
      failed(verifyOneOutput(*this, getOuts())))
    return failure();
  return verifyLastDim(*this, getOuts()[0], getTable().getType().getTensor().getDimSize(1),
                       "output");
}

LogicalResult NormOp::verify() {
  if (failed(verifyLastDim(*this, getWeight(), lastDim(getInput()), "weight")))
    return failure();
  return verifyValuesOrCodes(*this, getOuts(), lastDim(getInput()));
}

LogicalResult QuantizeOp::verify() {
  if (getOuts().size() != 2)
    return emitOpError() << "has " << getOuts().size() << " outputs, expected codes and scales";
  return verifyValuesOrCodes(*this, getOuts(), lastDim(getInput()));
}

void GemmOp::build(OpBuilder &builder, OperationState &state, Value input, Value scales,
                   Value weight, ValueRange extras, ValueRange outs, Rows rows) {
  build(builder, state, input, scales, weight, /*norm=*/Value(), extras, outs, rows,
        /*quantize=*/false, /*eps=*/FloatAttr(), /*schedule=*/ScheduleAttr(),
        /*entry=*/FlatSymbolRefAttr());
}

static bool isCodeType(Type type) { return type.isInteger(8) || isa<Float8E4M3FNType>(type); }

/// A prologue makes codes, or normalised values, of bf16.
static LogicalResult verifyPrologue(GemmOp op) {
  Type input = bufferOf(op.getInput()).getElementType();
  if (!input.isBF16() || op.getScales())
    return op.emitOpError("a prologue needs input of bf16 without scales, found ") << input;
  if (op.getNorm() && failed(verifyLastDim(op, op.getNorm(), lastDim(op.getInput()), "norm's weight")))
    return failure();
  auto quantized = dyn_cast<QuantizedType>(op.getWeight().getType().getTensor().getElementType());
  if (op.getQuantize() &&
      (!quantized || !quantized.isPerChannel() || !isCodeType(quantized.getStorage())))
    return op.emitOpError("quantize needs a per_channel weight of i8 or f8E4M3FN, found ")
           << op.getWeight().getType().getTensor().getElementType();
  return success();
}

LogicalResult GemmOp::verify() {
  RankedTensorType weight = getWeight().getType().getTensor();
  int64_t sums = isPair() ? 2 : 1, columns = weight.getDimSize(0) / sums;
  if (failed(verifyOneOutput(*this, getOuts())) ||
      failed(verifyLastDim(*this, getInput(), weight.getDimSize(1), "input")) ||
      failed(verifyLastDim(*this, getOuts()[0], columns, "output")))
    return failure();
  for (Value extra : getExtras())
    if (failed(verifyLastDim(*this, extra, columns, "extra operand")))
      return failure();
  Type input = bufferOf(getInput()).getElementType();
  bool isCodes = isCodeType(input);
  if (hasPrologue() && failed(verifyPrologue(*this)))
    return failure();
  if (getEps().has_value() != static_cast<bool>(getNorm()))
    return emitOpError("eps goes with norm, and only with it");
  if (isCodes != static_cast<bool>(getScales()))
    return emitOpError("scales go with i8 or f8E4M3FN input, and only with it, found ") << input;
  auto quantized = dyn_cast<QuantizedType>(weight.getElementType());
  if (isCodes && (!quantized || !quantized.isPerChannel() || quantized.getStorage() != input))
    return emitOpError("input of ")
           << input << " needs a per_channel weight of the same storage, found "
           << weight.getElementType();
  Block &body = getEpilogue().front();
  if (body.getNumArguments() != getExtras().size() + sums ||
      !llvm::all_of(body.getArguments().take_front(sums),
                    [](Value sum) { return sum.getType().isF32(); }))
    return emitOpError("epilogue must take the f32 ")
           << (isPair() ? "sums of gate and up" : "sum")
           << " and one element of each extra operand";
  for (auto [argument, extra] : llvm::zip(body.getArguments().drop_front(sums), getExtras()))
    if (argument.getType() != bufferOf(extra).getElementType())
      return emitOpError("epilogue argument has type ")
             << argument.getType() << ", expected " << bufferOf(extra).getElementType();
  auto yield = dyn_cast<YieldOp>(body.back());
  if (!yield || yield.getValue().getType() != bufferOf(getOuts()[0]).getElementType())
    return emitOpError("epilogue must yield the output's element type");
  return success();
}

bool GemmOp::isPair() { return getWeight().getType().getLayout().getInterleave() != 0; }

LogicalResult ElementwiseOp::verify() {
  if (getInputs().empty())
    return emitOpError("needs an input");
  int64_t columns = lastDim(getInputs()[0]);
  for (Value input : getInputs())
    if (failed(verifyLastDim(*this, input, columns, "input")))
      return failure();
  if (failed(verifyValuesOrCodes(*this, getOuts(), columns)))
    return failure();
  Block &block = getBody().front();
  if (block.getNumArguments() != getInputs().size())
    return emitOpError("body must take one element of each input");
  for (auto [argument, input] : llvm::zip(block.getArguments(), getInputs()))
    if (argument.getType() != bufferOf(input).getElementType())
      return emitOpError("body argument has type ")
             << argument.getType() << ", expected " << bufferOf(input).getElementType();
  auto yield = dyn_cast<YieldOp>(block.back());
  Type expected = getOuts().size() == 2 ? Type(Float32Type::get(getContext()))
                                        : bufferOf(getOuts()[0]).getElementType();
  if (!yield || yield.getValue().getType() != expected)
    return emitOpError("body must yield ") << expected;
  return success();
}

LogicalResult RotaryTableOp::verify() {
  if (failed(verifyOneOutput(*this, getOuts())))
    return failure();
  if (!bufferOf(getOuts()[0]).getElementType().isF32())
    return emitOpError("output must be f32");
  return verifyLastDim(*this, getOuts()[0], getRope().getHeadDim(), "output");
}

LogicalResult RopeOp::verify() {
  if (failed(verifyOneOutput(*this, getOuts())) ||
      failed(verifyLastDim(*this, getOuts()[0], lastDim(getInput()), "output")))
    return failure();
  if (lastDim(getTable()) <= 0 || lastDim(getInput()) % lastDim(getTable()) != 0)
    return emitOpError() << "input's " << lastDim(getInput())
                         << " columns are not a multiple of head_dim " << lastDim(getTable());
  return success();
}

LogicalResult GatherOp::verify() {
  if (failed(verifyIndices(*this, getIndex(), "index")) ||
      failed(verifyOneOutput(*this, getOuts())))
    return failure();
  return verifyLastDim(*this, getOuts()[0], lastDim(getInput()), "output");
}

LogicalResult SampleOp::verify() {
  MemRefType logits = bufferOf(getLogits());
  if (logits.getRank() != 2 || !logits.getElementType().isF32())
    return emitOpError("logits must be memref<?xNxf32>, found ") << logits;
  MemRefType sampling = bufferOf(getSampling());
  if (sampling.getRank() != 2 || !sampling.getElementType().isInteger(32) ||
      sampling.getDimSize(1) != samplingWords)
    return emitOpError() << "sampling must be memref<?x" << samplingWords << "xi32>, found "
                         << sampling;
  return verifySampled(*this, getOuts());
}

//===----------------------------------------------------------------------===//
// Attention and the cache
//===----------------------------------------------------------------------===//

LogicalResult KVAppendOp::verify() {
  KVCacheType cache = getCache().getType();
  if (!getOuts().empty())
    return emitOpError() << "has " << getOuts().size() << " outputs, expected 0";
  if (failed(verifyLayer(*this, cache, getLayer())))
    return failure();
  return verifyKeyAndValue(*this, cache, getKey(), getValue());
}

LogicalResult RopeAppendOp::verify() {
  KVCacheType cache = getCache().getType();
  if (failed(verifyLayer(*this, cache, getLayer())) ||
      failed(verifyKeyAndValue(*this, cache, getKey(), getValue())) ||
      failed(verifyLastDim(*this, getTable(), cache.getHeadDim(), "table")) ||
      failed(verifyOneOutput(*this, getOuts())))
    return failure();
  if (lastDim(getQuery()) % cache.getHeadDim() != 0)
    return emitOpError() << "query has " << lastDim(getQuery())
                         << " columns, expected a multiple of head_dim " << cache.getHeadDim();
  return verifyLastDim(*this, getOuts()[0], lastDim(getQuery()), "output");
}

/// What kernel.rope_append would read, in a plan whose rows don't see each other.
static LogicalResult verifyRopeAppend(AttentionOp op) {
  bool any = op.getKey() || op.getValue() || op.getTable();
  if (!any)
    return success();
  if (!op.getKey() || !op.getValue() || !op.getTable())
    return op.emitOpError("rope_append needs key, value and table");
  KVCacheType cache = op.getCache().getType();
  if (failed(verifyKeyAndValue(op, cache, op.getKey(), op.getValue())) ||
      failed(verifyLastDim(op, op.getTable(), cache.getHeadDim(), "table")))
    return failure();
  auto plan = op->getParentOfType<PlanOp>();
  if (!plan || plan.getKind() != PlanKind::Decode)
    return op.emitOpError("rope_append needs a decode plan: the rows of a sequence would miss each "
                          "other's keys");
  return success();
}

LogicalResult AttentionOp::verify() {
  KVCacheType cache = getCache().getType();
  if (failed(verifyLayer(*this, cache, getLayer())) || failed(verifyOneOutput(*this, getOuts())))
    return failure();
  int64_t heads = getNumHeads();
  if (heads <= 0 || heads % cache.getKvHeads() != 0)
    return emitOpError() << "num_heads " << heads << " is not a multiple of the cache's "
                         << cache.getKvHeads() << " heads";
  if (failed(verifyLastDim(*this, getQuery(), heads * cache.getHeadDim(), "query")) ||
      failed(verifyRopeAppend(*this)))
    return failure();
  return verifyLastDim(*this, getOuts()[0], heads * cache.getHeadDim(), "output");
}

bool qopt::kernel::isLaunch(Operation *op) {
  return isa<EmbeddingOp, NormOp, QuantizeOp, GemmOp, ElementwiseOp, RotaryTableOp, RopeOp,
             KVAppendOp, RopeAppendOp, AttentionOp, GatherOp, SampleOp>(op);
}

Rows qopt::kernel::rowsOf(Operation *launch) {
  if (auto gemm = dyn_cast<GemmOp>(launch))
    return gemm.getRows();
  if (isa<GatherOp, SampleOp>(launch))
    return Rows::LogitRows;
  for (Value operand : launch->getOperands()) {
    auto slice = operand.getDefiningOp<SliceOp>();
    auto alloc = (slice ? slice.getInput() : operand).getDefiningOp<AllocOp>();
    if (alloc)
      return alloc.getRows();
  }
  return Rows::Tokens;
}

int64_t qopt::kernel::maxRowsOf(Operation *launch, PlanOp plan) {
  return rowsOf(launch) == Rows::LogitRows ? plan.getMaxLogitRows() : plan.getMaxTokens();
}

#define GET_OP_CLASSES
#include "qopt/Dialect/Kernel/IR/KernelOps.cpp.inc"
