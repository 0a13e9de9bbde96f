//===- KernelBuilder.cpp - Writes the body of a kernel --------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// Types and constants
//===----------------------------------------------------------------------===//

Value KernelBuilder::constant(Type type, int64_t value) {
  Type element = getElementTypeOrSelf(type);
  APInt bits(element.getIntOrFloatBitWidth(), value, /*isSigned=*/true, /*implicitTrunc=*/true);
  TypedAttr attr = IntegerAttr::get(element, bits);
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, bits);
  return arith::ConstantOp::create(*this, attr);
}

Value KernelBuilder::constantF(Type type, double value) {
  TypedAttr attr = FloatAttr::get(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, cast<Attribute>(attr));
  return arith::ConstantOp::create(*this, attr);
}

Value KernelBuilder::constantVector(ArrayRef<float> values) {
  auto attr = DenseElementsAttr::get(vecF32(values.size()), values);
  return arith::ConstantOp::create(*this, cast<TypedAttr>(attr));
}

Value KernelBuilder::constantVector(ArrayRef<int16_t> values) {
  auto attr = DenseElementsAttr::get(vec(values.size(), getI16Type()), values);
  return arith::ConstantOp::create(*this, cast<TypedAttr>(attr));
}

Value KernelBuilder::mulAdd(Value a, Value b, Value c) {
  if (target.avx2)
    return math::FmaOp::create(*this, a, b, c);
  return addF(mulF(a, b), c);
}

//===----------------------------------------------------------------------===//
// Conversions and vectors
//===----------------------------------------------------------------------===//

Type KernelBuilder::like(Value value, Type element) {
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    return VectorType::get(vector.getShape(), element);
  return element;
}

Value KernelBuilder::bitcast(Value value, Type element) {
  auto vector = dyn_cast<VectorType>(value.getType());
  if (!vector)
    return arith::BitcastOp::create(*this, element, value);
  int64_t bits = vector.getNumElements() * vector.getElementTypeBitWidth();
  return vector::BitCastOp::create(*this, vec(bits / element.getIntOrFloatBitWidth(), element),
                                   value);
}

int64_t KernelBuilder::lanesOf(Value value) {
  return cast<VectorType>(value.getType()).getNumElements();
}

Value KernelBuilder::splat(Value scalar, int64_t lanes) {
  return vector::BroadcastOp::create(*this, vec(lanes, scalar.getType()), scalar);
}

Value KernelBuilder::lane(Value vector, int64_t index) {
  return vector::ExtractOp::create(*this, vector, index);
}

Value KernelBuilder::fromLanes(ArrayRef<Value> scalars) {
  VectorType type = vec(scalars.size(), scalars.front().getType());
  return vector::FromElementsOp::create(*this, type, scalars);
}

Value KernelBuilder::slice(Value vector, int64_t first, int64_t count) {
  if (first == 0 && count == lanesOf(vector))
    return vector;
  SmallVector<int64_t> lanes;
  for (int64_t i = 0; i < count; ++i)
    lanes.push_back(first + i);
  return vector::ShuffleOp::create(*this, vector, vector, lanes);
}

Value KernelBuilder::reduce(Value vector, llvm::function_ref<Value(Value, Value)> combine) {
  for (int64_t half = lanesOf(vector) / 2; half > 0; half /= 2)
    vector = combine(slice(vector, 0, half), slice(vector, half, half));
  return lane(vector, 0);
}

Value KernelBuilder::callIntrinsic(StringRef name, Type result, ValueRange args) {
  return LLVM::CallIntrinsicOp::create(*this, result, getStringAttr(name), args).getResult(0);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value KernelBuilder::at(Value pointer, Value byteOffset) {
  return LLVM::GEPOp::create(*this, ptrType(), getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{byteOffset});
}

Value KernelBuilder::at(Value pointer, int64_t byteOffset) {
  return byteOffset == 0 ? pointer : at(pointer, i64(byteOffset));
}

/// Rows have any stride, so that only an element's alignment is certain.
static unsigned alignmentOf(Type type) {
  return std::max(1u, getElementTypeOrSelf(type).getIntOrFloatBitWidth() / 8);
}

Value KernelBuilder::load(Type type, Value pointer) {
  return LLVM::LoadOp::create(*this, type, pointer, alignmentOf(type));
}

void KernelBuilder::store(Value value, Value pointer) {
  LLVM::StoreOp::create(*this, value, pointer, alignmentOf(value.getType()));
}

void KernelBuilder::prefetch(Value pointer) {
  LLVM::Prefetch::create(*this, pointer, /*rw=*/0, /*hint=*/3, /*cache=*/1);
}

Value KernelBuilder::scratch(int64_t bytes) {
  InsertionGuard guard(*this);
  auto function = getInsertionBlock()->getParentOp();
  if (!isa<func::FuncOp>(function))
    function = function->getParentOfType<func::FuncOp>();
  setInsertionPointToStart(&cast<func::FuncOp>(function).front());
  return LLVM::AllocaOp::create(*this, ptrType(), getI8Type(), i64(std::max<int64_t>(bytes, 1)),
                                /*alignment=*/64);
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

SmallVector<Value>
KernelBuilder::loop(Value low, Value high, int64_t step, ValueRange carried,
                    llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  return loopBy(low, high, i64(step), carried, body);
}

SmallVector<Value>
KernelBuilder::loopBy(Value low, Value high, Value step, ValueRange carried,
                      llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(*this, low, high, step, carried,
                                 [](OpBuilder &, Location, Value, ValueRange) {});
  InsertionGuard guard(*this);
  // Without carried values the loop comes with its terminator.
  if (!loop.getBody()->empty())
    loop.getBody()->back().erase();
  setInsertionPointToEnd(loop.getBody());
  SmallVector<Value> results = body(loop.getInductionVar(), loop.getRegionIterArgs());
  scf::YieldOp::create(*this, results);
  return SmallVector<Value>(loop.getResults());
}

void KernelBuilder::loop(Value low, Value high, int64_t step,
                         llvm::function_ref<void(Value)> body) {
  loop(low, high, step, {}, [&](Value i, ValueRange) {
    body(i);
    return SmallVector<Value>();
  });
}

void KernelBuilder::ifThen(Value condition, llvm::function_ref<void()> then,
                           llvm::function_ref<void()> otherwise) {
  auto branch =
      scf::IfOp::create(*this, condition, /*withElseRegion=*/static_cast<bool>(otherwise));
  InsertionGuard guard(*this);
  setInsertionPointToStart(branch.thenBlock());
  then();
  if (!otherwise)
    return;
  setInsertionPointToStart(branch.elseBlock());
  otherwise();
}

void KernelBuilder::loopColumns(int64_t columns, int64_t width,
                                llvm::function_ref<void(Value, int64_t)> body) {
  int64_t whole = columns / width * width;
  if (whole > 0)
    loop(i64(0), i64(whole), width, [&](Value column) { body(column, width); });
  forPieces(columns - whole, width,
            [&](int64_t column, int64_t lanes) { body(i64(whole + column), lanes); });
}

void qopt::forPieces(int64_t columns, int64_t width,
                     llvm::function_ref<void(int64_t, int64_t)> body) {
  for (int64_t column = 0; column < columns; column += width) {
    while (width > columns - column)
      width /= 2;
    body(column, width);
  }
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

KernelArguments::KernelArguments(KernelBuilder &b, Operation *launch, Value args, Value worker,
                                 Value workers)
    : worker(worker), workers(workers) {
  int64_t index = 0;
  auto next = [&]() { return b.load(b.getI64Type(), b.at(args, 8 * index++)); };
  auto nextPointer = [&]() -> Value { return LLVM::IntToPtrOp::create(b, b.ptrType(), next()); };
  for (Value operand : launch->getOperands()) {
    if (!isa<BatchType>(operand.getType())) {
      pointers[operand] = nextPointer();
      continue;
    }
    positions = nextPointer();
    sequences = nextPointer();
    blockTables = nextPointer();
    blockTableStride = next();
  }
  rows = next();
}

void KernelArguments::forEachOwn(KernelBuilder &b, Value count,
                                 llvm::function_ref<void(Value)> body) const {
  b.loopBy(worker, count, workers, {}, [&](Value unit, ValueRange) {
    body(unit);
    return SmallVector<Value>();
  });
}

std::pair<Value, Value> KernelArguments::share(KernelBuilder &b, Value count) const {
  Value first = b.divU(b.mulI(count, worker), workers);
  Value last = b.divU(b.mulI(count, b.addI(worker, 1)), workers);
  return {first, last};
}

Rows::Rows(Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  element = type.getElementType();
  columns = type.getShape().back();
  int64_t stride = columns;
  if (auto layout = dyn_cast<StridedLayoutAttr>(type.getLayout()))
    stride = layout.getStrides().front();
  rowBytes = stride * elementBytes();
}
