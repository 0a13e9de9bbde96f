//===- Packing.cpp - The images of CUDA's weights -------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The layouts `swizzled` and `fragment` (KernelTypes.td), in tiles of 64 channels.
/// Sizes come from gemm_config.h, which the kernels read them from too.
///
//===----------------------------------------------------------------------===//

#include "../WeightRows.h"
#include "KernelConfigs.h"
#include "qopt/Target/CUDA/CUDATarget.h"
#include "llvm/Support/Endian.h"
#include <cstring>

using namespace mlir;
using namespace qopt;
using cuda::Codes;
using cuda::GemmConfig;
using cuda::kUnit;
using llvm::support::endian::write32le;

namespace {

constexpr int64_t tileChannels = 64;
constexpr int64_t unitsOfTile = tileChannels / kUnit;
constexpr int64_t warpLanes = 32;
constexpr int64_t stepColumns = 16; // of an m16k16 fragment

/// The 16 channels of a unit: the stored bytes of their rows, null beyond N.
struct UnitRows {
  const uint8_t *elements[kUnit] = {}; // [K] of codes, or of bf16
  const float *scales[kUnit] = {};     // [groups]
  const float *minima[kUnit] = {};     // [groups]
};

class CUDATilePacker : public TilePacker {
public:
  CUDATilePacker(kernel::PackedType type, const GemmConfig &config, WeightRows rows)
      : config(config), rows(std::move(rows)),
        quantized(dyn_cast<QuantizedType>(type.getTensor().getElementType())) {}

  int64_t tiles() const override { return cuda::units(config) / unitsOfTile; }
  int64_t tileBytes() const override { return unitsOfTile * cuda::unit_bytes(config); }
  int64_t sideBytes() const override {
    return has_channel_scales(config) ? tileChannels * cuda::bytes(config.scale) : 0;
  }

  llvm::Error pack(int64_t firstTile, MutableArrayRef<char> to, MutableArrayRef<char> sides,
                   MutableArrayRef<ErrorEnergy> energies) const override {
    llvm::fill(to, 0);
    llvm::fill(sides, 0);
    for (auto [i, energy] : llvm::enumerate(energies))
      if (llvm::Error error = packTile(firstTile + i, to.data() + i * tileBytes(),
                                       sides.data() + i * sideBytes(), energy))
        return error;
    return llvm::Error::success();
  }

private:
  llvm::Error packTile(int64_t tile, char *to, char *side, ErrorEnergy &energy) const {
    // Interleaved: half of the tile's channels come from each of two sources.
    int64_t sources = config.pair ? 2 : 1, ofSource = config.n / sources;
    int64_t wanted = tileChannels / sources, first = tile * wanted;
    int64_t count = std::clamp<int64_t>(ofSource - first, 0, wanted);
    StoredRows stored[2];
    for (int64_t s = 0; s < sources; ++s)
      if (llvm::Error error = rows.read(s * ofSource + first, count, stored[s], energy))
        return error;
    for (int64_t unit = 0; unit < unitsOfTile; ++unit) {
      UnitRows of;
      for (int64_t channel = 0; channel < kUnit; ++channel) {
        int64_t source = config.pair ? channel / 8 : 0;
        int64_t row = config.pair ? unit * 8 + channel % 8 : unit * kUnit + channel;
        if (row < count)
          setRow(of, channel, stored[source], row);
      }
      char *image = to + unit * cuda::unit_bytes(config);
      if (is_fragment(config))
        packFragments(of, image);
      else
        packSwizzled(of, image, side + unit * kUnit * cuda::bytes(config.scale));
    }
    return llvm::Error::success();
  }

  void setRow(UnitRows &unit, int64_t channel, const StoredRows &stored, int64_t row) const {
    if (!quantized) {
      unit.elements[channel] =
          reinterpret_cast<const uint8_t *>(stored.bf16.data() + row * config.k);
      return;
    }
    int64_t groups = config.k / config.group;
    unit.elements[channel] = stored.codes.data() + row * config.k;
    unit.scales[channel] = stored.scales.data() + row * groups;
    if (config.affine)
      unit.minima[channel] = stored.minima.data() + row * groups;
  }

  /// [K bytes / 128][16 rows][128 bytes]; chunk c of a row at c ^ (row % 8).
  void packSwizzled(const UnitRows &unit, char *to, char *scales) const {
    constexpr int64_t chunk = 16;
    int64_t rowBytes = int64_t(config.k) * cuda::code_bits(config) / 8;
    for (int64_t channel = 0; channel < kUnit; ++channel) {
      const uint8_t *from = unit.elements[channel];
      if (!from)
        continue;
      for (int64_t at = 0; at < rowBytes; at += chunk) {
        int64_t place = at % cuda::kRowBytes / chunk ^ channel % 8;
        std::memcpy(to + at / cuda::kRowBytes * cuda::kBlockBytes + channel * cuda::kRowBytes +
                        place * chunk,
                    from + at, std::min(chunk, rowBytes - at));
      }
      if (quantized)
        writeScale(quantized.getScale(), unit.scales[channel][0],
                   scales + channel * cuda::bytes(config.scale));
    }
  }

  /// Blocks of a group: codes as A fragments, then scales[16], then minima[16].
  void packFragments(const UnitRows &unit, char *to) const {
    int64_t columns = cuda::block_columns(config), groups = cuda::blocks(config);
    for (int64_t group = 0; group < groups; ++group) {
      char *block = to + group * cuda::block_bytes(config);
      for (int64_t step = 0; step < columns / stepColumns; ++step)
        for (int64_t lane = 0; lane < warpLanes; ++lane)
          packStep(unit, group * columns, step, lane, block);
      char *scales = block + cuda::code_bytes(config, columns);
      char *minima = scales + kUnit * cuda::bytes(config.scale);
      for (int64_t channel = 0; channel < kUnit; ++channel) {
        if (!unit.elements[channel])
          continue;
        writeScale(quantized.getScale(), unit.scales[channel][group],
                   scales + channel * cuda::bytes(config.scale));
        if (config.affine)
          writeScale(quantized.getMin(), unit.minima[channel][group],
                     minima + channel * cuda::bytes(config.scale));
      }
    }
  }

  /// A lane's eight elements of an m16k16 step, in one word of 4-bit codes or two of
  /// 8-bit codes.
  void packStep(const UnitRows &unit, int64_t firstColumn, int64_t step, int64_t lane,
                char *block) const {
    int64_t g = lane / 4, j = lane % 4;
    uint32_t words[2] = {0, 0};
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t e = 0; e < 2; ++e) {
        int64_t column = firstColumn + stepColumns * step + 8 * (i / 2) + 2 * j + e;
        uint32_t code = codeOf(unit, g + 8 * (i % 2), column);
        if (cuda::code_bits(config) == 4)
          words[0] |= code << (4 * i + 16 * e);
        else
          words[i / 2] |= code << (16 * (i % 2) + 8 * e);
      }
    int64_t ofStep = cuda::code_bits(config) / 4;
    int64_t ofLane = cuda::block_columns(config) / stepColumns * ofStep;
    int64_t together = std::min<int64_t>(4, ofLane);
    for (int64_t w = 0; w < ofStep; ++w) {
      int64_t word = step * ofStep + w;
      int64_t place = (word / together * warpLanes + lane) * together + word % together;
      write32le(block + 4 * place, words[w]);
    }
  }

  /// The stored code: signed integers are offset. 0 is stored beyond N and K.
  uint32_t codeOf(const UnitRows &unit, int64_t channel, int64_t column) const {
    const uint8_t *from = unit.elements[channel];
    if (!from)
      return 0;
    uint32_t offset = config.codes == Codes::s4 ? 8 : config.codes == Codes::s8_grouped ? 128 : 0;
    uint32_t mask = cuda::code_bits(config) == 4 ? 15 : 255;
    return ((column < config.k ? from[column] : 0) + offset) & mask;
  }

  GemmConfig config;
  WeightRows rows;
  QuantizedType quantized; // null: bf16
};

} // namespace

kernel::LayoutAttr qopt::cudaLayout(RankedTensorType type) {
  auto layout = [&](kernel::LayoutKind kind) {
    return kernel::LayoutAttr::get(type.getContext(), kind, 0, 0, 0);
  };
  Type element = type.getElementType();
  auto quantized = dyn_cast<QuantizedType>(element);
  if (!quantized)
    return element.isBF16() ? layout(kernel::LayoutKind::Swizzled) : kernel::LayoutAttr();
  Type storage = quantized.getStorage();
  bool isNarrow = storage.getIntOrFloatBitWidth() == 8;
  if (quantized.isPerChannel() && isNarrow && !quantized.isAffine())
    return layout(kernel::LayoutKind::Swizzled);
  int64_t group = quantized.isGrouped() ? quantized.getGroupSize() : type.getDimSize(1);
  bool isGroup = group == 32 || group % 64 == 0 || quantized.isPerChannel();
  bool isAffineByte = isNarrow && quantized.isAffine();
  if (!storage.isInteger() || !isGroup || isAffineByte || group % 16 != 0)
    return {};
  return layout(kernel::LayoutKind::Fragment);
}

llvm::Expected<std::unique_ptr<TilePacker>>
qopt::createCUDAPacker(kernel::PackedType type, ArrayRef<const WeightTensor *> sources, bool keep) {
  std::optional<GemmConfig> config = imageConfig(type);
  if (!config) {
    std::string text;
    llvm::raw_string_ostream os(text);
    os << "no byte image for " << type;
    return llvm::createStringError(text);
  }
  llvm::Expected<WeightRows> rows = WeightRows::create(type.getTensor(), sources, keep);
  if (!rows)
    return rows.takeError();
  return std::make_unique<CUDATilePacker>(type, *config, std::move(*rows));
}
