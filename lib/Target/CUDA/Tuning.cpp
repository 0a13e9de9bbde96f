//===- Tuning.cpp - What can be measured of a plan's gemms ----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/CUDA/Tuning.h"
#include "GemmCandidates.h"
#include "KernelConfigs.h"
#include "KernelNames.h"
#include "ScheduleTable.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace qopt;
using cuda::GemmConfig;

static TunedLayer layerOf(kernel::GemmOp op, const GemmConfig &config) {
  bool isFloat = cast<MemRefType>(op.getOuts()[0].getType()).getElementType().isF32();
  return {config, isFloat, kernel::maxRowsOf(op, op->getParentOfType<kernel::PlanOp>())};
}

/// The text and the grid of `op`, built as `candidate`; its schedule is left as it was.
static FailureOr<TuningCandidate> build(kernel::GemmOp op, const GemmCandidate &candidate) {
  TuningCandidate result;
  result.name = gemmConfigName(candidate.config);
  result.predicted = candidate.cost.total;
  result.schedule = gemmScheduleAttr(op.getContext(), candidate.config, "");
  kernel::ScheduleAttr before = op.getScheduleAttr();
  op.setScheduleAttr(result.schedule);
  result.source.entry = cudaKernelName(op);
  FailureOr<std::string> text = emitCUDAKernel(op, result.source.entry);
  result.form = cudaLaunchForm(op);
  op.setScheduleAttr(before);
  if (failed(text))
    return failure();
  result.source.text = std::move(*text);
  return result;
}

static FailureOr<TuningTask> taskOf(kernel::GemmOp op, const GemmConfig &config, size_t count) {
  TunedLayer layer = layerOf(op, config);
  TuningTask task;
  task.name = layer.name();
  task.op = op;
  task.rows = layer.rows;
  task.image = TunedLayer{config, false, 1}.name();
  task.weightBytes = cuda::image_bytes(config);
  task.operations = 2.0 * double(layer.rows) * config.n * config.k;
  for (const GemmCandidate &candidate : variousCandidates(config, layer.rows, count)) {
    FailureOr<TuningCandidate> built = build(op, candidate);
    if (failed(built))
      return failure();
    task.candidates.push_back(std::move(*built));
  }
  return task;
}

FailureOr<std::vector<TuningTask>> qopt::tuningTasks(ModuleOp module, size_t count,
                                                     llvm::StringSet<> &seen) {
  llvm::MapVector<StringRef, std::vector<TuningTask>> byImage;
  llvm::StringSet<> images; // whose names are the keys
  for (auto plan : module.getOps<kernel::PlanOp>())
    for (auto op : plan.getOps<kernel::GemmOp>()) {
      std::optional<GemmConfig> config = gemmConfig(op);
      if (!config)
        return op.emitOpError("has no CUDA kernel: weight ") << op.getWeight().getType();
      if (!seen.insert(layerOf(op, *config).name()).second)
        continue;
      FailureOr<TuningTask> task = taskOf(op, *config, count);
      if (failed(task))
        return failure();
      StringRef image = images.insert(task->image).first->getKey();
      byImage[image].push_back(std::move(*task));
    }
  std::vector<TuningTask> tasks;
  for (auto &[image, those] : byImage)
    llvm::append_range(tasks, std::move(those));
  return tasks;
}

std::string qopt::printScheduleTable(ArrayRef<TuningResult> results, StringRef device) {
  std::vector<ScheduleEntry> entries;
  for (const TuningResult &result : results) {
    kernel::GemmOp op = result.task->op;
    kernel::ScheduleAttr before = op.getScheduleAttr();
    op.setScheduleAttr(result.task->candidates[result.best].schedule);
    entries.push_back({layerOf(op, gemmConfig(op).value()), result.seconds * 1e6,
                       result.modelSeconds * 1e6, device.str()});
    op.setScheduleAttr(before);
  }
  return printSchedules(entries);
}
