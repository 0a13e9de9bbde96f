//===- LlamaTensors.cpp - The tensors of a Llama model --------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/LlamaTensors.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace qopt;

Error qopt::checkLlamaConfig(const LlamaConfig &config) {
  // Far beyond any model, and small enough that no product of three overflows.
  constexpr int64_t limit = 1 << 20;
  std::pair<StringRef, int64_t> sizes[] = {
      {"hidden size", config.hiddenSize},        {"intermediate size", config.intermediateSize},
      {"number of layers", config.numLayers},    {"number of heads", config.numHeads},
      {"number of KV heads", config.numKVHeads}, {"head dimension", config.headDim}};
  for (auto [name, size] : sizes)
    if (size < 1 || size > limit)
      return createStringError(formatv("{0} is {1}, expected 1 to {2}", name, size, limit));
  if (config.vocabSize < 1 || config.vocabSize > INT32_MAX)
    return createStringError(
        formatv("vocabulary size is {0}, expected 1 to {1}", config.vocabSize, INT32_MAX));
  if (config.numLayers > 4096)
    return createStringError(
        formatv("number of layers is {0}, expected 1 to 4096", config.numLayers));
  if (config.numHeads % config.numKVHeads != 0)
    return createStringError(formatv("{0} heads are not a multiple of {1} KV heads",
                                     config.numHeads, config.numKVHeads));
  if (config.headDim % 2 != 0)
    return createStringError(
        formatv("head dimension is {0}, expected an even number", config.headDim));
  if (!(config.rmsNormEps >= 0.0) || !std::isfinite(config.rmsNormEps))
    return createStringError(formatv("RMSNorm epsilon is {0}, expected a number not below 0",
                                     numberText(config.rmsNormEps)));
  const RopeConfig &rope = config.rope;
  if (rope.scaling == RopeConfig::Scaling::table) {
    if (rope.table.size() != static_cast<size_t>(config.headDim / 2))
      return createStringError(formatv("rotary table has {0} frequencies, expected {1}",
                                       rope.table.size(), config.headDim / 2));
    if (!all_of(rope.table, [](float frequency) { return std::isfinite(frequency); }))
      return createStringError("rotary table holds NaN or infinity, expected finite frequencies");
    return Error::success();
  }
  if (!(rope.theta > 0.0) || !std::isfinite(rope.theta))
    return createStringError(
        formatv("rope theta is {0}, expected a positive number", numberText(rope.theta)));
  if (rope.scaling == RopeConfig::Scaling::none)
    return Error::success();
  if (!(rope.factor > 0.0) || !std::isfinite(rope.factor))
    return createStringError(
        formatv("rope scaling factor is {0}, expected a positive number", numberText(rope.factor)));
  if (rope.scaling == RopeConfig::Scaling::llama3 &&
      (!(rope.lowFreqFactor > 0.0) || !(rope.highFreqFactor > rope.lowFreqFactor) ||
       !std::isfinite(rope.highFreqFactor) || rope.originalContext < 1))
    return createStringError(formatv(
        "llama3 rope scaling has low {0}, high {1}, original context {2}, expected "
        "0 < low < high and a positive context",
        numberText(rope.lowFreqFactor), numberText(rope.highFreqFactor), rope.originalContext));
  return Error::success();
}

std::vector<LlamaTensor> qopt::llamaTensors(const LlamaConfig &config) {
  std::vector<LlamaTensor> tensors;
  int64_t hidden = config.hiddenSize, ffn = config.intermediateSize;
  int64_t queries = config.numHeads * config.headDim, keys = config.numKVHeads * config.headDim;
  auto linear = [&](std::string name, int64_t out, int64_t in, bool bias) {
    tensors.push_back({name + ".weight", {out, in}});
    if (bias)
      tensors.push_back({name + ".bias", {out}});
  };
  tensors.push_back({"model.embed_tokens.weight", {config.vocabSize, hidden}});
  for (int64_t i = 0; i < config.numLayers; ++i) {
    std::string prefix = formatv("model.layers.{0}.", i);
    tensors.push_back({prefix + "input_layernorm.weight", {hidden}});
    linear(prefix + "self_attn.q_proj", queries, hidden, config.attentionBias);
    linear(prefix + "self_attn.k_proj", keys, hidden, config.attentionBias);
    linear(prefix + "self_attn.v_proj", keys, hidden, config.attentionBias);
    linear(prefix + "self_attn.o_proj", hidden, queries, config.attentionBias);
    tensors.push_back({prefix + "post_attention_layernorm.weight", {hidden}});
    linear(prefix + "mlp.gate_proj", ffn, hidden, config.mlpBias);
    linear(prefix + "mlp.up_proj", ffn, hidden, config.mlpBias);
    linear(prefix + "mlp.down_proj", hidden, ffn, config.mlpBias);
  }
  tensors.push_back({"model.norm.weight", {hidden}});
  if (!config.tiedEmbeddings)
    tensors.push_back({"lm_head.weight", {config.vocabSize, hidden}});
  return tensors;
}

Expected<bool> qopt::haveEqualValues(const WeightTensor &a, const WeightTensor &b) {
  assert(a.shape() == b.shape() && "tensors differ in shape");
  // Through buffers of about 1 MiB.
  int64_t width = a.rowSize();
  int64_t rowsPerRead = std::clamp<int64_t>((1 << 18) / std::max<int64_t>(width, 1), 1, a.rows());
  std::vector<float> rowsOfA(rowsPerRead * width), rowsOfB(rowsOfA.size());
  for (int64_t row = 0; row < a.rows(); row += rowsPerRead) {
    int64_t count = std::min(rowsPerRead, a.rows() - row);
    if (Error error = a.readRows(row, count, rowsOfA.data()))
      return error;
    if (Error error = b.readRows(row, count, rowsOfB.data()))
      return error;
    if (!std::equal(rowsOfA.begin(), rowsOfA.begin() + count * width, rowsOfB.begin()))
      return false;
  }
  return true;
}

Error qopt::checkLlamaTensors(const LlamaConfig &config, const WeightStore &weights) {
  SmallVector<std::string> problems;
  StringSet<> known;
  for (const LlamaTensor &expected : llamaTensors(config)) {
    known.insert(expected.name);
    const WeightTensor *tensor = weights.find(expected.name);
    if (!tensor)
      problems.push_back(formatv("tensor '{0}' is missing, expected shape {1}", expected.name,
                                 shapeText(expected.shape)));
    else if (tensor->shape() != ArrayRef<int64_t>(expected.shape))
      problems.push_back(formatv("tensor '{0}' has shape {1}, expected {2}", expected.name,
                                 shapeText(tensor->shape()), shapeText(expected.shape)));
  }
  for (const auto &[name, tensor] : weights)
    if (!known.contains(name))
      problems.push_back(formatv("tensor '{0}' of shape {1} is not part of a Llama model of this "
                                 "configuration",
                                 name, shapeText(tensor->shape())));
  if (problems.empty())
    return Error::success();
  constexpr size_t listed = 16;
  size_t more = problems.size() > listed ? problems.size() - listed : 0;
  std::string text = join(ArrayRef(problems).take_front(listed), "\n");
  if (more)
    text += formatv("\nand {0} more tensors", more);
  return createStringError(text);
}
