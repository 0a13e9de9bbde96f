//===- ToyKernels.c - A model small enough to check by hand ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The machine code of the toy artifact (ToyModel.h). Every kernel takes
// (args, worker, workers) and does the worker's fixed share. The fake CUDA driver
// runs them, too, as worker 0 of 1. Rows of sequence -1 are padding.
//
//===----------------------------------------------------------------------===//

#include <stdint.h>

#define SHARE_BEGIN(n) ((n) * worker / workers)
#define SHARE_END(n) ((n) * (worker + 1) / workers)

// x[t] = table[tokens[t]]: tokens [T], table [V, H], x [T, H], T, H
void toy_embed(const uint64_t *args, uint64_t worker, uint64_t workers) {
  const int32_t *tokens = (const int32_t *)args[0];
  const float *table = (const float *)args[1];
  float *x = (float *)args[2];
  uint64_t rows = args[3], hidden = args[4];
  for (uint64_t t = SHARE_BEGIN(rows); t < SHARE_END(rows); ++t)
    for (uint64_t h = 0; h < hidden; ++h)
      x[t * hidden + h] = table[tokens[t] * hidden + h];
}

// Stores x in the pages: x [T, H], cache (of the layer), positions, sequences,
// block tables, stride, T, H, page tokens, page bytes. A page is [page tokens, H].
void toy_append(const uint64_t *args, uint64_t worker, uint64_t workers) {
  const float *x = (const float *)args[0];
  char *cache = (char *)args[1];
  const int32_t *positions = (const int32_t *)args[2];
  const int32_t *sequences = (const int32_t *)args[3];
  const int32_t *tables = (const int32_t *)args[4];
  uint64_t stride = args[5], rows = args[6], hidden = args[7], page_tokens = args[8];
  for (uint64_t t = SHARE_BEGIN(rows); t < SHARE_END(rows); ++t) {
    if (sequences[t] < 0)
      continue;
    uint64_t position = positions[t];
    uint64_t page = tables[sequences[t] * stride + position / page_tokens];
    float *row = (float *)(cache + page * args[9]) + position % page_tokens * hidden;
    for (uint64_t h = 0; h < hidden; ++h)
      row[h] = x[t * hidden + h];
  }
}

static void attend_row(const uint64_t *args, uint64_t t) {
  const char *cache = (const char *)args[1];
  const int32_t *positions = (const int32_t *)args[2];
  const int32_t *sequences = (const int32_t *)args[3];
  const int32_t *tables = (const int32_t *)args[4];
  uint64_t stride = args[5], hidden = args[7], page_tokens = args[8];
  float *y = (float *)args[10];
  uint64_t last = positions[t];
  for (uint64_t h = 0; h < hidden; ++h)
    y[t * hidden + h] = 0;
  if (sequences[t] < 0)
    return;
  for (uint64_t first = 0; first <= last; first += page_tokens) {
    uint64_t page = tables[sequences[t] * stride + first / page_tokens];
    const float *keys = (const float *)(cache + page * args[9]);
    for (uint64_t p = 0; p < page_tokens; ++p) {
      float weight = first + p <= last ? 1.0f / (1 + last - first - p) : 0.0f;
      for (uint64_t h = 0; h < hidden; ++h)
        y[t * hidden + h] += weight * keys[p * hidden + h];
    }
  }
}

// y[t] = sum over the positions p of the sequence up to t's of row[p] / (1 + t - p).
// Arguments as of toy_append, then y [T, H]. Reads whole pages, masking the end.
void toy_attend(const uint64_t *args, uint64_t worker, uint64_t workers) {
  for (uint64_t t = SHARE_BEGIN(args[6]); t < SHARE_END(args[6]); ++t)
    attend_row(args, t);
}

// toy_attend by query tiles: then tiles [Q, 2] and Q. Other rows stay as they are.
void toy_attend_tiles(const uint64_t *args, uint64_t worker, uint64_t workers) {
  const int32_t *tiles = (const int32_t *)args[11];
  uint64_t count = args[12];
  for (uint64_t q = SHARE_BEGIN(count); q < SHARE_END(count); ++q)
    for (int32_t i = 0; i < tiles[2 * q + 1]; ++i)
      attend_row(args, tiles[2 * q] + i);
}

// Spoils y [T, H] unless the state [1] is zero: state, y, T, H.
void toy_check_state(const uint64_t *args, uint64_t worker, uint64_t workers) {
  float *y = (float *)args[1];
  if (worker == 0 && *(const uint64_t *)args[0] != 0)
    for (uint64_t i = 0; i < args[2] * args[3]; ++i)
      y[i] = 1e30f;
}

// logits[r] = W y[rows[r]]: y [T, H], logit rows [R], W [V, H], logits [R, V], R, H, V
void toy_project(const uint64_t *args, uint64_t worker, uint64_t workers) {
  const float *y = (const float *)args[0];
  const int32_t *rows = (const int32_t *)args[1];
  const float *weight = (const float *)args[2];
  float *logits = (float *)args[3];
  uint64_t count = args[4], hidden = args[5], vocabulary = args[6];
  for (uint64_t r = 0; r < count; ++r)
    for (uint64_t v = SHARE_BEGIN(vocabulary); v < SHARE_END(vocabulary); ++v) {
      float sum = 0;
      for (uint64_t h = 0; h < hidden; ++h)
        sum += y[rows[r] * hidden + h] * weight[v * hidden + h];
      logits[r * vocabulary + v] = sum;
    }
}

// toy_project with y behind a tensor map, whose first words are address, bytes of
// a row, rows and stride: logit rows, W, logits, R, H, V, map.
void toy_project_map(const uint64_t *args, uint64_t worker, uint64_t workers) {
  const uint64_t *map = (const uint64_t *)args[6];
  const uint64_t direct[] = {map[0], args[0], args[1], args[2], args[3], map[3] / sizeof(float),
                             args[5]};
  toy_project(direct, worker, workers);
}
