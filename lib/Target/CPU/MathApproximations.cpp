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

Value qopt::emitExp(KernelBuilder &b, Value x) {
  // e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2. ln 2 is split so that
  // n times the first part is exact (Cody and Waite). The comparisons let NaN by.
  auto limit = [&](CmpFPredicate predicate, double bound) {
    Value constant = b.constantF(x.getType(), bound);
    x = b.select(b.cmpF(predicate, x, constant), constant, x);
  };
  limit(CmpFPredicate::OLT, -104.0);
  limit(CmpFPredicate::OGT, 89.0);
  constexpr double magic = 0x1.8p23;
  Value shifted = b.addF(b.mulF(x, 0x1.715476p+0), magic);
  Value n = b.subF(shifted, magic);
  Value r = b.mulAdd(n, b.constantF(n.getType(), -0x1.63p-1), x);
  r = b.mulAdd(n, b.constantF(n.getType(), 0x1.bd0106p-13), r);
  // Minimax on [-ln 2 / 2, ln 2 / 2] (Cephes expf), error below 2^-27.
  Value tail = polynomial(b, r,
                          {5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3,
                           1.3981999507e-3, 1.9875691500e-4});
  Value value = b.addF(b.mulAdd(b.mulF(r, r), tail, r), 1.0);
  // 2^n in two factors: n reaches 129 and -150, beyond one float32 exponent.
  Value exponent = b.subI(b.bitcast(shifted, b.getI32Type()), llvm::bit_cast<int32_t>(0x1.8p23f));
  Value half = b.shrS(exponent, 1);
  auto power = [&](Value e) { return b.bitcast(b.shl(b.addI(e, 127), 23), b.getF32Type()); };
  return b.mulF(b.mulF(value, power(half)), power(b.subI(exponent, half)));
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
