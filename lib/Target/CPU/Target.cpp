//===- Target.cpp - The CPU as a target -----------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/Target.h"
#include "qopt/Target/CPU/CPUTarget.h"
#include "qopt/Target/CPU/Layout.h"
#include "qopt/Target/CPU/Packing.h"
#include "qopt/Target/CPU/Schedule.h"

using namespace mlir;
using namespace qopt;

namespace {

/// Token counts that get a plan of their own: one sequence that decodes, a few,
/// many, beside the largest step.
constexpr int64_t defaultCounts[] = {1, 8, 64};

class CPUTilePacker : public TilePacker {
public:
  explicit CPUTilePacker(WeightPacker packer) : packer(std::move(packer)) {}

  int64_t tiles() const override { return packer.tiles(); }
  int64_t tileBytes() const override { return packer.tileBytes(); }
  llvm::Error pack(int64_t firstTile, MutableArrayRef<char> to, MutableArrayRef<char>,
                   MutableArrayRef<ErrorEnergy> energies) const override {
    return packer.pack(firstTile, to, energies);
  }

private:
  WeightPacker packer;
};

class CPU : public Target {
public:
  explicit CPU(CPUTarget target) : target(std::move(target)) {}

  TargetDescription describe() const override {
    return {target.name, target.triple, target.features};
  }

  kernel::LayoutAttr layout(RankedTensorType type) const override {
    return cpuLayout(type, target);
  }

  int64_t defaultMaxTokens() const override { return 512; }
  int64_t defaultMaxLogitRows() const override { return 128; }

  std::vector<Bucket> defaultBuckets(int64_t maxTokens) const override {
    std::vector<Bucket> buckets;
    for (int64_t tokens : defaultCounts)
      if (tokens < maxTokens)
        buckets.push_back({tokens});
    return buckets;
  }

  kernel::ScheduleAttr schedule(Operation *launch, kernel::PlanOp plan) const override {
    return cpuSchedule(launch, kernel::maxRowsOf(launch, plan), target);
  }

  llvm::Expected<std::unique_ptr<TilePacker>> packer(kernel::PackedType type,
                                                     ArrayRef<const WeightTensor *> sources,
                                                     bool keep) const override {
    llvm::Expected<WeightPacker> packer = WeightPacker::create(type, sources, keep);
    if (!packer)
      return packer.takeError();
    return std::make_unique<CPUTilePacker>(std::move(*packer));
  }

  LogicalResult lower(ModuleOp module) const override { return lowerToLLVM(module, target); }

  std::vector<std::string> emitKinds() const override { return {"llvm"}; }

  llvm::Expected<std::string> emit(ModuleOp module, StringRef, StringRef) const override {
    return emitLLVM(module, target);
  }

  llvm::Expected<CompiledCode> compile(ModuleOp module, StringRef cacheFolder) const override {
    CodegenStatistics statistics;
    llvm::Expected<std::string> object =
        emitSharedObject(module, target, cacheFolder, &statistics);
    if (!object)
      return object.takeError();
    CompiledCode code;
    code.bytes = std::move(*object);
    code.kernels.resize(statistics.kernels);
    code.cached = statistics.cached;
    return code;
  }

  LaunchForm form(Operation *launch) const override {
    LaunchForm result;
    result.units = launchUnits(launch);
    return result;
  }

private:
  CPUTarget target;
};

} // namespace

llvm::Expected<std::unique_ptr<Target>> qopt::createCPUTarget(StringRef name) {
  llvm::Expected<CPUTarget> parsed = CPUTarget::parse(name);
  if (!parsed)
    return parsed.takeError();
  return std::make_unique<CPU>(std::move(*parsed));
}
