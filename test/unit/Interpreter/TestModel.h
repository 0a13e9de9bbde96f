//===- TestModel.h - Models in memory for the interpreter's tests *- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_UNIT_INTERPRETER_TESTMODEL_H
#define QOPT_TEST_UNIT_INTERPRETER_TESTMODEL_H

#include "qopt/Frontend/LlamaConfig.h"
#include "qopt/Interpreter/Interpreter.h"

namespace qopt::testing {

/// A tensor whose values are in memory.
class MemoryTensor : public WeightTensor {
public:
  MemoryTensor(std::string name, llvm::ArrayRef<int64_t> shape, std::vector<float> values)
      : WeightTensor(std::move(name), shape, FloatType::f32), values(std::move(values)) {}

  llvm::Error readRows(int64_t first, int64_t count, float *out) const override {
    std::copy_n(values.begin() + first * rowSize(), count * rowSize(), out);
    return llvm::Error::success();
  }

private:
  std::vector<float> values;
};

/// A value in [-1, 1) that is exact in float32, by the tensor's name and the
/// element's index: what make_reference.py computes too.
inline float valueOf(llvm::StringRef name, uint32_t index) {
  uint32_t x = 2166136261u;
  for (unsigned char c : name)
    x = (x ^ c) * 16777619u;
  x += index * 2654435761u;
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  x ^= x >> 16;
  return static_cast<float>(x >> 8) * 0x1p-23f - 1.0f;
}

/// The shape of the tiny model; make_reference.py repeats it.
inline LlamaConfig tinyConfig() {
  LlamaConfig config;
  config.vocabSize = 96;
  config.hiddenSize = 64;
  config.intermediateSize = 128;
  config.numLayers = 2;
  config.numHeads = 8;
  config.numKVHeads = 2;
  config.headDim = 8;
  config.maxContext = 512;
  config.type = FloatType::f32;
  config.rope.theta = 10000.0;
  config.rope.scaling = RopeConfig::Scaling::llama3;
  config.rope.factor = 8.0;
  config.rope.originalContext = 32;
  return config;
}

/// Matrices are valueOf / 4, norms 1 + valueOf / 4.
inline void addTensor(WeightStore &store, const std::string &name, llvm::ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i)
    values[i] = (shape.size() == 1 ? 1.0f : 0.0f) + 0.25f * valueOf(name, i);
  store.insert(std::make_unique<MemoryTensor>(name, shape, std::move(values)));
}

inline WeightStore tinyWeights() {
  LlamaConfig config = tinyConfig();
  WeightStore store;
  int64_t hidden = config.hiddenSize, kv = config.numKVHeads * config.headDim;
  addTensor(store, "model.embed_tokens.weight", {config.vocabSize, hidden});
  addTensor(store, "lm_head.weight", {config.vocabSize, hidden});
  addTensor(store, "model.norm.weight", {hidden});
  for (int64_t layer = 0; layer < config.numLayers; ++layer) {
    std::string prefix = "model.layers." + std::to_string(layer) + ".";
    addTensor(store, prefix + "input_layernorm.weight", {hidden});
    addTensor(store, prefix + "post_attention_layernorm.weight", {hidden});
    addTensor(store, prefix + "self_attn.q_proj.weight", {hidden, hidden});
    addTensor(store, prefix + "self_attn.k_proj.weight", {kv, hidden});
    addTensor(store, prefix + "self_attn.v_proj.weight", {kv, hidden});
    addTensor(store, prefix + "self_attn.o_proj.weight", {hidden, hidden});
    addTensor(store, prefix + "mlp.gate_proj.weight", {config.intermediateSize, hidden});
    addTensor(store, prefix + "mlp.up_proj.weight", {config.intermediateSize, hidden});
    addTensor(store, prefix + "mlp.down_proj.weight", {hidden, config.intermediateSize});
  }
  return store;
}

} // namespace qopt::testing

#endif // QOPT_TEST_UNIT_INTERPRETER_TESTMODEL_H
