//===- Schedule.cpp - How CUDA cuts a launch ------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The time of a gemm by a small model of the machine, for every configuration that
/// its header can build; the fastest is taken. No result depends on the choice.
///
//===----------------------------------------------------------------------===//

#include "KernelConfigs.h"
#include "qopt/Target/CUDA/CUDATarget.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <numeric>

using namespace mlir;
using namespace qopt;
using cuda::Codes;
using cuda::GemmConfig;

namespace {

//===----------------------------------------------------------------------===//
// The machine: H100 and H200 (measured; bytes and operations per second)
//===----------------------------------------------------------------------===//

constexpr int64_t multiprocessors = 132;
constexpr double memoryRate = 4.3e12;
constexpr double cacheRate = 9e12;          // second level to shared memory: what tiles of
                                            // 128 x 256 draw at the rate of products
constexpr double latency = 0.9e-6;          // of memory under load
constexpr double mostOfOneProcessor = 70e9; // bytes that one multiprocessor can draw
constexpr double fillTime = 2.0e-6;         // of the first rings and the last stores
constexpr double refillTime = 0.3e-6;       // of rings beside which other blocks go on
constexpr double copyTime = 5e-9;           // of asking for a stage: large copies are better
constexpr double stageTime = 60e-9;         // of a wait for a stage, and of its release
constexpr int64_t sharedBytesOfAll = 228 << 10;
constexpr int64_t sharedBytesOfBlock = 227 << 10;
/// So that the next kernel's first weights find room beside a block; and what four
/// blocks of a multiprocessor may take, whose warps hide each other's latency.
constexpr int64_t sharedBytesOfHalf = 105 << 10, sharedBytesOfQuarter = 55 << 10;
/// Wider blocks of warps leave a multiprocessor fewer rings.
constexpr int mostChannelsOfWarps = 64;
/// Up to here a layer is bound by its weights: blocks are small and rings long.
constexpr int64_t mostDecodeRows = 64;
/// A `wgmma` reads its 64 channels of 32 bytes in the time of so many tokens' products.
constexpr int64_t channelsOfWgmma = 64, fewestTokensOfWgmma = 32;

constexpr int registersOfAll = 65536;
/// One in use, one that has come, one on its way.
constexpr int fewestStages = 3;

/// Products of one multiprocessor.
double productRate(const GemmConfig &c) {
  bool isNarrow = c.codes == Codes::s8 || c.codes == Codes::e4m3;
  double bf16 = (c.wgmma ? 740e12 : 320e12) / multiprocessors;
  return isNarrow ? 1.8 * bf16 : bf16;
}

/// Weights that `warps` of one multiprocessor convert and multiply: more warps wait
/// for each other more often. (Fitted to bench/results/gemm-h200.md.)
double conversionRate(const GemmConfig &c, double warps) {
  if (c.wgmma)
    return std::min(4.4e9 * warps, 36e9);
  double exchange = c.k_warps > 1 ? 0.8 : 1.0;
  return exchange * 80e9 * warps / (warps + 6);
}

//===----------------------------------------------------------------------===//
// What a configuration costs
//===----------------------------------------------------------------------===//

struct Cost {
  int64_t blocks = 0, heaviest = 0; // all; of the fullest multiprocessor
  double memory = 0, products = 0;  // seconds
  double total = 0;
};

/// Accumulators of a thread, and what the code around them needs.
bool fitsRegisters(const GemmConfig &c) {
  int sums = cuda::thread_sums(c);
  // Partial sums beside totals: of a group, or of 128 columns (e4m3), which wide
  // warpgroups promote in parts.
  if (is_fragment(c) || (c.codes == Codes::e4m3 && cuda::consumer_groups(c) > 2))
    sums *= 2;
  int others = is_fragment(c) ? (c.affine ? 104 : 88) : c.wgmma ? 48 : 72;
  // Warps are given registers four at a time.
  int even = registersOfAll / int(llvm::alignTo(cuda::threads(c), 128)) / 8 * 8;
  int available = cuda::shares_registers(c) ? cuda::consumer_registers(c) : std::min(even, 250);
  return sums + others <= available;
}

Cost costOf(const GemmConfig &c, int64_t rows) {
  Cost cost;
  int64_t channelTiles = llvm::divideCeil(cuda::units(c) * cuda::kUnit, c.tile_n);
  int64_t tokenTiles = llvm::divideCeil(rows, c.tile_t);
  cost.blocks = channelTiles * tokenTiles;
  cost.heaviest = llvm::divideCeil(cost.blocks, multiprocessors);

  double units = c.tile_n / cuda::kUnit;
  double weights = units * double(cuda::unit_bytes(c));
  double tokens = double(c.tile_t) * c.k * cuda::bytes(cuda::token_number(c));
  double ofBlock = weights + tokens;
  double dram = (double(cuda::image_bytes(c)) + double(rows) * tokens / c.tile_t) / memoryRate;
  double cache = double(cost.blocks) * ofBlock / cacheRate;

  int64_t resident = std::clamp<int64_t>(sharedBytesOfAll / (cuda::shared_bytes(c) + 1024), 1,
                                         int64_t(2048 / cuda::threads(c)));
  int64_t together = std::min(resident, cost.heaviest);
  // What a multiprocessor draws, as far as its rings ask ahead: one stage is in use.
  double inFlight = double(together) * (c.stages - 1) * cuda::stage_bytes(c);
  double ofProcessor = double(cost.heaviest) * ofBlock;
  cost.memory = std::max(
      {dram, cache, latency * ofProcessor / inFlight, latency + ofProcessor / mostOfOneProcessor});

  bool isNarrow = cuda::bytes(cuda::token_number(c)) == 1;
  double tileT = c.tile_t, tileN = c.tile_n;
  if (c.wgmma) {
    tileT = std::max<int64_t>(c.tile_t, isNarrow ? 2 * fewestTokensOfWgmma : fewestTokensOfWgmma);
    tileN = std::max<int64_t>(c.tile_n, channelsOfWgmma);
  }
  cost.products = double(cost.heaviest) * 2 * tileN * tileT * c.k / productRate(c);
  if (is_fragment(c)) {
    double warps = double(together) * cuda::consumer_warps(c);
    cost.products =
        std::max(cost.products, double(cost.heaviest) * c.tile_n * c.k / conversionRate(c, warps));
  }
  double turns = double(llvm::divideCeil(cost.heaviest, resident));
  double stages = turns * cuda::stage_count(c);
  cost.total = std::max({cost.memory, cost.products, stages * stageTime}) + fillTime +
               (turns - 1) * refillTime + stages * copyTime;
  return cost;
}

//===----------------------------------------------------------------------===//
// The choice
//===----------------------------------------------------------------------===//

struct Candidate {
  GemmConfig config;
  Cost cost;
};

/// The longest ring that `budget` has room for, up to the whole of K.
void setStages(GemmConfig &c, int64_t budget) {
  int64_t ofStage = cuda::stage_bytes(c) + 16;
  c.stages = std::clamp<int64_t>(budget / ofStage, 0, 12);
  while (c.stages > 2 && cuda::shared_bytes(c) > budget)
    --c.stages;
  c.stages = std::min(c.stages, std::max(2, int(cuda::stage_count(c))));
}

void addCandidates(GemmConfig config, bool wgmma, int64_t rows, int64_t budget,
                   std::vector<Candidate> &candidates) {
  static constexpr int channels[] = {16, 32, 64, 128, 192, 256};
  static constexpr int tokens[] = {1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256};
  config.wgmma = wgmma;
  int whole = std::lcm(cuda::box_columns(config),
                       cuda::is_per_channel(config) ? 1 : cuda::block_columns(config));
  for (int tileN : channels) {
    if (!wgmma && tileN > mostChannelsOfWarps)
      break;
    for (int tileT : tokens) {
      for (int steps : {1, 2, 4, 8, 16})
        for (int kWarps : {1, 2, 4}) {
          config.tile_n = tileN;
          config.tile_t = tileT;
          config.k_stage = whole * steps;
          config.k_warps = kWarps;
          // Fewer tokens than a product's eight come without the tensor copy.
          config.row_copies = tileT < 8;
          if (steps > 1 && config.k_stage > int64_t(llvm::alignTo(config.k, whole)))
            continue;
          setStages(config, budget);
          if (cuda::reason_invalid(config) ||
              config.stages < std::min(fewestStages, int(cuda::stage_count(config))) ||
              !fitsRegisters(config) || cuda::shared_bytes(config) > budget ||
              cuda::threads(config) > 1024)
            continue;
          candidates.push_back({config, costOf(config, rows)});
        }
      if (tileT >= std::max<int64_t>(rows, 8))
        break; // a larger tile has idle columns
    }
  }
}

std::string microseconds(double seconds) { return llvm::formatv("{0:f1} us", seconds * 1e6); }

std::string waves(const Cost &cost) {
  std::string text = std::to_string(cost.blocks) + " blocks";
  if (cost.blocks < multiprocessors)
    return text + " leave " + std::to_string(multiprocessors - cost.blocks) +
           " multiprocessors idle";
  return text + ", at most " + std::to_string(cost.heaviest) + " a multiprocessor";
}

std::string bound(const Cost &cost) {
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
void reject(ArrayRef<Candidate> candidates, const Candidate &chosen, Differs differs,
            SmallVectorImpl<std::string> &rejected) {
  const Candidate *best = nullptr;
  for (const Candidate &candidate : candidates)
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

kernel::ScheduleAttr gemmSchedule(kernel::GemmOp op, int64_t rows) {
  op.removeScheduleAttr();
  std::optional<GemmConfig> shape = gemmConfig(op);
  if (!shape)
    return {}; // reported where the kernel would be written
  std::vector<Candidate> candidates;
  SmallVector<int64_t> budgets{sharedBytesOfBlock};
  if (rows <= mostDecodeRows)
    budgets = {sharedBytesOfHalf, sharedBytesOfQuarter};
  for (int64_t budget : budgets) {
    if (shape->codes != Codes::e4m3)
      addCandidates(*shape, /*wgmma=*/false, rows, budget, candidates);
    addCandidates(*shape, /*wgmma=*/true, rows, budget, candidates);
  }
  if (candidates.empty())
    return {};
  const Candidate &chosen = *std::min_element(
      candidates.begin(), candidates.end(),
      [](const Candidate &a, const Candidate &b) { return a.cost.total < b.cost.total; });
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
  std::string reason =
      llvm::formatv("{0}: {1}, {2}; {3}; {4} stages of {5} KB{6}", c.wgmma ? "wgmma" : "mma.sync",
                    microseconds(chosen.cost.total), waves(chosen.cost), bound(chosen.cost),
                    c.stages, (cuda::stage_bytes(c) + 512) / 1024,
                    rows <= mostDecodeRows ? " leave room for the next kernel's weights" : "");
  return makeSchedule(op.getContext(),
                      {{"k_stage", c.k_stage},
                       {"k_warps", c.k_warps},
                       {"row_copies", c.row_copies},
                       {"stages", c.stages},
                       {"tile_n", c.tile_n},
                       {"tile_t", c.tile_t},
                       {"wgmma", c.wgmma}},
                      reason, rejected);
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
  cuda::set_decode_schedule(config);
  int64_t blocks = plan.getMaxTokens() * config.kv_heads;
  int64_t splits = std::clamp<int64_t>(2 * multiprocessors / blocks, 1, 64);
  std::string reason = llvm::formatv("{0} blocks: {1} rows, {2} KV heads, {3} splits of the pages",
                                     blocks * splits, plan.getMaxTokens(), config.kv_heads, splits);
  SmallVector<std::string> rejected;
  if (splits == 1)
    rejected.push_back("splits = 2: rows and heads fill the multiprocessors, and partial results "
                       "would go through memory");
  return makeSchedule(op.getContext(),
                      {{"warps", config.warps}, {"stages", config.stages}, {"splits", splits}},
                      reason, rejected);
}

} // namespace

kernel::ScheduleAttr qopt::cudaSchedule(Operation *launch, kernel::PlanOp plan) {
  if (auto gemm = dyn_cast<kernel::GemmOp>(launch))
    return gemmSchedule(gemm, kernel::maxRowsOf(launch, plan));
  if (auto attention = dyn_cast<kernel::AttentionOp>(launch))
    return attentionSchedule(attention, plan);
  return {};
}
