//===- RandomTensor.h - Weights from a counter -------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Weights for models without any: every element is a function of the seed, the
/// tensor's name and the element's index, so that any rows can be had at any
/// time, on any machine, in any order.
///
/// Element i is `mix(key + i * 0x9e3779b97f4a7c15)`, SplitMix64 (Steele, Lea,
/// Flood 2014) at position i of the stream whose key is XXH3-64 of the name with
/// the seed. Its four 16-bit parts are summed: a bell curve of mean 0 within
/// +-3.5 standard deviations, then scaled, and rounded to bf16 half to even.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_RANDOM_RANDOMTENSOR_H
#define QOPT_FRONTEND_RANDOM_RANDOMTENSOR_H

#include "qopt/Frontend/Weights.h"

namespace qopt {

/// Values of mean `mean` and standard deviation `deviation`, exact in bf16.
class RandomTensor : public WeightTensor {
public:
  RandomTensor(std::string name, llvm::ArrayRef<int64_t> shape, uint64_t seed, float mean,
               float deviation);

  llvm::Error readRows(int64_t first, int64_t count, float *out) const override;

private:
  uint64_t key;
  float mean, deviation;
};

} // namespace qopt

#endif // QOPT_FRONTEND_RANDOM_RANDOMTENSOR_H
