//===- CUDAPackingTest.cpp - Every element of CUDA's images ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The images are read back by the text of the layouts (KernelTypes.td), not by the
/// header that the packer and the kernels share.
///
//===----------------------------------------------------------------------===//

#include "CompiledPlan.h"
#include "mlir/AsmParser/AsmParser.h"
#include "qopt/Support/Float.h"
#include "qopt/Target/CUDA/CUDATarget.h"
#include "llvm/Support/MathExtras.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::test;

namespace {

class CUDAPackingTest : public testing::Test {
protected:
  CUDAPackingTest() : context(mlir::MLIRContext::Threading::DISABLED) {
    context.loadDialect<QOptDialect, kernel::KernelDialect>();
  }

  /// Packs as the driver does, `tilesAtOnce` a time; the error's text.
  std::string pack(const std::string &tensor, const std::string &layout,
                   std::vector<const WeightTensor *> sources, bool keep = false,
                   int64_t tilesAtOnce = 1) {
    std::string text = "!kernel.packed<tensor<" + tensor + ">, #kernel.layout<" + layout + ">>";
    auto type = mlir::cast<kernel::PackedType>(mlir::parseType(text, &context));
    isInterleaved = type.getLayout().getInterleave();
    n = type.getTensor().getDimSize(0);
    k = type.getTensor().getDimSize(1);
    auto packer = createCUDAPacker(type, sources, keep);
    if (!packer)
      return llvm::toString(packer.takeError());
    image.clear();
    std::string allSides;
    for (int64_t tile = 0; tile < (*packer)->tiles(); tile += tilesAtOnce) {
      int64_t count = std::min(tilesAtOnce, (*packer)->tiles() - tile);
      std::string bytes(count * (*packer)->tileBytes(), 'x'),
          sides(count * (*packer)->sideBytes(), 'x');
      std::vector<ErrorEnergy> energies(count);
      if (llvm::Error error =
              (*packer)->pack(tile, {bytes.data(), bytes.size()}, {sides.data(), sides.size()},
                              energies))
        return llvm::toString(std::move(error));
      for (const ErrorEnergy &ofTile : energies)
        energy.add(ofTile);
      image += bytes;
      allSides += sides;
    }
    image += allSides;
    return "";
  }

  uint8_t byte(int64_t i) const { return static_cast<uint8_t>(image.at(i)); }
  uint16_t half(int64_t i) const { return byte(i) | byte(i + 1) << 8; }
  uint32_t word(int64_t i) const { return half(i) | static_cast<uint32_t>(half(i + 2)) << 16; }

  /// Unit and row in it of row `n` of the stacked sources.
  std::pair<int64_t, int64_t> place(int64_t row) const {
    if (!isInterleaved)
      return {row / 16, row % 16};
    int64_t source = row / (n / 2), ofSource = row % (n / 2);
    return {ofSource / 8, ofSource % 8 + 8 * source};
  }

  /// Offset of byte `b` of a row in a swizzled image.
  int64_t swizzled(int64_t row, int64_t b, int64_t rowBytes) const {
    auto [unit, r] = place(row);
    int64_t blocks = llvm::divideCeil(rowBytes, 128);
    return ((unit * blocks + b / 128) * 16 + r) * 128 + ((b % 128 / 16) ^ (r % 8)) * 16 + b % 16;
  }

  int64_t unitsOfImage() const { return llvm::alignTo(n, 64) / 16; }

  /// The block of a group in a fragment image, and the stored code of an element.
  int64_t blockBytes(int64_t bits, int64_t group, int64_t scaleBytes) const {
    return 16 * group * bits / 8 + 16 * scaleBytes;
  }
  uint32_t fragmentCode(int64_t row, int64_t column, int64_t bits, int64_t group,
                        int64_t ofBlock) const {
    auto [unit, r] = place(row);
    int64_t block = unit * llvm::divideCeil(k, group) + column / group;
    int64_t step = column % group / 16, inStep = column % 16;
    int64_t i = r / 8 + 2 * (inStep / 8), lane = 4 * (r % 8) + inStep % 8 / 2, e = inStep % 2;
    int64_t words = group / 16 * (bits / 4), v = std::min<int64_t>(4, words);
    int64_t w = bits == 4 ? step : 2 * step + i / 2;
    uint32_t stored = word(block * ofBlock + 4 * ((w / v * 32 + lane) * v + w % v));
    return bits == 4 ? stored >> (4 * i + 16 * e) & 15 : stored >> (8 * (i % 2 * 2 + e)) & 255;
  }
  uint16_t fragmentScale(int64_t row, int64_t group, int64_t groups, int64_t codeBytes,
                         int64_t ofBlock, bool minimum) const {
    auto [unit, r] = place(row);
    return half((unit * groups + group) * ofBlock + codeBytes + (minimum ? 32 : 0) + 2 * r);
  }

  mlir::MLIRContext context;
  std::string image;
  ErrorEnergy energy;
  int64_t n = 0, k = 0;
  bool isInterleaved = false;
};

/// Values that bf16 holds and that differ from element to element.
std::vector<float> counting(int64_t count) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i)
    values[i] = bf16ToFloat(static_cast<uint16_t>(0x3000 + i));
  return values;
}

TEST_F(CUDAPackingTest, SwizzledRowsOfBf16) {
  // Rows of 72 elements are 144 bytes of two 128-byte blocks; 70 rows of 128.
  MemoryTensor tensor("w", 70, 72, counting(70 * 72));
  for (int64_t tilesAtOnce : {1, 2}) {
    ASSERT_EQ(pack("70x72xbf16", "swizzled", {&tensor}, false, tilesAtOnce), "");
    ASSERT_EQ(static_cast<int64_t>(image.size()), 8 * 2 * 16 * 128);
    std::vector<bool> seen(image.size());
    for (int64_t row = 0; row < 70; ++row)
      for (int64_t column = 0; column < 72; ++column) {
        int64_t at = swizzled(row, 2 * column, 144);
        ASSERT_EQ(bf16ToFloat(half(at)), tensor.values[row * 72 + column]) << row << ", " << column;
        ASSERT_FALSE(seen[at]);
        seen[at] = seen[at + 1] = true;
      }
    for (size_t i = 0; i < image.size(); ++i)
      ASSERT_TRUE(seen[i] || image[i] == 0) << "padding at " << i;
  }
}

TEST_F(CUDAPackingTest, InterleavedSourcesAlternateByEightRows) {
  MemoryTensor gate("gate", 40, 64, counting(40 * 64)), up("up", 40, 64, counting(40 * 64));
  for (float &value : up.values)
    value = -value;
  ASSERT_EQ(pack("80x64xbf16", "swizzled, interleave = 1", {&gate, &up}), "");
  ASSERT_EQ(static_cast<int64_t>(image.size()), 8 * 16 * 128); // 80 rows, padded to 128
  for (int64_t row = 0; row < 40; ++row)
    for (int64_t column = 0; column < 64; ++column) {
      // Unit row / 8 has gate's rows first, then up's.
      int64_t unit = row / 8 * 16 * 128, r = row % 8;
      int64_t chunk = (column / 8 ^ r) * 16 + column % 8 * 2;
      ASSERT_EQ(bf16ToFloat(half(unit + r * 128 + chunk)), gate.values[row * 64 + column]);
      ASSERT_EQ(bf16ToFloat(half(unit + (r + 8) * 128 + chunk)), up.values[row * 64 + column]);
      ASSERT_EQ(half(swizzled(40 + row, 2 * column, 128)), half(unit + (r + 8) * 128 + chunk));
    }
}

TEST_F(CUDAPackingTest, SwizzledCodesAndTheirScalesBehindAll) {
  // Row r holds 2^(r % 8) * code with a largest magnitude of 127.5 * 2^(r % 8).
  constexpr int64_t rows = 67, columns = 144;
  std::vector<float> values;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      values.push_back((1 << r % 8) * (c == 5 ? 127.5f : float((c * 7 + r * 3) % 253 - 126)));
  MemoryTensor tensor("w", rows, columns, values);
  ASSERT_EQ(pack("67x144x!qopt.q<i8, per_channel, scale = bf16>", "swizzled", {&tensor}), "");
  int64_t scales = 8 * 2 * 16 * 128;
  ASSERT_EQ(static_cast<int64_t>(image.size()), scales + 128 * 2);
  for (int64_t r = 0; r < 128; ++r) {
    EXPECT_EQ(bf16ToFloat(half(scales + 2 * r)), r < rows ? float(1 << r % 8) : 0.0f);
    for (int64_t c = 0; c < columns && r < rows; ++c)
      ASSERT_EQ(static_cast<int8_t>(byte(swizzled(r, c, columns))),
                c == 5 ? 127 : (c * 7 + r * 3) % 253 - 126)
          << r << ", " << c;
  }
  EXPECT_GT(energy.signal, 0.0);
  ASSERT_EQ(pack("67x144x!qopt.q<f8E4M3FN, per_channel, scale = f32>", "swizzled", {&tensor}), "");
  ASSERT_EQ(static_cast<int64_t>(image.size()), scales + 128 * 4);
  float scale = std::bit_cast<float>(word(scales + 4 * 3));
  EXPECT_EQ(scale, 8 * 127.5f / 448);
  EXPECT_EQ(byte(swizzled(3, 5, columns)), floatToE4m3(448));
}

/// Grouped integers of their place, as a GGUF file holds them.
class PlaceTensor : public MemoryTensor {
public:
  PlaceTensor(int64_t rows, int64_t columns, GroupQuantization stored, int64_t seed = 0)
      : MemoryTensor("w", rows, columns, {}), stored(stored), seed(seed) {}

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

  uint8_t code(int64_t row, int64_t column) const {
    uint32_t mixed = uint32_t(row * 7919 + column * 104729 + seed) * 2654435761u >> 13;
    int64_t value = mixed % (stored.bits == 4 ? 16 : 256);
    return stored.affine ? value : value - (stored.bits == 4 ? 8 : 128);
  }
  uint16_t scale(int64_t row, int64_t group) const { return 0x2c00 + seed + row * 16 + group; }

private:
  GroupQuantization stored;
  int64_t seed;
};

struct FragmentCase {
  std::string storage;
  int bits, group;
  bool affine, isF16;
};

TEST_F(CUDAPackingTest, FragmentsOfEveryGroupAndFormat) {
  constexpr int64_t rows = 67, groups = 3;
  for (const FragmentCase &c : {FragmentCase{"i4", 4, 32, false, false},
                                {"i4", 4, 64, false, true},
                                {"i4", 4, 128, false, false},
                                {"ui4", 4, 32, true, true},
                                {"ui4", 4, 128, true, false},
                                {"i8", 8, 32, false, true},
                                {"i8", 8, 64, false, false},
                                {"i8", 8, 128, false, true}}) {
    SCOPED_TRACE(c.storage + " group " + std::to_string(c.group));
    qopt::FloatType type = c.isF16 ? qopt::FloatType::f16 : qopt::FloatType::bf16;
    PlaceTensor tensor(rows, groups * c.group, {c.bits, c.group, c.affine, type});
    std::string scale = c.isF16 ? "f16" : "bf16";
    ASSERT_EQ(pack("67x" + std::to_string(groups * c.group) + "x!qopt.q<" + c.storage +
                       ", group = " + std::to_string(c.group) + ", scale = " + scale +
                       (c.affine ? ", min = " + scale : "") + ">",
                   "fragment", {&tensor}, true, 2),
              "");
    int64_t codeBytes = 16 * c.group * c.bits / 8;
    int64_t ofBlock = blockBytes(c.bits, c.group, c.affine ? 4 : 2);
    ASSERT_EQ(static_cast<int64_t>(image.size()), unitsOfImage() * groups * ofBlock);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < groups * c.group; ++column) {
        uint32_t offset = c.affine ? 0 : c.bits == 4 ? 8 : 128;
        ASSERT_EQ(fragmentCode(row, column, c.bits, c.group, ofBlock),
                  (tensor.code(row, column) + offset) & (c.bits == 4 ? 15 : 255))
            << row << ", " << column;
        uint16_t bits = tensor.scale(row, column / c.group);
        ASSERT_EQ(fragmentScale(row, column / c.group, groups, codeBytes, ofBlock, false), bits);
        if (c.affine)
          ASSERT_EQ(fragmentScale(row, column / c.group, groups, codeBytes, ofBlock, true),
                    0x8000 | bits);
      }
    // Channels beyond N have scale 0.
    EXPECT_EQ(fragmentScale(rows, 0, groups, codeBytes, ofBlock, false), 0);
  }
}

TEST_F(CUDAPackingTest, InterleavedFragments) {
  GroupQuantization stored{4, 64, false, qopt::FloatType::bf16};
  PlaceTensor gate(24, 128, stored, 1), up(24, 128, stored, 5000);
  ASSERT_EQ(pack("48x128x!qopt.q<i4, group = 64, scale = bf16>", "fragment, interleave = 1",
                 {&gate, &up}, true),
            "");
  int64_t ofBlock = blockBytes(4, 64, 2);
  for (int64_t row = 0; row < 48; ++row)
    for (int64_t column = 0; column < 128; ++column) {
      const PlaceTensor &source = row < 24 ? gate : up;
      ASSERT_EQ(fragmentCode(row, column, 4, 64, ofBlock),
                (source.code(row % 24, column) + 8u) & 15);
      ASSERT_EQ(fragmentScale(row, column / 64, 2, 512, ofBlock, false),
                source.scale(row % 24, column / 64));
    }
}

TEST_F(CUDAPackingTest, QuantizedGroupsAreThoseOfTheScheme) {
  MemoryTensor a("a", 30, 128, randomWeights(30 * 128, 1)), b("b", 50, 128, randomWeights(50 * 128, 2));
  ASSERT_EQ(pack("80x128x!qopt.q<i4, group = 64, scale = bf16>", "fragment", {&a, &b}), "");
  int64_t ofBlock = blockBytes(4, 64, 2);
  for (int64_t row = 0; row < 80; ++row)
    for (int64_t column = 0; column < 128; ++column) {
      const MemoryTensor &source = row < 30 ? a : b;
      float value = source.values[(row < 30 ? row : row - 30) * 128 + column];
      float scale = bf16ToFloat(fragmentScale(row, column / 64, 2, 512, ofBlock, false));
      float stored = (float(fragmentCode(row, column, 4, 64, ofBlock)) - 8) * scale;
      // Half a step; scale and quotient are rounded to bf16.
      ASSERT_LE(std::abs(stored - value), 0.54f * scale) << row << ", " << column;
    }
  EXPECT_GT(energy.sqnr(), 15);
}

TEST_F(CUDAPackingTest, ErrorsNameTheTensor) {
  MemoryTensor small("model.w", 2, 64, randomWeights(128, 1));
  EXPECT_EQ(pack("2x72xbf16", "swizzled", {&small}),
            "tensor 'model.w' has rows of 64 elements, expected 72");
  EXPECT_EQ(pack("3x64xbf16", "swizzled", {&small}),
            "tensor 'model.w' and what goes with it have 2 rows, expected 3");
  EXPECT_EQ(pack("2x64xbf16", "row_major", {&small}),
            "no byte image for !kernel.packed<tensor<2x64xbf16>, <row_major>>");
  small.values[70] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(pack("2x64x!qopt.q<i4, group = 32, scale = bf16>", "fragment", {&small}),
            "tensor 'model.w', counted from row 1: row 0, column 6 holds nan, expected a finite "
            "value");
}

} // namespace
