//===- Evaluate.h - Perplexity and divergence --------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// How well a model predicts a text, and how far its distributions are from
/// those of a reference model.
///
///   ExecutorModel model(*executor);
///   Result<Evaluation> result = evaluate(model, tokens, {.maxWindows = 8});
///   std::printf("%.3f\n", result->perplexity());
///
/// The text is cut into windows that do not overlap; a tail that fills no
/// window is dropped. Each window starts with an empty cache. The negative
/// log-likelihood is that of every token of a window but the first, given the
/// window's tokens before it; the divergence is over every position of the
/// windows. Logarithms are natural, softmax and sums are in double. Logits are
/// looked at in chunks: nothing of the size of a window times the vocabulary is
/// kept.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_EVAL_EVALUATE_H
#define QOPT_EVAL_EVALUATE_H

#include "qopt/Runtime/Status.h"
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace qopt {

/// A model that gives the logits of a sequence's tokens in order.
class LogitSource {
public:
  virtual ~LogitSource() = default;

  virtual uint32_t vocabularySize() const = 0;
  /// The most tokens that forward() takes.
  virtual uint32_t maxChunk() const = 0;
  /// The most tokens of a sequence.
  virtual uint32_t maxContext() const = 0;

  /// Starts an empty sequence.
  virtual Status reset() = 0;
  /// Appends tokens to the sequence and returns their logits
  /// [tokens, vocabulary], valid until the next call.
  virtual Result<std::span<const float>> forward(std::span<const int32_t> tokens) = 0;
};

struct EvaluationOptions {
  uint32_t windowTokens = 2048;
  uint32_t maxWindows = 0; ///< the first so many; 0: all
  /// Called behind every chunk with the positions done and those of the run.
  std::function<void(uint64_t done, uint64_t total)> onProgress;
};

/// Of a model against a reference, over positions. KL divergence is
/// sum_v p(v) (log p(v) - log q(v)) with p the reference's.
struct Divergence {
  uint64_t positions = 0;
  double referenceNll = 0;  ///< mean, of the same predictions as the model's
  double meanKL = 0;        ///< nats
  double standardError = 0; ///< of meanKL, positions taken as independent
  double p99 = 0;           ///< 99th percentile of KL, interpolated linearly
  double top1Agreement = 0; ///< share of positions with the same largest logit

  double referencePerplexity() const { return std::exp(referenceNll); }
};

struct Evaluation {
  uint32_t windows = 0;
  uint64_t predictions = 0;             ///< windows * (windowTokens - 1)
  double nll = 0;                       ///< mean negative log-likelihood of a prediction, nats
  std::optional<Divergence> divergence; ///< when there is a reference

  double perplexity() const { return std::exp(nll); }
};

/// Evaluates \p model on the tokens of a text, against \p reference unless it is
/// null. Fails on a text shorter than a window, a window longer than a context,
/// vocabularies of different sizes, a token outside of them, and logits that
/// are not finite, naming the position.
Result<Evaluation> evaluate(LogitSource &model, std::span<const int32_t> tokens,
                            const EvaluationOptions &options = {},
                            LogitSource *reference = nullptr);

} // namespace qopt

#endif // QOPT_EVAL_EVALUATE_H
