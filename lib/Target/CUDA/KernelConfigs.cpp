//===- KernelConfigs.cpp - The device headers' constants of a launch ------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelConfigs.h"

using namespace mlir;
using namespace qopt;

static std::optional<cuda::Number> numberOf(Type type) {
  if (type.isBF16())
    return cuda::Number::bf16;
  if (type.isF16())
    return cuda::Number::f16;
  if (type.isF32())
    return cuda::Number::f32;
  return std::nullopt;
}

/// What an image in its layout stores.
static std::optional<cuda::Codes> codesOf(kernel::PackedType type) {
  Type element = type.getTensor().getElementType();
  auto quantized = dyn_cast<QuantizedType>(element);
  if (type.getLayout().getKind() == kernel::LayoutKind::Swizzled) {
    if (!quantized)
      return element.isBF16() ? std::optional(cuda::Codes::bf16) : std::nullopt;
    return isa<Float8E4M3FNType>(quantized.getStorage()) ? cuda::Codes::e4m3 : cuda::Codes::s8;
  }
  if (type.getLayout().getKind() != kernel::LayoutKind::Fragment)
    return std::nullopt;
  if (quantized.getStorage().isInteger(8))
    return cuda::Codes::s8_grouped;
  return quantized.getStorage().isUnsignedInteger() ? cuda::Codes::u4 : cuda::Codes::s4;
}

std::optional<cuda::GemmConfig> qopt::imageConfig(kernel::PackedType type) {
  std::optional<cuda::Codes> codes = codesOf(type);
  if (!codes)
    return std::nullopt;
  cuda::GemmConfig config = {};
  config.codes = *codes;
  config.n = type.getTensor().getDimSize(0);
  config.k = type.getTensor().getDimSize(1);
  config.group = config.k;
  config.scale = cuda::Number::bf16;
  config.pair = type.getLayout().getInterleave() != 0;
  auto quantized = dyn_cast<QuantizedType>(type.getTensor().getElementType());
  if (!quantized)
    return config;
  std::optional<cuda::Number> scale = numberOf(quantized.getScale());
  if (!scale)
    return std::nullopt;
  config.scale = *scale;
  config.affine = quantized.isAffine();
  if (quantized.isGrouped())
    config.group = quantized.getGroupSize();
  return config;
}

std::optional<cuda::GemmConfig> qopt::gemmConfig(kernel::GemmOp op) {
  std::optional<cuda::GemmConfig> config = imageConfig(op.getWeight().getType());
  Type input = cast<MemRefType>(op.getInput().getType()).getElementType();
  bool hasScales = op.getScales() || op.getQuantize();
  if (!config || has_channel_scales(*config) != hasScales || (!op.getScales() && !input.isBF16()))
    return std::nullopt;
  if (op.hasPrologue())
    config->prologue = op.getNorm() ? cuda::Prologue::norm : cuda::Prologue::quantize;
  if (kernel::ScheduleAttr schedule = op.getScheduleAttr()) {
    config->tile_n = schedule.get("tile_n", 0);
    config->tile_t = schedule.get("tile_t", 0);
    config->k_stage = schedule.get("k_stage", 0);
    config->stages = schedule.get("stages", 0);
    config->wgmma = schedule.get("wgmma", 0) != 0;
    config->k_warps = schedule.get("k_warps", 1);
    config->row_copies = schedule.get("row_copies", 0) != 0;
    config->spread = schedule.get("spread", 0) != 0;
    config->cluster = schedule.get("cluster", 1);
  }
  return config;
}

bool qopt::isPortable(Operation *launch) {
  auto schedule = launch->getAttrOfType<kernel::ScheduleAttr>("schedule");
  return schedule && schedule.get("portable", 0) != 0;
}

std::optional<cuda::PortableGemmConfig> qopt::portableGemmConfig(kernel::GemmOp op) {
  std::optional<cuda::GemmConfig> layer = gemmConfig(op);
  if (!layer || !isPortable(op))
    return std::nullopt;
  kernel::ScheduleAttr schedule = op.getScheduleAttr();
  return cuda::PortableGemmConfig{*layer, static_cast<int>(schedule.get("warp_n", 0)),
                                  static_cast<int>(schedule.get("warp_t", 0))};
}

int64_t qopt::pageBytes(KVCacheType cache) {
  return cache.getLayers() * 2 * cache.getKvHeads() * cache.getHeadDim() * cache.getPageTokens() *
         cache.getType().getIntOrFloatBitWidth() / 8;
}

int64_t qopt::rowStride(Value buffer) {
  SmallVector<int64_t> strides;
  int64_t offset;
  auto type = cast<MemRefType>(buffer.getType());
  if (failed(type.getStridesAndOffset(strides, offset)))
    return type.getShape().back();
  return strides.front();
}

cuda::AttentionConfig qopt::attentionConfig(kernel::AttentionOp op) {
  KVCacheType cache = op.getCache().getType();
  cuda::AttentionConfig config = {};
  config.heads = op.getNumHeads();
  config.kv_heads = cache.getKvHeads();
  config.head_dim = cache.getHeadDim();
  config.query_stride = rowStride(op.getQuery());
  config.output_stride = rowStride(op.getOuts()[0]);
  config.scale = op.getScale().convertToDouble();
  config.page_bytes = pageBytes(cache);
  if (kernel::ScheduleAttr schedule = op.getScheduleAttr()) {
    config.warps = schedule.get("warps", 0);
    config.stages = schedule.get("stages", 0);
    config.splits = schedule.get("splits", 1);
  }
  if (op.hasRopeAppend()) {
    config.key_stride = rowStride(op.getKey());
    config.value_stride = rowStride(op.getValue());
  }
  return config;
}

int64_t qopt::attentionSplits(kernel::AttentionOp op) {
  kernel::ScheduleAttr schedule = op.getScheduleAttr();
  return schedule ? schedule.get("splits", 0) : 0;
}

int64_t qopt::sampleBlocks(kernel::SampleOp op) {
  kernel::ScheduleAttr schedule = op.getScheduleAttr();
  return schedule ? schedule.get("blocks", 1) : 1;
}
