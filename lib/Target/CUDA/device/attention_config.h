//===- attention_config.h - How an attention kernel is cut -----*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Plain constexpr C++, shared by the device headers and the compiler.
//
//===----------------------------------------------------------------------===//

#pragma once

// Kernels call these functions too.
#ifdef __CUDACC__
#define QOPT_BOTH_SIDES __host__ __device__
#else
#define QOPT_BOTH_SIDES
#endif

namespace qopt::cuda {

/// Tokens of a page.
constexpr int page_tokens = 64;

/// What attention computes, and how its blocks stream the pages. A *half page* is the
/// keys or the values of one KV head in one page: 64 x head_dim bf16.
struct AttentionConfig {
  int heads, kv_heads, head_dim;
  int query_stride, output_stride; ///< elements from row to row
  float scale;                     ///< of q . k, positive
  long long page_bytes;            ///< of a page with all its layers
  int warps;                       ///< of a block
  int stages;                      ///< half pages in flight: of a warp (decode), of a block (tiles)
  int splits = 1;                  ///< decode: blocks of a cluster that share a row's pages
  int key_stride = 0, value_stride = 0; ///< rope_attention: elements from row to row
};

/// Blocks of a cluster that every GPU with clusters can run.
constexpr int max_splits = 8;

QOPT_BOTH_SIDES constexpr int group(const AttentionConfig &c) { return c.heads / c.kv_heads; }
QOPT_BOTH_SIDES constexpr int half_page_bytes(int head_dim) { return page_tokens * head_dim * 2; }

/// Bytes from a head's keys to its values in one page.
QOPT_BOTH_SIDES constexpr int values_offset(const AttentionConfig &c) {
  return c.kv_heads * half_page_bytes(c.head_dim);
}

/// Columns of each head that a block of a cluster merges: whole fragments of 16.
QOPT_BOTH_SIDES constexpr int merge_columns(const AttentionConfig &c) {
  return (c.head_dim / 16 + c.splits - 1) / c.splits * 16;
}
/// A page's partial result of a head there: the columns, maximum and sum.
QOPT_BOTH_SIDES constexpr int partial_floats(const AttentionConfig &c) {
  return merge_columns(c) + 2;
}
/// Pages that all warps of a row compute in one round.
QOPT_BOTH_SIDES constexpr int round_pages(const AttentionConfig &c) { return c.warps * c.splits; }

/// A decode block merges its columns in shared memory, through two buffers of partial
/// results [round_pages][group] and a running result [group]: the columns and, for each
/// of the two turns, maximum and sum.
QOPT_BOTH_SIDES constexpr int decode_threads(const AttentionConfig &c) { return 32 * c.warps; }
QOPT_BOTH_SIDES constexpr int decode_merge_bytes(const AttentionConfig &c) {
  return 4 * group(c) * (2 * round_pages(c) * partial_floats(c) + merge_columns(c) + 4);
}
/// The token's rows in bf16: query heads, 16 bytes apart so that they lie in different
/// banks, key and value.
QOPT_BOTH_SIDES constexpr int token_query_stride(const AttentionConfig &c) {
  return c.head_dim + 8;
}
QOPT_BOTH_SIDES constexpr int decode_token_bytes(const AttentionConfig &c) {
  return 2 * (group(c) * token_query_stride(c) + 2 * c.head_dim);
}
QOPT_BOTH_SIDES constexpr int decode_shared_bytes(const AttentionConfig &c) {
  return c.warps * c.stages * half_page_bytes(c.head_dim) + decode_merge_bytes(c) +
         decode_token_bytes(c) + 8 * c.warps * c.stages;
}

/// Rows (token, head) of a query tile, and the tokens that fit it.
constexpr int tile_rows = 128;
QOPT_BOTH_SIDES constexpr int query_tile(int heads, int kv_heads) {
  int tokens = tile_rows / (heads / kv_heads);
  return tokens > 0 ? tokens : 1;
}
/// Whether warpgroups multiply: heads of whole rows of 128 bytes.
QOPT_BOTH_SIDES constexpr bool tiles_by_warpgroup(int head_dim) { return head_dim % 64 == 0; }
/// 16-row fragments of a warp. Two share every load of keys and values, as long as the
/// accumulators fit the registers; the rows of a warpgroup are one for each warp.
QOPT_BOTH_SIDES constexpr int tile_fragments(const AttentionConfig &c) {
  return tile_rows / (16 * c.warps);
}
/// Warpgroups compute while a warp of one more copies, and leaves them its registers.
constexpr int computing_registers = 240, copying_registers = 24;
QOPT_BOTH_SIDES constexpr int tile_threads(const AttentionConfig &c) {
  return 32 * c.warps + (tiles_by_warpgroup(c.head_dim) ? 128 : 0);
}
/// The warp that copies pages: the first of that warpgroup, else simply the first.
QOPT_BOTH_SIDES constexpr int copying_warp(const AttentionConfig &c) {
  return tiles_by_warpgroup(c.head_dim) ? c.warps : 0;
}
/// Whether a warpgroup holds its query rows in registers: large heads leave none.
QOPT_BOTH_SIDES constexpr bool queries_in_registers(int head_dim) {
  return tiles_by_warpgroup(head_dim) && head_dim <= 128;
}
QOPT_BOTH_SIDES constexpr int tile_query_bytes(const AttentionConfig &c) {
  return queries_in_registers(c.head_dim) ? 0 : tile_rows * c.head_dim * 2;
}
/// Half pages of a tile, and two mbarriers for each.
QOPT_BOTH_SIDES constexpr int ring_bytes(const AttentionConfig &c) {
  return c.stages * (half_page_bytes(c.head_dim) + 16);
}
/// A tile of a single token goes through its pages as a decode block does, each warp with
/// a stage of its own, if there is room.
QOPT_BOTH_SIDES constexpr AttentionConfig single_token(AttentionConfig c) {
  c.stages = 1;
  return c;
}
QOPT_BOTH_SIDES constexpr bool has_single_tokens(const AttentionConfig &c) {
  return decode_shared_bytes(single_token(c)) <= 232448;
}
QOPT_BOTH_SIDES constexpr int tile_shared_bytes(const AttentionConfig &c) {
  int tile = tile_query_bytes(c) + ring_bytes(c);
  int single = has_single_tokens(c) ? decode_shared_bytes(single_token(c)) : 0;
  return tile > single ? tile : single;
}

/// Decode: 96 KB of pages in flight, so that two blocks fit a multiprocessor, or one and
/// the first weights of the next kernel. Where every block has a multiprocessor of its own
/// and more (`few_blocks`), twice the warps halve the pages of each.
QOPT_BOTH_SIDES constexpr void set_decode_schedule(AttentionConfig &c, int splits = 1,
                                                   bool few_blocks = false) {
  constexpr int most_bytes = 128 * 1024;
  c.splits = splits;
  c.warps = c.head_dim <= 64 ? 4 : c.head_dim <= 128 ? 3 : 2;
  c.stages = c.head_dim <= 64 ? 3 : 2;
  AttentionConfig wide = c;
  wide.warps *= 2;
  wide.stages = 1;
  if (few_blocks && c.head_dim > 64 && c.head_dim <= 128 && decode_shared_bytes(wide) <= most_bytes)
    c = wide;
}
/// Tiles: 128 rows by two warpgroups; else two fragments for each of 4 warps, or one for
/// each of 8. Pages come from the second-level cache: eight half pages hide its latency.
QOPT_BOTH_SIDES constexpr void set_tile_schedule(AttentionConfig &c) {
  c.warps = tiles_by_warpgroup(c.head_dim) || c.head_dim > 80 ? 8 : 4;
  c.stages = queries_in_registers(c.head_dim) ? 8 : c.head_dim <= 128 ? 4 : 3;
}

} // namespace qopt::cuda
