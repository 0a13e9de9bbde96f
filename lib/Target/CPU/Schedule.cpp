//===- Schedule.cpp - How the CPU cuts a launch ---------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/CPU/Schedule.h"
#include "mlir/IR/Builders.h"
#include "qopt/Target/CPU/Layout.h"

using namespace mlir;
using namespace qopt;

/// Stack of a worker that staged activations may take.
constexpr int64_t stagingBytes = 1 << 20;
/// Staging is spread over the channels of this many tiles.
constexpr int64_t blockTiles = 8;

static kernel::ScheduleAttr makeSchedule(MLIRContext *context,
                                         ArrayRef<std::pair<StringRef, int64_t>> params,
                                         const Twine &reason, ArrayRef<std::string> rejected) {
  Builder builder(context);
  SmallVector<NamedAttribute> named;
  for (auto [name, value] : params)
    named.push_back(builder.getNamedAttr(name, builder.getI64IntegerAttr(value)));
  SmallVector<Attribute> others;
  for (const std::string &text : rejected)
    others.push_back(builder.getStringAttr(text));
  return kernel::ScheduleAttr::get(context, builder.getDictionaryAttr(named),
                                   builder.getStringAttr(reason),
                                   others.empty() ? ArrayAttr() : builder.getArrayAttr(others));
}

kernel::ScheduleAttr qopt::cpuSchedule(Operation *launch, int64_t maxTokens,
                                       const CPUTarget &target) {
  auto gemm = dyn_cast<kernel::GemmOp>(launch);
  if (!gemm)
    return {};
  WeightImage image(gemm.getWeight().getType());
  MLIRContext *context = launch->getContext();
  int64_t lanes = target.vectorLanes, registers = target.avx512 ? 32 : 16;
  if (maxTokens == 1)
    return makeSchedule(
        context, {{"tile_m", 1}, {"tiles", 2}, {"block", 1 << 20}},
        "one row: " + Twine(2 * vectorsPerTile) + " accumulators of " + Twine(lanes) +
            " lanes over two tiles hide the latency of an addition; activations are staged once",
        {"tiles = 1: " + std::to_string(vectorsPerTile) + " accumulators wait for each other"});

  // Weights, a product and the broadcast activation need the rest.
  int64_t largest = (registers - 4) / vectorsPerTile;
  largest = target.avx512 ? 12 : std::min<int64_t>(largest, 6);
  int64_t tileM = std::min(largest, maxTokens);
  int64_t rowBytes = 4 * image.k;
  std::string reason = std::to_string(tileM) + " x " + std::to_string(vectorsPerTile) +
                       " accumulators of " + std::to_string(lanes) + " lanes fit " +
                       std::to_string(registers) + " registers";
  SmallVector<std::string> rejected;
  if (tileM == largest)
    rejected.push_back("tile_m = " + std::to_string(largest + registers / 8) + ": " +
                       std::to_string((largest + registers / 8) * vectorsPerTile) +
                       " accumulators leave too few registers for weights");
  if (tileM > 1 && tileM * rowBytes > stagingBytes) {
    rejected.push_back("tile_m = " + std::to_string(tileM) + ": activations of K = " +
                       std::to_string(image.k) + " exceed 1 MiB of stack");
    tileM = std::max<int64_t>(1, stagingBytes / rowBytes);
    reason = std::to_string(tileM) + " rows of K = " + std::to_string(image.k) +
             " float32 fit 1 MiB of stack";
  }
  return makeSchedule(context, {{"tile_m", tileM}, {"tiles", 2}, {"block", blockTiles}}, reason,
                      rejected);
}
