//===- KernelBuilder.h - Writes the body of a kernel ------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A thin builder over arith, scf, vector and LLVM's pointers, so that emission
/// reads like the loop nest that it emits. Integers are i64 unless said
/// otherwise; a vector is a 1-D vector, whose operations split on targets that
/// are narrower.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_CPU_KERNELBUILDER_H
#define QOPT_LIB_TARGET_CPU_KERNELBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "qopt/Target/CPU/CPUTarget.h"

namespace qopt {

using llvm::ArrayRef;
using llvm::SmallVector;
using mlir::Block;
using mlir::Type;
using mlir::Value;
using mlir::ValueRange;
using mlir::VectorType;

/// Partial sums of a sum along a row: as many on every target, so that wider and
/// narrower vectors add up in the same order.
constexpr int64_t sumLanes = 16;

class KernelBuilder : public mlir::ImplicitLocOpBuilder {
public:
  KernelBuilder(mlir::Location loc, mlir::OpBuilder &builder, const CPUTarget &target)
      : ImplicitLocOpBuilder(loc, builder), target(target) {}

  const CPUTarget &target;
  int64_t lanes() const { return target.vectorLanes; }

  //===--------------------------------------------------------------------===//
  // Types and constants
  //===--------------------------------------------------------------------===//

  VectorType vec(int64_t lanes, Type element) { return VectorType::get(lanes, element); }
  VectorType vecF32(int64_t lanes) { return vec(lanes, getF32Type()); }
  VectorType vecI32(int64_t lanes) { return vec(lanes, getI32Type()); }
  Type ptrType() { return mlir::LLVM::LLVMPointerType::get(getContext()); }

  /// A constant of an integer, float or vector type, the same in every lane.
  Value constant(Type type, int64_t value);
  Value constantF(Type type, double value);
  /// A vector constant of these elements.
  Value constantVector(ArrayRef<float> values);
  Value constantVector(ArrayRef<int16_t> values);
  Value i64(int64_t value) { return constant(getI64Type(), value); }

  //===--------------------------------------------------------------------===//
  // Arithmetic: integers and floats, scalars and vectors alike
  //===--------------------------------------------------------------------===//

  Value addI(Value a, Value b) { return mlir::arith::AddIOp::create(*this, a, b); }
  Value subI(Value a, Value b) { return mlir::arith::SubIOp::create(*this, a, b); }
  Value mulI(Value a, Value b) { return mlir::arith::MulIOp::create(*this, a, b); }
  Value divU(Value a, Value b) { return mlir::arith::DivUIOp::create(*this, a, b); }
  Value andI(Value a, Value b) { return mlir::arith::AndIOp::create(*this, a, b); }
  Value orI(Value a, Value b) { return mlir::arith::OrIOp::create(*this, a, b); }
  Value xorI(Value a, Value b) { return mlir::arith::XOrIOp::create(*this, a, b); }
  Value minU(Value a, Value b) { return mlir::arith::MinUIOp::create(*this, a, b); }
  Value maxS(Value a, Value b) { return mlir::arith::MaxSIOp::create(*this, a, b); }

  Value addI(Value a, int64_t b) { return addI(a, constant(a.getType(), b)); }
  Value subI(Value a, int64_t b) { return subI(a, constant(a.getType(), b)); }
  Value mulI(Value a, int64_t b) { return mulI(a, constant(a.getType(), b)); }
  Value divU(Value a, int64_t b) { return divU(a, constant(a.getType(), b)); }
  Value remU(Value a, int64_t b) {
    return mlir::arith::RemUIOp::create(*this, a, constant(a.getType(), b));
  }
  Value andI(Value a, int64_t b) { return andI(a, constant(a.getType(), b)); }
  Value orI(Value a, int64_t b) { return orI(a, constant(a.getType(), b)); }
  Value shl(Value a, int64_t bits) {
    return bits ? mlir::arith::ShLIOp::create(*this, a, constant(a.getType(), bits)).getResult()
                : a;
  }
  Value shrU(Value a, int64_t bits) {
    return bits ? mlir::arith::ShRUIOp::create(*this, a, constant(a.getType(), bits)).getResult()
                : a;
  }
  Value shrS(Value a, int64_t bits) {
    return mlir::arith::ShRSIOp::create(*this, a, constant(a.getType(), bits));
  }
  Value cmpI(mlir::arith::CmpIPredicate predicate, Value a, Value b) {
    return mlir::arith::CmpIOp::create(*this, predicate, a, b);
  }

  Value addF(Value a, Value b) { return mlir::arith::AddFOp::create(*this, a, b); }
  Value subF(Value a, Value b) { return mlir::arith::SubFOp::create(*this, a, b); }
  Value mulF(Value a, Value b) { return mlir::arith::MulFOp::create(*this, a, b); }
  Value divF(Value a, Value b) { return mlir::arith::DivFOp::create(*this, a, b); }
  Value addF(Value a, double b) { return addF(a, constantF(a.getType(), b)); }
  Value subF(Value a, double b) { return subF(a, constantF(a.getType(), b)); }
  Value mulF(Value a, double b) { return mulF(a, constantF(a.getType(), b)); }
  Value cmpF(mlir::arith::CmpFPredicate predicate, Value a, Value b) {
    return mlir::arith::CmpFOp::create(*this, predicate, a, b);
  }
  /// a * b + c: rounded once where the target has such an instruction, else
  /// twice; never left to LLVM to choose.
  Value mulAdd(Value a, Value b, Value c);

  Value select(Value condition, Value a, Value b) {
    return mlir::arith::SelectOp::create(*this, condition, a, b);
  }

  //===--------------------------------------------------------------------===//
  // Conversions
  //===--------------------------------------------------------------------===//

  /// The element type `element` in the shape of `value`.
  Type like(Value value, Type element);
  /// The same bits as elements of another type; of the same width for scalars.
  Value bitcast(Value value, Type element);
  Value extU(Value value, Type element) {
    return mlir::arith::ExtUIOp::create(*this, like(value, element), value);
  }
  Value extS(Value value, Type element) {
    return mlir::arith::ExtSIOp::create(*this, like(value, element), value);
  }
  Value trunc(Value value, Type element) {
    return mlir::arith::TruncIOp::create(*this, like(value, element), value);
  }
  Value toFloat(Value value) { // signed
    return mlir::arith::SIToFPOp::create(*this, like(value, getF32Type()), value);
  }

  //===--------------------------------------------------------------------===//
  // Vectors
  //===--------------------------------------------------------------------===//

  static int64_t lanesOf(Value value);
  Value splat(Value scalar, int64_t lanes);
  Value lane(Value vector, int64_t index);
  /// The vector of these lanes.
  Value fromLanes(ArrayRef<Value> scalars);
  /// Lanes [first, first + count).
  Value slice(Value vector, int64_t first, int64_t count);
  /// Lane l with l + lanes/2, and so on down to one scalar.
  Value reduce(Value vector, llvm::function_ref<Value(Value, Value)> combine);
  Value reduceAddF(Value v) {
    return reduce(v, [&](Value a, Value b) { return addF(a, b); });
  }
  Value callIntrinsic(llvm::StringRef name, Type result, ValueRange args);

  //===--------------------------------------------------------------------===//
  // Memory
  //===--------------------------------------------------------------------===//

  Value at(Value pointer, Value byteOffset);
  Value at(Value pointer, int64_t byteOffset);
  /// The row `row` of a matrix of `rowBytes`.
  Value rowAt(Value pointer, Value row, int64_t rowBytes) {
    return at(pointer, mulI(row, rowBytes));
  }
  Value load(Type type, Value pointer);
  void store(Value value, Value pointer);
  /// Asks for the cache line at `pointer`, which may lie beyond what is mapped.
  void prefetch(Value pointer);
  /// Bytes on the worker's stack, aligned to 64.
  Value scratch(int64_t bytes);

  //===--------------------------------------------------------------------===//
  // Control flow
  //===--------------------------------------------------------------------===//

  /// for (i = low; i < high; i += step) carried = body(i, carried)
  SmallVector<Value> loop(Value low, Value high, int64_t step, ValueRange carried,
                          llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body);
  void loop(Value low, Value high, int64_t step, llvm::function_ref<void(Value)> body);
  /// The same with a step that the code computes.
  SmallVector<Value> loopBy(Value low, Value high, Value step, ValueRange carried,
                            llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body);
  void ifThen(Value condition, llvm::function_ref<void()> then,
              llvm::function_ref<void()> otherwise = nullptr);

  /// Columns [0, columns) in whole vectors of `width` lanes by a loop, then the
  /// rest in powers of two: body(column, lanes).
  void loopColumns(int64_t columns, int64_t width, llvm::function_ref<void(Value, int64_t)> body);
};

/// Static columns [0, columns) in pieces of a power of two lanes, at most `width`.
void forPieces(int64_t columns, int64_t width, llvm::function_ref<void(int64_t, int64_t)> body);

/// A launch's arguments, loaded in the order that KernelDialect.td gives.
struct KernelArguments {
  KernelArguments(KernelBuilder &b, mlir::Operation *launch, Value args, Value worker,
                  Value workers);

  /// Pointer to the first column of an operand: a buffer, weight or cache.
  Value pointer(mlir::Value operand) const { return pointers.lookup(operand); }
  mlir::DenseMap<Value, Value> pointers;
  Value positions, sequences, blockTables, blockTableStride; ///< of the batch
  Value rows;                                                ///< tokens or logit rows
  Value worker, workers;                                     ///< this one of how many

  /// The share [first, last) of `count` units that is this worker's.
  std::pair<Value, Value> share(KernelBuilder &b, Value count) const;
  /// body(unit) for every `workers`-th of `count` units: for units whose cost
  /// grows from first to last.
  void forEachOwn(KernelBuilder &b, Value count, llvm::function_ref<void(Value)> body) const;
};

/// A buffer's row in bytes, element and columns.
struct Rows {
  explicit Rows(Value buffer);
  Type element;
  int64_t columns;
  int64_t rowBytes;
  int64_t elementBytes() const { return element.getIntOrFloatBitWidth() / 8; }
};

} // namespace qopt

#endif // QOPT_LIB_TARGET_CPU_KERNELBUILDER_H
