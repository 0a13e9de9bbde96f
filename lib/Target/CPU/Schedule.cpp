//===- Schedule.cpp - How the CPU cuts a launch ---------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/CPU/Schedule.h"
#include "qopt/Target/CPU/Layout.h"
#include "qopt/Target/MakeSchedule.h"

using namespace mlir;
using namespace qopt;

/// What staged activations may take of a worker's stack and second-level cache.
constexpr int64_t stagingBytes = 1 << 20;
/// Beyond this a panel's decoding is a few percent of its products.
constexpr int64_t mostTilesOfRows = 4;
/// Weights of a block, in the same cache; staging is spread over its tiles.
constexpr int64_t blockBytes = 512 << 10, fewestTiles = 8, mostTiles = 64;
/// Plans of so few tokens are for sequences that decode: each row its own pages.
constexpr int64_t mostDecodeTokens = 8;
/// Rows of a prompt that share a page.
constexpr int64_t queriesAtOnce = 8;
/// Units of attention that most machines' workers can share.
constexpr int64_t fewestUnits = 4;

/// Sums of a group, totals and words of each tile share the registers.
static kernel::ScheduleAttr oneRowSchedule(MLIRContext *context, int64_t tiles, int64_t lanes) {
  return makeSchedule(
      context, {{"tile_m", 1}, {"rows", 1}, {"tiles", tiles}, {"block", 1 << 20}},
      "one row: " + Twine(tiles * vectorsPerTile) + " accumulators of " + Twine(lanes) +
          " lanes over " + Twine(tiles) +
          " tiles hide the latency of an addition, and as many streams that of memory; "
          "activations are staged once",
      {"tiles = 1: " + std::to_string(vectorsPerTile) + " accumulators wait for each other",
       "a decoded panel: one row would read it once"});
}

static kernel::ScheduleAttr gemmSchedule(kernel::GemmOp gemm, int64_t maxTokens,
                                         const CPUTarget &target) {
  WeightImage image(gemm.getWeight().getType());
  MLIRContext *context = gemm.getContext();
  int64_t lanes = target.vectorLanes, registers = target.avx512 ? 32 : 16;
  int64_t oneRowTiles = target.avx512 ? 4 : 2;
  if (maxTokens == 1)
    return oneRowSchedule(context, oneRowTiles, lanes);

  // Weights, a product and the broadcast activation need the rest.
  int64_t largest = target.avx512 ? 12 : 6;
  Type activations = cast<MemRefType>(gemm.getInput().getType()).getElementType();
  int64_t bytes = 4 / elementsOfLane(productsOf(image, activations));
  int64_t fit = std::max<int64_t>(1, stagingBytes / (bytes * image.k)); // rows
  int64_t tileM = std::min({largest, maxTokens, fit});
  int64_t wanted = tileM * std::min<int64_t>(mostTilesOfRows, llvm::divideCeil(maxTokens, tileM));
  int64_t rows = std::min(wanted, fit / tileM * tileM);
  int64_t block = std::clamp(blockBytes / image.tileBytes(), fewestTiles, mostTiles);
  std::string reason = std::to_string(tileM) + " x " + std::to_string(vectorsPerTile) +
                       " accumulators of " + std::to_string(lanes) + " lanes fit " +
                       std::to_string(registers) + " registers; " + std::to_string(rows) +
                       " rows of K = " + std::to_string(image.k) +
                       " share each decoded panel; the block's weights stay in the second-level "
                       "cache or spread the staging";
  SmallVector<std::string> rejected;
  if (tileM == largest)
    rejected.push_back("tile_m = " + std::to_string(largest + registers / 8) + ": " +
                       std::to_string((largest + registers / 8) * vectorsPerTile) +
                       " accumulators leave too few registers for weights");
  if (rows < wanted)
    rejected.push_back("rows = " + std::to_string(rows + tileM) + ": activations of K = " +
                       std::to_string(image.k) + " exceed 1 MiB of stack and second-level cache");
  return makeSchedule(context,
                      {{"tile_m", tileM}, {"rows", rows}, {"tiles", oneRowTiles}, {"block", block}},
                      reason, rejected);
}

static int64_t groupSize(kernel::AttentionOp op) {
  return op.getNumHeads() / op.getCache().getType().getKvHeads();
}

static kernel::ScheduleAttr attentionSchedule(kernel::AttentionOp op, int64_t maxTokens) {
  int64_t group = groupSize(op), kvHeads = op.getCache().getType().getKvHeads();
  if (maxTokens > mostDecodeTokens)
    return makeSchedule(op.getContext(), {{"queries", queriesAtOnce}, {"heads", group}},
                        Twine(queriesAtOnce) + " rows of a prompt and " + Twine(group) +
                            " heads read each converted page",
                        {"queries = 1: every row converts every page"});
  int64_t heads = group;
  while (maxTokens * kvHeads * (group / heads) < fewestUnits && heads % 2 == 0)
    heads /= 2;
  std::string reason =
      heads == group
          ? "rows of different sequences share no page; the " + std::to_string(group) +
                " heads of a KV head share its loads: "
          : "the heads of " + std::to_string(kvHeads) + " KV heads are split for more workers: ";
  reason += std::to_string(kvHeads * (group / heads)) + " units a row";
  return makeSchedule(op.getContext(), {{"queries", 1}, {"heads", heads}}, reason, {});
}

kernel::ScheduleAttr qopt::cpuSchedule(Operation *launch, int64_t maxTokens,
                                       const CPUTarget &target) {
  if (auto gemm = dyn_cast<kernel::GemmOp>(launch))
    return gemmSchedule(gemm, maxTokens, target);
  if (auto attention = dyn_cast<kernel::AttentionOp>(launch))
    return attentionSchedule(attention, maxTokens);
  return {};
}

int64_t qopt::attentionQueries(kernel::AttentionOp op) {
  kernel::ScheduleAttr schedule = op.getScheduleAttr();
  return schedule ? schedule.get("queries", 1) : 1;
}

int64_t qopt::attentionHeads(kernel::AttentionOp op) {
  kernel::ScheduleAttr schedule = op.getScheduleAttr();
  return schedule ? schedule.get("heads", groupSize(op)) : groupSize(op);
}
