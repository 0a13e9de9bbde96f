//===- Target.cpp - NVIDIA Hopper as a target -----------------------------===//
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

using namespace mlir;
using namespace qopt;

namespace {

constexpr StringRef architecture = "sm_90a";
/// Rows of a decode step: beyond the largest, sequences wait for each other.
constexpr int64_t decodeCounts[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
constexpr int64_t mixedCounts[] = {16, 64, 256, 1024, 4096};

class CUDA : public Target {
public:
  explicit CUDA(ScheduleTable table) : table(std::move(table)) {}

  TargetDescription describe() const override {
    return {("cuda:" + architecture).str(), "nvptx64-nvidia-cuda", {architecture.str()}};
  }

  llvm::Error checkFormat(StringRef format) const override {
    if (format != "fp32")
      return llvm::Error::success();
    return llvm::createStringError("format fp32 has no kernels on target 'cuda:" + architecture +
                                   "': it is for exact comparison on the CPU; take bf16");
  }

  kernel::LayoutAttr layout(RankedTensorType type) const override { return cudaLayout(type); }
  bool hasPairEpilogues() const override { return true; }

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
    return cudaSchedule(launch, plan, table);
  }

  kernel::ScheduleAttr prologueSchedule(kernel::GemmOp fused, kernel::GemmOp apart,
                                        Operation *maker, kernel::PlanOp plan,
                                        std::string &reason) const override {
    return cudaPrologueSchedule(fused, apart, maker, plan, table, reason);
  }

  llvm::Error addSchedules(StringRef file) override { return table.addFile(file); }

  llvm::Expected<std::unique_ptr<TilePacker>> packer(kernel::PackedType type,
                                                     ArrayRef<const WeightTensor *> sources,
                                                     bool keep) const override {
    return createCUDAPacker(type, sources, keep);
  }

  LogicalResult lower(ModuleOp module) const override { return assignCUDAEntries(module); }

  std::vector<std::string> emitKinds() const override { return {"cuda", "cubin"}; }

  llvm::Expected<std::string> emit(ModuleOp module, StringRef kind,
                                   StringRef cacheFolder) const override {
    if (kind == "cubin") {
      llvm::Expected<CompiledCode> code = compile(module, cacheFolder);
      if (!code)
        return code.takeError();
      return std::move(code->bytes);
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
    return compileCUDA(*sources, cacheFolder);
  }

  llvm::Error check(Operation *launch) const override { return checkCUDALaunch(launch); }

  LaunchForm form(Operation *launch) const override { return cudaLaunchForm(launch); }

private:
  ScheduleTable table;
};

} // namespace

llvm::Expected<std::unique_ptr<Target>> qopt::createCUDATarget(StringRef name) {
  if (name != "cuda:" + architecture.str() && name != "cuda")
    return llvm::createStringError("unknown target '" + name + "', expected cuda:" + architecture);
  llvm::Expected<ScheduleTable> table = shippedSchedules();
  if (!table)
    return table.takeError();
  return std::make_unique<CUDA>(std::move(*table));
}
