//===- PlanLine.cpp - A plan bound to addresses ---------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PlanLine.h"
#include <algorithm>
#include <tuple>

using namespace qopt;

namespace {

/// Bytes of \p count elements, so that what follows is aligned.
uint64_t room(uint64_t count, uint64_t elementBytes = sizeof(int32_t)) {
  return (count * elementBytes + 63) / 64 * 64;
}

/// Makes both memories hold \p bytes, with some to spare where they grow.
Status grow(Device &device, HostMemory &host, DeviceMemory &memory, uint64_t bytes) {
  if (bytes <= memory.size())
    return Status::ok();
  Result<HostMemory> largerHost = device.allocateHost(bytes + bytes / 2);
  if (!largerHost)
    return largerHost.status();
  Result<DeviceMemory> larger = device.allocate(bytes + bytes / 2);
  if (!larger)
    return larger.status();
  host = std::move(*largerHost);
  memory = std::move(*larger);
  return Status::ok();
}

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
  sampling = queryTiles + room(2 * maxTiles);
  end = sampling + room(plan.max_logit_rows(), sizeof(SamplingRow));
}

Status StepInputs::allocate(Device &device, std::span<const artifact::Plan *const> plans,
                            uint32_t stride) {
  stride_ = stride;
  uint64_t bytes = 0, tableBytes = 0;
  for (const artifact::Plan *plan : plans) {
    bytes = std::max(bytes, StepLayout(*plan).end);
    tableBytes = std::max(tableBytes, uint64_t(plan->max_tokens()) * stride * sizeof(int32_t));
  }
  Result<HostMemory> second = device.allocateHost(bytes);
  if (!second)
    return second.status();
  hosts_[1] = std::move(*second);
  const std::tuple<HostMemory *, DeviceMemory *, uint64_t> blocks[] = {
      {&hosts_[0], &memory_, bytes}, {&hostTables_, &tables_, tableBytes}};
  for (auto [host, memory, size] : blocks) {
    Result<HostMemory> hostBlock = device.allocateHost(size);
    if (!hostBlock)
      return hostBlock.status();
    *host = std::move(*hostBlock);
    Result<DeviceMemory> block = device.allocate(size);
    if (!block)
      return block.status();
    *memory = std::move(*block);
  }
  return Status::ok();
}

void StepInputs::begin(const artifact::Plan &plan) {
  layout_ = StepLayout(plan);
  turn_ ^= 1;
  queryTile_ = plan.query_tile();
  numTokens_ = numLogitRows_ = numSequences_ = numQueryTiles_ = numSamplings_ = 0;
  histories_.clear();
}

void StepInputs::beginSequence(std::span<const int32_t> pages) {
  // Behind the sequence's pages may be those of an earlier step: nobody looks there.
  int32_t *row = reinterpret_cast<int32_t *>(hostTables_.bytes().data()) +
                 uint64_t(numSequences_) * stride_; // [stride]
  if (!std::equal(pages.begin(), pages.end(), row)) {
    std::copy(pages.begin(), pages.end(), row);
    bool isFirst = changedBegin_ == changedEnd_;
    changedBegin_ = isFirst ? numSequences_ : std::min(changedBegin_, numSequences_);
    changedEnd_ = std::max(isFirst ? 0 : changedEnd_, numSequences_ + 1);
    changedColumns_ = std::max(changedColumns_, pages.size());
  }
  ++numSequences_;
  sequenceIsNew_ = true;
}

void StepInputs::addToken(int32_t token, uint32_t position, bool wantLogits) {
  if (wantLogits)
    at(layout_.logitRows)[numLogitRows_++] = static_cast<int32_t>(numTokens_);
  if (queryTile_)
    addToQueryTile();
  at(layout_.tokens)[numTokens_] = token;
  at(layout_.positions)[numTokens_] = static_cast<int32_t>(position);
  at(layout_.sequences)[numTokens_] = static_cast<int32_t>(numSequences_ - 1);
  ++numTokens_;
}

/// Puts the next token into the last tile, or into a new one.
void StepInputs::addToQueryTile() {
  int32_t *tiles = at(layout_.queryTiles); // [Q, 2]: first row, rows
  if (sequenceIsNew_ || uint32_t(tiles[2 * numQueryTiles_ - 1]) == queryTile_) {
    tiles[2 * numQueryTiles_] = static_cast<int32_t>(numTokens_);
    tiles[2 * numQueryTiles_ + 1] = 0;
    ++numQueryTiles_;
    sequenceIsNew_ = false;
  }
  ++tiles[2 * numQueryTiles_ - 1];
}

void StepInputs::addSampling(const Sampling &sampling) {
  const SamplingParams &params = sampling.params;
  bool isPenalized = params.repetitionPenalty != 1;
  SamplingRow &row = samplingRows()[numSamplings_++];
  row = {};
  row.temperature = params.temperature;
  row.topP = params.topP;
  row.minP = params.minP;
  row.repetitionPenalty = params.repetitionPenalty;
  row.topK = params.topK;
  row.historyLength = isPenalized ? static_cast<int32_t>(sampling.history.size()) : 0;
  row.seed = params.seed;
  row.position = sampling.position;
  row.isUsed = true;
  row.wantsLogprob = params.logprobs;
  if (isPenalized)
    histories_.insert(histories_.end(), sampling.history.begin(), sampling.history.end());
}

void StepInputs::pad(uint32_t tokens, uint32_t logitRows) {
  for (; numTokens_ < tokens; ++numTokens_) {
    at(layout_.tokens)[numTokens_] = 0;
    at(layout_.positions)[numTokens_] = 0;
    at(layout_.sequences)[numTokens_] = -1;
  }
  for (; numLogitRows_ < logitRows; ++numLogitRows_) {
    at(layout_.logitRows)[numLogitRows_] = 0;
    samplingRows()[numLogitRows_] = {}; // not used
  }
}

/// The tables are those of the device only once the copy is under way: after a step that
/// failed before, the next one copies its rows, too.
Status StepInputs::uploadBlockTables(Device &device) {
  if (changedBegin_ == changedEnd_)
    return Status::ok();
  uint64_t rowBytes = stride_ * sizeof(int32_t), first = changedBegin_ * rowBytes;
  if (Status status = device.copyRowsToDevice(
          tables_.address() + first, hostTables_.bytes().data() + first,
          changedEnd_ - changedBegin_, changedColumns_ * sizeof(int32_t), rowBytes);
      !status)
    return status;
  changedBegin_ = changedEnd_ = 0;
  changedColumns_ = 0;
  return Status::ok();
}

/// Copies the histories, and says in the rows where they are.
Status StepInputs::uploadHistories(Device &device) {
  if (histories_.empty())
    return Status::ok();
  std::span bytes = std::as_bytes(std::span(histories_));
  if (Status status = grow(device, hostHistories_, historyMemory_, bytes.size()); !status)
    return status;
  std::copy(bytes.begin(), bytes.end(), hostHistories_.bytes().begin());
  uint64_t address = historyMemory_.address();
  for (SamplingRow &row : std::span(samplingRows(), numSamplings_)) {
    row.history = address;
    address += uint64_t(row.historyLength) * sizeof(int32_t);
  }
  return device.copyToDevice(historyMemory_.address(), hostHistories_.bytes().first(bytes.size()));
}

Status StepInputs::upload(Device &device) {
  if (Status status = uploadBlockTables(device); !status)
    return status;
  if (Status status = uploadHistories(device); !status)
    return status;
  uint64_t bytes = layout_.sampling;
  if (samples())
    bytes += uint64_t(numLogitRows_) * sizeof(SamplingRow);
  return device.copyToDevice(memory_.address(), host().first(bytes));
}

Status StepInputs::takeTokens(Device &device, uint64_t sampled) {
  return device.copy(memory_.address() + layout_.tokens, sampled,
                     uint64_t(numSequences_) * sizeof(int32_t));
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
    return tables_.address();
  case artifact::LOGIT_ROWS:
    return memory_.address() + layout.logitRows;
  case artifact::QUERY_TILES:
    return memory_.address() + layout.queryTiles;
  case artifact::SAMPLING:
    return memory_.address() + layout.sampling;
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
  samplingLaunches_.push_back(std::any_of(
      launch.args().begin(), launch.args().end(), [](const artifact::Argument &argument) {
        return argument.value_case() == artifact::Argument::kInput &&
               argument.input() == artifact::SAMPLING;
      }));
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
    if (samplingLaunches_[i] && !inputs.samples())
      line_[i].units = line_[i].grid.x = 0;
  }
  return line_;
}

Status PlanLine::run(const Model &model, const StepInputs &inputs, bool record) {
  Device &device = model.device();
  if (!isDecode() || !record)
    return device.launch(model.code(), bind(inputs));
  std::unique_ptr<Recording> &recording = recordings_[inputs.samples()];
  if (!recording) {
    Result<std::unique_ptr<Recording>> made = device.record(model.code(), bind(inputs));
    if (!made)
      return made.status();
    recording = std::move(*made);
  }
  return device.replay(*recording);
}
