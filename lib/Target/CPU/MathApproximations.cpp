//===- MathApproximations.cpp - exp, sin and cos without a libm -----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MathApproximations.h"

using namespace mlir;
using namespace qopt;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

/// c[0] + c[1] x + ..., by Horner's rule.
static Value polynomial(KernelBuilder &b, Value x, ArrayRef<double> coefficients) {
  Value result = b.constantF(x.getType(), coefficients.back());
  for (double c : llvm::reverse(coefficients.drop_back()))
    result = b.mulAdd(result, x, b.constantF(x.getType(), c));
  return result;
}

namespace {

/// e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2.
struct SplitExp {
  Value n;        ///< int32
  Value mantissa; ///< e^r
};

} // namespace

/// x between \p least and \p most; the comparisons let NaN by.
static Value clamp(KernelBuilder &b, Value x, double least, double most) {
  auto limit = [&](CmpFPredicate predicate, double bound) {
    Value constant = b.constantF(x.getType(), bound);
    x = b.select(b.cmpF(predicate, x, constant), constant, x);
  };
  limit(CmpFPredicate::OLT, least);
  limit(CmpFPredicate::OGT, most);
  return x;
}

/// |x| below 128.
static SplitExp emitSplitExp(KernelBuilder &b, Value x) {
  // ln 2 is split so that n times the first part is exact (Cody and Waite).
  constexpr double magic = 0x1.8p23;
  Value shifted = b.addF(b.mulF(x, 0x1.715476p+0), magic);
  Value n = b.subF(shifted, magic);
  Value r = b.mulAdd(n, b.constantF(n.getType(), -0x1.63p-1), x);
  r = b.mulAdd(n, b.constantF(n.getType(), 0x1.bd0106p-13), r);
  // Minimax on [-ln 2 / 2, ln 2 / 2] (Cephes expf), error below 2^-27.
  Value tail = polynomial(b, r,
                          {5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3,
                           1.3981999507e-3, 1.9875691500e-4});
  Value mantissa = b.addF(b.mulAdd(b.mulF(r, r), tail, r), 1.0);
  Value exponent = b.subI(b.bitcast(shifted, b.getI32Type()), llvm::bit_cast<int32_t>(0x1.8p23f));
  return {exponent, mantissa};
}

static Value powerOfTwo(KernelBuilder &b, Value exponent) {
  return b.bitcast(b.shl(b.addI(exponent, 127), 23), b.getF32Type());
}

Value qopt::emitExp(KernelBuilder &b, Value x) {
  SplitExp split = emitSplitExp(b, clamp(b, x, -104.0, 89.0));
  // 2^n in two factors: n reaches 129 and -150, beyond one float32 exponent.
  Value half = b.shrS(split.n, 1);
  return b.mulF(b.mulF(split.mantissa, powerOfTwo(b, half)), powerOfTwo(b, b.subI(split.n, half)));
}

Value qopt::emitSoftmaxExp(KernelBuilder &b, Value x) {
  Value smallest = b.constantF(x.getType(), -87.0);
  Value isZero = b.cmpF(CmpFPredicate::OLT, x, smallest);
  SplitExp split = emitSplitExp(b, b.select(isZero, smallest, x));
  Value value = b.mulF(split.mantissa, powerOfTwo(b, split.n));
  return b.select(isZero, b.constantF(x.getType(), 0.0), value);
}

SinCos qopt::emitSinCos(KernelBuilder &b, Value angle) {
  // In float64: a - n pi/2 with n < 2^20 and pi/2 in a part of 33 bits, whose
  // product with n is exact, and a rest. Taylor terms to x^13 and x^14 leave
  // less than 2^-36 at pi/4.
  Type f64 = b.getF64Type();
  Value a = arith::ExtFOp::create(b, b.like(angle, f64), angle);
  constexpr double magic = 0x1.8p52;
  Value shifted = b.addF(b.mulF(a, 0.63661977236758134308), magic);
  Value n = b.subF(shifted, magic);
  Value r = b.subF(a, b.mulF(n, 0x1.921fb544p+0));
  r = b.subF(r, b.mulF(n, 0x1.0b4611a626331p-34));
  Value square = b.mulF(r, r);
  Value sinTail = polynomial(
      b, square,
      {-1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800.0});
  Value sin = b.mulAdd(b.mulF(r, square), sinTail, r);
  Value cos = polynomial(b, square,
                         {1.0, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800,
                          1.0 / 479001600.0, -1.0 / 87178291200.0});
  // Quadrant q: sin is (s, c, -s, -c)[q], cos is (c, -s, -c, s)[q].
  Value quadrant = b.bitcast(shifted, b.getI64Type());
  auto isSet = [&](Value value, int64_t bit) {
    return b.cmpI(CmpIPredicate::ne, b.andI(value, bit), b.constant(value.getType(), 0));
  };
  auto finish = [&](Value value, Value negate) -> Value {
    value = b.select(negate, b.subF(b.constantF(value.getType(), 0.0), value), value);
    return arith::TruncFOp::create(b, angle.getType(), value);
  };
  Value isOdd = isSet(quadrant, 1);
  return {finish(b.select(isOdd, cos, sin), isSet(quadrant, 2)),
          finish(b.select(isOdd, sin, cos), isSet(b.addI(quadrant, 1), 2))};
}
