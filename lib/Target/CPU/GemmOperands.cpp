//===- GemmOperands.cpp - Packed words to operands of a product -----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GemmOperands.h"
#include "ElementConversions.h"
#include "qopt/Support/Float.h"
#include <cmath>

using namespace mlir;
using namespace qopt;

bool qopt::hasOperands(const WeightImage &image) {
  bool isKnown =
      isReadable(image.element) || image.element.isInteger(4) || image.element.isInteger(8);
  return isKnown && image.kPack * image.codeBits == 32;
}

Value qopt::loadWords(KernelBuilder &b, const WeightImage &image, Value pointer, int64_t lanes) {
  bool isFloat = image.element.isF32();
  return b.load(isFloat ? b.vecF32(lanes) : b.vecI32(lanes), pointer);
}

/// A table lookup where the target has one for 16 lanes, else a subtraction.
static Value decodeNibble(KernelBuilder &b, Value words, int64_t bit, bool isSigned) {
  Value shifted = b.shrU(words, bit);
  int64_t lanes = KernelBuilder::lanesOf(words), offset = isSigned ? 8 : 0;
  if (b.target.avx512 && lanes == 16) {
    SmallVector<float> table; // of the low four bits; the instruction ignores the others
    for (int64_t code = 0; code < 16; ++code)
      table.push_back(code - offset);
    return b.callIntrinsic("llvm.x86.avx512.permvar.sf.512", b.vecF32(16),
                           {b.constantVector(table), shifted});
  }
  Value code = b.andI(shifted, 15);
  return b.toFloat(isSigned ? b.subI(code, offset) : code);
}

/// The byte is the low mantissa of 2^23 + byte; 2^23 + 128 is exact too.
static Value decodeByte(KernelBuilder &b, Value words, int64_t index) {
  Value byte = b.andI(b.shrU(words, 8 * index), 0xff);
  return b.subF(b.bitcast(b.orI(byte, 0x4b000000), b.getF32Type()), 0x1p23 + 128.0);
}

/// e4m3 without NaN, which no weight is. The exponent and mantissa move to those of
/// a float32; a subnormal takes the exponent of 2^-6, which is subtracted again.
static Value decodeE4M3(KernelBuilder &b, Value words, int64_t index) {
  int64_t up = 20 - 8 * index;
  Value magnitude = b.andI(up >= 0 ? b.shl(words, up) : b.shrU(words, -up), 0x7f << 20);
  auto constant = [&](int64_t value) { return b.constant(words.getType(), value); };
  Value isSubnormal = b.cmpI(arith::CmpIPredicate::ult, magnitude, constant(8 << 20));
  Value bias = b.select(isSubnormal, constant(121 << 23), constant(120 << 23));
  Value value = b.bitcast(b.addI(magnitude, bias), b.getF32Type());
  value = b.select(isSubnormal, b.subF(value, 0x1p-6), value);
  Value sign = b.andI(b.shl(words, 24 - 8 * index), 0x80000000);
  return b.bitcast(b.orI(b.bitcast(value, b.getI32Type()), sign), b.getF32Type());
}

/// e4m3 without NaN, divided by 2^8, of the even or the odd bytes of all words at
/// once: bf16 in halves of words. With that scale the exponent's bits need no
/// carry; subnormals come from a table.
static Value decodeE4M3Pairs(KernelBuilder &b, Value words, bool isOdd) {
  Value halves = b.bitcast(words, b.getI16Type());
  Value code = isOdd ? b.shrU(halves, 8) : halves; // and bits that nobody looks at
  Value upper = isOdd ? halves : b.shl(halves, 8);
  Value bits = b.andI(b.shrS(upper, 4), 0x87f0); // sign, exponent - 112, mantissa
  SmallVector<int16_t> table(32, 0);             // of the low five bits
  for (int16_t mantissa = 0; mantissa < 8; ++mantissa)
    table[mantissa] = floatToBf16(std::ldexp(mantissa, -17)) ^ mantissa << 4;
  Value subnormal = b.callIntrinsic("llvm.x86.avx512.permvar.hi.512", halves.getType(),
                                    {b.constantVector(table), code});
  auto constant = [&](int64_t value) { return b.constant(halves.getType(), value); };
  Value exponent = b.andI(halves, isOdd ? 0x7800 : 0x0078);
  Value isSubnormal = b.cmpI(arith::CmpIPredicate::eq, exponent, constant(0));
  return b.xorI(bits, b.select(isSubnormal, subnormal, constant(112 << 7)));
}

/// The element `index` of words that hold pairs of bf16.
static Value decodeBF16(KernelBuilder &b, Value words, int64_t index) {
  Value bits = index == 0 ? b.shl(words, 16) : b.andI(words, 0xffff0000);
  return b.bitcast(bits, b.getF32Type());
}

double qopt::operandScale(KernelBuilder &b, const WeightImage &image, Type activations) {
  bool isE4M3 = isa<Float8E4M3FNType>(image.element) && isa<Float8E4M3FNType>(activations);
  return isE4M3 && b.target.avx512 ? 0x1p8 : 1.0;
}

Value qopt::decodeWord(KernelBuilder &b, const WeightImage &image, Value words, int64_t index,
                       double scale) {
  if (image.element.isF32())
    return words;
  if (scale != 1.0) {
    Value pairs = decodeE4M3Pairs(b, words, index % 2 == 1);
    return decodeBF16(b, b.bitcast(pairs, b.getI32Type()), index / 2);
  }
  if (image.codeBits == 4)
    return decodeNibble(b, words, nibbleBit(index), image.element.isSignlessInteger());
  if (image.element.isInteger(8))
    return decodeByte(b, words, index);
  if (image.element.isBF16())
    return decodeBF16(b, words, index);
  if (isa<Float8E4M3FNType>(image.element))
    return decodeE4M3(b, words, index);
  Value bits = b.trunc(b.shrU(words, 16 * index), b.getI16Type());
  return toF32(b, image.element, bits);
}

Value qopt::decodePairs(KernelBuilder &b, Value words, int64_t index) {
  static_assert(nibbleBit(0) == 0 && nibbleBit(1) == 16 && nibbleBit(6) == 12);
  return b.andI(b.shrU(words, nibbleBit(2 * index)), 0x000f000f);
}

/// Products of 16-bit pairs, added: pmaddwd.
static Value dotPairs(KernelBuilder &b, Value a, Value c) {
  int64_t lanes = KernelBuilder::lanesOf(a) / 2;
  StringRef name = lanes == 16  ? "llvm.x86.avx512.pmaddw.d.512"
                   : lanes == 8 ? "llvm.x86.avx2.pmadd.wd"
                                : "llvm.x86.sse2.pmadd.wd";
  return b.callIntrinsic(name, b.vecI32(lanes), {a, c});
}

Value qopt::dotShorts(KernelBuilder &b, Value acc, Value words, Value activations) {
  if (b.target.vnni && KernelBuilder::lanesOf(acc) == 16)
    return b.callIntrinsic(
        "llvm.x86.avx512.vpdpwssd.512", acc.getType(),
        {acc, b.bitcast(words, b.getI16Type()), b.bitcast(activations, b.getI16Type())});
  return b.addI(
      acc, dotPairs(b, b.bitcast(words, b.getI16Type()), b.bitcast(activations, b.getI16Type())));
}

Value qopt::dotBytes(KernelBuilder &b, Value acc, Value words, Value activations) {
  int64_t lanes = KernelBuilder::lanesOf(acc);
  if (b.target.vnni && lanes == 16)
    return b.callIntrinsic(
        "llvm.x86.avx512.vpdpbusd.512", acc.getType(),
        {acc, b.bitcast(words, b.getI8Type()), b.bitcast(activations, b.getI8Type())});
  // pmaddubsw saturates, so bytes are widened: the even and the odd of each word.
  Value w = b.bitcast(words, b.getI16Type()), x = b.bitcast(activations, b.getI16Type());
  Value even = dotPairs(b, b.andI(w, 0xff), b.shrS(b.shl(x, 8), 8));
  Value odd = dotPairs(b, b.shrU(w, 8), b.shrS(x, 8));
  return b.addI(acc, b.addI(even, odd));
}
