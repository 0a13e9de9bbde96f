//===- BlockFormat.cpp - Block formats of GGUF ----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/GGUF/BlockFormat.h"
#include "qopt/Support/Float.h"
#include "llvm/ADT/STLExtras.h"
#include <cstring>

using namespace llvm;
using namespace qopt;

static uint16_t read16(const uint8_t *p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }
static float readF16(const uint8_t *p) { return f16ToFloat(read16(p)); }

/// Element i of 32 four-bit codes: low halves of 16 bytes, then high halves.
static int nibble(const uint8_t *codes, int i) {
  return i < 16 ? codes[i] & 15 : codes[i - 16] >> 4;
}

static int bit(const uint8_t *bits, int i) { return bits[i / 8] >> (i % 8) & 1; }

static void decodeF32(const uint8_t *block, float *out) { std::memcpy(out, block, 4); }
static void decodeF16(const uint8_t *block, float *out) { *out = readF16(block); }
static void decodeBF16(const uint8_t *block, float *out) { *out = bf16ToFloat(read16(block)); }

// f16 d | 16 bytes: w = d * (q - 8)
static void decodeQ4_0(const uint8_t *block, float *out) {
  float d = readF16(block);
  for (int i = 0; i < 32; ++i)
    out[i] = d * static_cast<float>(nibble(block + 2, i) - 8);
}

// f16 d | f16 m | 16 bytes: w = d * q + m
static void decodeQ4_1(const uint8_t *block, float *out) {
  float d = readF16(block), m = readF16(block + 2);
  for (int i = 0; i < 32; ++i)
    out[i] = d * static_cast<float>(nibble(block + 4, i)) + m;
}

// f16 d | 32 fifth bits | 16 bytes: w = d * (q - 16)
static void decodeQ5_0(const uint8_t *block, float *out) {
  float d = readF16(block);
  for (int i = 0; i < 32; ++i)
    out[i] = d * static_cast<float>((nibble(block + 6, i) | bit(block + 2, i) << 4) - 16);
}

// f16 d | f16 m | 32 fifth bits | 16 bytes: w = d * q + m
static void decodeQ5_1(const uint8_t *block, float *out) {
  float d = readF16(block), m = readF16(block + 2);
  for (int i = 0; i < 32; ++i)
    out[i] = d * static_cast<float>(nibble(block + 8, i) | bit(block + 4, i) << 4) + m;
}

// f16 d | 32 signed bytes: w = d * q
static void decodeQ8_0(const uint8_t *block, float *out) {
  float d = readF16(block);
  for (int i = 0; i < 32; ++i)
    out[i] = static_cast<float>(static_cast<int8_t>(block[2 + i])) * d;
}

/// Element i of 256 two-bit codes in 64 bytes: two halves of 128 elements, in
/// each the four bit pairs of 32 bytes one after another.
static int pairOf(const uint8_t *codes, int i) {
  return codes[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
}
/// Element i of 256 four-bit codes in 128 bytes: runs of `run` elements from the
/// low halves, then as many from the high halves.
template <int run> static int nibbleOf(const uint8_t *codes, int i) {
  return codes[i / (2 * run) * run + i % run] >> (i / run % 2 * 4) & 15;
}
/// Element i of 256 bits in 32 bytes: bit i / 32 of byte i % 32.
static int planeBit(const uint8_t *bits, int i) { return bits[i % 32] >> (i / 32) & 1; }

// 16 x (4-bit scale, 4-bit min) | 64 bytes | f16 d | f16 dmin: w = d s q - dmin m
static void decodeQ2_K(const uint8_t *block, float *out) {
  const uint8_t *codes = block + 16;
  float d = readF16(block + 80), dmin = readF16(block + 82);
  for (int i = 0; i < 256; ++i) {
    float scale = d * static_cast<float>(block[i / 16] & 15);
    float min = dmin * static_cast<float>(block[i / 16] >> 4);
    out[i] = scale * static_cast<float>(pairOf(codes, i)) - min;
  }
}

// 256 third bits | 64 bytes | 16 6-bit scales in 12 bytes | f16 d: w = d (s - 32) (q - 4)
static void decodeQ3_K(const uint8_t *block, float *out) {
  const uint8_t *high = block, *codes = block + 32, *packed = block + 96;
  float d = readF16(block + 108);
  float scales[16];
  for (int j = 0; j < 16; ++j) {
    int low = packed[j % 8] >> (j / 8 * 4) & 15;
    int top = packed[8 + j % 4] >> (j / 4 * 2) & 3;
    scales[j] = d * static_cast<float>((low | top << 4) - 32);
  }
  for (int i = 0; i < 256; ++i) {
    int code = pairOf(codes, i) - (planeBit(high, i) ? 0 : 4);
    out[i] = scales[i / 16] * static_cast<float>(code);
  }
}

/// 8 scales and 8 minima of 6 bits in 12 bytes, of Q4_K and Q5_K.
static void unpackScales(const uint8_t *packed, float d, float dmin, float *scales, float *mins) {
  for (int j = 0; j < 8; ++j) {
    int scale = packed[j] & 63, min = packed[j + 4] & 63;
    if (j >= 4) {
      scale = (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4;
      min = packed[j + 4] >> 4 | (packed[j] >> 6) << 4;
    }
    scales[j] = d * static_cast<float>(scale);
    mins[j] = dmin * static_cast<float>(min);
  }
}

// f16 d | f16 dmin | 12 bytes of scales | 128 bytes: w = d s q - dmin m
static void decodeQ4_K(const uint8_t *block, float *out) {
  float scales[8], mins[8];
  unpackScales(block + 4, readF16(block), readF16(block + 2), scales, mins);
  for (int i = 0; i < 256; ++i)
    out[i] = scales[i / 32] * static_cast<float>(nibbleOf<32>(block + 16, i)) - mins[i / 32];
}

// f16 d | f16 dmin | 12 bytes of scales | 256 fifth bits | 128 bytes: w = d s q - dmin m
static void decodeQ5_K(const uint8_t *block, float *out) {
  float scales[8], mins[8];
  unpackScales(block + 4, readF16(block), readF16(block + 2), scales, mins);
  for (int i = 0; i < 256; ++i) {
    int code = nibbleOf<32>(block + 48, i) | planeBit(block + 16, i) << 4;
    out[i] = scales[i / 32] * static_cast<float>(code) - mins[i / 32];
  }
}

// 128 bytes of low halves | 64 bytes of high pairs | 16 signed scales | f16 d: w = d s (q - 32)
static void decodeQ6_K(const uint8_t *block, float *out) {
  const uint8_t *scales = block + 192;
  float d = readF16(block + 208);
  for (int i = 0; i < 256; ++i) {
    float scale = d * static_cast<float>(static_cast<int8_t>(scales[i / 16]));
    int code = (nibbleOf<64>(block, i) | pairOf(block + 128, i) << 4) - 32;
    out[i] = scale * static_cast<float>(code);
  }
}

static const BlockFormat formats[] = {
    {0, "F32", 1, 4, decodeF32},        {1, "F16", 1, 2, decodeF16},
    {30, "BF16", 1, 2, decodeBF16},     {2, "Q4_0", 32, 18, decodeQ4_0},
    {3, "Q4_1", 32, 20, decodeQ4_1},    {6, "Q5_0", 32, 22, decodeQ5_0},
    {7, "Q5_1", 32, 24, decodeQ5_1},    {8, "Q8_0", 32, 34, decodeQ8_0},
    {10, "Q2_K", 256, 84, decodeQ2_K},  {11, "Q3_K", 256, 110, decodeQ3_K},
    {12, "Q4_K", 256, 144, decodeQ4_K}, {13, "Q5_K", 256, 176, decodeQ5_K},
    {14, "Q6_K", 256, 210, decodeQ6_K}};

const BlockFormat *qopt::findBlockFormat(uint32_t id) {
  const auto *format = find_if(formats, [id](const BlockFormat &f) { return f.id == id; });
  return format == std::end(formats) ? nullptr : format;
}

std::string qopt::blockFormatName(uint32_t id) {
  static const std::pair<uint32_t, const char *> others[] = {
      {9, "Q8_1"},   {15, "Q8_K"},   {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"},
      {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"},   {22, "IQ2_S"},  {23, "IQ4_XS"},
      {24, "I8"},    {25, "I16"},    {26, "I32"},     {27, "I64"},    {28, "F64"},
      {29, "IQ1_M"}, {34, "TQ1_0"},  {35, "TQ2_0"},   {39, "MXFP4"}};
  if (const BlockFormat *format = findBlockFormat(id))
    return format->name.str();
  for (auto [known, name] : others)
    if (known == id)
      return name;
  return std::to_string(id);
}

std::string qopt::supportedBlockFormats() {
  std::string names;
  for (const BlockFormat &format : formats)
    names += (names.empty() ? "" : ", ") + format.name.str();
  return names;
}
