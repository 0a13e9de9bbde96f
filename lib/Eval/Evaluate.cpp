//===- Evaluate.cpp - Perplexity and divergence ---------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Eval/Evaluate.h"
#include <algorithm>
#include <string>
#include <vector>

using namespace qopt;

namespace {

/// softmax(logits) as exp(logit - largest) / total.
struct Distribution {
  std::vector<double> weights; ///< exp(logit - largest), [vocabulary]
  double largest = 0, total = 0;
  size_t best = 0; ///< the first of the largest

  /// Returns false when a logit is not finite.
  bool assign(std::span<const float> logits) {
    best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    largest = logits[best];
    weights.resize(logits.size());
    total = 0;
    bool finite = true;
    for (size_t v = 0; v < logits.size(); ++v) {
      finite &= std::isfinite(logits[v]);
      total += weights[v] = std::exp(logits[v] - largest);
    }
    return finite;
  }

  /// log sum_v exp(logit)
  double logSum() const { return largest + std::log(total); }
};

/// The sums of one run.
class Evaluator {
public:
  Evaluator(LogitSource &model, LogitSource *reference, std::span<const int32_t> tokens,
            const EvaluationOptions &options)
      : model(model), reference(reference), tokens(tokens), options(options) {}

  Result<Evaluation> run() {
    if (Status status = check(); !status)
      return status;
    uint64_t window = options.windowTokens, windows = tokens.size() / window;
    if (options.maxWindows)
      windows = std::min<uint64_t>(windows, options.maxWindows);
    total = windows * window;
    for (uint64_t start = 0; start < total; start += window)
      if (Status status = runWindow(start); !status)
        return status;
    Evaluation result;
    result.windows = windows;
    result.predictions = windows * (window - 1);
    result.nll = nll / result.predictions;
    if (reference)
      result.divergence = summarise(result.predictions);
    return result;
  }

private:
  Status check() const {
    if (options.windowTokens < 2)
      return Status::usage("a window has " + std::to_string(options.windowTokens) +
                           " tokens, expected at least 2");
    if (tokens.size() < options.windowTokens)
      return Status::invalid("the text has " + std::to_string(tokens.size()) +
                             " tokens, expected at least a window of " +
                             std::to_string(options.windowTokens));
    for (const LogitSource *source :
         {static_cast<const LogitSource *>(&model), static_cast<const LogitSource *>(reference)})
      if (source && source->maxContext() < options.windowTokens)
        return Status::invalid("the model takes " + std::to_string(source->maxContext()) +
                               " tokens, expected a window of " +
                               std::to_string(options.windowTokens));
    if (reference && reference->vocabularySize() != model.vocabularySize())
      return Status::invalid(
          "the model has a vocabulary of " + std::to_string(model.vocabularySize()) +
          ", expected the reference's " + std::to_string(reference->vocabularySize()));
    for (int32_t token : tokens)
      if (token < 0 || static_cast<uint32_t>(token) >= model.vocabularySize())
        return Status::invalid("token " + std::to_string(token) +
                               " is outside of the vocabulary of " +
                               std::to_string(model.vocabularySize()));
    return Status::ok();
  }

  Status runWindow(uint64_t start) {
    uint64_t end = start + options.windowTokens;
    uint64_t most = model.maxChunk();
    if (Status status = model.reset(); !status)
      return status;
    if (reference) {
      most = std::min<uint64_t>(most, reference->maxChunk());
      if (Status status = reference->reset(); !status)
        return status;
    }
    most = std::max<uint64_t>(most, 1);
    for (uint64_t first = start; first < end; first += most) {
      auto chunk = tokens.subspan(first, std::min(most, end - first));
      Result<std::span<const float>> logits = forward(model, chunk);
      if (!logits)
        return logits.status();
      std::span<const float> expected;
      if (reference) {
        Result<std::span<const float>> rows = forward(*reference, chunk);
        if (!rows)
          return rows.status();
        expected = *rows;
      }
      for (uint64_t row = 0; row < chunk.size(); ++row)
        if (Status status = addRow(*logits, expected, row, first + row, end); !status)
          return status;
      if (options.onProgress)
        options.onProgress(first + chunk.size(), total);
    }
    return Status::ok();
  }

  static Result<std::span<const float>> forward(LogitSource &source,
                                                std::span<const int32_t> chunk) {
    Result<std::span<const float>> logits = source.forward(chunk);
    size_t size = chunk.size() * size_t(source.vocabularySize());
    if (logits && logits->size() != size)
      return Status::invalid("the model gave " + std::to_string(logits->size()) +
                             " logits, expected " + std::to_string(size));
    return logits;
  }

  /// Adds the logits at `position`, in a window that ends at `end`.
  Status addRow(std::span<const float> logits, std::span<const float> expected, uint64_t row,
                uint64_t position, uint64_t end) {
    size_t vocabulary = model.vocabularySize();
    std::span<const float> q = logits.subspan(row * vocabulary, vocabulary);
    if (!modelDistribution.assign(q))
      return notFinite("model", position);
    bool predicts = position + 1 < end;
    double logSum = modelDistribution.logSum();
    if (predicts)
      nll += logSum - q[tokens[position + 1]];
    if (!reference)
      return Status::ok();

    std::span<const float> p = expected.subspan(row * vocabulary, vocabulary);
    if (!referenceDistribution.assign(p))
      return notFinite("reference", position);
    double referenceLogSum = referenceDistribution.logSum();
    if (predicts)
      referenceNll += referenceLogSum - p[tokens[position + 1]];
    // sum_v p (log p - log q) with the two log sums taken out of the sum
    double difference = 0;
    for (size_t v = 0; v < vocabulary; ++v)
      difference += referenceDistribution.weights[v] * (double(p[v]) - double(q[v]));
    divergences.push_back(difference / referenceDistribution.total - (referenceLogSum - logSum));
    agreements += modelDistribution.best == referenceDistribution.best;
    return Status::ok();
  }

  static Status notFinite(const char *which, uint64_t position) {
    return Status::invalid(std::string("the ") + which + "'s logits at position " +
                           std::to_string(position) + " are not finite");
  }

  Divergence summarise(uint64_t predictions) {
    Divergence result;
    size_t count = divergences.size();
    result.positions = count;
    result.referenceNll = referenceNll / predictions;
    for (double kl : divergences)
      result.meanKL += kl;
    result.meanKL /= count;
    double squares = 0;
    for (double kl : divergences)
      squares += (kl - result.meanKL) * (kl - result.meanKL);
    result.standardError = std::sqrt(squares / (count - 1) / count);
    std::sort(divergences.begin(), divergences.end());
    double rank = 0.99 * (count - 1), below = std::floor(rank);
    double low = divergences[size_t(below)];
    double high = divergences[std::min(size_t(below) + 1, count - 1)];
    result.p99 = low + (rank - below) * (high - low);
    result.top1Agreement = double(agreements) / count;
    return result;
  }

  LogitSource &model;
  LogitSource *reference;
  std::span<const int32_t> tokens;
  const EvaluationOptions &options;
  uint64_t total = 0; ///< positions
  double nll = 0, referenceNll = 0;
  uint64_t agreements = 0;
  std::vector<double> divergences; ///< of every position
  Distribution modelDistribution, referenceDistribution;
};

} // namespace

Result<Evaluation> qopt::evaluate(LogitSource &model, std::span<const int32_t> tokens,
                                  const EvaluationOptions &options, LogitSource *reference) {
  return Evaluator(model, reference, tokens, options).run();
}
