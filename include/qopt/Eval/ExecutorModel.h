//===- ExecutorModel.h - A compiled model under evaluation -------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_EVAL_EXECUTORMODEL_H
#define QOPT_EVAL_EXECUTORMODEL_H

#include "qopt/Eval/Evaluate.h"
#include "qopt/Runtime/Executor.h"

namespace qopt {

/// The logits of an artifact's model; the executor must outlive it.
class ExecutorModel : public LogitSource {
public:
  explicit ExecutorModel(Executor &executor)
      : executor(executor), sequence(executor.newSequence()) {}

  uint32_t vocabularySize() const override;
  uint32_t maxChunk() const override;
  uint32_t maxContext() const override;
  Status reset() override;
  Result<std::span<const float>> forward(std::span<const int32_t> tokens) override;

private:
  Executor &executor;
  Sequence sequence;
};

} // namespace qopt

#endif // QOPT_EVAL_EXECUTORMODEL_H
