//===- LaunchNames.cpp - Which launches are the same kernel ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LaunchNames.h"
#include "../LaunchKey.h"
#include "qopt/Target/CPU/Schedule.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace qopt;

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
