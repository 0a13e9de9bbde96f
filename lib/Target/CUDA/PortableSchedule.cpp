//===- PortableSchedule.cpp - How the portable kernels are cut ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A few tiles for each number of tokens, and a small model of an A100 that chooses among
/// them; the same code runs on every GPU since sm_80. No result depends on the choice.
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
using cuda::PortableGemmConfig;

namespace {

//===----------------------------------------------------------------------===//
// The machine: an A100 (bytes and operations per second)
//===----------------------------------------------------------------------===//

constexpr int64_t processors = 108;
constexpr double memoryRate = 1.4e12, cacheRate = 3.5e12;
constexpr double latency = 1.0e-6;  // from asking for a stage to its arrival
constexpr double launchTime = 4e-6; // with the first stages and the last stores
constexpr int64_t sharedOfProcessor = 164 << 10, threadsOfProcessor = 2048;
/// Of a multiprocessor and a second: products of bf16 (s8: twice), bytes of shared memory.
constexpr double productRate = 0.7 * 312e12 / processors;
constexpr double sharedRate = 0.8 * 128 * 1.41e9;
/// Weights of groups that one multiprocessor converts to bf16.
constexpr double conversionRate = 25e9;

/// A warp's products of 32 bytes of K wait for each other, and its stages for barriers.
constexpr double bytesOfStep = 32, stepTime = 45e-9, stageTime = 150e-9;

/// Channels and tokens of a block and of a warp; warps that share columns.
struct Tiles {
  int tileN, tileT, warpN, warpT, kWarps = 1;
};
constexpr Tiles tileTable[] = {
    {16, 8, 16, 8},      {32, 8, 16, 8},      {64, 8, 16, 8},     {128, 8, 16, 8},
    {16, 8, 16, 8, 4},   {32, 8, 16, 8, 2},   {32, 8, 16, 8, 4},  {64, 8, 16, 8, 2},
    {16, 16, 16, 16},    {32, 16, 16, 16},    {64, 16, 16, 16},   {128, 16, 16, 16},
    {16, 16, 16, 16, 4}, {32, 16, 16, 16, 2}, {32, 32, 16, 32},   {64, 32, 16, 32},
    {128, 32, 32, 32},   {32, 64, 16, 32},    {64, 64, 32, 32},   {128, 64, 32, 32},
    {128, 64, 32, 64},   {128, 128, 32, 64},  {128, 128, 64, 32},
};

struct Cost {
  int64_t blocks = 0, heaviest = 0; ///< all; of the fullest multiprocessor
  double memory = 0, products = 0;  ///< seconds
  double total = 0;                 ///< seconds
};

struct Candidate {
  PortableGemmConfig config;
  Cost cost;
};

/// Seconds of a multiprocessor for the products of a block.
double blockProducts(const PortableGemmConfig &c) {
  const cuda::GemmConfig &l = c.layer;
  double tokenBytes = cuda::bytes(cuda::token_number(l));
  double products = 2.0 * l.tile_n * l.tile_t * l.k / productRate * tokenBytes / 2;
  // Each warp reads its channels and its tokens from shared memory.
  double weights = double(l.tile_n) * l.k * cuda::code_bits(l) / 8 * cuda::token_warps(c);
  double tokens = double(l.tile_t) * l.k * tokenBytes * (l.tile_n / c.warp_n);
  double conversion =
      is_fragment(l) ? double(l.tile_n) * l.k * cuda::token_warps(c) / conversionRate : 0;
  return std::max({products, (weights + tokens) / sharedRate, conversion});
}

Cost costOf(const PortableGemmConfig &c, int64_t rows) {
  const cuda::GemmConfig &l = c.layer;
  Cost cost;
  cost.blocks = int64_t(cuda::grid_y(c)) * llvm::divideCeil(rows, l.tile_t);
  cost.heaviest = llvm::divideCeil(cost.blocks, processors);
  double tokenBytes = double(l.k) * cuda::bytes(cuda::token_number(l));
  double ofBlock = double(l.tile_n) / cuda::kUnit * double(cuda::unit_bytes(l)) +
                   double(std::min<int64_t>(rows, l.tile_t)) * tokenBytes;
  int64_t resident =
      std::max<int64_t>(1, std::min(sharedOfProcessor / (cuda::shared_bytes(c) + 1024),
                                    threadsOfProcessor / cuda::threads(c)));
  double together = double(std::min(resident, cost.heaviest));
  double turns = double(cost.heaviest) / together; // of as many blocks as fit
  double stages = double(cuda::stage_count(l));
  cost.memory = std::max({(double(cuda::image_bytes(l)) + double(rows) * tokenBytes) / memoryRate,
                          double(cost.blocks) * ofBlock / cacheRate,
                          latency * turns * stages / (l.stages - 1)});
  double steps = double(l.k) * cuda::bytes(cuda::token_number(l)) / bytesOfStep / l.k_warps;
  cost.products = std::max(double(cost.heaviest) * blockProducts(c),
                           turns * (steps * stepTime + stages * stageTime));
  cost.total = std::max(cost.memory, cost.products) + launchTime;
  return cost;
}

/// Registers of a thread beside its sums, as far as ptxas needs them.
bool fitsRegisters(const PortableGemmConfig &c) {
  int sums = c.warp_n * c.warp_t / 32, tokens = c.warp_t / 2;
  if (is_fragment(c.layer)) // of a group, too, and of its tokens
    sums = 2 * sums + (c.layer.affine ? c.warp_t / 2 : 0);
  return sums + tokens + 72 <= 255;
}

/// The longest ring that leaves room for a second block.
void setStages(cuda::GemmConfig &layer, const PortableGemmConfig &c) {
  constexpr int most = 8;
  int least = layer.k_warps > 1 ? 3 : 2, count = int(cuda::stage_count(layer));
  int exchange = cuda::shared_bytes(c) - cuda::exchange_offset(c);
  int room = (cuda::portable_half_bytes - exchange) / cuda::stage_bytes(c);
  layer.stages = std::clamp(room, least, std::clamp(count, least, most));
}

/// Every tile that can be built, the cheapest first.
std::vector<Candidate> candidatesOf(const cuda::GemmConfig &shape, int64_t rows) {
  std::vector<Candidate> candidates;
  int whole =
      std::lcm(cuda::box_columns(shape), is_per_channel(shape) ? 1 : cuda::block_columns(shape));
  for (const Tiles &tiles : tileTable)
    for (int steps : {1, 2, 4, 8}) {
      PortableGemmConfig c{shape, tiles.warpN, tiles.warpT};
      c.layer.k_warps = tiles.kWarps;
      c.layer.tile_n = tiles.tileN;
      c.layer.tile_t = tiles.tileT;
      c.layer.k_stage = whole * steps;
      if (steps > 1 && c.layer.k_stage > int64_t(llvm::alignTo(shape.k, whole)))
        continue;
      setStages(c.layer, c);
      if (!cuda::reason_invalid(c) && fitsRegisters(c))
        candidates.push_back({c, costOf(c, rows)});
    }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const auto &a, const auto &b) { return a.cost.total < b.cost.total; });
  return candidates;
}

std::string microseconds(double seconds) { return llvm::formatv("{0:f1} us", seconds * 1e6); }

std::string describe(const Candidate &candidate) {
  const PortableGemmConfig &c = candidate.config;
  return llvm::formatv("{0} warps of {1} x {2}{3}: {4} on an A100, {5} blocks, {6} of memory, "
                       "products {7}",
                       cuda::warps(c), c.warp_n, c.warp_t,
                       c.layer.k_warps > 1 ? " that share columns" : "",
                       microseconds(candidate.cost.total), candidate.cost.blocks,
                       microseconds(candidate.cost.memory), microseconds(candidate.cost.products));
}

kernel::ScheduleAttr gemmSchedule(kernel::GemmOp op, int64_t rows) {
  op.removeScheduleAttr();
  std::optional<cuda::GemmConfig> shape = gemmConfig(op);
  std::vector<Candidate> candidates;
  if (shape)
    candidates = candidatesOf(*shape, rows);
  if (candidates.empty())
    return {}; // reported where the kernel would be written
  const PortableGemmConfig &chosen = candidates.front().config;
  SmallVector<std::string> rejected;
  for (const Candidate &other : candidates)
    if (other.config.layer.tile_t != chosen.layer.tile_t ||
        other.config.layer.tile_n != chosen.layer.tile_n) {
      rejected.push_back(llvm::formatv("tile_n = {0}, tile_t = {1}, {2}", other.config.layer.tile_n,
                                       other.config.layer.tile_t, describe(other)));
      break;
    }
  return makeSchedule(op.getContext(),
                      {{"k_stage", chosen.layer.k_stage},
                       {"k_warps", chosen.layer.k_warps},
                       {"portable", 1},
                       {"stages", chosen.layer.stages},
                       {"tile_n", chosen.layer.tile_n},
                       {"tile_t", chosen.layer.tile_t},
                       {"warp_n", chosen.warp_n},
                       {"warp_t", chosen.warp_t}},
                      describe(candidates.front()), rejected);
}

kernel::ScheduleAttr attentionSchedule(kernel::AttentionOp op, kernel::PlanOp plan) {
  cuda::AttentionConfig config = attentionConfig(op);
  if (plan.getKind() != kernel::PlanKind::Decode) {
    cuda::set_portable_tile_schedule(config);
    return makeSchedule(op.getContext(),
                        {{"portable", 1}, {"stages", config.stages}, {"warps", config.warps}},
                        "query tiles: " + Twine(cuda::portable_row_blocks(config)) + " blocks of " +
                            Twine(cuda::portable_rows(config)) + " rows, of " +
                            Twine(plan.getQueryTile().value_or(1)) + " tokens by " +
                            Twine(cuda::group(config)) + " heads",
                        {});
  }
  cuda::set_portable_decode_schedule(config);
  std::string reason = llvm::formatv("{0} blocks: {1} rows, {2} KV heads; {3} warps have pages of "
                                     "their own",
                                     plan.getMaxTokens() * config.kv_heads, plan.getMaxTokens(),
                                     config.kv_heads, config.warps);
  return makeSchedule(
      op.getContext(),
      {{"portable", 1}, {"splits", 1}, {"stages", config.stages}, {"warps", config.warps}}, reason,
      {"splits = 2: needs clusters of blocks, which sm_80 lacks"});
}

} // namespace

kernel::ScheduleAttr qopt::portableSchedule(Operation *launch, kernel::PlanOp plan) {
  if (auto gemm = dyn_cast<kernel::GemmOp>(launch))
    return gemmSchedule(gemm, kernel::maxRowsOf(launch, plan));
  if (auto attention = dyn_cast<kernel::AttentionOp>(launch))
    return attentionSchedule(attention, plan);
  return {};
}
