//===- VerifyLaunch.cpp - Whether a launch does its work ------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VerifyLaunch.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace qopt;

// What a GPU takes: RFC 1, and the CUDA driver's limits.
static constexpr int64_t maxThreads = 1024, maxSharedBytes = 232448, maxGridYZ = 65535;
static constexpr int64_t copyAlignment = 16, maxBoxRows = 256;
static constexpr int64_t alignment = 64;

static int64_t elementBits(MemRefType type) { return type.getElementTypeBitWidth(); }

static int64_t rowBytes(MemRefType type) {
  int64_t bits = elementBits(type);
  for (int64_t dim : type.getShape().drop_front())
    bits *= dim;
  return bits / 8;
}

static int64_t rowsOf(kernel::AllocOp alloc, kernel::PlanOp plan) {
  return alloc.getRows() == kernel::Rows::LogitRows ? plan.getMaxLogitRows() : plan.getMaxTokens();
}

kernel::AllocOp qopt::allocOf(Value operand) {
  if (auto slice = operand.getDefiningOp<kernel::SliceOp>())
    return allocOf(slice.getInput());
  return operand.getDefiningOp<kernel::AllocOp>();
}

int64_t qopt::bufferBytes(kernel::AllocOp alloc, kernel::PlanOp plan) {
  return llvm::alignTo(rowsOf(alloc, plan) * rowBytes(cast<MemRefType>(alloc.getType())), alignment);
}

SmallVector<Value> qopt::writtenBy(Operation *op) {
  return llvm::TypeSwitch<Operation *, SmallVector<Value>>(op)
      .Case<kernel::EmbeddingOp, kernel::NormOp, kernel::QuantizeOp, kernel::GemmOp,
            kernel::ElementwiseOp, kernel::RotaryTableOp, kernel::RopeOp, kernel::KVAppendOp,
            kernel::RopeAppendOp, kernel::AttentionOp, kernel::GatherOp, kernel::SampleOp>(
          [](auto launch) { return SmallVector<Value>(launch.getOuts()); })
      .Default([](Operation *) { return SmallVector<Value>(); });
}

LogicalResult LaunchChecker::check(Operation *op, kernel::PlanOp plan) const {
  if (!kernel::isLaunch(op))
    return success();
  if (failed(checkRows(op)))
    return failure();
  // Where the target found no schedule, its code generator says what has no kernel.
  if (isa<kernel::GemmOp, kernel::AttentionOp>(op) && !op->hasAttr("schedule"))
    return success();
  if (llvm::Error error = target.check(op))
    return op->emitOpError(llvm::toString(std::move(error)));
  LaunchForm form = target.form(op);
  if (!form.grid)
    return checkUnits(op, form.units);
  if (failed(checkGrid(op, *form.grid, plan)))
    return failure();
  for (const LaunchMap &map : form.maps)
    if (failed(checkMap(op, map, plan)))
      return failure();
  return success();
}

/// A launch of logit rows would leave rows of tokens unwritten. Only a gather reads
/// rows of another kind.
LogicalResult LaunchChecker::checkRows(Operation *op) const {
  kernel::Rows rows = kernel::rowsOf(op);
  SmallVector<Value> written = writtenBy(op);
  for (Value operand : op->getOperands()) {
    kernel::AllocOp alloc = allocOf(operand);
    if (!alloc || alloc.getRows() == rows ||
        (isa<kernel::GatherOp>(op) && !llvm::is_contained(written, operand)))
      continue;
    return op->emitOpError("has rows of ")
           << kernel::stringifyRows(rows) << ", but a buffer " << alloc.getType() << " of "
           << kernel::stringifyRows(alloc.getRows());
  }
  return success();
}

/// The runtime leaves out a launch without units.
LogicalResult LaunchChecker::checkUnits(Operation *op, const LaunchUnits &units) const {
  bool isLogitRows = kernel::rowsOf(op) == kernel::Rows::LogitRows;
  if (units.fixed + (isLogitRows ? units.perLogitRow : units.perToken) > 0)
    return success();
  return op->emitOpError("has no unit of work for its ")
         << (isLogitRows ? "logit rows" : "tokens");
}

LogicalResult LaunchChecker::checkGrid(Operation *op, const GridForm &grid,
                                       kernel::PlanOp plan) const {
  const std::tuple<const char *, int64_t, int64_t, int64_t> fields[] = {
      {"rows of a block", grid.rowsPerBlock, 1, INT64_MAX},
      {"grid y", grid.y, 1, maxGridYZ},
      {"grid z", grid.z, 1, maxGridYZ},
      {"threads", grid.threads, 1, maxThreads},
      {"shared bytes", grid.sharedBytes, 0, maxSharedBytes}};
  for (auto [name, value, least, most] : fields)
    if (value < least || value > most)
      return op->emitOpError() << name << " is " << value << ", expected " << least << " to "
                               << most;

  auto attention = dyn_cast<kernel::AttentionOp>(op);
  bool isTiles = grid.rows == GridRows::queryTiles;
  if (isTiles && (!attention || !plan.getQueryTile()))
    return op->emitOpError("has a grid of query tiles, which the plan doesn't have");
  if (attention && !isTiles && plan.getKind() != kernel::PlanKind::Decode)
    return op->emitOpError("has a block for each row, which only decode plans can have: a mixed "
                           "plan's rows may be of one sequence");
  GridRows rows = kernel::rowsOf(op) == kernel::Rows::LogitRows ? GridRows::logitRows : GridRows::tokens;
  if (!isTiles && grid.rows != rows)
    return op->emitOpError("has a grid of other rows than its buffers");
  if (attention && grid.y != attention.getCache().getType().getKvHeads())
    return op->emitOpError("has ") << grid.y << " blocks along y, expected one for each of "
                                   << attention.getCache().getType().getKvHeads() << " KV heads";
  // The target knows the tiles of a gemm: Target::check.
  if (!isa<kernel::GemmOp>(op) && grid.rowsPerBlock != 1)
    return op->emitOpError("has ") << grid.rowsPerBlock << " rows a block, expected 1";
  return success();
}

/// The copy engine stays inside of the buffer, and its rows are where it can read them.
LogicalResult LaunchChecker::checkMap(Operation *op, const LaunchMap &map,
                                      kernel::PlanOp plan) const {
  kernel::AllocOp alloc = allocOf(map.buffer);
  if (!alloc)
    return op->emitOpError("maps ") << map.buffer.getType() << ", which is not in the arena";
  auto type = cast<MemRefType>(map.buffer.getType());
  auto whole = cast<MemRefType>(alloc.getType());
  auto slice = map.buffer.getDefiningOp<kernel::SliceOp>();
  int64_t begin = slice ? slice.getOffset() * elementBits(type) / 8 : 0;
  int64_t stride = rowBytes(whole), columns = rowBytes(type);
  int64_t rows = kernel::maxRowsOf(op, plan);
  int64_t end = begin + (rows - 1) * stride + columns;
  if (end > bufferBytes(alloc, plan))
    return op->emitOpError("maps ") << end << " bytes of buffer " << whole << ", which has "
                                    << bufferBytes(alloc, plan);
  if ((*alloc.getOffset() + begin) % copyAlignment != 0 || stride % copyAlignment != 0)
    return op->emitOpError("maps rows of buffer ")
           << whole << " every " << stride << " bytes from byte " << *alloc.getOffset() + begin
           << ", expected multiples of " << copyAlignment;
  if (map.boxRows < 1 || map.boxRows > maxBoxRows)
    return op->emitOpError("maps boxes of ") << map.boxRows << " rows, expected 1 to " << maxBoxRows;
  return success();
}
