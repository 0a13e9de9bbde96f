//===- ElementConversions.cpp - Narrow floats to float32 and back ---------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ElementConversions.h"

using namespace mlir;
using namespace qopt;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

bool qopt::isReadable(Type element) {
  return element.isF32() || element.isBF16() || element.isF16() || isa<Float8E4M3FNType>(element);
}

bool qopt::isWritable(Type element) { return element.isF32() || element.isBF16(); }

Type qopt::storageType(Type element) {
  if (element.isF32())
    return element;
  return IntegerType::get(element.getContext(), element.getIntOrFloatBitWidth());
}

static Value halfToF32(KernelBuilder &b, Value bits) {
  if (b.target.avx2) // has F16C
    return arith::ExtFOp::create(b, b.like(bits, b.getF32Type()), b.bitcast(bits, b.getF16Type()));
  // A float32 of exponent e - 112 and the same mantissa; subnormals come out
  // exact because a product of a float32 subnormal and 2^112 is.
  Value wide = b.extU(bits, b.getI32Type());
  Value magnitude = b.shl(b.andI(wide, 0x7fff), 13);
  Value scaled = b.mulF(b.bitcast(magnitude, b.getF32Type()), 0x1p112);
  Value infinite = b.bitcast(b.orI(magnitude, 0x7f800000), b.getF32Type());
  Value isFinite =
      b.cmpI(CmpIPredicate::slt, magnitude, b.constant(magnitude.getType(), 0x0f800000));
  Value value = b.select(isFinite, scaled, infinite);
  Value sign = b.shl(b.andI(wide, 0x8000), 16);
  return b.bitcast(b.orI(b.bitcast(value, b.getI32Type()), sign), b.getF32Type());
}

static Value e4m3ToF32(KernelBuilder &b, Value bits) {
  // With exponent e + 120 the magnitude bits are the value; for e = 0, a multiple
  // of 2^-9, take e = 1 and subtract the hidden 2^-6.
  Value wide = b.extU(bits, b.getI32Type());
  Value magnitude = b.andI(wide, 0x7f);
  Value normalBits = b.addI(b.shl(magnitude, 20), 120 << 23);
  Value normal = b.bitcast(normalBits, b.getF32Type());
  Value subnormal = b.subF(b.bitcast(b.addI(normalBits, 1 << 23), b.getF32Type()), 0x1p-6);
  Value isSubnormal = b.cmpI(CmpIPredicate::slt, magnitude, b.constant(magnitude.getType(), 8));
  Value value = b.bitcast(b.select(isSubnormal, subnormal, normal), b.getI32Type());
  Value isNan = b.cmpI(CmpIPredicate::eq, magnitude, b.constant(magnitude.getType(), 0x7f));
  value = b.select(isNan, b.constant(value.getType(), 0x7fc00000), value);
  Value sign = b.shl(b.andI(wide, 0x80), 24);
  return b.bitcast(b.orI(value, sign), b.getF32Type());
}

Value qopt::toF32(KernelBuilder &b, Type element, Value bits) {
  if (element.isF32())
    return bits;
  if (element.isBF16())
    return b.bitcast(b.shl(b.extU(bits, b.getI32Type()), 16), b.getF32Type());
  if (element.isF16())
    return halfToF32(b, bits);
  return e4m3ToF32(b, bits);
}

Value qopt::roundFromF32(KernelBuilder &b, Type element, Value value) {
  if (element.isF32())
    return value;
  Value bits = b.bitcast(value, b.getI32Type());
  Value odd = b.andI(b.shrU(bits, 16), 1);
  Value rounded = b.addI(b.addI(bits, 0x7fff), odd);
  Value isNan = b.cmpF(CmpFPredicate::UNO, value, value);
  Value result = b.select(isNan, b.orI(bits, 0x400000), rounded);
  return b.trunc(b.shrU(result, 16), b.getI16Type());
}

Value qopt::roundThrough(KernelBuilder &b, Type element, Value value) {
  return toF32(b, element, roundFromF32(b, element, value));
}

Value qopt::loadF32(KernelBuilder &b, Type element, Value pointer, int64_t lanes) {
  return toF32(b, element, b.load(b.vec(lanes, storageType(element)), pointer));
}

void qopt::storeF32(KernelBuilder &b, Type element, Value value, Value pointer) {
  b.store(roundFromF32(b, element, value), pointer);
}

static Value clamp(KernelBuilder &b, Value value, double low, double high) {
  Value lowest = b.constantF(value.getType(), low), highest = b.constantF(value.getType(), high);
  value = b.select(b.cmpF(CmpFPredicate::OLT, value, lowest), lowest, value);
  return b.select(b.cmpF(CmpFPredicate::OGT, value, highest), highest, value);
}

Value qopt::toCodeI8(KernelBuilder &b, Value quotient) {
  // After adding 1.5 * 2^23 the low bits of the sum are the rounded integer. They
  // are 0 for the quiet NaN too.
  Value isNan = b.cmpF(CmpFPredicate::UNO, quotient, quotient);
  Value sum = b.bitcast(b.addF(clamp(b, quotient, -128.0, 127.0), 0x1.8p23), b.getI32Type());
  return b.trunc(b.select(isNan, b.constant(sum.getType(), 0), sum), b.getI8Type());
}

Value qopt::toCodeE4M3(KernelBuilder &b, Value quotient) {
  Value bits = b.bitcast(quotient, b.getI32Type());
  Value magnitude = b.andI(bits, 0x7fffffff);
  auto below = [&](float limit) {
    int64_t limitBits = llvm::bit_cast<uint32_t>(limit);
    return b.cmpI(CmpIPredicate::slt, magnitude, b.constant(magnitude.getType(), limitBits));
  };
  Value odd = b.andI(b.shrU(magnitude, 20), 1);
  Value normal = b.subI(b.shrU(b.addI(b.addI(magnitude, 0x7ffff), odd), 20), 120 << 3);
  // Below 2^-6 the code counts 2^-9: the low bits of a sum with 1.5 * 2^14.
  Value sum = b.addF(b.bitcast(magnitude, b.getF32Type()), 0x1.8p14);
  Value subnormal = b.andI(b.bitcast(sum, b.getI32Type()), 0xff);
  Value code = b.select(below(0x1p-6f), subnormal, normal);
  Value saturated = b.constant(code.getType(), 0x7e);
  code = b.select(below(448.0f), code, saturated);
  Value isNan = b.cmpF(CmpFPredicate::UNO, quotient, quotient);
  code = b.select(isNan, b.constant(code.getType(), 0x7f), code);
  Value sign = b.andI(b.shrU(bits, 24), 0x80);
  return b.trunc(b.orI(code, sign), b.getI8Type());
}
