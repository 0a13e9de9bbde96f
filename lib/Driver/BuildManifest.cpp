//===- BuildManifest.cpp - Plans as the artifact lists them ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BuildManifest.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace qopt;

namespace {

template <typename T> std::string printed(T value) {
  std::string text;
  llvm::raw_string_ostream(text) << value;
  return text;
}

int64_t elementBytes(Value buffer) {
  return cast<MemRefType>(buffer.getType()).getElementTypeBitWidth() / 8;
}

/// Bytes of one layer's keys and values in a page.
int64_t layerBytes(KVCacheType cache) {
  return 2 * cache.getKvHeads() * cache.getHeadDim() * cache.getPageTokens() *
         cache.getType().getIntOrFloatBitWidth() / 8;
}

std::string typeName(Type type) {
  auto packed = dyn_cast<kernel::PackedType>(type);
  return printed(packed ? Type(packed.getTensor()) : type);
}

std::string layoutName(Type type) {
  auto packed = dyn_cast<kernel::PackedType>(type);
  return packed ? printed(packed.getLayout()) : "row_major";
}

artifact::Grid::Rows gridRows(GridRows rows) {
  switch (rows) {
  case GridRows::tokens:
    return artifact::Grid::TOKENS;
  case GridRows::logitRows:
    return artifact::Grid::LOGIT_ROWS;
  case GridRows::queryTiles:
    return artifact::Grid::QUERY_TILES;
  }
  return artifact::Grid::ROWS_UNSPECIFIED;
}

class ProgramBuilder {
public:
  ProgramBuilder(const Target &target, const CompiledCode &code, artifact::Program &program,
                  WeightImages &images)
      : target(target), program(program), images(images) {
    for (const KernelCode &kernel : code.kernels)
      if (kernel.size > 0)
        codes[kernel.entry] = kernel;
  }

  LogicalResult add(kernel::PlanOp plan) {
    artifact::Plan &result = *program.add_plans();
    result.set_max_tokens(plan.getMaxTokens());
    result.set_max_logit_rows(plan.getMaxLogitRows());
    if (!plan.getArenaBytes())
      return plan.emitOpError("has no arena_bytes: kernel-plan-memory must run first");
    result.set_arena_bytes(*plan.getArenaBytes());
    bool isDecode = plan.getKind() == kernel::PlanKind::Decode;
    result.set_kind(isDecode ? artifact::Plan::DECODE : artifact::Plan::MIXED);
    result.set_query_tile(plan.getQueryTile().value_or(0));
    for (Operation &op : plan.getBody().front()) {
      if (auto alloc = dyn_cast<kernel::AllocOp>(op); alloc && alloc.getPersistent())
        addState(alloc, plan);
      else if (auto cache = dyn_cast<kernel::CacheOp>(op))
        addCache(cast<KVCacheType>(cache.getType()));
      else if (auto output = dyn_cast<kernel::OutputOp>(op))
        addOutputs(output, result);
      else if (kernel::isLaunch(&op) && failed(addLaunch(op, plan, result)))
        return failure();
    }
    return success();
  }

private:
  void addCache(KVCacheType cache) {
    artifact::KvCache &result = *program.mutable_kv_cache();
    result.set_page_tokens(cache.getPageTokens());
    result.set_page_bytes(cache.getLayers() * layerBytes(cache));
    result.set_dtype(printed(cache.getType()));
  }

  static void addOutputs(kernel::OutputOp output, artifact::Plan &plan) {
    plan.set_logits_offset(arenaOffset(output.getLogits()));
    if (output.getSampled().empty())
      return;
    plan.set_tokens_offset(arenaOffset(output.getSampled()[0]));
    plan.set_logprobs_offset(arenaOffset(output.getSampled()[1]));
  }

  static artifact::StepInput stepInput(kernel::StepInput kind) {
    switch (kind) {
    case kernel::StepInput::Tokens:
      return artifact::TOKENS;
    case kernel::StepInput::LogitRows:
      return artifact::LOGIT_ROWS;
    case kernel::StepInput::Sampling:
      return artifact::SAMPLING;
    }
    return artifact::STEP_INPUT_UNSPECIFIED;
  }

  /// Plans share the state: it is as large as the largest needs it.
  void addState(kernel::AllocOp alloc, kernel::PlanOp plan) {
    auto type = cast<MemRefType>(alloc.getType());
    uint64_t bytes = *alloc.getOffset() + plan.getMaxTokens() * type.getShape().back() *
                                              elementBytes(alloc.getResult());
    program.set_state_bytes(std::max(program.state_bytes(), bytes));
  }

  uint32_t weightIndex(kernel::WeightOp op) {
    auto key = std::make_pair(Attribute(op.getSources()), op.getType());
    auto [found, isNew] = weightIndices.insert({key, images.size()});
    if (!isNew)
      return found->second;
    images.push_back(op);
    artifact::Weight &weight = *program.add_weights();
    SmallVector<std::string> names;
    for (auto name : op.getSources().getAsRange<FlatSymbolRefAttr>()) {
      names.push_back(name.getValue().str());
      weight.add_sources(names.back());
    }
    weight.set_name(llvm::join(names, "+"));
    weight.set_type(typeName(op.getType()));
    weight.set_layout(layoutName(op.getType()));
    return found->second;
  }

  static int64_t arenaOffset(Value buffer) {
    if (auto slice = buffer.getDefiningOp<kernel::SliceOp>())
      return arenaOffset(slice.getInput()) + slice.getOffset() * elementBytes(buffer);
    return *buffer.getDefiningOp<kernel::AllocOp>().getOffset();
  }

  void addArgument(Value operand, Operation &launch, artifact::Launch &result) {
    auto addInput = [&](artifact::StepInput input) { result.add_args()->set_input(input); };
    Operation *source = operand.getDefiningOp();
    if (auto input = dyn_cast<kernel::InputOp>(source)) {
      addInput(stepInput(input.getKind()));
    } else if (isa<kernel::BatchOp>(source)) {
      for (auto part : {artifact::POSITIONS, artifact::SEQUENCES, artifact::BLOCK_TABLES,
                        artifact::BLOCK_TABLE_STRIDE})
        addInput(part);
    } else if (auto cache = dyn_cast<kernel::CacheOp>(source)) {
      int64_t layer = launch.getAttrOfType<IntegerAttr>("layer").getInt();
      result.add_args()->set_kv_offset(layer * layerBytes(cast<KVCacheType>(cache.getType())));
    } else if (auto weight = dyn_cast<kernel::WeightOp>(source)) {
      result.add_args()->set_weight(weightIndex(weight));
    } else if (auto alloc = dyn_cast<kernel::AllocOp>(source); alloc && alloc.getPersistent()) {
      result.add_args()->set_state_offset(*alloc.getOffset());
    } else {
      result.add_args()->set_arena_offset(arenaOffset(operand));
    }
  }

  /// The counts behind the operands: rows, or the tiles that stand for them.
  static void addRows(Operation &op, const LaunchForm &form, artifact::Launch &launch) {
    auto add = [&](artifact::StepInput input) { launch.add_args()->set_input(input); };
    if (form.grid && form.grid->rows == GridRows::queryTiles) {
      add(artifact::QUERY_TILES);
      return add(artifact::NUM_QUERY_TILES);
    }
    add(kernel::rowsOf(&op) == kernel::Rows::LogitRows ? artifact::NUM_LOGIT_ROWS
                                                       : artifact::NUM_TOKENS);
  }

  static void addGrid(const GridForm &grid, artifact::Launch &launch) {
    artifact::Grid &result = *launch.mutable_grid();
    result.set_rows(gridRows(grid.rows));
    result.set_rows_per_block(grid.rowsPerBlock);
    result.set_y(grid.y);
    result.set_z(grid.z);
    result.set_threads(grid.threads);
    result.set_shared_bytes(grid.sharedBytes);
  }

  /// The buffer's rows as the plan has them.
  static void addMap(const LaunchMap &map, int64_t rows, artifact::Launch &launch) {
    artifact::TensorMap &result = *launch.add_args()->mutable_tensor_map();
    auto type = cast<MemRefType>(map.buffer.getType());
    auto slice = map.buffer.getDefiningOp<kernel::SliceOp>();
    int64_t columns = cast<MemRefType>((slice ? slice.getInput() : map.buffer).getType())
                          .getShape().back();
    result.set_arena_offset(arenaOffset(map.buffer));
    result.set_row_bytes(type.getShape().back() * elementBytes(map.buffer));
    result.set_rows(rows);
    result.set_stride(columns * elementBytes(map.buffer));
    result.set_box_rows(map.boxRows);
  }

  LogicalResult addLaunch(Operation &op, kernel::PlanOp of, artifact::Plan &plan) {
    if (!op.hasAttr("entry"))
      return op.emitOpError("has no entry point");
    artifact::Launch &launch = *plan.add_launches();
    launch.set_kernel(kernelIndex(op));
    LaunchForm form = target.form(&op);
    for (Value operand : op.getOperands())
      addArgument(operand, op, launch);
    addRows(op, form, launch);
    if (form.grid)
      addGrid(*form.grid, launch);
    for (const LaunchMap &map : form.maps)
      addMap(map, kernel::maxRowsOf(&op, of), launch);
    launch.set_units_static(form.units.fixed);
    launch.set_units_per_token(form.units.perToken);
    launch.set_units_per_logit_row(form.units.perLogitRow);
    launch.set_name(launchName(op));
    return success();
  }

  /// The weight a launch reads names it best; else the name of its location.
  static std::string launchName(Operation &op) {
    for (Value operand : op.getOperands())
      if (auto weight = operand.getDefiningOp<kernel::WeightOp>())
        return cast<FlatSymbolRefAttr>(weight.getSources()[0]).getValue().str();
    std::string name = op.getName().stripDialect().str();
    if (auto layer = op.getAttrOfType<IntegerAttr>("layer"))
      return "layers." + std::to_string(layer.getInt()) + "." + name;
    return name;
  }

  uint32_t kernelIndex(Operation &op) {
    StringRef entry = op.getAttrOfType<FlatSymbolRefAttr>("entry").getValue();
    auto [found, isNew] = kernelIndices.try_emplace(entry, program.kernels_size());
    if (!isNew)
      return found->second;
    artifact::Kernel &kernel = *program.add_kernels();
    kernel.set_entry(entry.str());
    kernel.set_op(op.getName().getStringRef().str());
    if (auto code = codes.find(entry); code != codes.end()) {
      artifact::CodeObject &object = *kernel.mutable_object();
      object.set_offset(code->second.offset);
      object.set_size(code->second.size);
      object.set_registers(code->second.registers);
      object.set_spill_bytes(code->second.spillBytes);
      object.set_shared_bytes(code->second.sharedBytes);
      object.set_ptx_offset(code->second.ptxOffset);
      object.set_ptx_size(code->second.ptxSize);
    }
    if (auto schedule = op.getAttrOfType<kernel::ScheduleAttr>("schedule")) {
      kernel.set_schedule(printed(schedule.getParams()));
      kernel.set_reason(schedule.getReason().str());
      if (schedule.getRejected())
        for (auto rejected : schedule.getRejected().getAsRange<StringAttr>())
          kernel.add_rejected(rejected.str());
    }
    return found->second;
  }

  const Target &target;
  llvm::StringMap<KernelCode> codes; // of an entry, where each has its own
  artifact::Program &program;
  WeightImages &images;
  llvm::DenseMap<std::pair<Attribute, Type>, uint32_t> weightIndices;
  llvm::StringMap<uint32_t> kernelIndices;
};

} // namespace

LogicalResult qopt::buildProgram(ModuleOp module, const Target &target, const CompiledCode &code,
                                  artifact::Program &program, WeightImages &images) {
  SmallVector<kernel::PlanOp> plans(module.getOps<kernel::PlanOp>());
  if (plans.empty())
    return module.emitError("expected a kernel.plan");
  llvm::sort(plans, [](kernel::PlanOp a, kernel::PlanOp b) {
    return a.getMaxTokens() < b.getMaxTokens();
  });
  ProgramBuilder builder(target, code, program, images);
  for (kernel::PlanOp plan : plans)
    if (failed(builder.add(plan)))
      return failure();
  return success();
}
