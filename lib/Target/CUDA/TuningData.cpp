//===- TuningData.cpp - Random weights and activations --------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Values matter little to times, but for the power that they draw, and much to the
/// comparison of candidates: codes are of all kinds, and no result is a NaN.
///
//===----------------------------------------------------------------------===//

#include "KernelConfigs.h"
#include "qopt/Support/Float.h"
#include "qopt/Target/CUDA/Tuning.h"
#include <algorithm>
#include <cstring>

using namespace mlir;
using namespace qopt;

namespace {

/// SplitMix64 (Steele, Lea and Flood 2014).
class Random {
public:
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// In [low, high).
  float between(float low, float high) {
    return low + (high - low) * static_cast<float>(next() >> 40) * 0x1p-24f;
  }

private:
  uint64_t state = 1;
};

/// Bytes that are drawn; what is longer repeats them.
constexpr uint64_t period = 4 << 20;

/// Repeats the first `drawn` bytes to the end.
void repeat(std::byte *bytes, uint64_t drawn, uint64_t count) {
  for (; drawn < count; drawn *= 2)
    std::memcpy(bytes + drawn, bytes, std::min(drawn, count - drawn));
}

template <typename Draw> void fill(std::byte *bytes, uint64_t count, Draw draw) {
  using Value = decltype(draw());
  uint64_t drawn = std::min(count, period);
  for (uint64_t at = 0; at + sizeof(Value) <= drawn; at += sizeof(Value)) {
    Value value = draw();
    std::memcpy(bytes + at, &value, sizeof(Value));
  }
  repeat(bytes, drawn, count);
}

/// `bytes` of numbers in [low, high); integers and e4m3 take what their bits can say.
void fillNumbers(std::byte *bytes, uint64_t count, cuda::Number type, float low, float high,
                 Random &random) {
  switch (type) {
  case cuda::Number::bf16:
    return fill(bytes, count, [&] { return floatToBf16(random.between(low, high)); });
  case cuda::Number::f16:
    return fill(bytes, count, [&] { return floatToF16(random.between(low, high)); });
  case cuda::Number::f32:
    return fill(bytes, count, [&] { return random.between(low, high); });
  case cuda::Number::s8:
    return fill(bytes, count, [&] { return static_cast<uint8_t>(random.next()); });
  case cuda::Number::e4m3:
    return fill(bytes, count, [&] {
      uint8_t code = static_cast<uint8_t>(random.next());
      return static_cast<uint8_t>((code & 0x7f) == 0x7f ? code - 1 : code); // 0x7f: NaN
    });
  }
}

cuda::Number numberOf(Type type) {
  if (type.isF32())
    return cuda::Number::f32;
  if (type.isF16())
    return cuda::Number::f16;
  if (isa<Float8E4M3FNType>(type))
    return cuda::Number::e4m3;
  return type.isBF16() ? cuda::Number::bf16 : cuda::Number::s8;
}

constexpr float leastScale = 0.005f, mostScale = 0.015f;

} // namespace

std::vector<std::byte> qopt::randomImage(kernel::PackedType type) {
  cuda::GemmConfig c = imageConfig(type).value();
  Random random;
  std::vector<std::byte> image(cuda::image_bytes(c));
  uint64_t codes = cuda::channel_scales_offset(c);
  // Codes of groups are any bytes, bf16 and e4m3 those of finite numbers.
  cuda::Number number = is_fragment(c) ? cuda::Number::s8 : cuda::token_number(c);
  fillNumbers(image.data(), codes, number, -1, 1, random);
  fillNumbers(image.data() + codes, image.size() - codes, c.scale, leastScale, mostScale, random);
  if (!is_fragment(c))
    return image;
  std::vector<std::byte> metadata(cuda::block_bytes(c) -
                                  cuda::code_bytes(c, cuda::block_columns(c)));
  for (uint64_t end = cuda::block_bytes(c); end <= codes; end += cuda::block_bytes(c)) {
    fillNumbers(metadata.data(), metadata.size(), c.scale, leastScale, mostScale, random);
    std::memcpy(image.data() + end - metadata.size(), metadata.data(), metadata.size());
  }
  return image;
}

std::vector<std::byte> qopt::randomNumbers(Type element, uint64_t count) {
  Random random;
  std::vector<std::byte> bytes(count * element.getIntOrFloatBitWidth() / 8);
  fillNumbers(bytes.data(), bytes.size(), numberOf(element), -1, 1, random);
  return bytes;
}
