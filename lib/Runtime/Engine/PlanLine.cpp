//===- PlanLine.cpp - A plan bound to addresses ---------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PlanLine.h"
#include <algorithm>

using namespace qopt;

Status StepInputs::allocate(Device &device, uint32_t maxTokens, uint32_t maxLogitRows,
                            uint32_t stride) {
  stride_ = stride;
  auto room = [](uint64_t count) { return (count * sizeof(int32_t) + 63) / 64 * 64; };
  uint64_t row = room(maxTokens);
  Result<DeviceMemory> memory =
      device.allocate(3 * row + room(maxLogitRows) + room(uint64_t(maxTokens) * stride));
  if (!memory)
    return memory.status();
  memory_ = std::move(*memory);
  tokensAt_ = memory_.address();
  positionsAt_ = tokensAt_ + row;
  sequencesAt_ = positionsAt_ + row;
  logitRowsAt_ = sequencesAt_ + row;
  blockTablesAt_ = logitRowsAt_ + room(maxLogitRows);
  return Status::ok();
}

void StepInputs::clear() {
  tokens_.clear();
  positions_.clear();
  sequences_.clear();
  logitRows_.clear();
  blockTables_.clear();
  numSequences_ = 0;
}

void StepInputs::beginSequence(std::span<const int32_t> pages) {
  blockTables_.insert(blockTables_.end(), pages.begin(), pages.end());
  blockTables_.resize(size_t(++numSequences_) * stride_);
}

void StepInputs::addToken(int32_t token, uint32_t position, bool wantLogits) {
  if (wantLogits)
    logitRows_.push_back(static_cast<int32_t>(tokens_.size()));
  tokens_.push_back(token);
  positions_.push_back(static_cast<int32_t>(position));
  sequences_.push_back(static_cast<int32_t>(numSequences_ - 1));
}

Status StepInputs::upload(Device &device) const {
  const std::pair<uint64_t, const std::vector<int32_t> &> copies[] = {
      {tokensAt_, tokens_},
      {positionsAt_, positions_},
      {sequencesAt_, sequences_},
      {logitRowsAt_, logitRows_},
      {blockTablesAt_, blockTables_}};
  for (auto &[to, from] : copies)
    if (Status status = device.copyToDevice(to, std::as_bytes(std::span(from))); !status)
      return status;
  return Status::ok();
}

uint64_t StepInputs::value(artifact::StepInput input) const {
  switch (input) {
  case artifact::TOKENS:
    return tokensAt_;
  case artifact::POSITIONS:
    return positionsAt_;
  case artifact::SEQUENCES:
    return sequencesAt_;
  case artifact::BLOCK_TABLES:
    return blockTablesAt_;
  case artifact::LOGIT_ROWS:
    return logitRowsAt_;
  case artifact::NUM_TOKENS:
    return tokens_.size();
  case artifact::NUM_LOGIT_ROWS:
    return logitRows_.size();
  case artifact::BLOCK_TABLE_STRIDE:
    return stride_;
  default: // refused when the artifact was opened
    return 0;
  }
}

PlanLine::PlanLine(const Model &model, const artifact::Plan &plan, uint64_t arena, uint64_t pool,
                   const StepInputs &inputs)
    : plan_(&plan) {
  for (const artifact::Launch &launch : plan.launches()) {
    LaunchCommand command{launch.kernel(), {}, 0};
    for (const artifact::Argument &argument : launch.args()) {
      switch (argument.value_case()) {
      case artifact::Argument::kWeight:
        command.args.push_back(model.weightAddress(argument.weight()));
        break;
      case artifact::Argument::kArenaOffset:
        command.args.push_back(arena + argument.arena_offset());
        break;
      case artifact::Argument::kKvOffset:
        command.args.push_back(pool + argument.kv_offset());
        break;
      case artifact::Argument::kInput:
        if (argument.input() == artifact::NUM_TOKENS ||
            argument.input() == artifact::NUM_LOGIT_ROWS)
          scalars_.push_back({line_.size(), command.args.size(), argument.input()});
        command.args.push_back(inputs.value(argument.input()));
        break;
      case artifact::Argument::kConstant:
      default:
        command.args.push_back(static_cast<uint64_t>(argument.constant()));
      }
    }
    line_.push_back(std::move(command));
  }
}

void PlanLine::bind(const StepInputs &inputs) {
  for (const Scalar &scalar : scalars_)
    line_[scalar.launch].args[scalar.argument] = inputs.value(scalar.input);
  for (size_t i = 0; i < line_.size(); ++i) {
    const artifact::Launch &launch = plan_->launches(static_cast<int>(i));
    line_[i].units = launch.units_static() + launch.units_per_token() * inputs.numTokens() +
                     launch.units_per_logit_row() * inputs.numLogitRows();
  }
}

Status PlanLine::run(const Model &model, const StepInputs &inputs, bool decode) {
  Device &device = model.device();
  bool recorded = recording_ && recordedTokens_ == inputs.numTokens() &&
                  recordedLogitRows_ == inputs.numLogitRows();
  if (decode && recorded)
    return device.replay(*recording_);
  bind(inputs);
  if (!decode)
    return device.launch(model.code(), line_);
  Result<std::unique_ptr<Recording>> recording = device.record(model.code(), line_);
  if (!recording)
    return recording.status();
  recording_ = std::move(*recording);
  recordedTokens_ = inputs.numTokens();
  recordedLogitRows_ = inputs.numLogitRows();
  return device.replay(*recording_);
}
