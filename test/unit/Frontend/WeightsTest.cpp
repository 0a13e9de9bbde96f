//===- WeightsTest.cpp - Views of tensors --------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TestFiles.h"
#include "qopt/Frontend/MappedTensor.h"
#include "qopt/Support/Float.h"

using namespace qopt;
using namespace qopt::test;

namespace {

std::vector<float> counting(int64_t count) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i)
    values[i] = static_cast<float>(i) - 100.0f;
  return values;
}

TEST(MappedTensor, readsEveryTypeAtAnyAlignment) {
  std::vector<float> expected = counting(12);
  std::string f32 = "x", f16 = "x", bf16 = "x"; // one byte off
  for (float value : expected) {
    f32 += littleEndian(value);
    f16 += littleEndian(floatToF16(value));
    bf16 += littleEndian(floatToBf16(value));
  }
  for (auto [type, bytes] : {std::pair(FloatType::f32, f32), std::pair(FloatType::f16, f16),
                             std::pair(FloatType::bf16, bf16)}) {
    MappedTensor tensor("t", {4, 3}, type, bytes.data() + 1);
    std::vector<float> rows(6);
    expectOk(tensor.readRows(1, 2, rows.data()));
    EXPECT_EQ(rows, std::vector<float>(expected.begin() + 3, expected.begin() + 9));
    EXPECT_EQ(tensor.rows(), 4);
    EXPECT_EQ(tensor.rowSize(), 3);
  }
}

TEST(MappedTensor, columnsEqualTheDefault) {
  std::vector<float> values = counting(150 * 70);
  std::string bytes = floatBytes(values);
  MappedTensor tensor("t", {150, 70}, FloatType::f32, bytes.data());
  std::vector<float> fast(66 * 150), slow(66 * 150);
  expectOk(tensor.readColumns(3, 66, fast.data()));
  expectOk(tensor.WeightTensor::readColumns(3, 66, slow.data()));
  EXPECT_EQ(fast, slow);
  EXPECT_EQ(fast[2 * 150 + 7], values[7 * 70 + 5]);
}

TEST(MappedTensor, namesNotFiniteElements) {
  std::string bytes = floatBytes({0, 1, 2, NAN, 4, INFINITY});
  MappedTensor tensor("w", {2, 3}, FloatType::f32, bytes.data());
  std::vector<float> out(6);
  expectError(tensor.readRows(1, 1, out.data()), "tensor 'w' holds NaN at row 1, column 0");
  expectError(tensor.readColumns(2, 1, out.data()), "tensor 'w' holds infinity at row 1, column 2");
  expectOk(tensor.readRows(0, 1, out.data()));
}

TEST(Weights, transposedReadsColumns) {
  std::vector<float> values = counting(15);
  std::string bytes = floatBytes(values);
  auto tensor = transposed(std::make_unique<MappedTensor>("t", llvm::ArrayRef<int64_t>{3, 5},
                                                          FloatType::f32, bytes.data()));
  EXPECT_EQ(tensor->shape(), (llvm::ArrayRef<int64_t>{5, 3}));
  std::vector<float> row(3), column(5);
  expectOk(tensor->readRows(4, 1, row.data()));
  EXPECT_EQ(row, (std::vector<float>{values[4], values[9], values[14]}));
  expectOk(tensor->readColumns(1, 1, column.data()));
  EXPECT_EQ(column, std::vector<float>(values.begin() + 5, values.begin() + 10));
  uint8_t codes[15];
  uint16_t scales[15];
  expectError(tensor->readGroups(0, 5, codes, scales, nullptr), "not stored as grouped integers");
}

TEST(Weights, storeIsOrderedByName) {
  WeightStore store;
  std::string bytes = floatBytes({1, 2});
  for (const char *name : {"b", "a", "b"})
    store.insert(std::make_unique<MappedTensor>(name, llvm::ArrayRef<int64_t>{2}, FloatType::f32,
                                                bytes.data()));
  EXPECT_EQ(store.size(), 2u);
  EXPECT_EQ(store.begin()->first, "a");
  EXPECT_EQ(store.find("c"), nullptr);
  store.erase("a");
  EXPECT_EQ(store.find("a"), nullptr);
}

TEST(Weights, tensorBytesOfHugeShapes) {
  EXPECT_EQ(tensorBytes({3, 4}, 2), 24);
  EXPECT_EQ(tensorBytes({0, INT64_MAX / 2}, 2), 0);
  EXPECT_EQ(tensorBytes({0, INT64_MAX}, 2), std::nullopt);
  EXPECT_EQ(tensorBytes({INT64_MAX, 2}, 4), std::nullopt);
  EXPECT_EQ(tensorBytes({-1}, 4), std::nullopt);
}

} // namespace
