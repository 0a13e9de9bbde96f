//===- ExecutorModel.cpp - A compiled model under evaluation --------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Eval/ExecutorModel.h"
#include <algorithm>

using namespace qopt;

uint32_t ExecutorModel::vocabularySize() const { return executor.model().vocabularySize(); }

uint32_t ExecutorModel::maxChunk() const {
  return std::min(executor.maxStepTokens(), executor.maxStepLogits());
}

uint32_t ExecutorModel::maxContext() const { return executor.maxContext(); }

Status ExecutorModel::reset() {
  sequence.clear();
  return Status::ok();
}

Result<std::span<const float>> ExecutorModel::forward(std::span<const int32_t> tokens) {
  Chunk chunk{&sequence, tokens, LogitRows::all};
  return executor.step({&chunk, 1});
}
