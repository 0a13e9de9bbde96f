//===- Packing.cpp - The bytes of a packed weight -------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/CPU/Packing.h"
#include "qopt/Dialect/QOpt/IR/PlainTypes.h"
#include "qopt/Quantization/RoundToNearest.h"
#include "qopt/Support/Float.h"
#include "qopt/Target/CPU/Layout.h"
#include "llvm/Support/Endian.h"

using namespace mlir;
using namespace qopt;
using llvm::support::endian::read32le;
using llvm::support::endian::read64le;
using llvm::support::endian::write16le;
using llvm::support::endian::write32le;

int64_t qopt::packedSize(kernel::PackedType type) { return WeightImage(type).bytes(); }

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

/// Writes a float of type f32, bf16 or f16.
static void writeFloat(Type type, float value, char *to) {
  if (type.isF32())
    return write32le(to, llvm::bit_cast<uint32_t>(value));
  write16le(to, type.isBF16() ? floatToBf16(value) : floatToF16(value));
}

/// Eight 4-bit codes, one a byte, in a word: see nibbleBit().
static uint32_t nibbleWord(uint64_t codes) {
  auto gather = [](uint64_t x) { // codes 0, 2, 4, 6 of x to 16 bits
    x &= 0x000f000f000f000f;
    x |= x >> 12;
    return static_cast<uint32_t>((x & 0xff) | (x >> 24 & 0xff00));
  };
  return gather(codes) | gather(codes >> 8) << 16;
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

/// Writes tiles; its buffers serve one thread.
class TileWriter {
public:
  TileWriter(const WeightImage &image, kernel::PackedType type, bool keep)
      : image(image), quantized(dyn_cast<QuantizedType>(type.getTensor().getElementType())),
        keep(keep), hasWords(image.kPack * image.codeBits == 32) {}

  /// Goes on with the tile at `to`, all zeros so far.
  void begin(char *to) { tile = to; }

  llvm::Error write(const Piece &piece, ErrorEnergy &energy) {
    if (!quantized)
      return writePlain(piece);
    return isKept(piece) ? writeKept(piece) : writeQuantized(piece, energy);
  }

private:
  char *groupOf(int64_t group) { return tile + group * image.groupBytes(); }

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

  /// Writes channels [channel, channel + count): whole words of kPack elements as
  /// `word(row, k)`, the elements that are left in a group by `element(row, k)`.
  template <typename Word, typename Element>
  void writeElements(int64_t channel, int64_t count, Word word, Element element) {
    // A cache line of 4-bit codes, read at once for each channel.
    constexpr int64_t blockSteps = 16;
    int64_t wholeSteps = hasWords ? image.group / image.kPack : 0, stepBytes = image.stepBytes();
    for (int64_t group = 0; group < image.groups(); ++group) {
      int64_t firstK = group * image.group;
      for (int64_t block = 0; block < wholeSteps; block += blockSteps) {
        int64_t end = std::min(block + blockSteps, wholeSteps);
        for (int64_t row = 0; row < count; ++row) {
          char *to = groupOf(group) + 4 * (channel + row);
          for (int64_t step = block; step < end; ++step)
            write32le(to + step * stepBytes, word(row, firstK + step * image.kPack));
        }
      }
      for (int64_t row = 0; row < count; ++row)
        for (int64_t k = wholeSteps * image.kPack; k < image.group; ++k)
          element(row, firstK + k);
    }
  }

  llvm::Error writePlain(const Piece &piece) {
    values.resize(piece.count * image.k);
    if (llvm::Error error = piece.source->readRows(piece.first, piece.count, values.data()))
      return error;
    const float *from = values.data();
    auto element = [&](int64_t row, int64_t k) {
      writeFloat(image.element, from[row * image.k + k], elementOf(piece.channel + row, k));
    };
    auto write = [&](auto word) {
      writeElements(
          piece.channel, piece.count,
          [&](int64_t row, int64_t k) { return word(from + row * image.k + k); }, element);
    };
    if (image.element.isF32())
      write([](const float *w) { return llvm::bit_cast<uint32_t>(w[0]); });
    else if (image.element.isF16())
      write([](const float *w) { return floatToF16(w[0]) | uint32_t(floatToF16(w[1])) << 16; });
    else if (piece.source->type() == qopt::FloatType::bf16) // the low halves are zeros
      write([](const float *w) {
        return llvm::bit_cast<uint32_t>(w[0]) >> 16 | llvm::bit_cast<uint32_t>(w[1]);
      });
    else
      write([](const float *w) { return floatToBf16(w[0]) | uint32_t(floatToBf16(w[1])) << 16; });
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
    writeCodes(piece.channel, piece.count, codes.data());
    for (int64_t row = 0; row < piece.count; ++row)
      for (int64_t group = 0; group < image.groups(); ++group) {
        int64_t from = row * image.groups() + group;
        write16le(scaleOf(piece.channel + row, group), scales[from]);
        if (image.minimum)
          write16le(minimumOf(piece.channel + row, group), minima[from]);
      }
    return llvm::Error::success();
  }

  llvm::Error writeQuantized(const Piece &piece, ErrorEnergy &energy) {
    Scheme scheme = schemeOf(quantized);
    int64_t count = piece.count * image.k;
    values.resize(count);
    codes.resize(count);
    decoded.resize(image.k);
    if (llvm::Error error = piece.source->readRows(piece.first, piece.count, values.data()))
      return error;
    if (piece.source->type() != qopt::FloatType::bf16)
      roundToBf16(values);
    for (int64_t row = 0; row < piece.count; ++row) { // each in the first caches
      const float *from = values.data() + row * image.k;
      if (Status status = quantizeRows(scheme, from, 1, image.k, rows); !status)
        return llvm::createStringError("tensor '" + piece.source->name() + "', counted from row " +
                                       Twine(piece.first + row) + ": " + status.message());
      dequantizeRows(scheme, rows, 1, image.k, decoded.data());
      energy.add(from, decoded.data(), image.k);
      llvm::copy(rows.codes, codes.data() + row * image.k);
      for (int64_t group = 0; group < image.groups(); ++group) {
        writeFloat(image.scale, rows.scales[group], scaleOf(piece.channel + row, group));
        if (image.minimum)
          writeFloat(image.minimum, rows.minima[group], minimumOf(piece.channel + row, group));
      }
    }
    writeCodes(piece.channel, piece.count, codes.data());
    return llvm::Error::success();
  }

  void writeCodes(int64_t channel, int64_t count, const uint8_t *from) {
    auto element = [&](int64_t row, int64_t k) {
      writeCode(channel + row, k, from[row * image.k + k]);
    };
    if (image.codeBits == 4) {
      uint64_t offset = quantized.isAffine() ? 0 : 0x0808080808080808;
      writeElements(
          channel, count,
          [&](int64_t row, int64_t k) {
            return nibbleWord(read64le(from + row * image.k + k) ^ offset);
          },
          element);
      return;
    }
    uint32_t offset = image.element.isInteger(8) ? 0x80808080 : 0;
    writeElements(
        channel, count,
        [&](int64_t row, int64_t k) { return read32le(from + row * image.k + k) ^ offset; },
        element);
  }

  const WeightImage &image;
  QuantizedType quantized;
  bool keep;
  bool hasWords; // kPack elements are 32 bits
  char *tile = nullptr;
  std::vector<float> values, decoded;   // [count, K], [K]
  QuantizedRows rows;                   // one
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

llvm::Expected<WeightPacker>
WeightPacker::create(kernel::PackedType type, ArrayRef<const WeightTensor *> sources, bool keep) {
  WeightPacker packer(type, sources, keep);
  if (llvm::Error error = checkImage(packer.image, type))
    return error;
  if (llvm::Error error = checkSources(sources, packer.image.n, packer.image.k))
    return error;
  return packer;
}

llvm::Error WeightPacker::pack(int64_t firstTile, MutableArrayRef<char> to,
                               MutableArrayRef<ErrorEnergy> energies) const {
  TileWriter writer(image, type, keep);
  size_t source = 0;
  int64_t row = firstTile * image.tileN; // of the source
  for (auto [i, energy] : llvm::enumerate(energies)) {
    MutableArrayRef<char> tile = to.slice(i * tileBytes(), tileBytes());
    llvm::fill(tile, 0);
    writer.begin(tile.data());
    int64_t first = (firstTile + static_cast<int64_t>(i)) * image.tileN;
    int64_t channels = std::min(image.tileN, image.n - first);
    for (int64_t channel = 0; channel < channels;) {
      if (row >= sources[source]->rows()) {
        row -= sources[source++]->rows();
        continue;
      }
      int64_t count = std::min(channels - channel, sources[source]->rows() - row);
      if (llvm::Error error = writer.write({sources[source], channel, row, count}, energy))
        return error;
      channel += count;
      row += count;
    }
  }
  return llvm::Error::success();
}

llvm::Error qopt::packWeight(kernel::PackedType type, ArrayRef<const WeightTensor *> sources,
                             bool keep, llvm::function_ref<llvm::Error(ArrayRef<char>)> write,
                             ErrorEnergy &energy) {
  llvm::Expected<WeightPacker> packer = WeightPacker::create(type, sources, keep);
  if (!packer)
    return packer.takeError();
  std::vector<char> tile(packer->tileBytes());
  for (int64_t index = 0; index < packer->tiles(); ++index) {
    ErrorEnergy energyOfTile;
    if (llvm::Error error = packer->pack(index, tile, energyOfTile))
      return error;
    energy.add(energyOfTile);
    if (llvm::Error error = write(tile))
      return error;
  }
  return llvm::Error::success();
}
