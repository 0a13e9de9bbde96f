//===- RopeLowering.cpp - Rotary embedding and the cache write ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CachePages.h"
#include "ElementConversions.h"
#include "KernelEmitters.h"
#include "MathApproximations.h"
#include "qopt/Dialect/QOpt/IR/PlainTypes.h"

using namespace mlir;
using namespace qopt;

namespace {

/// Columns [i, i + lanes) of a head's halves, rotated.
struct Rotated {
  Value low, high;
};

} // namespace

void qopt::emitRotaryTable(KernelBuilder &b, kernel::RotaryTableOp op,
                           const KernelArguments &args) {
  std::vector<float> frequencies =
      ropeFrequencies(op.getRope().getHeadDim(), ropeConfigOf(op.getRope()));
  int64_t half = frequencies.size();
  Rows out(op.getOuts()[0]);
  auto [first, last] = args.share(b, args.rows);
  b.loop(first, last, 1, [&](Value row) {
    Value position = b.toFloat(b.load(b.getI32Type(), b.rowAt(args.positions, row, 4)));
    Value outRow = b.rowAt(args.pointer(op.getOuts()[0]), row, out.rowBytes);
    forPieces(half, b.lanes(), [&](int64_t i, int64_t lanes) {
      Value f = b.constantVector(ArrayRef(frequencies).slice(i, lanes));
      SinCos value = emitSinCos(b, b.mulF(b.splat(position, lanes), f));
      b.store(value.cos, b.at(outRow, 4 * i));
      b.store(value.sin, b.at(outRow, 4 * (half + i)));
    });
  });
}

/// Rotates the head at `head` by the row of the table: products and their sum
/// each rounded. `body` gets the columns of the low half.
static void rotateHead(KernelBuilder &b, Type element, Value head, Value tableRow, int64_t headDim,
                       llvm::function_ref<void(int64_t column, const Rotated &)> body) {
  int64_t half = headDim / 2, bytes = element.getIntOrFloatBitWidth() / 8;
  forPieces(half, b.lanes(), [&](int64_t i, int64_t lanes) {
    Value low = loadF32(b, element, b.at(head, i * bytes), lanes);
    Value high = loadF32(b, element, b.at(head, (half + i) * bytes), lanes);
    Value cos = b.load(b.vecF32(lanes), b.at(tableRow, 4 * i));
    Value sin = b.load(b.vecF32(lanes), b.at(tableRow, 4 * (half + i)));
    body(i, {b.subF(b.mulF(low, cos), b.mulF(high, sin)),
             b.addF(b.mulF(high, cos), b.mulF(low, sin))});
  });
}

/// Rotates every head of `in`'s row into `out`'s.
static void emitRopeRow(KernelBuilder &b, Value in, Value table, Value out,
                        const KernelArguments &args, Value row) {
  Rows inRows(in), tableRows(table), outRows(out);
  int64_t headDim = tableRows.columns, half = headDim / 2;
  Value tableRow = b.rowAt(args.pointer(table), row, tableRows.rowBytes);
  Value inRow = b.rowAt(args.pointer(in), row, inRows.rowBytes);
  Value outRow = b.rowAt(args.pointer(out), row, outRows.rowBytes);
  b.loop(b.i64(0), b.i64(inRows.columns), headDim, [&](Value column) {
    Value inHead = b.at(inRow, b.mulI(column, inRows.elementBytes()));
    Value outHead = b.at(outRow, b.mulI(column, outRows.elementBytes()));
    rotateHead(b, inRows.element, inHead, tableRow, headDim, [&](int64_t i, const Rotated &y) {
      storeF32(b, outRows.element, y.low, b.at(outHead, i * outRows.elementBytes()));
      storeF32(b, outRows.element, y.high, b.at(outHead, (half + i) * outRows.elementBytes()));
    });
  });
}

void qopt::emitRope(KernelBuilder &b, kernel::RopeOp op, const KernelArguments &args) {
  auto [first, last] = args.share(b, args.rows);
  b.loop(first, last, 1, [&](Value row) {
    emitRopeRow(b, op.getInput(), op.getTable(), op.getOuts()[0], args, row);
  });
}

/// Lane i of `value` to channel first + i of a key's column.
static void storeKeyLanes(KernelBuilder &b, const CachePages &pages, Value value, Value keyColumn,
                          int64_t first) {
  Value bits = roundFromF32(b, pages.element, value);
  for (int64_t i = 0; i < KernelBuilder::lanesOf(value); ++i)
    b.store(b.lane(bits, i), b.at(keyColumn, (first + i) * pages.keyRowBytes()));
}

static void emitValueRow(KernelBuilder &b, const CachePages &pages, const Rows &in, Value from,
                         Value to) {
  forPieces(pages.headDim, b.lanes(), [&](int64_t i, int64_t lanes) {
    Value x = loadF32(b, in.element, b.at(from, i * in.elementBytes()), lanes);
    storeF32(b, pages.element, x, b.at(to, i * pages.elementBytes()));
  });
}

/// Writes one token's keys (rotated by `table` if there is one) and values.
static void emitAppendRow(KernelBuilder &b, Value key, Value value, Value table,
                          const CachePages &pages, Value slotPage, Value slot,
                          const KernelArguments &args, Value row) {
  Rows keys(key), values(value);
  Value keyRow = b.rowAt(args.pointer(key), row, keys.rowBytes);
  Value valueRow = b.rowAt(args.pointer(value), row, values.rowBytes);
  b.loop(b.i64(0), b.i64(pages.kvHeads), 1, [&](Value head) {
    Value from = b.at(keyRow, b.mulI(head, pages.headDim * keys.elementBytes()));
    Value column = b.at(pages.keys(b, slotPage, head), b.mulI(slot, pages.elementBytes()));
    if (table) {
      Value tableRow = b.rowAt(args.pointer(table), row, Rows(table).rowBytes);
      rotateHead(b, keys.element, from, tableRow, pages.headDim, [&](int64_t i, const Rotated &y) {
        storeKeyLanes(b, pages, roundThrough(b, keys.element, y.low), column, i);
        storeKeyLanes(b, pages, roundThrough(b, keys.element, y.high), column,
                      pages.headDim / 2 + i);
      });
    } else {
      forPieces(pages.headDim, b.lanes(), [&](int64_t i, int64_t lanes) {
        Value x = loadF32(b, keys.element, b.at(from, i * keys.elementBytes()), lanes);
        storeKeyLanes(b, pages, x, column, i);
      });
    }
    emitValueRow(b, pages, values,
                 b.at(valueRow, b.mulI(head, pages.headDim * values.elementBytes())),
                 b.at(pages.values(b, slotPage, head), b.mulI(slot, pages.valueRowBytes())));
  });
}

/// The page and the slot in it of the token `row`.
static std::pair<Value, Value> slotOf(KernelBuilder &b, const CachePages &pages,
                                      const KernelArguments &args, Value cache, Value row) {
  Value position = pages.position(b, args, row);
  Value page = pages.page(b, args, cache, row, b.divU(position, pages.pageTokens));
  return {page, b.remU(position, pages.pageTokens)};
}

void qopt::emitRopeAppend(KernelBuilder &b, kernel::RopeAppendOp op, const KernelArguments &args) {
  CachePages pages(op.getCache().getType());
  auto [first, last] = args.share(b, args.rows);
  b.loop(first, last, 1, [&](Value row) {
    emitRopeRow(b, op.getQuery(), op.getTable(), op.getOuts()[0], args, row);
    auto [page, slot] = slotOf(b, pages, args, op.getCache(), row);
    emitAppendRow(b, op.getKey(), op.getValue(), op.getTable(), pages, page, slot, args, row);
  });
}

void qopt::emitKVAppend(KernelBuilder &b, kernel::KVAppendOp op, const KernelArguments &args) {
  CachePages pages(op.getCache().getType());
  auto [first, last] = args.share(b, args.rows);
  b.loop(first, last, 1, [&](Value row) {
    auto [page, slot] = slotOf(b, pages, args, op.getCache(), row);
    emitAppendRow(b, op.getKey(), op.getValue(), Value(), pages, page, slot, args, row);
  });
}
