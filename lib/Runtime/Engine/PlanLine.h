//===- PlanLine.h - A plan bound to addresses -------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What the executor fills for each step, and the launches that read it.
/// T tokens, S sequences, R logit rows.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_ENGINE_PLANLINE_H
#define QOPT_RUNTIME_ENGINE_PLANLINE_H

#include "qopt/Runtime/Artifact/manifest.pb.h"
#include "qopt/Runtime/Model.h"
#include <cstdint>
#include <span>
#include <vector>

namespace qopt {

/// The step inputs on the host, and their place on the device.
class StepInputs {
public:
  Status allocate(Device &device, uint32_t maxTokens, uint32_t maxLogitRows, uint32_t stride);

  void clear();
  /// Starts the next row of the block tables with \p pages.
  void beginSequence(std::span<const int32_t> pages);
  void addToken(int32_t token, uint32_t position, bool wantLogits);
  Status upload(Device &device) const;

  uint32_t numTokens() const { return static_cast<uint32_t>(tokens_.size()); }
  uint32_t numLogitRows() const { return static_cast<uint32_t>(logitRows_.size()); }

  /// The address or the scalar that stands for \p input.
  uint64_t value(artifact::StepInput input) const;

private:
  uint32_t stride_ = 0;              ///< pages in a row of the block tables
  std::vector<int32_t> tokens_;      ///< [T]
  std::vector<int32_t> positions_;   ///< [T]
  std::vector<int32_t> sequences_;   ///< [T], row of the block tables
  std::vector<int32_t> logitRows_;   ///< [R], row of tokens
  std::vector<int32_t> blockTables_; ///< [S, stride], page numbers
  uint32_t numSequences_ = 0;
  DeviceMemory memory_; ///< the five, each behind the room of the one before
  uint64_t tokensAt_ = 0, positionsAt_ = 0, sequencesAt_ = 0, logitRowsAt_ = 0, blockTablesAt_ = 0;
};

class PlanLine {
public:
  PlanLine(const Model &model, const artifact::Plan &plan, uint64_t arena, uint64_t pool,
           const StepInputs &inputs);

  uint32_t maxTokens() const { return plan_->max_tokens(); }
  uint32_t maxLogitRows() const { return plan_->max_logit_rows(); }
  uint64_t logitsOffset() const { return plan_->logits_offset(); }

  /// Runs the step of \p inputs. A decode step is recorded, because the next
  /// one is often of the same size.
  Status run(const Model &model, const StepInputs &inputs, bool decode);

private:
  /// An argument that changes from step to step.
  struct Scalar {
    size_t launch, argument;
    artifact::StepInput input;
  };

  void bind(const StepInputs &inputs);

  const artifact::Plan *plan_; ///< of the model's manifest
  std::vector<LaunchCommand> line_;
  std::vector<Scalar> scalars_;
  std::unique_ptr<Recording> recording_;
  uint32_t recordedTokens_ = 0, recordedLogitRows_ = 0;
};

} // namespace qopt

#endif // QOPT_RUNTIME_ENGINE_PLANLINE_H
