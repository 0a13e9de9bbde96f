//===- SafeTensorsTest.cpp - Hostile .safetensors files ------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/HF/SafeTensors.h"
#include "TestFiles.h"

using namespace qopt;
using namespace qopt::test;

namespace {

constexpr char good[] = R"({"__metadata__": {"format": "pt"},
  "b": {"dtype": "BF16", "shape": [2], "data_offsets": [4, 8]},
  "a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}})";

TEST(SafeTensors, readsInOrderOfData) {
  std::string file = safeTensors(good, "12345678");
  std::vector<SafeTensor> tensors = unwrap(readSafeTensors(file, "f"));
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "a");
  EXPECT_EQ(tensors[1].dtype, "BF16");
  EXPECT_EQ(tensors[1].bytes, "5678");
  EXPECT_EQ(tensors[1].shape, (llvm::SmallVector<int64_t, 2>{2}));
}

TEST(SafeTensors, refusesEveryTruncation) {
  std::string file = safeTensors(good, "12345678");
  for (size_t size = 0; size < file.size(); ++size)
    expectError(readSafeTensors(llvm::StringRef(file).take_front(size), "f"), "f: ");
}

/// One tensor `a` of this description over 8 bytes of data.
void expectEntryError(const std::string &entry, const char *part) {
  expectError(readSafeTensors(safeTensors("{\"a\": " + entry + "}", "12345678"), "f"), part);
}

TEST(SafeTensors, refusesWrongHeaders) {
  expectError(readSafeTensors("1234", "f"), "f: has 4 bytes, expected at least 8");
  expectError(readSafeTensors(littleEndian<uint64_t>(9) + "{}", "f"),
              "f: header of 9 bytes, expected at most 2");
  expectError(readSafeTensors(littleEndian<uint64_t>(UINT64_MAX) + "{}", "f"), "f: header of");
  expectError(readSafeTensors(safeTensors("[]", ""), "f"), "header must be a JSON object");
  expectError(readSafeTensors(safeTensors("{", ""), "f"), "f: header: ");
}

TEST(SafeTensors, refusesWrongEntries) {
  expectEntryError("1", "tensor 'a' needs a dtype, a shape and data_offsets");
  expectEntryError(R"({"dtype": "F33", "shape": [2], "data_offsets": [0, 8]})",
                   "tensor 'a' has unknown dtype 'F33'");
  expectEntryError(R"({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]})", "invalid shape");
  expectEntryError(R"({"dtype": "F32", "shape": [1,1,1,1,1,1,1,1,1], "data_offsets": [0, 8]})",
                   "expected at most 8 integers");
  expectEntryError(R"({"dtype": "F32", "shape": [2], "data_offsets": [8, 0]})",
                   "invalid data_offsets");
  expectEntryError(R"({"dtype": "F32", "shape": [2], "data_offsets": [0]})",
                   "invalid data_offsets");
  expectEntryError(R"({"dtype": "F32", "shape": [4], "data_offsets": [0, 16]})",
                   "tensor 'a' ends at byte 16 of 8 bytes of data");
  expectEntryError(R"({"dtype": "F32", "shape": [3], "data_offsets": [0, 8]})",
                   "tensor 'a' of shape [3] and dtype F32 has 8 bytes, expected 12");
  expectEntryError(R"({"dtype": "F32", "shape": [4611686018427387905, 2], "data_offsets": [0, 8]})",
                   "expected fewer than 2^63");
}

TEST(SafeTensors, refusesGapsAndOverlaps) {
  auto two = [](const std::string &a, const std::string &b) {
    return safeTensors(R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": )" + a +
                           R"(}, "b": {"dtype": "U8", "shape": [4], "data_offsets": )" + b + "}}",
                       "1234567890");
  };
  expectError(readSafeTensors(two("[0, 4]", "[3, 7]"), "f"),
              "tensor 'b' begins at byte 3 of the data, expected 4");
  expectError(readSafeTensors(two("[0, 4]", "[6, 10]"), "f"), "must not overlap or leave gaps");
  expectError(readSafeTensors(two("[0, 4]", "[4, 8]"), "f"), "tensors end at byte 8 of 10");
}

} // namespace
