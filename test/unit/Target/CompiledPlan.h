//===- CompiledPlan.h - Kernels of a module, loaded and called --*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_TEST_UNIT_TARGET_COMPILEDPLAN_H
#define QOPT_TEST_UNIT_TARGET_COMPILEDPLAN_H

#include "qopt/Support/Float.h"
#include "qopt/Frontend/Weights.h"
#include "qopt/Target/CPU/CPUTarget.h"
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace qopt::test {

/// The plans of a module in text, compiled and loaded. Launch i is the i-th of
/// all plans in order. A failure is a test failure, and `valid()` is false.
class CompiledPlan {
public:
  CompiledPlan(const std::string &text, const std::string &target);
  ~CompiledPlan();
  CompiledPlan(const CompiledPlan &) = delete;
  CompiledPlan &operator=(const CompiledPlan &) = delete;

  bool valid() const { return handle != nullptr; }
  const std::string &entry(size_t launch) const { return entries.at(launch); }

  /// Calls launch `launch` for each worker of `workers` in turn.
  void run(size_t launch, const std::vector<uint64_t> &args, uint64_t workers = 1) const;

private:
  std::vector<std::string> entries;
  void *handle = nullptr;
};

/// The targets whose code this machine runs, widest first.
std::vector<std::string> runnableTargets();

/// A weight in memory, [rows, columns], of exact float32 values.
class MemoryTensor : public WeightTensor {
public:
  MemoryTensor(std::string name, int64_t rows, int64_t columns, std::vector<float> values)
      : WeightTensor(std::move(name), {rows, columns}, FloatType::f32), values(std::move(values)) {}

  llvm::Error readRows(int64_t first, int64_t count, float *out) const override {
    std::copy_n(values.data() + first * rowSize(), count * rowSize(), out);
    return llvm::Error::success();
  }

  std::vector<float> values;
};

template <typename T> uint64_t address(std::vector<T> &values) {
  return reinterpret_cast<uint64_t>(values.data());
}

/// Normal values around a mean, so that no sum cancels by symmetry.
inline std::vector<float> randomValues(int64_t count, unsigned seed, float mean = 0.1f) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(mean, 1.0f);
  std::vector<float> values(count);
  for (float &value : values)
    value = normal(engine);
  return values;
}

/// The same, as bf16 holds them: what is quantized is a bf16 model.
inline std::vector<float> randomWeights(int64_t count, unsigned seed, float mean = 0.1f) {
  std::vector<float> values = randomValues(count, seed, mean);
  roundToBf16(values);
  return values;
}

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_TARGET_COMPILEDPLAN_H
