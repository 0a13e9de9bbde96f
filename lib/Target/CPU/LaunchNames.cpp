//===- LaunchNames.cpp - Which launches are the same kernel ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LaunchNames.h"
#include "qopt/Target/CPU/Schedule.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace qopt;

/// Operations of a scalar region with numbered values.
static void describeRegion(Region &region, llvm::raw_ostream &os) {
  DenseMap<Value, unsigned> numbers;
  for (Value argument : region.getArguments())
    numbers.try_emplace(argument, numbers.size());
  for (Operation &op : region.front()) {
    os << "\n  " << op.getName() << op.getAttrDictionary();
    for (Value operand : op.getOperands())
      os << " " << numbers.at(operand);
    for (Value result : op.getResults()) {
      os << " " << result.getType();
      numbers.try_emplace(result, numbers.size());
    }
  }
}

std::string qopt::launchKey(Operation *launch) {
  std::string key;
  llvm::raw_string_ostream os(key);
  os << launch->getName();
  for (Type type : launch->getOperandTypes())
    os << " " << type;
  for (NamedAttribute attr : launch->getAttrDictionary()) {
    StringRef name = attr.getName();
    if (name == "entry" || name == "layer")
      continue;
    os << " " << name << "=";
    if (auto schedule = dyn_cast<kernel::ScheduleAttr>(attr.getValue()))
      os << schedule.getParams();
    else
      os << attr.getValue();
  }
  for (Region &region : launch->getRegions())
    describeRegion(region, os);
  return key;
}

static std::string elementName(Type type) {
  if (isa<Float8E4M3FNType>(type))
    return "fp8";
  std::string name;
  llvm::raw_string_ostream os(name);
  if (type.isInteger())
    os << "int" << type.getIntOrFloatBitWidth();
  else
    os << type;
  return name;
}

/// w4a16_g64, w8a8_fp8, bf16, ...
static std::string formatName(kernel::GemmOp op) {
  Type input = cast<MemRefType>(op.getInput().getType()).getElementType();
  auto weight = dyn_cast<QuantizedType>(op.getWeight().getType().getTensor().getElementType());
  if (!weight)
    return elementName(input);
  std::string name = "w" + std::to_string(weight.getStorage().getIntOrFloatBitWidth()) + "a" +
                     std::to_string(input.getIntOrFloatBitWidth());
  if (op.getScales())
    return name + "_" + elementName(input);
  if (weight.isAffine())
    name += "_affine";
  return weight.isGrouped() ? name + "_g" + std::to_string(weight.getGroupSize()) : name;
}

std::string qopt::launchName(Operation *launch) {
  auto columns = [](Value buffer) {
    return std::to_string(cast<MemRefType>(buffer.getType()).getShape().back());
  };
  if (auto gemm = dyn_cast<kernel::GemmOp>(launch)) {
    kernel::ScheduleAttr schedule = gemm.getScheduleAttr();
    return "gemm_" + formatName(gemm) + "_k" + columns(gemm.getInput()) + "_n" +
           columns(gemm.getOuts()[0]) + "_m" +
           std::to_string(schedule ? schedule.get("tile_m", 1) : 1);
  }
  std::string name = launch->getName().stripDialect().str();
  if (auto attention = dyn_cast<kernel::AttentionOp>(launch)) {
    KVCacheType cache = attention.getCache().getType();
    name += "_h" + std::to_string(attention.getNumHeads()) + "_kv" +
            std::to_string(cache.getKvHeads()) + "_d" + std::to_string(cache.getHeadDim());
    int64_t queries = attentionQueries(attention);
    return queries == 1 ? name : name + "_q" + std::to_string(queries);
  }
  if (auto append = dyn_cast<kernel::KVAppendOp>(launch))
    return name + "_k" + columns(append.getKey());
  // The outputs come last; with two of them the first holds codes.
  auto outs = cast<OperandRange>(launch->getOperands()).take_back(2);
  bool quantizes = isa<kernel::NormOp, kernel::ElementwiseOp, kernel::QuantizeOp>(launch) &&
                   cast<MemRefType>(launch->getOperands().back().getType()).getRank() == 1;
  Value out = quantizes ? outs.front() : outs.back();
  name += quantizes ? "_" + elementName(cast<MemRefType>(out.getType()).getElementType()) : "";
  return name + "_k" + columns(out);
}
