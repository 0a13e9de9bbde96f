//===- BuildLlamaModule.cpp - The dense module of a configuration ---------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "qopt/Dialect/QOpt/IR/QOptDialect.h"
#include "qopt/Frontend/Import.h"
#include "qopt/Frontend/LlamaTensors.h"
#include "qopt/Transforms/Passes.h"

using namespace mlir;
using namespace qopt;

namespace {

constexpr int64_t dynamic = ShapedType::kDynamic;

class LlamaBuilder {
public:
  LlamaBuilder(const LlamaConfig &config, const WeightStore &weights, MLIRContext &context)
      : config(config), weights(weights), builder(&context), type(elementType(config.type)) {}

  OwningOpRef<ModuleOp> build();

private:
  mlir::FloatType elementType(qopt::FloatType kind) {
    if (kind == qopt::FloatType::f32)
      return builder.getF32Type();
    return kind == qopt::FloatType::f16 ? mlir::FloatType(builder.getF16Type())
                                        : builder.getBF16Type();
  }
  RankedTensorType tokensBy(int64_t width) {
    return RankedTensorType::get({dynamic, dynamic, width}, type);
  }
  RankedTensorType cacheType() {
    return RankedTensorType::get({dynamic, config.numKVHeads, dynamic, config.headDim}, type);
  }
  Location at(const Twine &name) { return NameLoc::get(builder.getStringAttr(name)); }

  func::FuncOp createFunction(ModuleOp module);
  RopeAttr ropeAttr();
  Value weight(const Twine &name);
  Value norm(Value x, const Twine &name);
  Value linear(Value x, const Twine &name, bool bias);
  Value attentionBlock(Value x, int64_t layer);
  Value mlpBlock(Value x, int64_t layer);

  const LlamaConfig &config;
  const WeightStore &weights;
  OpBuilder builder;
  mlir::FloatType type;
  ArrayRef<BlockArgument> arguments;
  SmallVector<Value> presents;
  RopeAttr rope;
};

/// Input and result names and types: the contract of QOptDialect.td.
func::FuncOp LlamaBuilder::createFunction(ModuleOp module) {
  SmallVector<Type> inputs, results;
  SmallVector<DictionaryAttr> inputAttrs, resultAttrs;
  auto named = [&](const Twine &name) {
    return builder.getDictionaryAttr(
        builder.getNamedAttr("qopt.name", builder.getStringAttr(name)));
  };
  auto ids = RankedTensorType::get({dynamic, dynamic}, builder.getI64Type());
  for (StringRef name : {"input_ids", "attention_mask", "position_ids"}) {
    inputs.push_back(ids);
    inputAttrs.push_back(named(name));
  }
  results.push_back(
      RankedTensorType::get({dynamic, dynamic, config.vocabSize}, builder.getF32Type()));
  resultAttrs.push_back(named("logits"));
  for (int64_t layer = 0; layer < config.numLayers; ++layer)
    for (StringRef kind : {"key", "value"}) {
      inputs.push_back(cacheType());
      inputAttrs.push_back(named("past_key_values." + Twine(layer) + "." + kind));
      results.push_back(cacheType());
      resultAttrs.push_back(named("present." + Twine(layer) + "." + kind));
    }
  builder.setInsertionPointToEnd(module.getBody());
  auto func = func::FuncOp::create(builder, at("forward"), "forward",
                                   builder.getFunctionType(inputs, results));
  func.setAllArgAttrs(inputAttrs);
  func.setAllResultAttrs(resultAttrs);
  return func;
}

RopeAttr LlamaBuilder::ropeAttr() {
  using Scaling = RopeConfig::Scaling;
  const RopeConfig &source = config.rope;
  FloatAttr factor, low, high;
  DenseF32ArrayAttr table;
  int64_t original = 0;
  RopeScalingKind kind = RopeScalingKind::None;
  switch (source.scaling) {
  case Scaling::none:
    break;
  case Scaling::linear:
    kind = RopeScalingKind::Linear;
    factor = builder.getF64FloatAttr(source.factor);
    break;
  case Scaling::llama3:
    kind = RopeScalingKind::Llama3;
    factor = builder.getF64FloatAttr(source.factor);
    low = builder.getF64FloatAttr(source.lowFreqFactor);
    high = builder.getF64FloatAttr(source.highFreqFactor);
    original = source.originalContext;
    break;
  case Scaling::table:
    kind = RopeScalingKind::Table;
    table = builder.getDenseF32ArrayAttr(source.table);
    break;
  }
  return RopeAttr::get(builder.getContext(), config.headDim, builder.getF64FloatAttr(source.theta),
                       kind, factor, low, high, original, table);
}

Value LlamaBuilder::weight(const Twine &name) {
  std::string text = name.str();
  const WeightTensor *tensor = weights.find(text);
  TypeAttr stored;
  if (std::optional<GroupQuantization> groups = tensor->groupQuantization()) {
    mlir::FloatType scale = elementType(groups->scaleType);
    Type storage = builder.getIntegerType(groups->bits);
    if (groups->affine)
      storage = IntegerType::get(builder.getContext(), groups->bits, IntegerType::Unsigned);
    stored = TypeAttr::get(QuantizedType::get(storage, groups->groupSize, scale,
                                              groups->affine ? scale : mlir::FloatType()));
  }
  ArrayAttr sources = builder.getArrayAttr(FlatSymbolRefAttr::get(builder.getContext(), text));
  return WeightOp::create(builder, at(text), RankedTensorType::get(tensor->shape(), type), sources,
                          stored);
}

Value LlamaBuilder::norm(Value x, const Twine &name) {
  Value scale = weight(name + ".weight");
  return RMSNormOp::create(builder, at(name), x.getType(), x, scale,
                           builder.getF64FloatAttr(config.rmsNormEps));
}

Value LlamaBuilder::linear(Value x, const Twine &name, bool bias) {
  Value matrix = weight(name + ".weight");
  Value addend = bias ? weight(name + ".bias") : Value();
  int64_t width = cast<RankedTensorType>(matrix.getType()).getDimSize(0);
  return LinearOp::create(builder, at(name), tokensBy(width), x, matrix, addend, Value());
}

Value LlamaBuilder::attentionBlock(Value x, int64_t layer) {
  std::string prefix = ("model.layers." + Twine(layer) + ".").str();
  std::string self = prefix + "self_attn.";
  Value normed = norm(x, prefix + "input_layernorm");
  Value query = linear(normed, self + "q_proj", config.attentionBias);
  Value key = linear(normed, self + "k_proj", config.attentionBias);
  Value value = linear(normed, self + "v_proj", config.attentionBias);
  Value positions = arguments[2];
  query = RopeOp::create(builder, at(self + "rope"), query.getType(), query, positions, rope);
  key = RopeOp::create(builder, at(self + "rope"), key.getType(), key, positions, rope);
  auto attention = AttentionOp::create(
      builder, at(self + "attention"), TypeRange{query.getType(), cacheType(), cacheType()}, query,
      key, value, arguments[1], arguments[3 + 2 * layer], arguments[4 + 2 * layer],
      builder.getI64IntegerAttr(config.numHeads), builder.getI64IntegerAttr(config.numKVHeads),
      builder.getF64FloatAttr(1.0 / std::sqrt(static_cast<double>(config.headDim))));
  presents.push_back(attention.getPresentKey());
  presents.push_back(attention.getPresentValue());
  Value out = linear(attention.getResult(), self + "o_proj", config.attentionBias);
  return AddOp::create(builder, at(prefix + "attention_residual"), x.getType(), x, out);
}

Value LlamaBuilder::mlpBlock(Value x, int64_t layer) {
  std::string prefix = ("model.layers." + Twine(layer) + ".").str();
  std::string mlp = prefix + "mlp.";
  Value normed = norm(x, prefix + "post_attention_layernorm");
  Value gate = linear(normed, mlp + "gate_proj", config.mlpBias);
  Value up = linear(normed, mlp + "up_proj", config.mlpBias);
  Value product = SiluMulOp::create(builder, at(mlp + "act_fn"), gate.getType(), gate, up);
  Value out = linear(product, mlp + "down_proj", config.mlpBias);
  return AddOp::create(builder, at(prefix + "mlp_residual"), x.getType(), x, out);
}

OwningOpRef<ModuleOp> LlamaBuilder::build() {
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder.getUnknownLoc());
  func::FuncOp func = createFunction(*module);
  Block *body = func.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  arguments = body->getArguments();
  rope = ropeAttr();

  Value table = weight("model.embed_tokens.weight");
  Value x = EmbeddingOp::create(builder, at("model.embed_tokens"), tokensBy(config.hiddenSize),
                                arguments[0], table);
  for (int64_t layer = 0; layer < config.numLayers; ++layer) {
    x = attentionBlock(x, layer);
    x = mlpBlock(x, layer);
  }
  x = norm(x, "model.norm");
  Value head = config.tiedEmbeddings ? table : weight("lm_head.weight");
  SmallVector<Value> results{
      LogitsOp::create(builder, at("lm_head"), func.getResultTypes().front(), x, head, Value())};
  results.append(presents);
  func::ReturnOp::create(builder, at("forward"), results);
  return module;
}

} // namespace

llvm::Expected<OwningOpRef<ModuleOp>> qopt::buildLlamaModule(const LlamaConfig &config,
                                                             const WeightStore &weights,
                                                             MLIRContext &context) {
  if (llvm::Error error = checkLlamaConfig(config))
    return error;
  if (llvm::Error error = checkLlamaTensors(config, weights))
    return error;
  context.loadDialect<func::FuncDialect, QOptDialect>();
  OwningOpRef<ModuleOp> module = LlamaBuilder(config, weights, context).build();
  PassManager passes(&context);
  passes.addPass(createCanonicalOrder());
  if (failed(verify(*module)) || failed(passes.run(*module)))
    return llvm::createStringError("the module of this configuration is not valid");
  return module;
}
