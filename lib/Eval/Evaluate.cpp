//===- Evaluate.cpp - Perplexity and divergence ---------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Eval/Evaluate.h"
#include <algorithm>
#include <string>
#include <thread>
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

/// What the logits of one position say.
struct Position {
  const char *notFinite = nullptr; ///< whose logits are not
  double nll = 0, referenceNll = 0, divergence = 0;
  bool agrees = false;
};

/// Logits [vocabulary] of a position, `expected` empty without a reference; `next` is the
/// token that follows in the window, or -1.
class PositionReader {
public:
  Position read(std::span<const float> q, std::span<const float> p, int32_t next) {
    Position result;
    if (!model.assign(q)) {
      result.notFinite = "model";
      return result;
    }
    double logSum = model.logSum();
    if (next >= 0)
      result.nll = logSum - q[next];
    if (p.empty())
      return result;
    if (!reference.assign(p)) {
      result.notFinite = "reference";
      return result;
    }
    double referenceLogSum = reference.logSum();
    if (next >= 0)
      result.referenceNll = referenceLogSum - p[next];
    // sum_v p (log p - log q) with the two log sums taken out of the sum
    double difference = 0;
    for (size_t v = 0; v < p.size(); ++v)
      difference += reference.weights[v] * (double(p[v]) - double(q[v]));
    result.divergence = difference / reference.total - (referenceLogSum - logSum);
    result.agrees = model.best == reference.best;
    return result;
  }

private:
  Distribution model, reference;
};

/// Calls \p work (first, last) for equal parts of \p count things, each on a thread.
void inParts(size_t count, const std::function<void(size_t first, size_t last)> &work) {
  size_t threads = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, count);
  std::vector<std::jthread> others;
  for (size_t i = 1; i < threads; ++i)
    others.emplace_back(work, i * count / threads, (i + 1) * count / threads);
  work(0, count / threads);
}

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
      if (Status status = addRows(*logits, expected, first, end); !status)
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

  /// Adds the logits from position `first` on, in a window that ends at `end`: in order,
  /// however many threads read them.
  Status addRows(std::span<const float> logits, std::span<const float> expected, uint64_t first,
                 uint64_t end) {
    size_t vocabulary = model.vocabularySize();
    std::vector<Position> positions(logits.size() / vocabulary);
    inParts(positions.size(), [&](size_t from, size_t to) {
      PositionReader reader;
      for (size_t row = from; row < to; ++row) {
        auto of = [&](std::span<const float> all) {
          return all.empty() ? all : all.subspan(row * vocabulary, vocabulary);
        };
        uint64_t next = first + row + 1;
        positions[row] = reader.read(of(logits), of(expected), next < end ? tokens[next] : -1);
      }
    });
    for (size_t row = 0; row < positions.size(); ++row) {
      const Position &position = positions[row];
      if (position.notFinite)
        return notFinite(position.notFinite, first + row);
      nll += position.nll;
      if (!reference)
        continue;
      referenceNll += position.referenceNll;
      divergences.push_back(position.divergence);
      agreements += position.agrees;
    }
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
};

} // namespace

Result<Evaluation> qopt::evaluate(LogitSource &model, std::span<const int32_t> tokens,
                                  const EvaluationOptions &options, LogitSource *reference) {
  return Evaluator(model, reference, tokens, options).run();
}
