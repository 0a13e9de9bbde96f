//===- GGUFFileTest.cpp - Hostile GGUF files -----------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/GGUF/GGUFFile.h"
#include "GGUFWriter.h"

using namespace qopt;
using namespace qopt::test;

namespace {

TEST(GGUFFile, readsEveryKindOfValue) {
  GGUFWriter writer;
  writer.key("u8", 0, "\xff");
  writer.key("i8", 1, "\xff");
  writer.key("u16", 2, "\xff\xff");
  writer.key("i16", 3, "\xff\xff");
  writer.key("i32", 5, littleEndian<int32_t>(-7));
  writer.key("u64", 10, littleEndian<uint64_t>(1));
  writer.key("huge", 10, littleEndian<uint64_t>(UINT64_MAX));
  writer.key("i64", 11, littleEndian<int64_t>(-9));
  writer.key("f64", 12, littleEndian(0.25));
  writer.number("eps", 1e-5f);
  writer.string("text", "hi");
  writer.flag("flag", true);
  writer.strings("list", {"a", "", "bc"});
  writer.key("numbers", 9,
             littleEndian<uint32_t>(5) + littleEndian<uint64_t>(2) + littleEndian<int32_t>(4) +
                 littleEndian<int32_t>(-5));
  writer.tensor("t", {2, 3}, 0, std::string(24, 'x'));
  std::string bytes = writer.file();
  GGUFFile file = unwrap(GGUFFile::read(bytes, "f"));
  EXPECT_EQ(file.integer("u8"), 255);
  EXPECT_EQ(file.integer("i8"), -1);
  EXPECT_EQ(file.integer("u16"), 65535);
  EXPECT_EQ(file.integer("i16"), -1);
  EXPECT_EQ(file.integer("i32"), -7);
  EXPECT_EQ(file.integer("u64"), 1);
  EXPECT_EQ(file.integer("huge"), std::nullopt);
  EXPECT_EQ(file.integer("i64"), -9);
  EXPECT_EQ(file.integer("text"), std::nullopt);
  EXPECT_EQ(file.number("f64"), 0.25);
  EXPECT_EQ(file.number("eps"), 1e-5); // and not the double nearest to the float
  EXPECT_EQ(file.number("u8"), std::nullopt);
  EXPECT_EQ(file.string("text"), "hi");
  EXPECT_EQ(file.boolean("flag"), true);
  EXPECT_EQ(file.strings("list"), (std::vector<std::string>{"a", "", "bc"}));
  EXPECT_EQ(file.integers("numbers"), (std::vector<int64_t>{4, -5}));
  EXPECT_EQ(file.integers("list"), std::nullopt);
  ASSERT_EQ(file.tensors().size(), 1u);
  EXPECT_EQ(file.tensors()[0].shape, (llvm::SmallVector<int64_t, 2>{3, 2}));
  EXPECT_EQ(file.tensors()[0].bytes.size(), 24u);
  for (size_t size = 0; size < bytes.size(); ++size)
    expectError(GGUFFile::read(llvm::StringRef(bytes).take_front(size), "f"), "f: ");
}

void expectFileError(const GGUFWriter &writer, const char *part) {
  std::string bytes = writer.file();
  expectError(GGUFFile::read(bytes, "f"), part);
}

TEST(GGUFFile, refusesWrongHeaders) {
  expectError(GGUFFile::read("GGML1234", "f"), "f: does not begin with 'GGUF'");
  GGUFWriter version, counts, tensors;
  version.version = 1;
  expectFileError(version, "has GGUF version 1, expected 2 or 3");
  counts.numKeys = UINT64_MAX;
  expectFileError(counts, "has 18446744073709551615 metadata keys, expected at most 4096");
  tensors.numTensors = UINT64_MAX;
  expectFileError(tensors, "18446744073709551615 tensors do not fit into the file");
}

TEST(GGUFFile, refusesWrongMetadata) {
  GGUFWriter type, twice, nested, longArray, longText, alignment;
  type.key("a", 13, "");
  expectFileError(type, "metadata 'a': unknown value type 13");
  twice.integer("a", 1);
  twice.integer("a", 1);
  expectFileError(twice, "metadata 'a' stands twice");
  nested.key("a", 9, littleEndian<uint32_t>(9) + littleEndian<uint64_t>(1));
  expectFileError(nested, "metadata 'a': arrays of arrays are not supported");
  longArray.key("a", 9, littleEndian<uint32_t>(4) + littleEndian<uint64_t>(uint64_t(1) << 62));
  expectFileError(longArray, "an array of 4611686018427387904 elements is longer than the file");
  longText.key("a", 8, littleEndian<uint64_t>(UINT64_MAX));
  expectFileError(longText, "expected 18446744073709551615 more");
  alignment.integer("general.alignment", 24);
  expectFileError(alignment, "general.alignment is 24, expected a power of two");
}

TEST(GGUFFile, boundsMemory) {
  GGUFWriter keys, tensors, elements;
  keys.numKeys = 5000;
  expectFileError(keys, "has 5000 metadata keys, expected at most 4096");
  tensors.numTensors = 70000;
  tensors.data = std::string(70000 * 32, 'x');
  expectFileError(tensors, "has 70000 tensors, expected at most 65536");
  constexpr uint64_t count = (1 << 21) + 1;
  elements.key("a", 9,
               littleEndian<uint32_t>(0) + littleEndian<uint64_t>(count) + std::string(count, 'x'));
  expectFileError(elements, "an array of 2097153 elements, expected at most 2097152");
}

TEST(GGUFFile, refusesWrongTensors) {
  auto one = [](const std::vector<uint64_t> &shape, uint32_t type, uint64_t offset) {
    GGUFWriter writer;
    writer.tensorAt(offset, "t", shape, type);
    writer.data = std::string(64, 'x');
    return writer;
  };
  expectFileError(one({}, 0, 0), "tensor 't' has 0 dimensions, expected 1 to 4");
  expectFileError(one({1, 1, 1, 1, 1}, 0, 0), "tensor 't' has 5 dimensions");
  expectFileError(one({0}, 0, 0), "tensor 't' has a dimension of 0");
  expectFileError(one({UINT64_MAX}, 0, 0), "tensor 't' has a dimension of");
  expectFileError(one({32}, 20, 0), "tensor 't' has type IQ4_NL, expected one of F32");
  expectFileError(one({32}, 99, 0), "tensor 't' has type 99");
  expectFileError(one({33}, 2, 0), "rows of 33 elements, expected a multiple of the 32 of a Q4_0");
  expectFileError(one({4}, 0, 8), "tensor 't' begins at byte 8 of the data, expected a multiple");
  expectFileError(one({17}, 0, 0), "tensor 't' of shape [17] and type F32 at byte 0 does not fit");
  expectFileError(one({4}, 0, uint64_t(1) << 63), "does not fit into 64 bytes of data");
  expectFileError(one({uint64_t(1) << 62, 8}, 0, 0), "does not fit into 64 bytes of data");
  GGUFWriter overlap = one({16}, 0, 0), twice = one({8}, 0, 0);
  overlap.tensorAt(32, "u", {8}, 0);
  expectFileError(overlap, "two tensors overlap at byte 32");
  twice.tensorAt(32, "t", {8}, 0);
  expectFileError(twice, "tensor 't' stands twice");
}

} // namespace
