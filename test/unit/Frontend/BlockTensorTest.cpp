//===- BlockTensorTest.cpp - Block formats against the gguf package ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/GGUF/BlockTensor.h"
#include "GGUFWriter.h"
#include "qopt/Support/Float.h"
#include "llvm/ADT/STLExtras.h"

using namespace qopt;
using namespace qopt::test;

namespace {

TEST(BlockTensor, everyFormatBitForBit) {
  std::string bytes = readFile(fixture("blocks.gguf")), reference = readFile(fixture("blocks.f32"));
  GGUFFile file = unwrap(GGUFFile::read(bytes, "blocks.gguf"));
  ASSERT_EQ(file.tensors().size(), 13u);
  ASSERT_EQ(reference.size(), 13u * 512 * sizeof(float));
  for (auto [i, source] : llvm::enumerate(file.tensors())) {
    BlockTensor tensor(source.name, source, 0);
    std::vector<float> values(512);
    expectOk(tensor.readRows(0, 2, values.data()));
    EXPECT_EQ(floatBytes(values), reference.substr(i * 2048, 2048)) << source.name;
    std::vector<float> second(256);
    expectOk(tensor.readRows(1, 1, second.data()));
    EXPECT_TRUE(std::equal(second.begin(), second.end(), values.begin() + 256)) << source.name;
  }
}

/// A [16, 64] tensor of pseudo-random blocks with finite scales.
GGUFTensor randomBlocks(uint32_t type, std::string &bytes) {
  const BlockFormat *format = findBlockFormat(type);
  uint32_t state = 1;
  for (int64_t i = 0; i < 32 * format->blockBytes; ++i)
    bytes += static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
  for (int64_t block = 0; block < 32; ++block) // exponents below the largest
    for (int64_t at : {1, 3})
      bytes[block * format->blockBytes + at] &= 0xbf;
  return {"t", {16, 64}, format, bytes};
}

TEST(BlockTensor, groupsGiveTheValues) {
  for (uint32_t type : {2u, 3u, 8u}) {
    std::string bytes;
    GGUFTensor source = randomBlocks(type, bytes);
    BlockTensor tensor("t", source, 8);
    GroupQuantization groups = *tensor.groupQuantization();
    std::vector<float> values(16 * 64);
    expectOk(tensor.readRows(0, 16, values.data()));
    std::vector<uint8_t> codes(16 * 64);
    std::vector<uint16_t> scales(32), minima(32);
    expectOk(tensor.readGroups(0, 16, codes.data(), scales.data(),
                               groups.affine ? minima.data() : nullptr));
    for (int64_t i = 0; i < 16 * 64; ++i) {
      float code = groups.affine ? codes[i] : static_cast<int8_t>(codes[i]);
      float value = f16ToFloat(scales[i / 32]) * code;
      if (groups.affine)
        value += f16ToFloat(minima[i / 32]);
      EXPECT_EQ(value, values[i]) << source.format->name.str() << " " << i;
      if (groups.bits == 4) {
        EXPECT_LE(code, groups.affine ? 15 : 7);
        EXPECT_GE(code, groups.affine ? 0 : -8);
      }
    }
    // Part of the rows.
    std::vector<uint8_t> part(3 * 64);
    expectOk(tensor.readGroups(5, 3, part.data(), scales.data(), minima.data()));
    EXPECT_TRUE(std::equal(part.begin(), part.end(), codes.begin() + 5 * 64));
  }
}

TEST(BlockTensor, undoesTheInterleavingOfHeads) {
  // Row r of the file holds r; two heads of 8.
  std::string bytes;
  for (int row = 0; row < 16; ++row)
    bytes += littleEndian(static_cast<float>(row));
  GGUFTensor source{"t", {16}, findBlockFormat(0), bytes};
  std::vector<float> rows(16);
  expectOk(BlockTensor("t", source, 8).readRows(0, 16, rows.data()));
  EXPECT_EQ(rows, (std::vector<float>{0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15}));
}

TEST(BlockTensor, refusesNotFiniteScales) {
  std::string bytes;
  GGUFTensor source = randomBlocks(2, bytes);
  bytes[18 + 1] = 0x7c; // the second block's
  bytes[18] = 0;
  source.bytes = bytes;
  BlockTensor tensor("t", source, 0);
  std::vector<float> values(64);
  std::vector<uint8_t> codes(64);
  std::vector<uint16_t> scales(2);
  expectError(tensor.readRows(0, 1, values.data()), "tensor 't' holds");
  expectError(tensor.readGroups(0, 1, codes.data(), scales.data(), nullptr),
              "tensor 't' has a scale or a minimum that is not finite in row 0");
  std::string halves;
  GGUFTensor other = randomBlocks(6, halves);
  expectError(BlockTensor("u", other, 0).readGroups(0, 1, codes.data(), scales.data(), nullptr),
              "tensor 'u' is not stored as grouped integers");
}

} // namespace
