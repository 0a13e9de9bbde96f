//===- PackingTest.cpp - Every byte of packed weights ---------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/CPU/Packing.h"
#include "CompiledPlan.h"
#include "mlir/AsmParser/AsmParser.h"
#include "qopt/Support/Float.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::test;

namespace {

class PackingTest : public testing::Test {
protected:
  PackingTest() : context(mlir::MLIRContext::Threading::DISABLED) {
    context.loadDialect<QOptDialect, kernel::KernelDialect>();
  }

  kernel::PackedType type(const std::string &tensor, const std::string &layout) {
    std::string text = "!kernel.packed<tensor<" + tensor + ">, #kernel.layout<" + layout + ">>";
    return mlir::cast<kernel::PackedType>(mlir::parseType(text, &context));
  }

  /// The image, or the error's text.
  std::string pack(kernel::PackedType type, std::vector<const WeightTensor *> sources,
                   bool keep = false) {
    image.clear();
    energy = {};
    auto append = [&](llvm::ArrayRef<char> bytes) {
      image.append(bytes.begin(), bytes.end());
      return llvm::Error::success();
    };
    return llvm::toString(packWeight(type, sources, keep, append, energy));
  }

  uint8_t byte(int64_t i) const { return static_cast<uint8_t>(image.at(i)); }
  uint16_t half(int64_t i) const { return byte(i) | byte(i + 1) << 8; }
  uint32_t word(int64_t i) const { return half(i) | static_cast<uint32_t>(half(i + 2)) << 16; }
  float real(int64_t i) const { return std::bit_cast<float>(word(i)); }

  mlir::MLIRContext context;
  std::string image;
  ErrorEnergy energy;
};

std::vector<float> counting(int64_t count, float first = 1) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i)
    values[i] = first + i;
  return values;
}

TEST_F(PackingTest, PlainTilesInterleavePairsOfK) {
  // Seven channels in tiles of four, five elements in pairs.
  MemoryTensor tensor("w", 7, 5, counting(35));
  ASSERT_EQ(pack(type("7x5xbf16", "tiled, tile_n = 4, k_pack = 2"), {&tensor}), "");
  ASSERT_EQ(image.size(), 2u * 64); // 3 steps of 4 channels of 4 bytes, up to 64
  for (int64_t tile = 0; tile < 2; ++tile)
    for (int64_t position = 0; position < 32; ++position) {
      int64_t step = position / 8, channel = position / 2 % 4, k = 2 * step + position % 2;
      int64_t row = 4 * tile + channel;
      bool isThere = row < 7 && k < 5;
      EXPECT_EQ(bf16ToFloat(half(64 * tile + 2 * position)),
                isThere ? tensor.values[row * 5 + k] : 0.0f)
          << tile << ", " << position;
    }
}

TEST_F(PackingTest, RowMajorIsTheTensor) {
  MemoryTensor tensor("w", 3, 5, counting(15));
  ASSERT_EQ(pack(type("3x5xf32", "row_major"), {&tensor}), "");
  ASSERT_EQ(image.size(), 60u);
  for (int64_t i = 0; i < 15; ++i)
    EXPECT_EQ(real(4 * i), tensor.values[i]);
}

TEST_F(PackingTest, SourcesFollowEachOtherWithinATile) {
  MemoryTensor q("q", 3, 2, counting(6)), k("k", 1, 2, counting(2, 7)),
      v("v", 2, 2, counting(4, 9));
  ASSERT_EQ(pack(type("6x2xf32", "tiled, tile_n = 4, k_pack = 1"), {&q, &k, &v}), "");
  ASSERT_EQ(image.size(), 128u);
  for (int64_t row = 0; row < 6; ++row)
    for (int64_t column = 0; column < 2; ++column)
      EXPECT_EQ(real(row / 4 * 64 + column * 16 + row % 4 * 4), 1.0f + 2 * row + column);
}

TEST_F(PackingTest, BytesAreOffsetAndFollowedByChannelScales) {
  // Row n holds 2^n * code with a largest magnitude of 127.5 * 2^n: its scale is 2^n.
  constexpr int64_t rows = 6, columns = 6;
  std::vector<float> values;
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t k = 0; k < columns; ++k)
      values.push_back((1 << n) * (k == 5 ? 127.5f : static_cast<float>(k * 7 - n * 3)));
  MemoryTensor tensor("w", rows, columns, values);
  ASSERT_EQ(pack(type("6x6x!qopt.q<i8, per_channel, scale = f32>", "tiled, tile_n = 4, k_pack = 4"),
                 {&tensor}),
            "");
  ASSERT_EQ(image.size(), 128u); // two steps of 16 bytes, four scales
  for (int64_t n = 0; n < rows; ++n) {
    int64_t tile = n / 4 * 64, channel = n % 4;
    EXPECT_EQ(real(tile + 32 + 4 * channel), 1 << n);
    for (int64_t k = 0; k < columns; ++k) {
      int code = k == 5 ? 127 : static_cast<int>(k * 7 - n * 3);
      EXPECT_EQ(byte(tile + k / 4 * 16 + channel * 4 + k % 4), code + 128) << n << ", " << k;
    }
    EXPECT_EQ(byte(tile + 16 + channel * 4 + 2), 0) << "beyond K";
  }
  EXPECT_EQ(word(64 + 2 * 4), 0u) << "beyond N";
  EXPECT_GT(energy.signal, 0.0);
}

/// Grouped integers as a GGUF file holds them: codes and scales of their place.
class GroupTensor : public MemoryTensor {
public:
  GroupTensor(int64_t rows, int64_t columns, GroupQuantization stored)
      : MemoryTensor("w", rows, columns, std::vector<float>(rows * columns, 1.0f)), stored(stored) {
  }

  std::optional<GroupQuantization> groupQuantization() const override { return stored; }
  llvm::Error readGroups(int64_t first, int64_t count, uint8_t *codes, uint16_t *scales,
                         uint16_t *minima) const override {
    int64_t groups = rowSize() / stored.groupSize;
    for (int64_t i = 0; i < count * rowSize(); ++i)
      codes[i] = code(first + i / rowSize(), i % rowSize());
    for (int64_t i = 0; i < count * groups; ++i) {
      scales[i] = scale(first + i / groups, i % groups);
      if (minima)
        minima[i] = 0x8000 | scales[i];
    }
    return llvm::Error::success();
  }

  uint8_t code(int64_t row, int64_t k) const {
    int64_t value = (row * 5 + k * 3 + k / 16) % (stored.bits == 4 ? 16 : 256);
    return stored.affine ? value : value - (stored.bits == 4 ? 8 : 128);
  }
  uint16_t scale(int64_t row, int64_t group) const { return 0x3c00 + row * 16 + group; }

private:
  GroupQuantization stored;
};

TEST_F(PackingTest, KeptNibblesAreTheSourcesBits) {
  for (bool affine : {false, true}) {
    GroupTensor tensor(5, 64, {4, 32, affine, qopt::FloatType::f16});
    std::string element = affine ? "!qopt.q<ui4, group = 32, scale = f16, min = f16>"
                                 : "!qopt.q<i4, group = 32, scale = f16>";
    ASSERT_EQ(pack(type("5x64x" + element, "tiled, tile_n = 4, k_pack = 8"), {&tensor}, true), "");
    int64_t groupBytes = 4 * 16 + 8 + (affine ? 8 : 0);
    int64_t tileBytes = llvm::alignTo(2 * groupBytes, 64);
    ASSERT_EQ(static_cast<int64_t>(image.size()), 2 * tileBytes);
    for (int64_t row = 0; row < 5; ++row)
      for (int64_t k = 0; k < 64; ++k) {
        int64_t channel = row % 4, group = k / 32, inWord = k % 8;
        int64_t base = row / 4 * tileBytes + group * groupBytes;
        uint32_t stored = word(base + k % 32 / 8 * 16 + channel * 4);
        uint8_t nibble = stored >> (4 * (inWord / 2) + (inWord % 2 ? 16 : 0)) & 15;
        EXPECT_EQ(nibble, (tensor.code(row, k) + (affine ? 0 : 8)) & 15) << row << ", " << k;
        EXPECT_EQ(half(base + 64 + 2 * channel), tensor.scale(row, group));
        if (affine)
          EXPECT_EQ(half(base + 72 + 2 * channel), 0x8000 | tensor.scale(row, group));
      }
  }
}

TEST_F(PackingTest, KeptBytesAreTheSourcesBits) {
  GroupTensor tensor(4, 64, {8, 32, false, qopt::FloatType::f16});
  ASSERT_EQ(pack(type("4x64x!qopt.q<i8, group = 32, scale = f16>", "tiled, tile_n = 4, k_pack = 4"),
                 {&tensor}, true),
            "");
  for (int64_t row = 0; row < 4; ++row)
    for (int64_t k = 0; k < 64; ++k) {
      int64_t base = k / 32 * (128 + 8);
      EXPECT_EQ(byte(base + k % 32 / 4 * 16 + row * 4 + k % 4),
                static_cast<uint8_t>(tensor.code(row, k) + 128));
      EXPECT_EQ(half(base + 128 + 2 * row), tensor.scale(row, k / 32));
    }
}

// Whole words are written at once, in blocks of 16 steps.
TEST_F(PackingTest, LongRowsAreTheSameElementByElement) {
  constexpr int64_t rows = 70, groups = 3;
  struct Case {
    std::string element;
    int64_t bits, kPack, group;
    bool affine;
  };
  for (const Case &c :
       {Case{"i4", 4, 8, 128, false}, {"ui4", 4, 8, 208, true}, {"i8", 8, 4, 96, false}}) {
    GroupTensor tensor(rows, groups * c.group,
                       {int(c.bits), int(c.group), c.affine, qopt::FloatType::bf16});
    std::string element = "!qopt.q<" + c.element + ", group = " + std::to_string(c.group) +
                          ", scale = bf16" + (c.affine ? ", min = bf16>" : ">");
    ASSERT_EQ(pack(type("70x" + std::to_string(groups * c.group) + "x" + element,
                        "tiled, tile_n = 32, k_pack = " + std::to_string(c.kPack)),
                   {&tensor}, true),
              "");
    int64_t steps = llvm::divideCeil(c.group, c.kPack);
    int64_t groupBytes = steps * 128 + 64 + (c.affine ? 64 : 0);
    int64_t tileBytes = llvm::alignTo(groups * groupBytes, 64);
    ASSERT_EQ(static_cast<int64_t>(image.size()), 3 * tileBytes);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t k = 0; k < groups * c.group; ++k) {
        int64_t inGroup = k % c.group;
        int64_t base = row / 32 * tileBytes + k / c.group * groupBytes;
        uint32_t stored = word(base + inGroup / c.kPack * 128 + row % 32 * 4);
        int64_t inWord = inGroup % c.kPack;
        uint32_t expected = tensor.code(row, k);
        if (c.bits == 4)
          ASSERT_EQ(stored >> (4 * (inWord / 2 + 4 * (inWord % 2))) & 15,
                    (expected + (c.affine ? 0 : 8)) & 15)
              << c.element << ": " << row << ", " << k;
        else
          ASSERT_EQ(stored >> (8 * inWord) & 255, (expected & 255) ^ 128)
              << c.element << ": " << row << ", " << k;
      }
  }
}

TEST_F(PackingTest, PlainRowsAreRoundedHoweverTheyAreStored) {
  std::vector<float> values = randomValues(40 * 67, 5);
  MemoryTensor tensor("w", 40, 67, values);
  for (std::string element : {"bf16", "f16"}) {
    ASSERT_EQ(pack(type("40x67x" + element, "tiled, tile_n = 16, k_pack = 2"), {&tensor}), "");
    int64_t tileBytes = llvm::alignTo(34 * 64, 64);
    for (int64_t row = 0; row < 40; ++row)
      for (int64_t k = 0; k < 67; ++k) {
        float value = values[row * 67 + k];
        ASSERT_EQ(half(row / 16 * tileBytes + k / 2 * 64 + row % 16 * 4 + k % 2 * 2),
                  element == "bf16" ? floatToBf16(value) : floatToF16(value));
      }
  }
}

TEST_F(PackingTest, TilesCanBePackedInAnyOrder) {
  MemoryTensor a("a", 50, 256, randomWeights(50 * 256, 1)), b("b", 1, 256, randomWeights(256, 2)),
      c("c", 90, 256, randomWeights(90 * 256, 3));
  kernel::PackedType packed =
      type("141x256x!qopt.q<i4, group = 64, scale = bf16>", "tiled, tile_n = 32, k_pack = 8");
  ASSERT_EQ(pack(packed, {&a, &b, &c}), "");
  WeightPacker packer = llvm::cantFail(WeightPacker::create(packed, {&a, &b, &c}, false));
  ASSERT_EQ(packer.tiles(), 5);
  std::vector<char> bytes(5 * packer.tileBytes(), 'x');
  std::vector<ErrorEnergy> energies(5);
  for (auto [first, count] : {std::pair(3, 2), {0, 1}, {1, 2}})
    llvm::cantFail(packer.pack(
        first,
        llvm::MutableArrayRef(bytes).slice(first * packer.tileBytes(), count * packer.tileBytes()),
        llvm::MutableArrayRef(energies).slice(first, count)));
  EXPECT_EQ(image, std::string(bytes.begin(), bytes.end()));
  ErrorEnergy sum;
  for (const ErrorEnergy &ofTile : energies)
    sum.add(ofTile);
  EXPECT_EQ(sum.error, energy.error);
  EXPECT_EQ(sum.signal, energy.signal);
}

TEST_F(PackingTest, WhatTheSourceDoesNotStoreIsQuantized) {
  // Stored in groups of 32 and asked for groups of 16: from the values, all 1.
  GroupTensor tensor(4, 32, {4, 32, false, qopt::FloatType::f16});
  ASSERT_EQ(
      pack(type("4x32x!qopt.q<i4, group = 16, scale = bf16>", "tiled, tile_n = 4, k_pack = 8"),
           {&tensor}, true),
      "");
  EXPECT_EQ(word(0), 0xffffffffu); // code 7, offset by 8
}

TEST_F(PackingTest, ErrorsNameTheTensor) {
  std::vector<float> values = counting(8);
  values[6] = std::numeric_limits<float>::infinity();
  MemoryTensor infinite("model.w", 2, 4, values), small("model.w", 2, 4, counting(8));
  std::string quantized = "2x4x!qopt.q<i8, per_channel, scale = f32>";
  EXPECT_EQ(
      pack(type(quantized, "tiled, tile_n = 1, k_pack = 4"), {&infinite}),
      "tensor 'model.w', counted from row 1: row 0, column 2 holds inf, expected a finite value");
  EXPECT_EQ(pack(type("2x5xf32", "tiled, tile_n = 4, k_pack = 1"), {&small}),
            "tensor 'model.w' has rows of 4 elements, expected 5");
  EXPECT_EQ(pack(type("3x4xf32", "tiled, tile_n = 4, k_pack = 1"), {&small}),
            "tensor 'model.w' and what goes with it have 2 rows, expected 3");
  EXPECT_EQ(pack(type(quantized, "row_major"), {&small}),
            "no byte image for !kernel.packed<tensor<2x4x!qopt.q<i8, per_channel, scale = f32>>, "
            "<row_major>>");
}

TEST_F(PackingTest, VectorsAreTheirElements) {
  MemoryTensor a("a", 3, 1, counting(3)), b("b", 2, 1, counting(2, 4));
  std::string bytes;
  auto append = [&](llvm::ArrayRef<char> part) {
    bytes.append(part.begin(), part.end());
    return llvm::Error::success();
  };
  auto memref = mlir::cast<mlir::MemRefType>(mlir::parseType("memref<5xbf16>", &context));
  ASSERT_EQ(llvm::toString(packVector(memref, {&a, &b}, append)), "");
  ASSERT_EQ(bytes.size(), 10u);
  image = bytes;
  for (int64_t i = 0; i < 5; ++i)
    EXPECT_EQ(bf16ToFloat(half(2 * i)), 1.0f + i);
}

} // namespace
