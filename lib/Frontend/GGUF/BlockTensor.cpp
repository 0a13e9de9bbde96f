//===- BlockTensor.cpp - Tensors of GGUF blocks ---------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/GGUF/BlockTensor.h"
#include "qopt/Frontend/MappedTensor.h"
#include <cstring>

using namespace llvm;
using namespace qopt;

static FloatType exactType(const BlockFormat &format) {
  if (format.name == "F16")
    return FloatType::f16;
  return format.name == "BF16" ? FloatType::bf16 : FloatType::f32;
}

BlockTensor::BlockTensor(std::string name, const GGUFTensor &source, int64_t headDim)
    : WeightTensor(std::move(name), source.shape, exactType(*source.format)),
      format(*source.format), data(reinterpret_cast<const uint8_t *>(source.bytes.data())),
      rowBytes(rowSize() / format.elements * format.blockBytes), headDim(headDim) {
  assert((headDim == 0 || rows() % headDim == 0) && "rows must be whole heads");
  assert((format.isFloat() || shape().size() > 1) && "a vector can't be quantized");
}

const uint8_t *BlockTensor::storedRow(int64_t row) const {
  if (headDim) {
    int64_t inHead = row % headDim, half = headDim / 2;
    row += inHead % half * 2 + inHead / half - inHead;
  }
  return data + row * rowBytes;
}

Error BlockTensor::readRows(int64_t first, int64_t count, float *out) const {
  int64_t blocks = rowSize() / format.elements;
  for (int64_t row = 0; row < count; ++row) {
    const uint8_t *source = storedRow(first + row);
    for (int64_t block = 0; block < blocks; ++block)
      format.decode(source + block * format.blockBytes,
                    out + row * rowSize() + block * format.elements);
  }
  return checkFinite(*this, first * rowSize(), ArrayRef(out, count * rowSize()));
}

std::optional<GroupQuantization> BlockTensor::groupQuantization() const {
  if (format.name == "Q4_0")
    return GroupQuantization{4, 32, /*affine=*/false, FloatType::f16};
  if (format.name == "Q4_1")
    return GroupQuantization{4, 32, /*affine=*/true, FloatType::f16};
  if (format.name == "Q8_0")
    return GroupQuantization{8, 32, /*affine=*/false, FloatType::f16};
  return std::nullopt;
}

/// The codes of one block: after the scale (and the minimum), 16 bytes of low
/// then high halves, or 32 bytes.
static void readCodes(const GroupQuantization &groups, const uint8_t *bytes, uint8_t *codes) {
  if (groups.bits == 8) {
    std::memcpy(codes, bytes, 32);
    return;
  }
  int offset = groups.affine ? 0 : 8; // symmetric codes are stored offset by 8
  for (int i = 0; i < 16; ++i) {
    codes[i] = static_cast<uint8_t>((bytes[i] & 15) - offset);
    codes[i + 16] = static_cast<uint8_t>((bytes[i] >> 4) - offset);
  }
}

Error BlockTensor::readGroups(int64_t first, int64_t count, uint8_t *codes, uint16_t *scales,
                              uint16_t *minima) const {
  std::optional<GroupQuantization> groups = groupQuantization();
  if (!groups)
    return WeightTensor::readGroups(first, count, codes, scales, minima);
  int64_t blocks = rowSize() / 32;
  for (int64_t row = 0; row < count; ++row) {
    const uint8_t *block = storedRow(first + row);
    for (int64_t i = row * blocks; i < (row + 1) * blocks; ++i, block += format.blockBytes) {
      std::memcpy(&scales[i], block, 2);
      if (groups->affine)
        std::memcpy(&minima[i], block + 2, 2);
      readCodes(*groups, block + (groups->affine ? 4 : 2), codes + i * 32);
      bool finite =
          (scales[i] & 0x7c00) != 0x7c00 && (!groups->affine || (minima[i] & 0x7c00) != 0x7c00);
      if (!finite)
        return createStringError("tensor '" + name() +
                                 "' has a scale or a minimum that is not "
                                 "finite in row " +
                                 Twine(first + row));
    }
  }
  return Error::success();
}
