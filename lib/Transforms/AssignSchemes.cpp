//===- AssignSchemes.cpp - Choose number formats --------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Dialect/QOpt/IR/Forward.h"
#include "qopt/Quantization/Scheme.h"
#include "qopt/Transforms/Passes.h"
#include "llvm/ADT/StringSwitch.h"

namespace qopt {
#define GEN_PASS_DEF_ASSIGNSCHEMES
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

enum class Format { fp32, bf16, fp8, int8, w4a16, keep };

std::optional<Format> parseFormat(StringRef name) {
  return llvm::StringSwitch<std::optional<Format>>(name)
      .Case("fp32", Format::fp32)
      .Case("bf16", Format::bf16)
      .Case("w8a8-fp8", Format::fp8)
      .Case("w8a8-int8", Format::int8)
      .Case("w4a16", Format::w4a16)
      .Case("keep", Format::keep)
      .Default(std::nullopt);
}

struct AssignSchemes : public qopt::impl::AssignSchemesBase<AssignSchemes> {
  using AssignSchemesBase::AssignSchemesBase;

  void runOnOperation() override {
    std::optional<Format> parsed = parseFormat(format);
    if (!parsed) {
      getOperation().emitError("format is '")
          << format << "', expected fp32, bf16, w8a8-fp8, w8a8-int8, w4a16 or keep";
      return signalPassFailure();
    }
    if (groupSize < 0 || groupSize % 16 != 0) {
      getOperation().emitError("group size is ")
          << int64_t(groupSize) << ", expected a multiple of 16, or 0 to choose";
      return signalPassFailure();
    }
    func::FuncOp forward = lookupForward(getOperation());
    if (!forward)
      return signalPassFailure();
    if (lmHead != "native" && lmHead != "8bit") {
      getOperation().emitError("lm-head is '") << lmHead << "', expected native or 8bit";
      return signalPassFailure();
    }
    setActivationType(forward, *parsed);
    for (LinearOp linear : llvm::make_early_inc_range(forward.getOps<LinearOp>()))
      if (failed(assign(linear, *parsed)))
        return signalPassFailure();
    if (*parsed == Format::keep)
      for (WeightOp weight : forward.getOps<WeightOp>())
        keep(weight);
    if (lmHead == "8bit" && failed(quantizeHead(forward, *parsed)))
      return signalPassFailure();
  }

private:
  /// Every float tensor but the logits gets the activations' type.
  void setActivationType(func::FuncOp forward, Format format) {
    Type element = format == Format::fp32 ? Type(Float32Type::get(&getContext()))
                                          : Type(BFloat16Type::get(&getContext()));
    auto convert = [&](Type type) -> Type {
      if (auto cache = dyn_cast<KVCacheType>(type))
        return KVCacheType::get(&getContext(), cache.getLayers(), cache.getKvHeads(),
                                cache.getHeadDim(), cache.getPageTokens(), element);
      auto tensor = dyn_cast<RankedTensorType>(type);
      if (!tensor || !isa<FloatType>(tensor.getElementType()))
        return type;
      return tensor.clone(element);
    };
    for (BlockArgument argument : forward.getArguments())
      argument.setType(convert(argument.getType()));
    for (Operation &op : forward.front())
      for (Value result : op.getResults())
        if (!isa<LogitsOp>(op))
          result.setType(convert(result.getType()));
    forward.setType(FunctionType::get(&getContext(), forward.front().getArgumentTypes(),
                                      forward.front().getTerminator()->getOperandTypes()));
  }

  LogicalResult assign(LinearOp linear, Format format) {
    auto weight = linear.getWeight().getDefiningOp<WeightOp>();
    if (!weight)
      return linear.emitError("expected a named weight");
    switch (format) {
    case Format::fp32:
    case Format::bf16:
      return success();
    case Format::keep:
      return success(); // by weight, below: the source decides
    case Format::fp8:
      quantizeBoth(linear, weight, Float8E4M3FNType::get(&getContext()));
      return success();
    case Format::int8:
      quantizeBoth(linear, weight, IntegerType::get(&getContext(), 8));
      return success();
    case Format::w4a16:
      return quantizeGroups(linear, weight);
    }
    return success();
  }

  void setWeightType(WeightOp weight, QuantizedType type) {
    weight.getResult().setType(cast<RankedTensorType>(weight.getType()).clone(type));
  }

  /// Per-channel codes times per-token codes. The channels' scales are bf16, as
  /// checkpoints of these formats hold them; the tokens' are float32.
  template <typename Product>
  void quantizeBoth(Product linear, WeightOp weight, Type storage) {
    setWeightType(weight, QuantizedType::get(storage, QuantizedType::perChannel,
                                             BFloat16Type::get(&getContext())));
    auto input = cast<TypedValue<RankedTensorType>>(linear.getInput());
    Type type = input.getType().clone(
        QuantizedType::get(storage, QuantizedType::perToken, Float32Type::get(&getContext())));
    // Layers that read one value read one quantization of it.
    for (Operation *user : input.getUsers())
      if (auto quantize = dyn_cast<QuantizeOp>(user); quantize && quantize.getType() == type)
        return linear.getInputMutable().assign(quantize.getResult());
    OpBuilder builder(linear);
    linear.getInputMutable().assign(
        QuantizeOp::create(builder, linear.getLoc(), type, input).getResult());
  }

  LogicalResult quantizeGroups(LinearOp linear, WeightOp weight) {
    int64_t k = cast<RankedTensorType>(weight.getType()).getDimSize(1);
    Builder builder(linear);
    int64_t group = groupSize;
    if (group == 0) {
      GroupChoice choice = chooseGroupSize(k);
      group = choice.size;
      if (group != 128)
        weight->setAttr("qopt.note",
                        builder.getStringAttr("group size " + Twine(group) + ": " + choice.reason));
    }
    if (group == 0 || k % group != 0)
      return linear.emitError("no group size divides K = ")
             << k << ": tried " << (groupSize ? Twine(groupSize).str() : "128, 64 and 32");
    auto bf16 = cast<FloatType>(builder.getBF16Type());
    if (asymmetric)
      setWeightType(weight,
                    QuantizedType::get(builder.getIntegerType(4, false), group, bf16, bf16));
    else
      setWeightType(weight, QuantizedType::get(builder.getI4Type(), group, bf16));
    return success();
  }

  LogicalResult quantizeHead(func::FuncOp forward, Format format) {
    if (format == Format::fp32)
      return forward.emitError("lm-head 8bit goes with the formats of 16 bits and less");
    Type storage = format == Format::fp8 ? Type(Float8E4M3FNType::get(&getContext()))
                                         : Type(IntegerType::get(&getContext(), 8));
    for (LogitsOp logits : llvm::make_early_inc_range(forward.getOps<LogitsOp>())) {
      auto weight = logits.getWeight().getDefiningOp<WeightOp>();
      if (!weight)
        return logits.emitError("expected a named weight");
      OpBuilder builder(logits);
      auto head = cast<WeightOp>(builder.clone(*weight));
      logits.getWeightMutable().assign(head.getResult());
      if (weight->use_empty())
        weight.erase();
      quantizeBoth(logits, head, storage);
    }
    return success();
  }

  void keep(WeightOp weight) {
    if (std::optional<QuantizedType> stored = weight.getStored())
      setWeightType(weight, *stored);
  }
};

} // namespace
