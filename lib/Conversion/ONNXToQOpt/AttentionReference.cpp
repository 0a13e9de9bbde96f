//===- AttentionReference.cpp - Rope and attention by definition ----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttentionReference.h"

using namespace llvm;
using namespace qopt::onnx_graph;

void AttentionReference::rotate(std::vector<double> &rows, ArrayRef<int64_t> positions,
                                int64_t numHeads) const {
  int64_t half = size / 2;
  for (size_t row = 0; row < positions.size(); ++row)
    for (int64_t head = 0; head < numHeads; ++head)
      for (int64_t i = 0; i < half; ++i) {
        double angle = static_cast<double>(positions[row]) * frequencies[i];
        double *x = rows.data() + (row * numHeads + head) * size + i;
        double first = x[0], second = x[half];
        x[0] = first * std::cos(angle) - second * std::sin(angle);
        x[half] = second * std::cos(angle) + first * std::sin(angle);
      }
}

std::vector<double> AttentionReference::scores(StepShape step, ArrayRef<int64_t> positions,
                                               const std::vector<double> &query,
                                               const std::vector<double> &key,
                                               ArrayRef<double> pastKey) const {
  auto [batch, seq, past] = step;
  std::vector<double> q = query, k = key, result;
  rotate(q, positions, heads);
  rotate(k, positions, kvHeads);
  int64_t group = heads / kvHeads;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t s = 0; s < seq; ++s)
        for (int64_t t = 0; t < past + seq; ++t) {
          int64_t kv = h / group;
          const double *a = q.data() + ((b * seq + s) * heads + h) * size;
          const double *c = t < past ? pastKey.data() + ((b * kvHeads + kv) * past + t) * size
                                     : k.data() + ((b * seq + t - past) * kvHeads + kv) * size;
          double sum = 0.0;
          for (int64_t i = 0; i < size; ++i)
            sum += a[i] * c[i];
          result.push_back(sum * scale);
        }
  return result;
}

std::vector<double>
AttentionReference::attend(StepShape step, ArrayRef<int64_t> positions, ArrayRef<int64_t> mask,
                           const std::vector<double> &query, const std::vector<double> &key,
                           const std::vector<double> &value, ArrayRef<double> pastKey,
                           ArrayRef<double> pastValue) const {
  auto [batch, seq, past] = step;
  int64_t total = past + seq, group = heads / kvHeads;
  std::vector<double> all = scores(step, positions, query, key, pastKey);
  std::vector<double> result(batch * seq * heads * size, 0.0);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t s = 0; s < seq; ++s) {
        const double *row = all.data() + ((b * heads + h) * seq + s) * total;
        double *y = result.data() + ((b * seq + s) * heads + h) * size;
        auto sees = [&](int64_t t) { return t <= past + s && mask[b * total + t] != 0; };
        double most = -INFINITY, sum = 0.0;
        for (int64_t t = 0; t < total; ++t)
          most = sees(t) ? std::max(most, row[t]) : most;
        for (int64_t t = 0; t < total; ++t)
          sum += sees(t) ? std::exp(row[t] - most) : 0.0;
        for (int64_t t = 0; t < total; ++t) {
          if (!sees(t))
            continue;
          double weight = std::exp(row[t] - most) / sum;
          int64_t kv = h / group;
          const double *v = t < past ? pastValue.data() + ((b * kvHeads + kv) * past + t) * size
                                     : value.data() + ((b * seq + t - past) * kvHeads + kv) * size;
          for (int64_t i = 0; i < size; ++i)
            y[i] += weight * v[i];
        }
      }
  return result;
}
