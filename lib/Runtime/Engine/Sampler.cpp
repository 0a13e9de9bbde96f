//===- Sampler.cpp - From logits to a token -------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Sampler.h"
#include <algorithm>
#include <cmath>
#include <limits>

using namespace qopt;

namespace {

constexpr float lowest = -std::numeric_limits<float>::infinity();

/// 53 random bits in [0, 1).
double uniform(uint64_t seed, uint64_t position) {
  auto bits = philox({uint32_t(position), uint32_t(position >> 32), 0, 0},
                     {uint32_t(seed), uint32_t(seed >> 32)});
  uint64_t value = (uint64_t(bits[1]) << 32) | bits[0];
  return static_cast<double>(value >> 11) * 0x1p-53;
}

double logprobOf(std::span<const float> logits, int32_t token) {
  double max = logits[argmax(logits)];
  double sum = 0;
  for (float logit : logits)
    if (!std::isnan(logit))
      sum += std::exp(logit - max);
  return logits[token] - max - std::log(sum);
}

} // namespace

std::array<uint32_t, 4> qopt::philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t(0xD2511F53) * counter[0];
    uint64_t b = uint64_t(0xCD9E8D57) * counter[2];
    counter = {uint32_t(b >> 32) ^ counter[1] ^ key[0], uint32_t(b),
               uint32_t(a >> 32) ^ counter[3] ^ key[1], uint32_t(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

int32_t qopt::argmax(std::span<const float> values) {
  // Sixteen maxima side by side, which compilers turn into vectors; a NaN loses
  // every comparison.
  constexpr size_t lanes = 16;
  float maxima[lanes];
  std::fill_n(maxima, lanes, lowest);
  size_t i = 0;
  for (; i + lanes <= values.size(); i += lanes)
    for (size_t lane = 0; lane < lanes; ++lane)
      maxima[lane] = values[i + lane] > maxima[lane] ? values[i + lane] : maxima[lane];
  float max = *std::max_element(maxima, maxima + lanes);
  for (; i < values.size(); ++i)
    max = values[i] > max ? values[i] : max;
  auto found = std::find(values.begin(), values.end(), max);
  return found == values.end() ? -1 : static_cast<int32_t>(found - values.begin());
}

Status SamplingParams::validate() const {
  auto invalid = [](const char *name, float value, const char *expected) {
    return Status::invalid(std::string(name) + " is " + std::to_string(value) + ", expected " +
                           expected);
  };
  // Written so that NaN is refused too.
  if (!(temperature >= 0 && temperature <= 1e6f))
    return invalid("temperature", temperature, "0 to 1000000");
  if (!(topP > 0 && topP <= 1))
    return invalid("top-p", topP, "more than 0 and at most 1");
  if (!(minP >= 0 && minP <= 1))
    return invalid("min-p", minP, "0 to 1");
  if (!(repetitionPenalty > 0 && repetitionPenalty <= 1e6f))
    return invalid("repetition penalty", repetitionPenalty, "more than 0 and at most 1000000");
  return Status::ok();
}

std::span<const float> Sampler::penalize(std::span<const float> logits, float penalty,
                                         std::span<const int32_t> history) {
  penalized_.assign(logits.begin(), logits.end());
  seen_.assign(logits.size(), false);
  for (int32_t token : history) {
    if (token < 0 || size_t(token) >= logits.size() || seen_[token])
      continue;
    seen_[token] = true;
    float &logit = penalized_[token];
    logit = logit > 0 ? logit / penalty : logit * penalty;
  }
  return penalized_;
}

Result<SampledToken> Sampler::sample(std::span<const float> logits, const SamplingParams &params,
                                     std::span<const int32_t> history, uint64_t position) {
  std::span<const float> scores = logits;
  if (params.repetitionPenalty != 1)
    scores = penalize(logits, params.repetitionPenalty, history);
  SampledToken result;
  result.token = argmax(scores);
  if (result.token < 0 || !std::isfinite(scores[result.token]))
    return Status::invalid("the model's logits have no finite maximum");
  if (params.temperature > 0)
    result.token = draw(scores, scores[result.token], params, position);
  if (params.logprobs)
    result.logprob = logprobOf(logits, result.token);
  return result;
}

int32_t Sampler::draw(std::span<const float> logits, float max, const SamplingParams &params,
                      uint64_t position) {
  candidates_.clear();
  double total = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    double weight = std::exp((double(logits[i]) - max) / params.temperature);
    if (!(weight > 0)) // NaN, or too small to be drawn
      continue;
    candidates_.push_back({weight, static_cast<int32_t>(i)});
    total += weight;
  }
  size_t kept = candidates_.size();
  bool all = (params.topK == 0 || params.topK >= kept) && params.topP >= 1 && params.minP <= 0;
  if (!all) {
    // Only the front is ever needed in order; its length is not known before,
    // so it is sorted in parts that grow.
    size_t limit = params.topK ? std::min<size_t>(params.topK, kept) : kept;
    size_t sorted = 0;
    auto sortTo = [&](size_t end) {
      std::partial_sort(candidates_.begin() + sorted, candidates_.begin() + end, candidates_.end(),
                        [](const Candidate &a, const Candidate &b) {
                          return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
                        });
      sorted = end;
    };
    if (limit < kept) {
      sortTo(limit);
      total = 0;
      for (size_t i = 0; i < limit; ++i)
        total += candidates_[i].weight;
    }
    double sum = 0;
    for (kept = 0; kept < limit; ++kept) {
      if (kept == sorted)
        sortTo(std::min(limit, std::max<size_t>(64, sorted * 4)));
      double weight = candidates_[kept].weight;
      if (kept > 0 && ((params.topP < 1 && sum >= params.topP * total) ||
                       weight < params.minP * candidates_[0].weight))
        break;
      sum += weight;
    }
    total = sum;
  }
  double target = uniform(params.seed, position) * total;
  double sum = 0;
  for (size_t i = 0; i < kept; ++i) {
    sum += candidates_[i].weight;
    if (sum > target)
      return candidates_[i].token;
  }
  return candidates_[kept - 1].token;
}
