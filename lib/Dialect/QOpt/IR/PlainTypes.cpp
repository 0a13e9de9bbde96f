//===- PlainTypes.cpp - Types of the dialect without MLIR -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Dialect/QOpt/IR/PlainTypes.h"

using namespace mlir;
using namespace qopt;

static RopeConfig::Scaling scalingOf(RopeScalingKind kind) {
  switch (kind) {
  case RopeScalingKind::None:
    return RopeConfig::Scaling::none;
  case RopeScalingKind::Linear:
    return RopeConfig::Scaling::linear;
  case RopeScalingKind::Llama3:
    return RopeConfig::Scaling::llama3;
  case RopeScalingKind::Table:
    return RopeConfig::Scaling::table;
  }
  llvm_unreachable("a kind of rope scaling");
}

RopeConfig qopt::ropeConfigOf(RopeAttr rope) {
  RopeConfig config;
  config.scaling = scalingOf(rope.getScaling());
  config.theta = rope.getTheta().getValueAsDouble();
  auto set = [](double &value, mlir::FloatAttr attribute) {
    if (attribute)
      value = attribute.getValueAsDouble();
  };
  set(config.factor, rope.getFactor());
  set(config.lowFreqFactor, rope.getLow());
  set(config.highFreqFactor, rope.getHigh());
  if (rope.getOriginal() > 0)
    config.originalContext = rope.getOriginal();
  if (rope.getTable())
    config.table = rope.getTable().asArrayRef();
  return config;
}

Scheme qopt::schemeOf(QuantizedType type) {
  Type storage = type.getStorage(), scale = type.getScale();
  Scheme scheme;
  scheme.storage = storage.isUnsignedInteger(4) ? Storage::uint4
                   : storage.isInteger(4)       ? Storage::int4
                   : storage.isInteger(8)       ? Storage::int8
                                                : Storage::e4m3;
  scheme.groupSize = type.isGrouped() ? type.getGroupSize() : 0;
  scheme.scaleType = scale.isF32()    ? ScaleType::f32
                     : scale.isBF16() ? ScaleType::bf16
                                      : ScaleType::f16;
  return scheme;
}
