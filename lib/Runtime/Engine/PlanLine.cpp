//===- PlanLine.cpp - A plan bound to addresses ---------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PlanLine.h"
#include <algorithm>

using namespace qopt;

namespace {

/// Bytes of \p count int32, so that what follows is aligned.
uint64_t room(uint64_t count) { return (count * sizeof(int32_t) + 63) / 64 * 64; }

bool changesWithTheStep(artifact::StepInput input) {
  return input == artifact::NUM_TOKENS || input == artifact::NUM_LOGIT_ROWS ||
         input == artifact::NUM_QUERY_TILES;
}

} // namespace

StepLayout::StepLayout(const artifact::Plan &plan) {
  // A query tile has at least one token.
  uint64_t maxTiles = plan.query_tile() ? plan.max_tokens() : 0;
  tokens = 0;
  positions = tokens + room(plan.max_tokens());
  sequences = positions + room(plan.max_tokens());
  logitRows = sequences + room(plan.max_tokens());
  queryTiles = logitRows + room(plan.max_logit_rows());
  blockTables = queryTiles + room(2 * maxTiles);
}

Status StepInputs::allocate(Device &device, std::span<const artifact::Plan *const> plans,
                            uint32_t stride) {
  stride_ = stride;
  uint64_t bytes = 0;
  for (const artifact::Plan *plan : plans)
    bytes = std::max(bytes,
                     StepLayout(*plan).blockTables + room(uint64_t(plan->max_tokens()) * stride));
  Result<HostMemory> host = device.allocateHost(bytes);
  if (!host)
    return host.status();
  host_ = std::move(*host);
  Result<DeviceMemory> memory = device.allocate(bytes);
  if (!memory)
    return memory.status();
  memory_ = std::move(*memory);
  return Status::ok();
}

void StepInputs::begin(const artifact::Plan &plan) {
  StepLayout layout(plan);
  tokensAt_ = layout.tokens;
  positionsAt_ = layout.positions;
  sequencesAt_ = layout.sequences;
  logitRowsAt_ = layout.logitRows;
  queryTilesAt_ = layout.queryTiles;
  blockTablesAt_ = layout.blockTables;
  queryTile_ = plan.query_tile();
  numTokens_ = numLogitRows_ = numSequences_ = numQueryTiles_ = 0;
}

void StepInputs::beginSequence(std::span<const int32_t> pages) {
  // Behind the sequence's pages may be those of an earlier step: nobody looks there.
  std::copy(pages.begin(), pages.end(), at(blockTablesAt_) + uint64_t(numSequences_++) * stride_);
  sequenceIsNew_ = true;
}

void StepInputs::addToken(int32_t token, uint32_t position, bool wantLogits) {
  if (wantLogits)
    at(logitRowsAt_)[numLogitRows_++] = static_cast<int32_t>(numTokens_);
  if (queryTile_)
    addToQueryTile();
  at(tokensAt_)[numTokens_] = token;
  at(positionsAt_)[numTokens_] = static_cast<int32_t>(position);
  at(sequencesAt_)[numTokens_] = static_cast<int32_t>(numSequences_ - 1);
  ++numTokens_;
}

/// Puts the next token into the last tile, or into a new one.
void StepInputs::addToQueryTile() {
  int32_t *tiles = at(queryTilesAt_); // [Q, 2]: first row, rows
  if (sequenceIsNew_ || uint32_t(tiles[2 * numQueryTiles_ - 1]) == queryTile_) {
    tiles[2 * numQueryTiles_] = static_cast<int32_t>(numTokens_);
    tiles[2 * numQueryTiles_ + 1] = 0;
    ++numQueryTiles_;
    sequenceIsNew_ = false;
  }
  ++tiles[2 * numQueryTiles_ - 1];
}

void StepInputs::pad(uint32_t tokens, uint32_t logitRows) {
  for (; numTokens_ < tokens; ++numTokens_) {
    at(tokensAt_)[numTokens_] = 0;
    at(positionsAt_)[numTokens_] = 0;
    at(sequencesAt_)[numTokens_] = -1;
  }
  for (; numLogitRows_ < logitRows; ++numLogitRows_)
    at(logitRowsAt_)[numLogitRows_] = 0;
}

Status StepInputs::upload(Device &device) const {
  uint64_t bytes = blockTablesAt_ + uint64_t(numSequences_) * stride_ * sizeof(int32_t);
  return device.copyToDevice(memory_.address(), host_.bytes().first(bytes));
}

uint64_t StepInputs::value(artifact::StepInput input, const StepLayout &layout) const {
  switch (input) {
  case artifact::TOKENS:
    return memory_.address() + layout.tokens;
  case artifact::POSITIONS:
    return memory_.address() + layout.positions;
  case artifact::SEQUENCES:
    return memory_.address() + layout.sequences;
  case artifact::BLOCK_TABLES:
    return memory_.address() + layout.blockTables;
  case artifact::LOGIT_ROWS:
    return memory_.address() + layout.logitRows;
  case artifact::QUERY_TILES:
    return memory_.address() + layout.queryTiles;
  case artifact::NUM_TOKENS:
    return numTokens_;
  case artifact::NUM_LOGIT_ROWS:
    return numLogitRows_;
  case artifact::NUM_QUERY_TILES:
    return numQueryTiles_;
  case artifact::BLOCK_TABLE_STRIDE:
    return stride_;
  default: // refused when the artifact was opened
    return 0;
  }
}

PlanLine::PlanLine(const Model &model, const artifact::Plan &plan, const PlanMemory &memory,
                   const StepInputs &inputs)
    : plan_(&plan), layout_(plan) {
  for (const artifact::Launch &launch : plan.launches())
    addLaunch(model, launch, memory, inputs);
}

void PlanLine::addLaunch(const Model &model, const artifact::Launch &launch,
                         const PlanMemory &memory, const StepInputs &inputs) {
  const artifact::Grid &grid = launch.grid();
  LaunchCommand command{launch.kernel()};
  command.grid = {0, grid.y(), grid.z(), grid.threads(), grid.shared_bytes()};
  command.name = launch.name();
  for (const artifact::Argument &argument : launch.args()) {
    switch (argument.value_case()) {
    case artifact::Argument::kWeight:
      command.args.push_back(model.weightAddress(argument.weight()));
      break;
    case artifact::Argument::kArenaOffset:
      command.args.push_back(memory.arena + argument.arena_offset());
      break;
    case artifact::Argument::kStateOffset:
      command.args.push_back(memory.state + argument.state_offset());
      break;
    case artifact::Argument::kKvOffset:
      command.args.push_back(memory.pool + argument.kv_offset());
      break;
    case artifact::Argument::kInput:
      if (changesWithTheStep(argument.input()))
        scalars_.push_back({line_.size(), command.args.size(), argument.input()});
      command.args.push_back(inputs.value(argument.input(), layout_));
      break;
    case artifact::Argument::kTensorMap: {
      const artifact::TensorMap &map = argument.tensor_map();
      command.maps.push_back({memory.arena + map.arena_offset(), map.stride(), map.row_bytes(),
                              map.rows(), map.box_rows()});
      break;
    }
    case artifact::Argument::kConstant:
    default:
      command.args.push_back(static_cast<uint64_t>(argument.constant()));
    }
  }
  line_.push_back(std::move(command));
}

const std::vector<LaunchCommand> &PlanLine::bind(const StepInputs &inputs) {
  for (const Scalar &scalar : scalars_)
    line_[scalar.launch].args[scalar.argument] = inputs.value(scalar.input, layout_);
  auto rowsOf = [&](artifact::Grid::Rows rows) {
    return rows == artifact::Grid::QUERY_TILES  ? inputs.numQueryTiles()
           : rows == artifact::Grid::LOGIT_ROWS ? inputs.numLogitRows()
                                                : inputs.numTokens();
  };
  for (size_t i = 0; i < line_.size(); ++i) {
    const artifact::Launch &launch = plan_->launches(static_cast<int>(i));
    line_[i].units = launch.units_static() + launch.units_per_token() * inputs.numTokens() +
                     launch.units_per_logit_row() * inputs.numLogitRows();
    if (uint32_t each = launch.grid().rows_per_block())
      line_[i].grid.x = (rowsOf(launch.grid().rows()) + each - 1) / each;
  }
  return line_;
}

Status PlanLine::run(const Model &model, const StepInputs &inputs, bool record) {
  Device &device = model.device();
  if (!isDecode() || !record)
    return device.launch(model.code(), bind(inputs));
  if (!recording_) {
    Result<std::unique_ptr<Recording>> recording = device.record(model.code(), bind(inputs));
    if (!recording)
      return recording.status();
    recording_ = std::move(*recording);
  }
  return device.replay(*recording_);
}
