//===- ElementwiseLowering.cpp - Elementwise, quantize and row copies -----===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ElementConversions.h"
#include "KernelEmitters.h"
#include "MathApproximations.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// Scalar regions
//===----------------------------------------------------------------------===//

LogicalResult qopt::checkRegion(Block &block) {
  for (Operation &op : block) {
    if (!isa<arith::ConstantOp, arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp,
             arith::NegFOp, arith::ExtFOp, arith::TruncFOp, math::ExpOp, kernel::YieldOp>(op))
      return op.emitOpError("has no vector code for the CPU");
    for (Type type : op.getResultTypes())
      if (!isWritable(type))
        return op.emitOpError("has a result of ") << type << ", expected f32 or bf16";
  }
  return success();
}

Value qopt::emitRegion(KernelBuilder &b, Block &block, ArrayRef<Value> args) {
  int64_t lanes = KernelBuilder::lanesOf(args.front());
  DenseMap<Value, Value> values;
  for (auto [argument, value] : llvm::zip(block.getArguments(), args))
    values[argument] = value;
  auto wide = [&](Value scalar) { return toF32(b, scalar.getType(), values.at(scalar)); };
  Value result;
  for (Operation &op : block) {
    // Arithmetic on a narrow type is float32 rounded, as LLVM defines it.
    auto binary = [&](auto combine) {
      Value value = combine(wide(op.getOperand(0)), wide(op.getOperand(1)));
      values[op.getResult(0)] = roundFromF32(b, op.getResult(0).getType(), value);
    };
    auto unary = [&](auto map) {
      Value value = map(wide(op.getOperand(0)));
      values[op.getResult(0)] = roundFromF32(b, op.getResult(0).getType(), value);
    };
    llvm::TypeSwitch<Operation *>(&op)
        .Case([&](arith::ConstantOp constant) {
          double value = cast<FloatAttr>(constant.getValue()).getValueAsDouble();
          values[constant] =
              roundFromF32(b, constant.getType(), b.constantF(b.vecF32(lanes), value));
        })
        .Case([&](arith::AddFOp) { binary([&](Value x, Value y) { return b.addF(x, y); }); })
        .Case([&](arith::SubFOp) { binary([&](Value x, Value y) { return b.subF(x, y); }); })
        .Case([&](arith::MulFOp) { binary([&](Value x, Value y) { return b.mulF(x, y); }); })
        .Case([&](arith::DivFOp) { binary([&](Value x, Value y) { return b.divF(x, y); }); })
        .Case([&](arith::NegFOp) {
          unary([&](Value x) -> Value { return arith::NegFOp::create(b, x); });
        })
        .Case([&](math::ExpOp) { unary([&](Value x) { return emitExp(b, x); }); })
        .Case<arith::ExtFOp, arith::TruncFOp>(
            [&](Operation *) { unary([](Value x) { return x; }); })
        .Case([&](kernel::YieldOp yield) { result = values.at(yield.getValue()); });
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Rows to codes
//===----------------------------------------------------------------------===//

void qopt::emitQuantizeRow(KernelBuilder &b, const Rows &codes, Value codesRow, Value scalePointer,
                           Value scratch, llvm::function_ref<Value(Value, int64_t)> produce) {
  int64_t width = b.lanes();
  // The largest magnitude is the largest integer of its bits, and NaN is larger.
  Value absmax = b.scratch(4 * width);
  b.store(b.constant(b.vecI32(width), 0), absmax);
  b.loopColumns(codes.columns, width, [&](Value column, int64_t lanes) {
    Value value = produce(column, lanes);
    b.store(value, b.at(scratch, b.mulI(column, 4)));
    Value magnitude = b.andI(b.bitcast(value, b.getI32Type()), 0x7fffffff);
    b.store(b.maxS(b.load(b.vecI32(lanes), absmax), magnitude), absmax);
  });
  Value largest =
      b.reduce(b.load(b.vecI32(width), absmax), [&](Value x, Value y) { return b.maxS(x, y); });
  bool isInteger = codes.element.isInteger(8);
  Type f32 = b.getF32Type();
  Value scale = b.divF(b.bitcast(largest, f32), b.constantF(f32, isInteger ? 127.5 : 448.0));
  Value isZero = b.cmpF(arith::CmpFPredicate::OEQ, scale, b.constantF(f32, 0.0));
  scale = b.select(isZero, b.constantF(f32, 1.0), scale);
  b.store(scale, scalePointer);
  b.loopColumns(codes.columns, width, [&](Value column, int64_t lanes) {
    Value value = b.load(b.vecF32(lanes), b.at(scratch, b.mulI(column, 4)));
    Value quotient = b.divF(value, b.splat(scale, lanes));
    b.store(isInteger ? toCodeI8(b, quotient) : toCodeE4M3(b, quotient), b.at(codesRow, column));
  });
}

/// `body(row)` for this worker's share of the rows.
static void loopRows(KernelBuilder &b, const KernelArguments &args,
                     llvm::function_ref<void(Value)> body) {
  auto [first, last] = args.share(b, args.rows);
  b.loop(first, last, 1, body);
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

void qopt::emitElementwise(KernelBuilder &b, kernel::ElementwiseOp op,
                           const KernelArguments &args) {
  Block &body = op.getBody().front();
  Rows out(op.getOuts()[0]);
  bool quantizes = op.getOuts().size() == 2;
  Value scratch = quantizes ? b.scratch(4 * out.columns) : Value();
  loopRows(b, args, [&](Value row) {
    auto produce = [&](Value column, int64_t lanes) {
      SmallVector<Value> elements;
      for (Value input : op.getInputs()) {
        Rows rows(input);
        Value pointer = b.at(b.rowAt(args.pointer(input), row, rows.rowBytes),
                             b.mulI(column, rows.elementBytes()));
        elements.push_back(b.load(b.vec(lanes, storageType(rows.element)), pointer));
      }
      return emitRegion(b, body, elements);
    };
    Value outRow = b.rowAt(args.pointer(op.getOuts()[0]), row, out.rowBytes);
    if (quantizes)
      return emitQuantizeRow(b, out, outRow, b.rowAt(args.pointer(op.getOuts()[1]), row, 4),
                             scratch, produce);
    b.loopColumns(out.columns, b.lanes(), [&](Value column, int64_t lanes) {
      b.store(produce(column, lanes), b.at(outRow, b.mulI(column, out.elementBytes())));
    });
  });
}

void qopt::emitQuantize(KernelBuilder &b, kernel::QuantizeOp op, const KernelArguments &args) {
  Rows in(op.getInput()), codes(op.getOuts()[0]);
  Value scratch = b.scratch(4 * in.columns);
  loopRows(b, args, [&](Value row) {
    Value inRow = b.rowAt(args.pointer(op.getInput()), row, in.rowBytes);
    emitQuantizeRow(b, codes, b.rowAt(args.pointer(op.getOuts()[0]), row, codes.rowBytes),
                    b.rowAt(args.pointer(op.getOuts()[1]), row, 4), scratch,
                    [&](Value column, int64_t lanes) {
                      Value pointer = b.at(inRow, b.mulI(column, in.elementBytes()));
                      return loadF32(b, in.element, pointer, lanes);
                    });
  });
}

void qopt::emitGather(KernelBuilder &b, kernel::GatherOp op, const KernelArguments &args) {
  Rows in(op.getInput()), out(op.getOuts()[0]);
  loopRows(b, args, [&](Value row) {
    Value index = b.load(b.getI32Type(), b.rowAt(args.pointer(op.getIndex()), row, 4));
    Value from = b.rowAt(args.pointer(op.getInput()), b.extU(index, b.getI64Type()), in.rowBytes);
    Value to = b.rowAt(args.pointer(op.getOuts()[0]), row, out.rowBytes);
    b.loopColumns(out.columns, b.lanes(), [&](Value column, int64_t lanes) {
      Value offset = b.mulI(column, out.elementBytes());
      b.store(b.load(b.vec(lanes, storageType(in.element)), b.at(from, offset)), b.at(to, offset));
    });
  });
}
