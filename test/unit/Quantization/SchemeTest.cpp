//===- SchemeTest.cpp - Schemes and the group size ------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Quantization/Metrics.h"
#include "qopt/Quantization/Scheme.h"
#include "qopt/Support/Float.h"
#include <gtest/gtest.h>

using namespace qopt;

TEST(Scheme, GroupSizeIs128OrTheLargestThatDivides) {
  EXPECT_EQ(chooseGroupSize(4096).size, 128);
  EXPECT_EQ(chooseGroupSize(576).size, 64);
  EXPECT_EQ(chooseGroupSize(96).size, 32);
  EXPECT_EQ(chooseGroupSize(100).size, 0);
  EXPECT_EQ(chooseGroupSize(0).size, 0);
  EXPECT_EQ(chooseGroupSize(4096).reason, "128 divides K = 4096");
  EXPECT_EQ(chooseGroupSize(576).reason, "128 does not divide K = 576, 64 does");
  EXPECT_EQ(chooseGroupSize(96).reason, "128 and 64 do not divide K = 96, 32 does");
  EXPECT_EQ(chooseGroupSize(100).reason, "none of 128, 64 and 32 divides K = 100");
}

TEST(Scheme, CheckNamesTheGroupAndK) {
  EXPECT_TRUE(Scheme::w4a16(64).check(576).isOk());
  EXPECT_EQ(Scheme::w4a16(128).check(576).message(), "group size 128 does not divide K = 576");
  EXPECT_FALSE(Scheme::w8a8Int8().check(0).isOk());
}

TEST(Scheme, CodeValues) {
  for (int code = -8; code < 8; ++code)
    EXPECT_EQ(codeValue(Storage::int4, static_cast<uint8_t>(code)), code);
  for (int code = -128; code < 128; ++code)
    EXPECT_EQ(codeValue(Storage::int8, static_cast<uint8_t>(code)), code);
  for (int code = 0; code < 16; ++code)
    EXPECT_EQ(codeValue(Storage::uint4, code), code);
  EXPECT_EQ(codeValue(Storage::e4m3, 0x7e), 448.0f);
}

TEST(Scheme, RoundTo) {
  EXPECT_EQ(roundTo(ScaleType::f32, 0.1f), 0.1f);
  EXPECT_EQ(roundTo(ScaleType::bf16, 0.1f), roundToBf16(0.1f));
  EXPECT_EQ(roundTo(ScaleType::f16, 0.1f), f16ToFloat(floatToF16(0.1f)));
}

TEST(Metrics, SqnrAndRelativeError) {
  float reference[] = {3.0f, 4.0f}, values[] = {3.0f, 4.5f};
  ErrorEnergy energy;
  energy.add(reference, values, 2);
  EXPECT_DOUBLE_EQ(energy.relative(), 0.1);
  EXPECT_DOUBLE_EQ(energy.sqnr(), 20.0);
  ErrorEnergy same;
  same.add(reference, reference, 2);
  EXPECT_EQ(same.relative(), 0.0);
  EXPECT_TRUE(std::isinf(same.sqnr()));
}
