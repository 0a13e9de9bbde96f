//===- NormLowering.cpp - RMS normalisation of rows -----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ElementConversions.h"
#include "KernelEmitters.h"

using namespace mlir;
using namespace qopt;

/// sum x^2 over 16 partial sums, a product and an addition each rounded.
static Value emitSumOfSquares(KernelBuilder &b, const Rows &in, Value row) {
  auto squares = [&](Value column, int64_t lanes) {
    Value x = loadF32(b, in.element, b.at(row, b.mulI(column, in.elementBytes())), lanes);
    return b.mulF(x, x);
  };
  int64_t whole = in.columns / sumLanes * sumLanes, rest = in.columns - whole;
  Value zero = b.constantF(b.vecF32(sumLanes), 0.0);
  Value sums = b.loop(b.i64(0), b.i64(whole), sumLanes, {zero}, [&](Value column, ValueRange sum) {
    return SmallVector<Value>{b.addF(sum[0], squares(column, sumLanes))};
  })[0];
  for (int64_t lane = 0; lane < rest; ++lane) {
    Value square = b.lane(squares(b.i64(whole + lane), 1), 0);
    sums = b.addF(sums, vector::InsertOp::create(b, square, zero, lane));
  }
  return b.reduceAddF(sums);
}

void qopt::emitNorm(KernelBuilder &b, kernel::NormOp op, const KernelArguments &args) {
  Rows in(op.getInput()), weight(op.getWeight()), out(op.getOuts()[0]);
  bool quantizes = op.getOuts().size() == 2;
  Value scratch = quantizes ? b.scratch(4 * in.columns) : Value();
  Type f32 = b.getF32Type();
  auto [first, last] = args.share(b, args.rows);
  b.loop(first, last, 1, [&](Value row) {
    Value inRow = b.rowAt(args.pointer(op.getInput()), row, in.rowBytes);
    Value mean = b.divF(emitSumOfSquares(b, in, inRow), b.constantF(f32, in.columns));
    Value root = math::SqrtOp::create(b, b.addF(mean, op.getEps().convertToDouble()));
    Value inverse = b.divF(b.constantF(f32, 1.0), root);
    auto produce = [&](Value column, int64_t lanes) {
      Value x = loadF32(b, in.element, b.at(inRow, b.mulI(column, in.elementBytes())), lanes);
      Value normalised = roundThrough(b, in.element, b.mulF(x, b.splat(inverse, lanes)));
      Value w =
          loadF32(b, weight.element,
                  b.at(args.pointer(op.getWeight()), b.mulI(column, weight.elementBytes())), lanes);
      return b.mulF(normalised, w);
    };
    Value outRow = b.rowAt(args.pointer(op.getOuts()[0]), row, out.rowBytes);
    if (quantizes)
      return emitQuantizeRow(b, out, outRow, b.rowAt(args.pointer(op.getOuts()[1]), row, 4),
                             scratch, [&](Value column, int64_t lanes) {
                               return roundThrough(b, in.element, produce(column, lanes));
                             });
    b.loopColumns(out.columns, b.lanes(), [&](Value column, int64_t lanes) {
      storeF32(b, out.element, produce(column, lanes),
               b.at(outRow, b.mulI(column, out.elementBytes())));
    });
  });
}
