//===- Schedule.cpp - How CUDA cuts a launch ------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The schedule of a gemm is what a table says was measured, else the cheapest by a
/// model of the machine. No result depends on the choice.
///
//===----------------------------------------------------------------------===//

#include "GemmCandidates.h"
#include "KernelConfigs.h"
#include "ScheduleTable.h"
#include "device/sample_config.h"
#include "qopt/Target/CUDA/CUDATarget.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>

using namespace mlir;
using namespace qopt;
using cuda::GemmConfig;

namespace {

std::string microseconds(double seconds) { return llvm::formatv("{0:f1} us", seconds * 1e6); }

std::string waves(const GemmCost &cost) {
  std::string text = std::to_string(cost.blocks) + " blocks";
  if (cost.blocks < multiprocessors)
    return text + " leave " + std::to_string(multiprocessors - cost.blocks) +
           " multiprocessors idle";
  return text + ", at most " + std::to_string(cost.heaviest) + " a multiprocessor";
}

std::string bound(const GemmCost &cost) {
  return cost.memory >= cost.products
             ? microseconds(cost.memory) + " of memory, products " + microseconds(cost.products)
             : microseconds(cost.products) + " of products, memory " + microseconds(cost.memory);
}

std::string tiles(const GemmConfig &c) {
  return llvm::formatv("{0}, tile_n = {1}{2}, tile_t = {3}", c.wgmma ? "wgmma" : "mma.sync",
                       c.tile_n, c.spread ? " at most" : "", c.tile_t);
}

/// The best of those that differ from `chosen` in one thing.
template <typename Differs>
void reject(ArrayRef<GemmCandidate> candidates, const GemmCandidate &chosen, Differs differs,
            SmallVectorImpl<std::string> &rejected) {
  const GemmCandidate *best = nullptr;
  for (const GemmCandidate &candidate : candidates)
    if (differs(candidate.config) && (!best || candidate.cost.total < best->cost.total))
      best = &candidate;
  if (!best)
    return;
  std::string text = tiles(best->config) + ": " + microseconds(best->cost.total) + ", " +
                     waves(best->cost) + ", " + bound(best->cost);
  if (!llvm::is_contained(rejected, text))
    rejected.push_back(text);
}

kernel::ScheduleAttr gemmParams(MLIRContext *context, const GemmConfig &c, const Twine &reason,
                                ArrayRef<std::string> rejected) {
  SmallVector<std::pair<StringRef, int64_t>> params = {
      {"k_stage", c.k_stage}, {"k_warps", c.k_warps}, {"row_copies", c.row_copies},
      {"stages", c.stages},   {"tile_n", c.tile_n},   {"tile_t", c.tile_t},
      {"wgmma", c.wgmma}};
  if (c.spread)
    params.push_back({"spread", 1});
  if (c.cluster > 1)
    params.push_back({"cluster", c.cluster});
  return makeSchedule(context, params, reason, rejected);
}

/// What was measured, beside what the cost model would take now.
kernel::ScheduleAttr measuredSchedule(MLIRContext *context, const ScheduleEntry &entry,
                                      ArrayRef<GemmCandidate> candidates) {
  std::string reason =
      llvm::formatv("measured on {0}: {1:f2} us; the cost model's choice took {2:f2} us",
                    entry.device, entry.microseconds, entry.modelMicroseconds);
  SmallVector<std::string> rejected;
  if (!candidates.empty() && candidates.front().config != entry.layer.config)
    rejected.push_back(tiles(candidates.front().config) + ": the cost model's choice, " +
                       microseconds(candidates.front().cost.total) + " by its count");
  return gemmParams(context, entry.layer.config, reason, rejected);
}

const ScheduleEntry *entryOf(kernel::GemmOp op, const GemmConfig &shape, int64_t rows,
                             const ScheduleTable &table) {
  bool isFloat = cast<MemRefType>(op.getOuts()[0].getType()).getElementType().isF32();
  return table.find({shape, isFloat, rows});
}

kernel::ScheduleAttr gemmSchedule(kernel::GemmOp op, int64_t rows, const ScheduleTable &table) {
  op.removeScheduleAttr();
  std::optional<GemmConfig> shape = gemmConfig(op);
  if (!shape)
    return {}; // reported where the kernel would be written
  std::vector<GemmCandidate> candidates = gemmCandidates(*shape, rows);
  if (const ScheduleEntry *entry = entryOf(op, *shape, rows, table))
    return measuredSchedule(op.getContext(), *entry, candidates);
  if (candidates.empty())
    return {};
  const GemmCandidate &chosen = candidates.front();
  const GemmConfig &c = chosen.config;

  SmallVector<std::string> rejected;
  reject(candidates, chosen, [&](const GemmConfig &o) { return o.wgmma != c.wgmma; }, rejected);
  reject(
      candidates, chosen,
      [&](const GemmConfig &o) { return o.wgmma == c.wgmma && o.tile_n < c.tile_n; }, rejected);
  reject(
      candidates, chosen,
      [&](const GemmConfig &o) { return o.wgmma == c.wgmma && o.tile_n > c.tile_n; }, rejected);
  reject(
      candidates, chosen,
      [&](const GemmConfig &o) { return o.wgmma == c.wgmma && o.tile_t != c.tile_t; }, rejected);
  bool leavesRoom = cuda::shared_bytes(c) <= sharedBytesOfHalf;
  std::string reason =
      llvm::formatv("{0}: {1}, {2}; {3}; {4} stages of {5} KB{6}", c.wgmma ? "wgmma" : "mma.sync",
                    microseconds(chosen.cost.total), waves(chosen.cost), bound(chosen.cost),
                    c.stages, (cuda::stage_bytes(c) + 512) / 1024,
                    leavesRoom ? " leave room for the next kernel's weights" : "");
  return gemmParams(op.getContext(), c, reason, rejected);
}

/// The tiles of `apart` for a layer with the prologue of `fused`: of as many tokens as there
/// are, and with a ring that leaves as many blocks room on a multiprocessor. None if that
/// can't be built.
std::optional<GemmConfig> withPrologue(const GemmConfig &apart, const GemmConfig &fused,
                                       int64_t rows) {
  GemmConfig c = apart;
  c.prologue = fused.prologue;
  c.row_copies = false;
  if (c.wgmma)
    c.tile_t = static_cast<int>(llvm::PowerOf2Ceil(rows));
  int64_t resident = sharedBytesOfAll / (cuda::shared_bytes(apart) + sharedBytesBesideBlock);
  int64_t budget = sharedBytesOfAll / std::max<int64_t>(resident, 1) - sharedBytesBesideBlock;
  while (c.stages > 2 && cuda::shared_bytes(c) > budget)
    --c.stages;
  if (cuda::reason_invalid(c))
    return std::nullopt;
  return c;
}

/// A layer with a prologue, and what it takes apart from the launch that makes its rows.
struct PrologueChoice {
  GemmConfig config;
  double fused = 0, apart = 0; ///< seconds
  bool isMeasured = false;     ///< with its prologue
};

/// What was measured, if both layers were; else the tiles of `apart`, whose prologue takes
/// what the cost model says.
std::optional<PrologueChoice> choosePrologue(kernel::GemmOp fused, kernel::GemmOp apart,
                                             int64_t rows, const ScheduleTable &table) {
  std::optional<GemmConfig> shape = gemmConfig(fused), tiles = gemmConfig(apart);
  if (!shape || !tiles || !apart.getScheduleAttr() || rows > cuda::kPrologueTokens)
    return std::nullopt;
  const ScheduleEntry *entry = entryOf(fused, *shape, rows, table);
  const ScheduleEntry *apartEntry = entryOf(apart, *tiles, rows, table);
  PrologueChoice choice;
  choice.apart = apartEntry ? apartEntry->microseconds * 1e-6 : gemmCost(*tiles, rows).total;
  choice.isMeasured = entry && apartEntry;
  if (choice.isMeasured) {
    choice.config = entry->layer.config;
    choice.fused = entry->microseconds * 1e-6;
  } else {
    std::optional<GemmConfig> config = withPrologue(*tiles, *shape, rows);
    if (!config)
      return std::nullopt;
    choice.config = *config;
    choice.fused = choice.apart + gemmCost(*config, rows).prologue;
  }
  choice.apart += makerTime(*shape);
  return choice;
}

/// A power of two of blocks for each of `blocks` rows and heads, as long as they are not
/// more than the multiprocessors: clusters that wait for others cost more than they gain.
int64_t decodeSplits(int64_t blocks) {
  int64_t splits = 1;
  while (splits < cuda::max_splits && 2 * splits * blocks <= multiprocessors)
    splits *= 2;
  return splits;
}

kernel::ScheduleAttr attentionSchedule(kernel::AttentionOp op, kernel::PlanOp plan) {
  cuda::AttentionConfig config = attentionConfig(op);
  if (plan.getKind() != kernel::PlanKind::Decode) {
    cuda::set_tile_schedule(config);
    return makeSchedule(op.getContext(), {{"warps", config.warps}, {"stages", config.stages}},
                        "query tiles: " + Twine(plan.getQueryTile().value_or(1)) +
                            " tokens of a sequence by " + Twine(cuda::group(config)) +
                            " heads share each page",
                        {});
  }
  int64_t blocks = plan.getMaxTokens() * config.kv_heads, splits = decodeSplits(blocks);
  cuda::set_decode_schedule(config, splits, /*few_blocks=*/2 * splits * blocks <= multiprocessors);
  std::string reason = llvm::formatv("{0} blocks: {1} rows, {2} KV heads, {3} splits of the pages",
                                     blocks * splits, plan.getMaxTokens(), config.kv_heads, splits);
  SmallVector<std::string> rejected;
  if (splits == 1)
    rejected.push_back("splits = 2: rows and heads fill the multiprocessors");
  return makeSchedule(op.getContext(),
                      {{"warps", config.warps}, {"stages", config.stages}, {"splits", splits}},
                      reason, rejected);
}

} // namespace

kernel::ScheduleAttr qopt::gemmScheduleAttr(MLIRContext *context, const GemmConfig &config,
                                            const Twine &reason) {
  return gemmParams(context, config, reason, {});
}

kernel::ScheduleAttr qopt::cudaSchedule(Operation *launch, kernel::PlanOp plan,
                                        const ScheduleTable &table) {
  if (auto gemm = dyn_cast<kernel::GemmOp>(launch))
    return gemmSchedule(gemm, kernel::maxRowsOf(launch, plan), table);
  if (auto attention = dyn_cast<kernel::AttentionOp>(launch))
    return attentionSchedule(attention, plan);
  if (isa<kernel::SampleOp>(launch))
    return makeSchedule(launch->getContext(), {{"blocks", cuda::sample_blocks}},
                        "the blocks of a cluster share a row", {});
  return {};
}

kernel::ScheduleAttr qopt::cudaPrologueSchedule(kernel::GemmOp fused, kernel::GemmOp apart,
                                                Operation *maker, kernel::PlanOp plan,
                                                const ScheduleTable &table, std::string &reason) {
  int64_t rows = kernel::maxRowsOf(fused, plan);
  if (isPortable(apart)) {
    reason = "portable kernels have no prologues";
    return {};
  }
  std::optional<PrologueChoice> choice = choosePrologue(fused, apart, rows, table);
  if (!choice) {
    reason = "no kernel makes " + std::to_string(rows) + " rows in a block";
    return {};
  }
  StringRef name = maker->getName().stripDialect();
  StringRef source = choice->isMeasured ? "measured" : "by the cost model";
  std::string together = microseconds(choice->fused), both = microseconds(choice->apart);
  if (choice->fused >= choice->apart) {
    reason = llvm::formatv("{0} in each block: {1}, in a launch of its own {2} for both ({3})",
                           name, together, both, source);
    return {};
  }
  std::string why = llvm::formatv("{0} in the prologue spares a launch: {1} ({2}); {3}", name,
                                  together, source, tiles(choice->config));
  return gemmParams(fused.getContext(), choice->config, why,
                    {llvm::formatv("{0} in a launch of its own: {1} for both", name, both)});
}
