//===- Packing.cpp - The bytes of a packed weight -------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/CPU/Packing.h"
#include "qopt/Quantization/RoundToNearest.h"
#include "qopt/Support/Float.h"
#include "qopt/Target/CPU/Layout.h"
#include "llvm/Support/Endian.h"

using namespace mlir;
using namespace qopt;
using llvm::support::endian::read32le;
using llvm::support::endian::write16le;
using llvm::support::endian::write32le;

int64_t qopt::packedSize(kernel::PackedType type) { return WeightImage(type).bytes(); }

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

static ScaleType scaleTypeOf(Type type) {
  return type.isF32() ? ScaleType::f32 : type.isBF16() ? ScaleType::bf16 : ScaleType::f16;
}

static Scheme schemeOf(QuantizedType type) {
  Storage storage = isa<Float8E4M3FNType>(type.getStorage()) ? Storage::e4m3
                    : type.getStorage().isInteger(8)         ? Storage::int8
                    : type.isAffine()                        ? Storage::uint4
                                                             : Storage::int4;
  return {storage, type.isGrouped() ? type.getGroupSize() : 0, scaleTypeOf(type.getScale())};
}

/// Writes a float of type f32, bf16 or f16.
static void writeFloat(Type type, float value, char *to) {
  if (type.isF32())
    return write32le(to, llvm::bit_cast<uint32_t>(value));
  write16le(to, type.isBF16() ? floatToBf16(value) : floatToF16(value));
}

//===----------------------------------------------------------------------===//
// Rows of one source in one tile
//===----------------------------------------------------------------------===//

namespace {

/// Channels [channel, channel + count) of a tile: rows [first, first + count) of
/// a source.
struct Piece {
  const WeightTensor *source;
  int64_t channel, first, count;
};

class TileWriter {
public:
  TileWriter(const WeightImage &image, kernel::PackedType type, bool keep, ErrorEnergy &energy)
      : image(image), quantized(dyn_cast<QuantizedType>(type.getTensor().getElementType())),
        keep(keep), energy(energy), bytes(image.tileBytes()) {}

  void clear() { std::fill(bytes.begin(), bytes.end(), 0); }
  ArrayRef<char> tile() const { return bytes; }

  llvm::Error write(const Piece &piece) {
    if (!quantized)
      return writePlain(piece);
    return isKept(piece) ? writeKept(piece) : writeQuantized(piece);
  }

private:
  char *groupOf(int64_t group) { return bytes.data() + group * image.groupBytes(); }

  /// Where element k of a channel is; a 4-bit one shares the word that is there.
  char *elementOf(int64_t channel, int64_t k) {
    int64_t inGroup = k % image.group, inWord = inGroup % image.kPack;
    char *step = groupOf(k / image.group) + inGroup / image.kPack * image.stepBytes();
    int64_t bits = channel * image.kPack * image.codeBits;
    if (image.codeBits >= 8)
      bits += inWord * image.codeBits;
    return step + bits / 8;
  }

  void writeCode(int64_t channel, int64_t k, uint8_t code) {
    char *to = elementOf(channel, k);
    if (image.codeBits == 8) {
      *to = static_cast<char>(image.element.isInteger(8) ? code ^ 0x80u : code);
      return;
    }
    uint32_t nibble = (quantized.isAffine() ? code : code + 8u) & 15u;
    write32le(to, read32le(to) | nibble << nibbleBit(k % image.kPack));
  }

  char *scaleOf(int64_t channel, int64_t group) {
    return groupOf(group) + image.codeBytes() + channel * (image.scaleBytes() / image.tileN);
  }
  char *minimumOf(int64_t channel, int64_t group) {
    return groupOf(group) + image.codeBytes() + image.scaleBytes() +
           channel * (image.minimumBytes() / image.tileN);
  }

  llvm::Error writePlain(const Piece &piece) {
    values.resize(piece.count * image.k);
    if (llvm::Error error = piece.source->readRows(piece.first, piece.count, values.data()))
      return error;
    for (int64_t row = 0; row < piece.count; ++row)
      for (int64_t k = 0; k < image.k; ++k)
        writeFloat(image.element, values[row * image.k + k], elementOf(piece.channel + row, k));
    return llvm::Error::success();
  }

  /// Whether the source holds just what the image stores.
  bool isKept(const Piece &piece) const {
    std::optional<GroupQuantization> stored = piece.source->groupQuantization();
    if (!keep || !stored || stored->scaleType == qopt::FloatType::f32)
      return false;
    bool isBF16 = stored->scaleType == qopt::FloatType::bf16;
    auto matches = [&](Type type) { return isBF16 ? type.isBF16() : type.isF16(); };
    return stored->bits == image.codeBits && stored->groupSize == image.group &&
           quantized.getStorage().isInteger(stored->bits) &&
           stored->affine == quantized.isAffine() && matches(image.scale) &&
           (!image.minimum || matches(image.minimum));
  }

  llvm::Error writeKept(const Piece &piece) {
    int64_t groups = piece.count * image.groups();
    codes.resize(piece.count * image.k);
    scales.resize(groups);
    minima.resize(image.minimum ? groups : 0);
    if (llvm::Error error =
            piece.source->readGroups(piece.first, piece.count, codes.data(), scales.data(),
                                     image.minimum ? minima.data() : nullptr))
      return error;
    writeCodes(piece, codes);
    for (int64_t i = 0; i < groups; ++i) {
      int64_t channel = piece.channel + i / image.groups(), group = i % image.groups();
      write16le(scaleOf(channel, group), scales[i]);
      if (image.minimum)
        write16le(minimumOf(channel, group), minima[i]);
    }
    return llvm::Error::success();
  }

  llvm::Error writeQuantized(const Piece &piece) {
    Scheme scheme = schemeOf(quantized);
    int64_t count = piece.count * image.k, groups = piece.count * image.groups();
    values.resize(count);
    if (llvm::Error error = piece.source->readRows(piece.first, piece.count, values.data()))
      return error;
    roundToBf16(values);
    QuantizedRows rows;
    if (Status status = quantizeRows(scheme, values.data(), piece.count, image.k, rows); !status)
      return llvm::createStringError("tensor '" + piece.source->name() + "', counted from row " +
                                     Twine(piece.first) + ": " + status.message());
    decoded.resize(count);
    dequantizeRows(scheme, rows, piece.count, image.k, decoded.data());
    energy.add(values.data(), decoded.data(), count);
    writeCodes(piece, rows.codes);
    for (int64_t i = 0; i < groups; ++i) {
      int64_t channel = piece.channel + i / image.groups(), group = i % image.groups();
      writeFloat(image.scale, rows.scales[i], scaleOf(channel, group));
      if (image.minimum)
        writeFloat(image.minimum, rows.minima[i], minimumOf(channel, group));
    }
    return llvm::Error::success();
  }

  void writeCodes(const Piece &piece, ArrayRef<uint8_t> codes) {
    for (int64_t row = 0; row < piece.count; ++row)
      for (int64_t k = 0; k < image.k; ++k)
        writeCode(piece.channel + row, k, codes[row * image.k + k]);
  }

  const WeightImage &image;
  QuantizedType quantized;
  bool keep;
  ErrorEnergy &energy;
  std::vector<char> bytes;
  std::vector<float> values, decoded;   // [count, K]
  std::vector<uint8_t> codes;           // [count, K]
  std::vector<uint16_t> scales, minima; // [count, groups]
};

} // namespace

//===----------------------------------------------------------------------===//
// Images
//===----------------------------------------------------------------------===//

static llvm::Error checkSources(ArrayRef<const WeightTensor *> sources, int64_t rows,
                                int64_t columns) {
  int64_t total = 0;
  for (const WeightTensor *source : sources) {
    if (source->rowSize() != columns)
      return llvm::createStringError("tensor '" + source->name() + "' has rows of " +
                                     Twine(source->rowSize()) + " elements, expected " +
                                     Twine(columns));
    total += source->rows();
  }
  if (total == rows)
    return llvm::Error::success();
  return llvm::createStringError("tensor '" + (sources.empty() ? "" : sources.front()->name()) +
                                 "' and what goes with it have " + Twine(total) +
                                 " rows, expected " + Twine(rows));
}

static llvm::Error checkImage(const WeightImage &image, kernel::PackedType type) {
  bool isTiled = type.getLayout().getKind() == kernel::LayoutKind::Tiled;
  bool isWhole = image.codeBits >= 8 || (image.codeBits == 4 && image.kPack == 8);
  if (image.k > 0 && image.k % image.group == 0 && isWhole && (isTiled || !image.scale))
    return llvm::Error::success();
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "no byte image for " << type;
  return llvm::createStringError(text);
}

llvm::Error qopt::packWeight(kernel::PackedType type, ArrayRef<const WeightTensor *> sources,
                             bool keep, llvm::function_ref<llvm::Error(ArrayRef<char>)> write,
                             ErrorEnergy &energy) {
  WeightImage image(type);
  if (llvm::Error error = checkImage(image, type))
    return error;
  if (llvm::Error error = checkSources(sources, image.n, image.k))
    return error;
  TileWriter tile(image, type, keep, energy);
  size_t source = 0;
  int64_t row = 0; // of the source
  for (int64_t first = 0; first < image.n; first += image.tileN) {
    int64_t channels = std::min(image.tileN, image.n - first);
    tile.clear();
    for (int64_t channel = 0; channel < channels;) {
      if (row == sources[source]->rows()) {
        ++source;
        row = 0;
        continue;
      }
      int64_t count = std::min(channels - channel, sources[source]->rows() - row);
      if (llvm::Error error = tile.write({sources[source], channel, row, count}))
        return error;
      channel += count;
      row += count;
    }
    if (llvm::Error error = write(tile.tile()))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error qopt::packVector(MemRefType type, ArrayRef<const WeightTensor *> sources,
                             llvm::function_ref<llvm::Error(ArrayRef<char>)> write) {
  if (llvm::Error error = checkSources(sources, type.getNumElements(), 1))
    return error;
  Type element = type.getElementType();
  int64_t size = element.getIntOrFloatBitWidth() / 8;
  for (const WeightTensor *source : sources) {
    std::vector<float> values(source->rows());
    if (llvm::Error error = source->readRows(0, source->rows(), values.data()))
      return error;
    std::vector<char> bytes(values.size() * size);
    for (auto [i, value] : llvm::enumerate(values))
      writeFloat(element, value, bytes.data() + i * size);
    if (llvm::Error error = write(bytes))
      return error;
  }
  return llvm::Error::success();
}
