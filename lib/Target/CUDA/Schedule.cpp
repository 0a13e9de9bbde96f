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
  return llvm::formatv("{0}, tile_n = {1}, tile_t = {2}", c.wgmma ? "wgmma" : "mma.sync", c.tile_n,
                       c.tile_t);
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

kernel::ScheduleAttr makeSchedule(MLIRContext *context,
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

kernel::ScheduleAttr gemmParams(MLIRContext *context, const GemmConfig &c, const Twine &reason,
                                ArrayRef<std::string> rejected) {
  return makeSchedule(context,
                      {{"k_stage", c.k_stage},
                       {"k_warps", c.k_warps},
                       {"row_copies", c.row_copies},
                       {"stages", c.stages},
                       {"tile_n", c.tile_n},
                       {"tile_t", c.tile_t},
                       {"wgmma", c.wgmma}},
                      reason, rejected);
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

/// What a layer takes with a prologue and apart from the launch that makes its rows.
struct PrologueTimes {
  double fused = 0, apart = 0; ///< seconds
  bool areMeasured = false;
};

/// What was measured, if both layers were, else what the cost model says of both.
PrologueTimes prologueTimes(kernel::GemmOp fused, kernel::GemmOp apart, int64_t rows,
                            const GemmCandidate &cheapest, const ScheduleTable &table) {
  GemmConfig fusedConfig = gemmConfig(fused).value(), apartConfig = gemmConfig(apart).value();
  const ScheduleEntry *fusedEntry = entryOf(fused, fusedConfig, rows, table);
  const ScheduleEntry *apartEntry = entryOf(apart, apartConfig, rows, table);
  PrologueTimes times;
  times.areMeasured = fusedEntry && apartEntry;
  times.fused = times.areMeasured ? fusedEntry->microseconds * 1e-6 : cheapest.cost.total;
  times.apart = times.areMeasured ? apartEntry->microseconds * 1e-6
                                  : gemmCost(apartConfig, rows).total;
  times.apart += makerTime(fusedConfig, rows);
  return times;
}

/// `schedule` with more of a reason, and another choice that was rejected.
kernel::ScheduleAttr extended(kernel::ScheduleAttr schedule, const Twine &reason,
                              const Twine &rejected) {
  Builder builder(schedule.getContext());
  SmallVector<Attribute> others;
  if (schedule.getRejected())
    llvm::append_range(others, schedule.getRejected());
  others.push_back(builder.getStringAttr(rejected));
  return kernel::ScheduleAttr::get(schedule.getContext(), schedule.getParams(),
                                   builder.getStringAttr(schedule.getReason().str() + reason),
                                   builder.getArrayAttr(others));
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
  cuda::set_decode_schedule(config, splits);
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
  std::optional<GemmConfig> shape = gemmConfig(fused);
  std::vector<GemmCandidate> candidates;
  if (shape && apart.getScheduleAttr() && rows <= cuda::kPrologueTokens)
    candidates = gemmCandidates(*shape, rows);
  if (candidates.empty()) {
    reason = "no kernel makes " + std::to_string(rows) + " rows in a block";
    return {};
  }
  StringRef name = maker->getName().stripDialect();
  PrologueTimes times = prologueTimes(fused, apart, rows, candidates.front(), table);
  StringRef source = times.areMeasured ? "measured" : "by the cost model";
  if (times.fused >= times.apart) {
    reason = llvm::formatv("{0} in each block: {1}, in a launch of its own {2} for both ({3})",
                           name, microseconds(times.fused), microseconds(times.apart), source);
    return {};
  }
  return extended(gemmSchedule(fused, rows, table),
                  llvm::formatv("; {0} in the prologue spares a launch", name),
                  llvm::formatv("{0} in a launch of its own: {1} for both, {2} with a prologue "
                                "({3})",
                                name, microseconds(times.apart), microseconds(times.fused),
                                source));
}
