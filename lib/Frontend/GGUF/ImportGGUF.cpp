//===- ImportGGUF.cpp - A model from a GGUF file --------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GGUFConfig.h"
#include "qopt/Frontend/GGUF/BlockTensor.h"
#include "qopt/Frontend/LlamaTensors.h"
#include "qopt/Frontend/ModelFiles.h"
#include "qopt/Frontend/SourceHash.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace qopt;

/// blk.3.attn_q.weight -> model.layers.3.self_attn.q_proj.weight; empty where
/// the file's name is none of the architecture's.
static std::string canonicalName(StringRef name) {
  if (name == "token_embd.weight")
    return "model.embed_tokens.weight";
  if (name == "output_norm.weight")
    return "model.norm.weight";
  if (name == "output.weight")
    return "lm_head.weight";
  if (!name.consume_front("blk."))
    return "";
  auto [layer, rest] = name.split('.');
  auto [part, kind] = rest.split('.');
  StringRef module = StringSwitch<StringRef>(part)
                         .Case("attn_norm", "input_layernorm")
                         .Case("attn_q", "self_attn.q_proj")
                         .Case("attn_k", "self_attn.k_proj")
                         .Case("attn_v", "self_attn.v_proj")
                         .Case("attn_output", "self_attn.o_proj")
                         .Case("ffn_norm", "post_attention_layernorm")
                         .Case("ffn_gate", "mlp.gate_proj")
                         .Case("ffn_up", "mlp.up_proj")
                         .Case("ffn_down", "mlp.down_proj")
                         .Default("");
  if (module.empty() || layer.empty() || !all_of(layer, isDigit) ||
      (kind != "weight" && kind != "bias"))
    return "";
  return formatv("model.layers.{0}.{1}.{2}", layer, module, kind);
}

static Error addTensor(const GGUFTensor &source, const LlamaConfig &config, WeightStore &weights) {
  std::string name = canonicalName(source.name);
  if (name.empty())
    return createStringError("tensor '" + printable(source.name) +
                             "' is not part of a model of architecture llama");
  if (source.shape.size() == 1 && !source.format->isFloat())
    return createStringError(formatv("tensor '{0}' is a vector of type {1}, expected F32, F16 or "
                                     "BF16",
                                     printable(source.name), source.format->name));
  bool interleaved = StringRef(name).contains(".q_proj.") || StringRef(name).contains(".k_proj.");
  int64_t headDim = interleaved ? config.headDim : 0;
  if (headDim && source.shape.front() % headDim != 0)
    return createStringError(formatv("tensor '{0}' has {1} rows, expected a multiple of the head "
                                     "dimension {2}",
                                     printable(source.name), source.shape.front(), headDim));
  weights.insert(std::make_unique<BlockTensor>(std::move(name), source, headDim));
  return Error::success();
}

static Error readTensors(const GGUFFile &file, LlamaConfig &config, WeightStore &weights) {
  for (const GGUFTensor &source : file.tensors()) {
    if (source.name != "rope_freqs.weight") {
      if (Error error = addTensor(source, config, weights))
        return error;
      continue;
    }
    if (source.format->name != "F32" || source.shape.size() != 1)
      return createStringError(formatv("tensor 'rope_freqs.weight' has type {0} and shape {1}, "
                                       "expected a vector of type F32",
                                       source.format->name, shapeText(source.shape)));
    std::vector<float> factors(source.shape.front());
    std::memcpy(factors.data(), source.bytes.data(), source.bytes.size());
    if (Error error = applyRopeFactors(factors, config))
      return error;
  }
  return Error::success();
}

static Error readModel(const GGUFFile &file, mlir::MLIRContext &context, ImportedModel &model) {
  Expected<LlamaConfig> config = readGGUFConfig(file, model.notes);
  if (!config)
    return config.takeError();
  model.config = std::move(*config);
  if (Error error = readTensors(file, model.config, model.weights))
    return error;
  if (Error error = readGGUFTexts(file, model))
    return error;
  auto module = buildLlamaModule(model.config, model.weights, context);
  if (!module)
    return module.takeError();
  model.module = std::move(*module);
  return Error::success();
}

Expected<ImportedModel> qopt::importGGUF(StringRef path, mlir::MLIRContext &context) {
  Expected<std::unique_ptr<MemoryBuffer>> buffer = openModelFile(path);
  if (!buffer)
    return buffer.takeError();
  return importGGUF(std::move(*buffer), context);
}

Expected<ImportedModel> qopt::importGGUF(std::unique_ptr<MemoryBuffer> bytes,
                                         mlir::MLIRContext &context) {
  StringRef path = bytes->getBufferIdentifier();
  Expected<GGUFFile> file = GGUFFile::read(bytes->getBuffer(), path);
  if (!file)
    return file.takeError();
  ImportedModel model;
  model.sourceKind = "gguf";
  model.name = file->string("general.name").value_or("llama");
  if (!isUTF8(model.name))
    return createStringError(path + ": metadata 'general.name' is not valid UTF-8");
  model.weights.own(std::shared_ptr<MemoryBuffer>(std::move(bytes)));
  if (Error error = readModel(*file, context, model))
    return inContext(path, std::move(error));
  model.sourceHash = hashSource(file->header(), model.weights);
  return model;
}
