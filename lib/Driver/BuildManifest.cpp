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

class ManifestBuilder {
public:
  ManifestBuilder(artifact::Manifest &manifest, WeightImages &images)
      : manifest(manifest), images(images) {}

  LogicalResult add(kernel::PlanOp plan) {
    artifact::Plan &result = *manifest.add_plans();
    result.set_max_tokens(plan.getMaxTokens());
    result.set_max_logit_rows(plan.getMaxLogitRows());
    if (!plan.getArenaBytes())
      return plan.emitOpError("has no arena_bytes: kernel-plan-memory must run first");
    result.set_arena_bytes(*plan.getArenaBytes());
    for (Operation &op : plan.getBody().front()) {
      if (auto cache = dyn_cast<kernel::CacheOp>(op))
        addCache(cast<KVCacheType>(cache.getType()));
      else if (auto output = dyn_cast<kernel::OutputOp>(op))
        result.set_logits_offset(arenaOffset(output.getLogits()));
      else if (kernel::isLaunch(&op) && failed(addLaunch(op, result)))
        return failure();
    }
    return success();
  }

private:
  void addCache(KVCacheType cache) {
    artifact::KvCache &result = *manifest.mutable_kv_cache();
    result.set_page_tokens(cache.getPageTokens());
    result.set_page_bytes(cache.getLayers() * layerBytes(cache));
    result.set_dtype(printed(cache.getType()));
  }

  uint32_t weightIndex(kernel::WeightOp op) {
    auto key = std::make_pair(Attribute(op.getSources()), op.getType());
    auto [found, isNew] = weightIndices.insert({key, images.size()});
    if (!isNew)
      return found->second;
    images.push_back(op);
    artifact::Weight &weight = *manifest.add_weights();
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
      addInput(input.getKind() == kernel::StepInput::Tokens ? artifact::TOKENS
                                                            : artifact::LOGIT_ROWS);
    } else if (isa<kernel::BatchOp>(source)) {
      for (auto part : {artifact::POSITIONS, artifact::SEQUENCES, artifact::BLOCK_TABLES,
                        artifact::BLOCK_TABLE_STRIDE})
        addInput(part);
    } else if (auto cache = dyn_cast<kernel::CacheOp>(source)) {
      int64_t layer = launch.getAttrOfType<IntegerAttr>("layer").getInt();
      result.add_args()->set_kv_offset(layer * layerBytes(cast<KVCacheType>(cache.getType())));
    } else if (auto weight = dyn_cast<kernel::WeightOp>(source)) {
      result.add_args()->set_weight(weightIndex(weight));
    } else {
      result.add_args()->set_arena_offset(arenaOffset(operand));
    }
  }

  LogicalResult addLaunch(Operation &op, artifact::Plan &plan) {
    if (!op.hasAttr("entry"))
      return op.emitOpError("has no entry point");
    artifact::Launch &launch = *plan.add_launches();
    launch.set_kernel(kernelIndex(op));
    for (Value operand : op.getOperands())
      addArgument(operand, op, launch);
    launch.add_args()->set_input(kernel::rowsOf(&op) == kernel::Rows::LogitRows
                                     ? artifact::NUM_LOGIT_ROWS
                                     : artifact::NUM_TOKENS);
    LaunchUnits units = launchUnits(&op);
    launch.set_units_static(units.fixed);
    launch.set_units_per_token(units.perToken);
    launch.set_units_per_logit_row(units.perLogitRow);
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
    auto [found, isNew] = kernelIndices.try_emplace(entry, manifest.kernels_size());
    if (!isNew)
      return found->second;
    artifact::Kernel &kernel = *manifest.add_kernels();
    kernel.set_entry(entry.str());
    kernel.set_op(op.getName().getStringRef().str());
    if (auto schedule = op.getAttrOfType<kernel::ScheduleAttr>("schedule")) {
      kernel.set_schedule(printed(schedule.getParams()));
      kernel.set_reason(schedule.getReason().str());
      if (schedule.getRejected())
        for (auto rejected : schedule.getRejected().getAsRange<StringAttr>())
          kernel.add_rejected(rejected.str());
    }
    return found->second;
  }

  artifact::Manifest &manifest;
  WeightImages &images;
  llvm::DenseMap<std::pair<Attribute, Type>, uint32_t> weightIndices;
  llvm::StringMap<uint32_t> kernelIndices;
};

} // namespace

LogicalResult qopt::buildManifest(ModuleOp module, artifact::Manifest &manifest,
                                  WeightImages &images) {
  SmallVector<kernel::PlanOp> plans(module.getOps<kernel::PlanOp>());
  if (plans.empty())
    return module.emitError("expected a kernel.plan");
  llvm::sort(plans, [](kernel::PlanOp a, kernel::PlanOp b) {
    return a.getMaxTokens() < b.getMaxTokens();
  });
  ManifestBuilder builder(manifest, images);
  for (kernel::PlanOp plan : plans)
    if (failed(builder.add(plan)))
      return failure();
  return success();
}
