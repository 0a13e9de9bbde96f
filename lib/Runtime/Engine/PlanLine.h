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
#include "qopt/Runtime/Executor.h"
#include "qopt/Runtime/Model.h"
#include <cstdint>
#include <span>
#include <vector>

namespace qopt {

/// Where a plan finds its step inputs, in bytes behind the start of their memory.
struct StepLayout {
  StepLayout() = default;
  explicit StepLayout(const artifact::Plan &plan);

  uint64_t tokens = 0, positions = 0, sequences = 0, logitRows = 0, queryTiles = 0, sampling = 0;
  uint64_t end = 0;
};

/// A row of the step input SAMPLING, as manifest.proto says.
struct SamplingRow {
  float temperature, topP, minP, repetitionPenalty;
  uint32_t topK;
  int32_t historyLength; ///< tokens; 0 where there is no penalty
  uint64_t history;      ///< address, int32
  uint64_t seed, position;
  uint8_t isUsed, wantsLogprob, padding[6];
};
static_assert(sizeof(SamplingRow) == 56);

/// The step inputs on the host, and their place on the device: one block that is
/// copied at once, laid out for the plan of the step; and the block tables, of which
/// rows are copied that changed since the last step. A step may be filled while the one
/// before it is still to be copied, if it has the same sequences.
class StepInputs {
public:
  /// Room for any of \p plans, with \p stride pages in a row of the block tables.
  Status allocate(Device &device, std::span<const artifact::Plan *const> plans, uint32_t stride);

  /// Starts an empty step of \p plan.
  void begin(const artifact::Plan &plan);
  /// Starts the next row of the block tables with \p pages.
  void beginSequence(std::span<const int32_t> pages);
  void addToken(int32_t token, uint32_t position, bool wantLogits);
  /// How the next logit row's token is chosen. A step does so for each, or for none.
  void addSampling(const Sampling &sampling);
  /// Adds rows of no sequence, up to \p tokens and \p logitRows.
  void pad(uint32_t tokens, uint32_t logitRows);
  Status upload(Device &device);
  /// Takes the step's tokens from \p sampled on the device, int32, after upload().
  Status takeTokens(Device &device, uint64_t sampled);

  uint32_t numTokens() const { return numTokens_; }
  uint32_t numLogitRows() const { return numLogitRows_; }
  uint32_t numQueryTiles() const { return numQueryTiles_; }
  /// Whether the step chooses tokens.
  bool samples() const { return numSamplings_ > 0; }

  /// The address or the scalar that stands for \p input of a plan with \p layout.
  uint64_t value(artifact::StepInput input, const StepLayout &layout) const;

private:
  /// The host's block of this step.
  std::span<std::byte> host() const { return hosts_[turn_].bytes(); }
  int32_t *at(uint64_t offset) const { return reinterpret_cast<int32_t *>(host().data() + offset); }
  /// Of the step's logit rows [R].
  SamplingRow *samplingRows() const {
    return reinterpret_cast<SamplingRow *>(host().data() + layout_.sampling);
  }
  void addToQueryTile();
  Status uploadBlockTables(Device &device);
  Status uploadHistories(Device &device);

  StepLayout layout_;   ///< of the step's plan
  HostMemory hosts_[2]; ///< in turn. int32: tokens [T], positions [T], sequences [T],
                        ///< logit rows [R], query tiles [Q, 2]; sampling rows [R]
  unsigned turn_ = 0;   ///< of hosts_
  DeviceMemory memory_; ///< the same on the device

  uint32_t stride_ = 0;   ///< pages in a row of the block tables
  HostMemory hostTables_; ///< int32 [S, stride]
  DeviceMemory tables_;   ///< the same, but for the rows and columns that changed
  uint32_t changedBegin_ = 0, changedEnd_ = 0; ///< rows
  size_t changedColumns_ = 0;

  std::vector<int32_t> histories_; ///< of rows with a penalty, one after the other
  HostMemory hostHistories_;
  DeviceMemory historyMemory_;

  uint32_t queryTile_ = 0; ///< most rows of a tile; 0: the plan has none
  uint32_t numTokens_ = 0, numLogitRows_ = 0, numSequences_ = 0, numQueryTiles_ = 0;
  uint32_t numSamplings_ = 0;
  bool sequenceIsNew_ = false; ///< the next token starts a query tile
};

/// Memory that every plan of an executor shares.
struct PlanMemory {
  uint64_t arena = 0, pool = 0, state = 0; ///< addresses
};

class PlanLine {
public:
  PlanLine(const Model &model, const artifact::Plan &plan, const PlanMemory &memory,
           const StepInputs &inputs);

  const artifact::Plan &plan() const { return *plan_; }
  bool isDecode() const { return plan_->kind() == artifact::Plan::DECODE; }
  uint32_t maxTokens() const { return plan_->max_tokens(); }
  uint32_t maxLogitRows() const { return plan_->max_logit_rows(); }
  uint64_t logitsOffset() const { return plan_->logits_offset(); }
  /// Whether the plan can choose tokens.
  bool samples() const { return plan_->has_tokens_offset(); }
  uint64_t tokensOffset() const { return plan_->tokens_offset(); }
  uint64_t logprobsOffset() const { return plan_->logprobs_offset(); }

  /// Runs the step of \p inputs. A decode plan, whose inputs are padded, is
  /// recorded the first time, once with and once without sampling, and replayed
  /// from then on unless \p record is false.
  Status run(const Model &model, const StepInputs &inputs, bool record);

  /// The launches of the step of \p inputs, as the plan lists them; those that
  /// sample have nothing to do where the step doesn't.
  const std::vector<LaunchCommand> &bind(const StepInputs &inputs);

private:
  /// An argument that changes from step to step.
  struct Scalar {
    size_t launch, argument;
    artifact::StepInput input;
  };

  void addLaunch(const Model &model, const artifact::Launch &launch, const PlanMemory &memory,
                 const StepInputs &inputs);

  const artifact::Plan *plan_; ///< of the model's program
  StepLayout layout_;
  std::vector<LaunchCommand> line_;
  std::vector<Scalar> scalars_;
  std::vector<bool> samplingLaunches_;       ///< of line_
  std::unique_ptr<Recording> recordings_[2]; ///< without sampling, with
};

} // namespace qopt

#endif // QOPT_RUNTIME_ENGINE_PLANLINE_H
