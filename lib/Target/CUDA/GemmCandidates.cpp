//===- GemmCandidates.cpp - Configurations of a gemm, and what they cost --===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The time of a gemm by a small model of the machine, for every configuration that
/// its header can build.
///
//===----------------------------------------------------------------------===//

#include "GemmCandidates.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <numeric>
#include <tuple>

using namespace qopt;
using cuda::Codes;
using cuda::GemmConfig;

namespace {

//===----------------------------------------------------------------------===//
// The machine: H100 and H200 (measured; bytes and operations per second)
//===----------------------------------------------------------------------===//

constexpr double memoryRate = 4.3e12;
constexpr double cacheRate = 9e12;          // second level to shared memory: what tiles of
                                            // 128 x 256 draw at the rate of products
constexpr double latency = 0.9e-6;          // of memory
constexpr double ringTime = 1.7e-6;         // from asking for a stage to asking for its next
constexpr double mostOfOneProcessor = 70e9; // bytes that one multiprocessor can draw
constexpr double fillTime = 2.0e-6;         // of the first rings and the last stores
constexpr double refillTime = 0.3e-6;       // of rings beside which other blocks go on
constexpr double copyTime = 5e-9;           // of asking for a stage: large copies are better
constexpr double stageTime = 60e-9;         // of a wait for a stage, and of its release
constexpr double launchTime = 1.0e-6;       // of a launch behind another one
constexpr double rowTime = 0.1e-6;          // of normalising or quantizing a row there,
constexpr double columnTime = 0.025e-9;     // and of each of its columns
constexpr double sharingTime = 0.4e-6;      // of sums or maxima of all warps of a block
constexpr double heldPieceTime = 0.1e-6;    // of eight columns a lane, in registers
constexpr double readPieceTime = 0.5e-6;    // read each time
constexpr double hiddenPrologue = 0.2;      // part that other blocks' work does not hide
constexpr int64_t sharedBytesOfBlock = 227 << 10;
/// What four blocks of a multiprocessor may take, whose warps hide each other's latency.
constexpr int64_t sharedBytesOfQuarter = 55 << 10;
/// Up to here a layer is bound by its weights: blocks are small.
constexpr int64_t mostDecodeRows = 64;
/// Channels that are spread over all multiprocessors: for few tokens, whose kernels are over
/// so soon that each must start on all of them alike.
constexpr int64_t mostSpreadRows = 8;
constexpr int mostSpreadChannels = 256;
/// Wider blocks of warps leave a multiprocessor fewer rings.
constexpr int mostChannelsOfWarps = 64;
/// A `wgmma` reads its 64 channels of 32 bytes in the time of so many tokens' products.
constexpr int64_t channelsOfWgmma = 64, fewestTokensOfWgmma = 32, fewestNarrowTokens = 40;
/// Up to here tokens of a product hide behind the conversion of its weights.
constexpr int mostHiddenTokens = 16;

/// From here on blocks in pairs copy tokens for each other: products in a row for so long are
/// bound by the power of the card, and this spares the second-level cache half the reads.
constexpr int64_t fewestRowsOfPairs = 1024;

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
  double others = std::max(c.tile_t - mostHiddenTokens, 0) / 16.0;
  return exchange * (80e9 + 39e9 * others) * warps / (warps + 6 + 13 * others);
}

//===----------------------------------------------------------------------===//
// What a configuration costs
//===----------------------------------------------------------------------===//

/// Normalising, quantizing, or both.
int prologueSteps(const GemmConfig &c) {
  bool quantizes = cuda::bytes(cuda::token_number(c)) == 1;
  return (c.prologue == cuda::Prologue::norm) + quantizes;
}

/// A block's prologue: warps share out the pieces of its rows, and wait for each other once
/// or twice.
double prologueTime(const GemmConfig &c) {
  double pieces = double(c.tile_t) * c.k / 8 / 32 / cuda::consumer_warps(c); // of a lane
  return prologueSteps(c) *
         (sharingTime + pieces * (cuda::holds_rows(c) ? heldPieceTime : readPieceTime));
}

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

} // namespace

GemmCost qopt::gemmCost(const GemmConfig &c, int64_t rows) {
  GemmCost cost;
  int64_t channelTiles = cuda::channel_tiles(c);
  int64_t tokenTiles = llvm::divideCeil(rows, c.tile_t);
  cost.blocks = channelTiles * tokenTiles;
  cost.heaviest = llvm::divideCeil(cost.blocks, multiprocessors);

  double units = c.tile_n / cuda::kUnit;
  double weights = units * double(cuda::unit_bytes(c));
  double tokens = double(c.tile_t) * c.k * cuda::bytes(cuda::token_number(c));
  double ofBlock = weights + tokens;
  double dram = (double(cuda::image_bytes(c)) + double(rows) * tokens / c.tile_t) / memoryRate;
  double cache = double(cost.blocks) * (weights + tokens / c.cluster) / cacheRate;

  int64_t resident =
      std::clamp<int64_t>(sharedBytesOfAll / (cuda::shared_bytes(c) + sharedBytesBesideBlock), 1,
                          int64_t(2048 / cuda::threads(c)));
  int64_t together = std::min(resident, cost.heaviest);
  // What a multiprocessor draws, as far as its rings ask ahead: one stage is in use, and
  // what the first rings hold came while the launch before was running.
  double inFlight = double(together) * (c.stages - 1) * cuda::stage_bytes(c);
  double ofProcessor = double(cost.heaviest) * ofBlock;
  cost.memory = std::max({dram, cache, ringTime * (ofProcessor / inFlight - 1),
                          latency + ofProcessor / mostOfOneProcessor});

  bool isNarrow = cuda::bytes(cuda::token_number(c)) == 1;
  double tileT = c.tile_t, tileN = c.tile_n;
  if (c.wgmma) {
    tileT = std::max<int64_t>(c.tile_t, isNarrow ? fewestNarrowTokens : fewestTokensOfWgmma);
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
  if (has_prologue(c))
    cost.prologue = prologueTime(c) * (1 + hiddenPrologue * (turns - 1));
  cost.total = std::max({cost.memory, cost.products, stages * stageTime}) + fillTime +
               (turns - 1) * refillTime + stages * copyTime + cost.prologue;
  return cost;
}

double qopt::makerTime(const GemmConfig &c) {
  return launchTime + prologueSteps(c) * rowTime + c.k * columnTime;
}

namespace {

//===----------------------------------------------------------------------===//
// Candidates
//===----------------------------------------------------------------------===//

/// The longest ring that `budget` has room for, up to the whole of K.
void setStages(GemmConfig &c, int64_t budget) {
  int64_t ofStage = cuda::stage_bytes(c) + 16;
  c.stages = std::clamp<int64_t>(budget / ofStage, 0, 12);
  while (c.stages > 2 && cuda::shared_bytes(c) > budget)
    --c.stages;
  c.stages = std::min(c.stages, std::max(2, int(cuda::stage_count(c))));
}

/// Blocks of clusters that are worth a look, the best first where they take equally long.
std::vector<int> clustersOf(const GemmConfig &c, int64_t rows, Search search) {
  if (!c.wgmma)
    return {1};
  if (rows >= fewestRowsOfPairs && !is_fragment(c))
    return {2, 1};
  return search == Search::wide ? std::vector{1, 2} : std::vector{1};
}

/// All tiles of `config.tile_n` channels.
void addTiles(GemmConfig config, int64_t rows, int64_t budget, Search search,
              std::vector<GemmCandidate> &candidates) {
  static constexpr int tokens[] = {1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256};
  int whole = std::lcm(cuda::box_columns(config),
                       cuda::is_per_channel(config) ? 1 : cuda::block_columns(config));
  for (int tileT : tokens) {
    for (int steps : {1, 2, 4, 8, 16})
      for (int kWarps : {1, 2, 4, 8}) {
        config.tile_t = tileT;
        config.k_stage = whole * steps;
        config.k_warps = kWarps;
        // Fewer tokens than a product's eight come without the tensor copy.
        config.row_copies = tileT < 8 && !has_prologue(config);
        if (steps > 1 && config.k_stage > int64_t(llvm::alignTo(config.k, whole)))
          continue;
        setStages(config, budget);
        if (config.stages < std::min(fewestStages, int(cuda::stage_count(config))) ||
            !fitsRegisters(config) || cuda::shared_bytes(config) > budget ||
            cuda::threads(config) > 1024)
          continue;
        for (int cluster : clustersOf(config, rows, search)) {
          config.cluster = cluster;
          if (!cuda::reason_invalid(config))
            candidates.push_back({config, gemmCost(config, rows)});
        }
        config.cluster = 1;
      }
    if (tileT >= std::max<int64_t>(rows, 8))
      break; // a larger tile has idle columns
  }
}

void addCandidates(GemmConfig config, bool wgmma, int64_t rows, int64_t budget, Search search,
                   std::vector<GemmCandidate> &candidates) {
  static constexpr int channels[] = {16, 32, 64, 128, 192, 256};
  config.wgmma = wgmma;
  for (int tileN : channels) {
    if (!wgmma && tileN > mostChannelsOfWarps)
      break;
    config.tile_n = tileN;
    addTiles(config, rows, budget, search, candidates);
  }
  // What is spread depends on what else is on the multiprocessors: it is to be measured.
  config.spread = true;
  config.tile_n = cuda::spread_channels(config);
  if (search == Search::wide && rows <= mostSpreadRows && config.tile_n <= mostSpreadChannels)
    addTiles(config, rows, budget, search, candidates);
}

/// From here on tokens take so much of a ring that it may fill a multiprocessor.
constexpr int64_t fewestRowsOfLongRings = 16;

/// What a block may take of a multiprocessor's shared memory.
std::vector<int64_t> budgetsOf(int64_t rows, Search search) {
  bool isDecode = rows <= mostDecodeRows;
  if (search == Search::wide)
    return isDecode ? std::vector{sharedBytesOfHalf, sharedBytesOfQuarter, sharedBytesOfBlock}
                    : std::vector{sharedBytesOfBlock, sharedBytesOfHalf};
  if (rows < fewestRowsOfLongRings)
    return {sharedBytesOfHalf, sharedBytesOfQuarter};
  return isDecode ? std::vector{sharedBytesOfHalf, sharedBytesOfQuarter, sharedBytesOfBlock}
                  : std::vector{sharedBytesOfBlock};
}

/// Worse candidates are not measured: the model errs by less.
constexpr double mostTimesCheapest = 3;

/// What mostly decides how a configuration behaves.
auto familyOf(const GemmConfig &c) {
  return std::tie(c.wgmma, c.tile_n, c.tile_t, c.k_warps, c.spread, c.cluster);
}

} // namespace

std::vector<GemmCandidate> qopt::gemmCandidates(const GemmConfig &shape, int64_t rows,
                                                Search search) {
  std::vector<GemmCandidate> candidates;
  for (int64_t budget : budgetsOf(rows, search)) {
    if (shape.codes != Codes::e4m3)
      addCandidates(shape, /*wgmma=*/false, rows, budget, search, candidates);
    addCandidates(shape, /*wgmma=*/true, rows, budget, search, candidates);
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const auto &a, const auto &b) { return a.cost.total < b.cost.total; });
  return candidates;
}

std::vector<GemmCandidate> qopt::variousCandidates(const GemmConfig &shape, int64_t rows,
                                                   size_t count) {
  std::vector<GemmCandidate> all = gemmCandidates(shape, rows, Search::wide);
  double bound = all.empty() ? 0 : mostTimesCheapest * all.front().cost.total;
  llvm::erase_if(all, [&](const GemmCandidate &o) { return o.cost.total > bound; });
  std::vector<GemmCandidate> taken = gemmCandidates(shape, rows, Search::likely);
  taken.resize(std::min<size_t>(taken.size(), 1)); // the cost model's choice
  // The next cheapest of `wanted` until `most` are taken, `ofFamily` alike at most.
  auto take = [&](size_t most, ptrdiff_t ofFamily, auto wanted) {
    for (const GemmCandidate &candidate : all) {
      if (taken.size() >= std::min(most, count))
        return;
      const GemmConfig &c = candidate.config;
      auto isAlike = [&](const GemmCandidate &o) { return familyOf(o.config) == familyOf(c); };
      if (wanted(c) && llvm::count_if(taken, isAlike) < ofFamily &&
          llvm::none_of(taken, [&](const GemmCandidate &o) { return o.config == c; }))
        taken.push_back(candidate);
    }
  };
  auto any = [](const GemmConfig &) { return true; };
  take(1 + count / 4, 1, [](const GemmConfig &c) { return c.wgmma; });
  take(1 + count / 2, 1, [](const GemmConfig &c) { return !c.wgmma; });
  take(count * 2 / 3, 1, any);
  take(count, 4, any);
  return taken;
}

std::string qopt::gemmConfigName(const GemmConfig &c) {
  return llvm::formatv("{0} {1}x{2} k{3} s{4}{5}{6}{7}{8}", c.wgmma ? "wgmma" : "mma", c.tile_n,
                       c.tile_t, c.k_stage, c.stages,
                       c.k_warps > 1 ? " w" + std::to_string(c.k_warps) : std::string(),
                       c.row_copies ? " rows" : "", c.spread ? " spread" : "",
                       c.cluster > 1 ? " x" + std::to_string(c.cluster) : std::string());
}
