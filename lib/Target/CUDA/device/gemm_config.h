//===- gemm_config.h - What a linear layer's kernel is made of --*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A linear layer computes y [t, n] = x [t, k] w [n, k]. Channels (rows of w) are the
// rows of the matrix products, tokens their columns: a block has `tile_n` channels and
// `tile_t` tokens, and walks K in stages of `k_stage` columns.
//
// This header is plain constexpr C++: the compiler reads threads, shared memory and the
// offsets of a packed image from it, the kernels their layouts. RFC 1 has the layouts.
//
//===----------------------------------------------------------------------===//

#pragma once

#include "row_config.h"

// Kernels call these functions too.
#ifdef __CUDACC__
#define QOPT_BOTH_SIDES __host__ __device__
#else
#define QOPT_BOTH_SIDES
#endif

namespace qopt::cuda {

/// What a weight stores. bf16, e4m3 and s8 are images of layout `swizzled`, with a scale
/// for each channel (bf16: none); s4, u4 and s8_grouped are of layout `fragment`, with
/// scales by group, and multiply bf16 tokens.
enum class Codes { bf16, e4m3, s8, s4, u4, s8_grouped };

enum class Number { bf16, f16, f32, s8, e4m3 };

/// What a block makes of its tokens, bf16 rows, before it multiplies them: nothing; codes and
/// a scale (s8 and e4m3); RMS-normalised rows, which s8 and e4m3 then quantize, too.
enum class Prologue { none, quantize, norm };

struct GemmConfig {
  Codes codes;
  int n, k;        // channels, columns, a multiple of 8; not padded
  int group;       // weight-only: columns that share a scale, 32, 64 x i or (per channel) k
  bool affine;     // weight-only: w = scale * code + minimum
  Number scale;    // type of scales and minima: bf16, f16 or f32
  int tile_n;      // channels of a block: 16, 32, 64 x i; spread: 16 x i, at most
  int tile_t;      // tokens of a block: 1, 2, 4 (mma.sync, prologues), 8, 16, 32, 64, 96, ... 256
  int k_stage;     // columns of a stage: whole groups, and 128 x i bytes of a token
  int stages;      // stages of the ring
  bool wgmma;      // products of warpgroups; else of warps (mma.sync, not for e4m3)
  bool pair;       // interleaved gate and up: y [t, n / 2] of two accumulators an element
  int k_warps = 1; // mma.sync, s8 or groups: warps of a unit, which share its columns
  bool row_copies = false; // mma.sync, up to 8 tokens: their rows come by plain copies
  Prologue prologue = Prologue::none; // up to 8 tokens: whole rows are made in shared memory
  bool spread = false; // a block for each multiprocessor: they share out units, tile_n at most
  int cluster = 1; // wgmma: blocks of neighbouring channels, each of which copies a part of the
                   // tokens into the shared memory of all

  constexpr bool operator==(const GemmConfig &) const = default;
};

namespace gemm_detail {
QOPT_BOTH_SIDES constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }
QOPT_BOTH_SIDES constexpr int round_up(int a, int b) { return ceil_div(a, b) * b; }
} // namespace gemm_detail

constexpr int kUnit = 16;                   // channels of a unit
constexpr int kRowBytes = 128;              // bytes of a token or channel in a swizzled row
constexpr int kBlockBytes = 16 * kRowBytes; // 16 channels x 128 bytes

//===- The packed image ---------------------------------------------------===//

QOPT_BOTH_SIDES constexpr int bytes(Number number) {
  return number == Number::f32 ? 4 : number == Number::s8 || number == Number::e4m3 ? 1 : 2;
}
QOPT_BOTH_SIDES constexpr bool is_fragment(const GemmConfig &c) {
  return c.codes == Codes::s4 || c.codes == Codes::u4 || c.codes == Codes::s8_grouped;
}
/// Bits of a stored weight.
QOPT_BOTH_SIDES constexpr int code_bits(const GemmConfig &c) {
  if (c.codes == Codes::bf16)
    return 16;
  return c.codes == Codes::s4 || c.codes == Codes::u4 ? 4 : 8;
}
/// Weight-only with one scale for a channel: a unit is one block.
QOPT_BOTH_SIDES constexpr bool is_per_channel(const GemmConfig &c) {
  return is_fragment(c) && c.group >= c.k;
}

/// Units of the image: N is padded to a multiple of 64.
QOPT_BOTH_SIDES constexpr int units(const GemmConfig &c) {
  return gemm_detail::round_up(c.n, 64) / kUnit;
}

/// Columns of a block of a unit. Per channel, all of K, padded to a multiple of 64.
QOPT_BOTH_SIDES constexpr int block_columns(const GemmConfig &c) {
  if (!is_fragment(c))
    return kRowBytes * 8 / code_bits(c);
  return is_per_channel(c) ? gemm_detail::round_up(c.k, 64) : c.group;
}
QOPT_BOTH_SIDES constexpr int blocks(const GemmConfig &c) {
  return gemm_detail::ceil_div(c.k, block_columns(c));
}
/// Bytes of the codes of `columns` columns of a unit.
QOPT_BOTH_SIDES constexpr int code_bytes(const GemmConfig &c, int columns) {
  return kUnit * columns * code_bits(c) / 8;
}
/// Bytes of a block: codes, then (fragment) scales[16], then minima[16] if affine.
QOPT_BOTH_SIDES constexpr int block_bytes(const GemmConfig &c) {
  int metadata = is_fragment(c) ? kUnit * bytes(c.scale) * (c.affine ? 2 : 1) : 0;
  return code_bytes(c, block_columns(c)) + metadata;
}
/// Distance of units.
QOPT_BOTH_SIDES constexpr long long unit_bytes(const GemmConfig &c) {
  return static_cast<long long>(blocks(c)) * block_bytes(c);
}
/// Where the channel scales [N padded] of a swizzled image are.
QOPT_BOTH_SIDES constexpr long long channel_scales_offset(const GemmConfig &c) {
  return units(c) * unit_bytes(c);
}
QOPT_BOTH_SIDES constexpr bool has_channel_scales(const GemmConfig &c) {
  return c.codes == Codes::e4m3 || c.codes == Codes::s8;
}
QOPT_BOTH_SIDES constexpr long long image_bytes(const GemmConfig &c) {
  return channel_scales_offset(c) +
         (has_channel_scales(c) ? static_cast<long long>(units(c)) * kUnit * bytes(c.scale) : 0);
}

//===- Blocks along the channels ------------------------------------------===//

constexpr int kMultiprocessors = 132; // of an H100 or H200 (SXM); fewer are right too
/// Units with channels that are not padding.
QOPT_BOTH_SIDES constexpr int used_units(const GemmConfig &c) {
  return gemm_detail::ceil_div(c.n, kUnit);
}
/// Blocks that share out the channels of a tile of tokens. Spread, there is one on each
/// multiprocessor, and as much room left beside it: what is launched next starts on all of
/// them alike.
QOPT_BOTH_SIDES constexpr int channel_tiles(const GemmConfig &c) {
  if (!c.spread)
    return gemm_detail::ceil_div(c.n, c.tile_n);
  return used_units(c) < kMultiprocessors ? used_units(c) : kMultiprocessors;
}
/// The first unit of block `tile` of them.
QOPT_BOTH_SIDES constexpr int first_unit(const GemmConfig &c, int tile) {
  return c.spread ? tile * used_units(c) / channel_tiles(c) : tile * (c.tile_n / kUnit);
}
/// Channels of the block that has most.
QOPT_BOTH_SIDES constexpr int spread_channels(const GemmConfig &c) {
  int blocks = used_units(c) < kMultiprocessors ? used_units(c) : kMultiprocessors;
  return gemm_detail::ceil_div(used_units(c), blocks) * kUnit;
}

//===- Stages -------------------------------------------------------------===//

/// Type of the tokens that are multiplied.
QOPT_BOTH_SIDES constexpr Number token_number(const GemmConfig &c) {
  return c.codes == Codes::e4m3 ? Number::e4m3 : c.codes == Codes::s8 ? Number::s8 : Number::bf16;
}
/// Columns of a 128-byte row of tokens: the width of a tensor copy's box.
QOPT_BOTH_SIDES constexpr int box_columns(const GemmConfig &c) {
  return kRowBytes / bytes(token_number(c));
}
/// Boxes of tile_t x 128 bytes in a stage.
QOPT_BOTH_SIDES constexpr int stage_boxes(const GemmConfig &c) {
  return c.k_stage / box_columns(c);
}
/// Tokens that a block's prologue can make.
constexpr int kPrologueTokens = 8;
QOPT_BOTH_SIDES constexpr bool has_prologue(const GemmConfig &c) {
  return c.prologue != Prologue::none;
}
/// Whether a token's columns stand in a row of their own; else in boxes.
QOPT_BOTH_SIDES constexpr bool has_token_rows(const GemmConfig &c) {
  return has_prologue(c) ? !c.wgmma : c.row_copies;
}
/// Columns that are multiplied: K and the padding of its last block.
QOPT_BOTH_SIDES constexpr int padded_columns(const GemmConfig &c) {
  return blocks(c) * block_columns(c);
}
/// Tokens of a tensor copy's box: a block's part of the tile.
QOPT_BOTH_SIDES constexpr int box_tokens(const GemmConfig &c) { return c.tile_t / c.cluster; }
/// Bytes of a token's row: the columns of a stage, or all, and 16 more against bank conflicts.
QOPT_BOTH_SIDES constexpr int token_row_bytes(const GemmConfig &c) {
  return (has_prologue(c) ? padded_columns(c) : c.k_stage) * bytes(token_number(c)) + 16;
}
/// Tokens that a stage of the ring brings: none if a prologue makes them.
QOPT_BOTH_SIDES constexpr int stage_token_bytes(const GemmConfig &c) {
  if (has_prologue(c))
    return 0;
  return c.row_copies ? gemm_detail::round_up(c.tile_t * token_row_bytes(c), kRowBytes)
                      : stage_boxes(c) * c.tile_t * kRowBytes;
}
/// Blocks of a unit in a stage; per channel, a part of the one block.
QOPT_BOTH_SIDES constexpr int stage_blocks(const GemmConfig &c) {
  return is_per_channel(c) ? 1 : c.k_stage / block_columns(c);
}
/// Bytes of a unit in a stage, one piece of the image.
QOPT_BOTH_SIDES constexpr int stage_unit_bytes(const GemmConfig &c) {
  return is_per_channel(c) ? code_bytes(c, c.k_stage) : stage_blocks(c) * block_bytes(c);
}
QOPT_BOTH_SIDES constexpr int stage_bytes(const GemmConfig &c) {
  return gemm_detail::round_up(stage_token_bytes(c) + c.tile_n / kUnit * stage_unit_bytes(c), 1024);
}
/// Stages of a walk over K; the last may have fewer blocks.
QOPT_BOTH_SIDES constexpr int stage_count(const GemmConfig &c) {
  return gemm_detail::ceil_div(padded_columns(c), c.k_stage);
}

//===- The block ----------------------------------------------------------===//

/// Tokens of a product: eight at least.
QOPT_BOTH_SIDES constexpr int product_tokens(const GemmConfig &c) {
  return c.tile_t < 8 ? 8 : c.tile_t;
}
/// Accumulators of a thread.
QOPT_BOTH_SIDES constexpr int thread_sums(const GemmConfig &c) { return product_tokens(c) / 2; }

/// Warpgroups (wgmma) that compute; each has 64 channels, of which tile_n may be fewer.
QOPT_BOTH_SIDES constexpr int consumer_groups(const GemmConfig &c) {
  return gemm_detail::ceil_div(c.tile_n, 64);
}
QOPT_BOTH_SIDES constexpr int consumer_warps(const GemmConfig &c) {
  return c.wgmma ? 4 * consumer_groups(c) : c.tile_n / kUnit * c.k_warps;
}
/// Two warpgroups and more share out the registers by role; the producer then has a
/// warpgroup of its own.
QOPT_BOTH_SIDES constexpr bool shares_registers(const GemmConfig &c) {
  return c.wgmma && consumer_groups(c) > 1;
}
QOPT_BOTH_SIDES constexpr int threads(const GemmConfig &c) {
  return 32 * consumer_warps(c) + (shares_registers(c) ? 128 : 32);
}
/// Registers of a thread after the exchange: together what the block was launched with,
/// 168 x 384, 128 x 512 or 96 x 640 threads.
QOPT_BOTH_SIDES constexpr int consumer_registers(const GemmConfig &c) {
  return consumer_groups(c) == 2 ? 232 : consumer_groups(c) == 3 ? 160 : 112;
}
QOPT_BOTH_SIDES constexpr int producer_registers(const GemmConfig &c) {
  return consumer_groups(c) == 2 ? 40 : 32;
}

/// Large tiles write through shared memory, so that global accesses are of 16 bytes; rows
/// of channels in eights have those.
QOPT_BOTH_SIDES constexpr bool stages_output(const GemmConfig &c) {
  return c.wgmma && c.tile_t >= 64 && c.tile_n >= 64 && c.n % 8 == 0;
}
/// Tokens that are written at once, through a buffer of each warpgroup: 64 channels of bf16.
QOPT_BOTH_SIDES constexpr int staged_tokens(const GemmConfig &c) {
  return c.tile_t % 64 == 0 ? 64 : 32;
}
constexpr int kStagedBytes = 64 * 64 * 2;
/// Buffers of a warpgroup, by turns. A ring of groups, of which two stages are in use at a
/// time, has room for one more stage beside a single one.
QOPT_BOTH_SIDES constexpr int staged_buffers(const GemmConfig &c) { return is_fragment(c) ? 1 : 2; }
QOPT_BOTH_SIDES constexpr int output_stage_bytes(const GemmConfig &c) {
  return stages_output(c) ? consumer_groups(c) * staged_buffers(c) * kStagedBytes : 0;
}

/// Floats of a group that the warps of a unit keep until the end: the sums [tile_t][16], then
/// scales[16], then minima[16] and sum(x) [tile_t, in 16s] if affine.
QOPT_BOTH_SIDES constexpr int kept_group_floats(const GemmConfig &c) {
  return kUnit * (c.tile_t + 1) + (c.affine ? 2 * kUnit : 0);
}
/// Few tokens' sums of all groups of a unit fit: its warps need not wait for each other at
/// every stage.
QOPT_BOTH_SIDES constexpr bool keeps_groups(const GemmConfig &c) {
  return is_fragment(c) && c.k_warps > 1 && c.tile_t <= 8 &&
         blocks(c) * kept_group_floats(c) * 4 <= 16 * 1024;
}

/// Where the warps of a unit give each other their sums: all groups', or a 32-lane row of
/// float32 or integers for each accumulator of a warp, for each group of two stages, or each
/// warp.
QOPT_BOTH_SIDES constexpr int unit_exchange_bytes(const GemmConfig &c) {
  if (keeps_groups(c))
    return blocks(c) * kept_group_floats(c) * 4;
  int rows = is_fragment(c) ? 2 * stage_blocks(c) * (c.affine ? 2 : 1) : c.k_warps;
  return c.k_warps == 1 ? 0 : rows * thread_sums(c) * kRowBytes;
}

/// The tokens that a prologue makes: rows, or boxes of tile_t rows of 128 bytes for wgmma,
/// which reads eight rows and thus into the next boxes.
QOPT_BOTH_SIDES constexpr int made_token_bytes(const GemmConfig &c) {
  int size = has_token_rows(c) ? token_row_bytes(c) : padded_columns(c) * bytes(token_number(c));
  return has_prologue(c) ? gemm_detail::round_up(c.tile_t * size, 1024) : 0;
}
/// Whether a thread of a prologue keeps what it has of the rows, and of a norm's weight, in
/// registers; else it reads them for each step again. A lane has pieces of eight columns.
QOPT_BOTH_SIDES constexpr bool holds_rows(const GemmConfig &c) {
  int turns = gemm_detail::ceil_div(c.k / 8, row_threads(c.k));
  int strips = c.tile_t * row_threads(c.k) / 32; // of a warp
  int pieces = gemm_detail::ceil_div(strips, consumer_warps(c)) * turns;
  return pieces * (c.prologue == Prologue::norm ? 2 : 1) <= 16;
}
/// Behind them: a scale of each token, and 32 floats a token in which warps share sums.
QOPT_BOTH_SIDES constexpr int prologue_bytes(const GemmConfig &c) {
  int more = c.tile_t * (1 + 2 * 32) * 4;
  return has_prologue(c) ? gemm_detail::round_up(made_token_bytes(c) + more, 1024) : 0;
}

/// Shared memory of the ring, behind a prologue's. A warpgroup reads 64 channels even if the
/// tile has fewer: what lies behind the last stage must exist.
QOPT_BOTH_SIDES constexpr int ring_bytes(const GemmConfig &c) {
  int behind = c.wgmma ? (64 * consumer_groups(c) - c.tile_n) * kRowBytes : 0;
  return prologue_bytes(c) + c.stages * stage_bytes(c) + behind;
}
QOPT_BOTH_SIDES constexpr int output_stage_offset(const GemmConfig &c) {
  return gemm_detail::round_up(ring_bytes(c), 16);
}
QOPT_BOTH_SIDES constexpr int exchange_offset(const GemmConfig &c) {
  return output_stage_offset(c) + output_stage_bytes(c);
}
QOPT_BOTH_SIDES constexpr int barriers_offset(const GemmConfig &c) {
  return exchange_offset(c) + c.tile_n / kUnit * unit_exchange_bytes(c);
}
/// Dynamic shared memory of a block: the ring, what leaves and is exchanged, and two
/// mbarriers a stage.
QOPT_BOTH_SIDES constexpr int shared_bytes(const GemmConfig &c) {
  return barriers_offset(c) + c.stages * 16;
}

//===- The grid -----------------------------------------------------------===//

/// Large tiles are done by as many blocks as there are multiprocessors, each of which
/// takes every 132nd tile: it copies the next tile's weights while it stores the last.
QOPT_BOTH_SIDES constexpr bool is_persistent(const GemmConfig &c) {
  return shares_registers(c) && stages_output(c);
}
/// Two warpgroups that do other work between their products, which add groups or rows of e4m3
/// to their totals, take turns: one multiplies while the other adds. Few tokens' products wait
/// for memory instead.
constexpr int kFewestTokensOfTurns = 64;
QOPT_BOTH_SIDES constexpr bool takes_turns(const GemmConfig &c) {
  bool adds = c.codes == Codes::e4m3 || (is_fragment(c) && !is_per_channel(c));
  return c.wgmma && adds && consumer_groups(c) == 2 && c.tile_t >= kFewestTokensOfTurns;
}
/// Tiles of tokens that persistent blocks go through for all channels before they go on: these
/// tokens and the channels that are multiplied at a time have few bytes together.
constexpr int kBandTiles = 8;
/// grid.x is ceil(rows / rows_per_block): one block of all rows if persistent.
QOPT_BOTH_SIDES constexpr int rows_per_block(const GemmConfig &c) {
  return is_persistent(c) ? 1 << 30 : c.tile_t;
}
QOPT_BOTH_SIDES constexpr int grid_y(const GemmConfig &c) {
  return is_persistent(c) ? kMultiprocessors : channel_tiles(c);
}

/// Why a configuration can't be built, or nullptr.
QOPT_BOTH_SIDES constexpr const char *reason_invalid(const GemmConfig &c) {
  if (c.k % 8 || c.n <= 0 || c.k <= 0)
    return "n must be positive, k a positive multiple of 8";
  if (c.k * bytes(token_number(c)) % 16)
    return "a token must have a multiple of 16 bytes";
  if (c.pair && c.n % 16)
    return "n of an interleaved pair must be a multiple of 16";
  if (!c.spread && c.tile_n != 16 && c.tile_n != 32 && c.tile_n % 64)
    return "tile_n must be 16, 32 or a multiple of 64";
  if (c.spread && c.tile_n != spread_channels(c))
    return "tile_n of spread units must be the channels of the block that has most";
  if (c.spread && (c.tile_t > 32 || (c.wgmma && is_fragment(c))))
    return "units are spread for up to 32 tokens, and not for fragments of a warpgroup";
  if (c.wgmma && c.tile_n > 256)
    return "tile_n must be at most 256";
  if (is_fragment(c) && c.wgmma && c.tile_n < 64)
    return "fragments of a warpgroup need tile_n of 64 or more";
  if (c.tile_t != 1 && c.tile_t != 2 && c.tile_t != 4 && c.tile_t % 8)
    return "tile_t must be 1, 2, 4 or a multiple of 8";
  if (c.tile_t < (c.wgmma && !has_prologue(c) ? 8 : 1) || c.tile_t > (c.wgmma ? 256 : 64))
    return "tile_t must be 1 to 64 (mma.sync) or 8 to 256 (wgmma)";
  if (c.affine && c.tile_t > (c.wgmma ? 64 : 32))
    return "tile_t of affine weights must be at most 32 (mma.sync) or 64 (wgmma)";
  if (c.codes == Codes::e4m3 && !c.wgmma)
    return "e4m3 needs wgmma";
  if (is_fragment(c) && !is_per_channel(c) && c.group != 32 && c.group % 64)
    return "a group must have 32 columns, a multiple of 64, or all";
  if (c.k_stage % box_columns(c) || (!is_per_channel(c) && c.k_stage % block_columns(c)))
    return "a stage must have whole rows of 128 bytes and whole groups";
  if (c.k_warps != 1 && (c.wgmma || is_per_channel(c) || c.codes == Codes::bf16))
    return "only s8 and groups share columns among the warps of a unit";
  if (c.k_warps != 1 && c.k_warps != 2 && c.k_warps != 4 && c.k_warps != 8)
    return "k_warps must be 1, 2, 4 or 8";
  if (c.k_warps > thread_sums(c) && is_fragment(c) && !keeps_groups(c))
    return "each of k_warps needs an accumulator to add groups for";
  if (stage_blocks(c) % c.k_warps ||
      (c.k_warps != 1 && is_fragment(c) && stage_blocks(c) / c.k_warps * c.group % 64))
    return "each of k_warps needs whole groups and rows of 128 bytes of a stage";
  if (c.row_copies && (c.wgmma || c.tile_t > 8))
    return "rows of tokens are copied for mma.sync and up to 8 tokens";
  if (c.row_copies && c.k % (is_per_channel(c) ? 64 : block_columns(c)))
    return "rows of tokens are copied if k is a multiple of the block";
  if (c.cluster != 1 && c.cluster != 2)
    return "a cluster has 1 or 2 blocks";
  if (c.cluster != 1 && (!c.wgmma || has_prologue(c) || c.spread || c.tile_t % (8 * c.cluster)))
    return "blocks of a cluster share the tokens of wgmma, in eights";
  if (channel_tiles(c) % c.cluster)
    return "clusters need whole blocks of channels";
  if (has_prologue(c) && (c.tile_t > kPrologueTokens || c.row_copies))
    return "a prologue makes up to 8 tokens, which are not copied";
  if (c.k_warps > 1 && c.tile_n > 14 * kUnit)
    return "units whose warps have a barrier are 14 at most";
  if (c.prologue == Prologue::quantize && token_number(c) == Number::bf16)
    return "bf16 tokens are not quantized";
  if (has_prologue(c) && c.wgmma && c.codes != Codes::e4m3)
    return "a prologue needs mma.sync, or e4m3";
  // A warp's first box is named by bits that its other boxes do not have.
  int own = stage_boxes(c) / c.k_warps;
  if (c.k_warps != 1 && !has_token_rows(c) && is_fragment(c) && (own & (own - 1)) &&
      own * c.tile_t % 8)
    return "each of k_warps needs a power of two of boxes";
  if (c.k_warps != 1 && is_fragment(c) && !keeps_groups(c) && c.stages < 3)
    return "a ring whose stages are added one later needs three stages";
  if (c.stages < 2)
    return "a ring needs two stages";
  if (shared_bytes(c) > 232448)
    return "a block has 232,448 bytes of shared memory";
  return nullptr;
}

} // namespace qopt::cuda
