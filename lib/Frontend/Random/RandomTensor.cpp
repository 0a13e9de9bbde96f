//===- RandomTensor.cpp - Weights from a counter --------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/Random/RandomTensor.h"
#include "qopt/Support/Float.h"
#include <xxhash.h>

using namespace llvm;
using namespace qopt;

RandomTensor::RandomTensor(std::string name, ArrayRef<int64_t> shape, uint64_t seed, float mean,
                           float deviation)
    : WeightTensor(std::move(name), shape, FloatType::bf16),
      key(XXH3_64bits_withSeed(this->name().data(), this->name().size(), seed)), mean(mean),
      deviation(deviation) {}

static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

Error RandomTensor::readRows(int64_t first, int64_t count, float *out) const {
  // The sum of four uniform integers below 2^16: mean 2 (2^16 - 1), variance
  // 4 (2^32 - 1) / 12.
  constexpr int32_t middle = 2 * 65535;
  const float scale = deviation / 37837.227f;
  uint64_t counter = static_cast<uint64_t>(first) * static_cast<uint64_t>(rowSize());
  for (int64_t i = 0, n = count * rowSize(); i < n; ++i) {
    uint64_t bits = mix(key + (counter + static_cast<uint64_t>(i)) * 0x9e3779b97f4a7c15u);
    // Parts 0 + 2 and 1 + 3 side by side, then their sum.
    uint64_t pairs = (bits & 0x0000ffff0000ffffu) + (bits >> 16 & 0x0000ffff0000ffffu);
    int32_t sum = static_cast<int32_t>((pairs & 0xffffffffu) + (pairs >> 32)) - middle;
    out[i] = roundToBf16(mean + static_cast<float>(sum) * scale);
  }
  return Error::success();
}
