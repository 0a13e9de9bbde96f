//===- Target.cpp - NVIDIA GPUs as targets --------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/Target.h"
#include "KernelConfigs.h"
#include "ScheduleTable.h"
#include "device/sample_config.h"
#include "qopt/Target/CUDA/CUDATarget.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace qopt;

namespace {

/// Code of these runs on later GPUs, too.
constexpr StringRef portableArchitectures[] = {"sm_80", "sm_86", "sm_89"};
/// Rows of a decode step: beyond the largest, sequences wait for each other.
constexpr int64_t decodeCounts[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
constexpr int64_t mixedCounts[] = {16, 64, 256, 1024, 4096};

class CUDA : public Target {
public:
  CUDA(StringRef architecture, ScheduleTable table)
      : architecture(architecture.str()), isPortable(isPortableArchitecture(architecture)),
        table(std::move(table)) {}

  TargetDescription describe() const override {
    return {"cuda:" + architecture, "nvptx64-nvidia-cuda", {architecture}};
  }

  llvm::Error checkFormat(StringRef format) const override {
    StringRef instead;
    if (format == "fp32")
      instead = "it is for exact comparison on the CPU; take bf16";
    if (format == "w8a8-fp8" && isPortable)
      instead = "its products need cuda:sm_90a; take w8a8-int8";
    if (instead.empty())
      return llvm::Error::success();
    return llvm::createStringError(
        "format " + format + " has no kernels on target 'cuda:" + architecture + "': " + instead);
  }

  kernel::LayoutAttr layout(RankedTensorType type) const override {
    auto quantized = dyn_cast<QuantizedType>(type.getElementType());
    if (isPortable && quantized && isa<Float8E4M3FNType>(quantized.getStorage()))
      return {}; // products of e4m3 came with sm_89
    return cudaLayout(type);
  }
  bool hasPairEpilogues() const override { return true; }
  bool hasRopeAttention() const override { return !isPortable; }

  int64_t maxSampledVocabulary() const override { return cuda::sample_max_vocabulary; }
  int64_t defaultMaxTokens() const override { return 4096; }
  int64_t defaultMaxLogitRows() const override { return 256; }

  std::vector<Bucket> defaultBuckets(int64_t maxTokens) const override {
    std::vector<Bucket> buckets;
    for (int64_t tokens : decodeCounts)
      if (tokens <= maxTokens)
        buckets.push_back({tokens, kernel::PlanKind::Decode});
    for (int64_t tokens : mixedCounts)
      if (tokens < maxTokens)
        buckets.push_back({tokens, kernel::PlanKind::Mixed});
    return buckets;
  }

  std::vector<kernel::PlanKind> planKinds() const override {
    return {kernel::PlanKind::Decode, kernel::PlanKind::Mixed};
  }

  int64_t queryTile(kernel::PlanKind kind, int64_t group) const override {
    return kind == kernel::PlanKind::Decode ? 0 : cuda::query_tile(group, 1);
  }

  kernel::ScheduleAttr schedule(Operation *launch, kernel::PlanOp plan) const override {
    return isPortable ? portableSchedule(launch, plan) : cudaSchedule(launch, plan, table);
  }

  kernel::ScheduleAttr prologueSchedule(kernel::GemmOp fused, kernel::GemmOp apart,
                                        Operation *maker, kernel::PlanOp plan,
                                        std::string &reason) const override {
    if (isPortable)
      return Target::prologueSchedule(fused, apart, maker, plan, reason);
    return cudaPrologueSchedule(fused, apart, maker, plan, table, reason);
  }

  llvm::Error addSchedules(StringRef file) override {
    return isPortable ? Target::addSchedules(file) : table.addFile(file);
  }

  llvm::Expected<std::unique_ptr<TilePacker>> packer(kernel::PackedType type,
                                                     ArrayRef<const WeightTensor *> sources,
                                                     bool keep) const override {
    return createCUDAPacker(type, sources, keep);
  }

  LogicalResult lower(ModuleOp module) const override { return assignCUDAEntries(module); }

  std::vector<std::string> emitKinds() const override {
    std::vector<std::string> kinds{"cuda", "cubin"};
    if (isPortable)
      kinds.push_back("ptx");
    return kinds;
  }

  llvm::Expected<std::string> emit(ModuleOp module, StringRef kind,
                                   StringRef cacheFolder) const override {
    if (kind == "cubin" || kind == "ptx") {
      llvm::Expected<CompiledCode> code = compile(module, cacheFolder);
      if (!code)
        return code.takeError();
      return kind == "ptx" ? ptxOf(*code) : cubinsOf(*code);
    }
    FailureOr<std::vector<KernelSource>> sources = emitCUDA(module);
    if (failed(sources))
      return llvm::createStringError("kernels could not be written");
    return joinSources(*sources);
  }

  llvm::Expected<CompiledCode> compile(ModuleOp module, StringRef cacheFolder) const override {
    FailureOr<std::vector<KernelSource>> sources = emitCUDA(module);
    if (failed(sources))
      return llvm::createStringError("kernels could not be written");
    return compileCUDA(*sources, architecture, cacheFolder);
  }

  llvm::Error check(Operation *launch) const override {
    return isPortable ? checkPortableLaunch(launch) : checkCUDALaunch(launch);
  }

  LaunchForm form(Operation *launch) const override { return cudaLaunchForm(launch); }

private:
  std::string architecture; ///< sm_80, sm_90a
  bool isPortable;
  ScheduleTable table; ///< of Hopper
};

} // namespace

bool qopt::isPortableArchitecture(StringRef architecture) {
  return llvm::is_contained(portableArchitectures, architecture);
}

llvm::Expected<std::unique_ptr<Target>> qopt::createCUDATarget(StringRef name) {
  StringRef architecture = name == "cuda" ? hopperArchitecture : name;
  architecture.consume_front("cuda:");
  if (architecture != hopperArchitecture && !isPortableArchitecture(architecture))
    return llvm::createStringError(
        "unknown target '" + name + "', expected cuda:" + hopperArchitecture +
        " or one of cuda:" + llvm::join(ArrayRef(portableArchitectures), ", cuda:"));
  llvm::Expected<ScheduleTable> table = shippedSchedules();
  if (!table)
    return table.takeError();
  return std::make_unique<CUDA>(architecture, std::move(*table));
}
