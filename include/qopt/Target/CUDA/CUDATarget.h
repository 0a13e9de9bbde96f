//===- CUDATarget.h - Kernels for NVIDIA GPUs -------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// From `kernel` plans to cubins: every launch becomes a `__global__` function of
/// CUDA C++ that instantiates a template of lib/Target/CUDA/device with a constant
/// configuration, compiled by NVRTC. docs/rfcs/0001-cuda-target.md has the layouts
/// and the parameters.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_TARGET_CUDA_CUDATARGET_H
#define QOPT_TARGET_CUDA_CUDATARGET_H

#include "qopt/Target/Target.h"

namespace qopt {

class ScheduleTable;

/// cuda:sm_90a, or portable: cuda:sm_80, sm_86, sm_89.
llvm::Expected<std::unique_ptr<Target>> createCUDATarget(llvm::StringRef name);

/// What `qopt tune` measures, and cuda alone means.
constexpr llvm::StringRef hopperArchitecture = "sm_90a";
/// Whether code of `architecture` runs on later GPUs, too: its kernels are the portable ones
/// (RFC 1), and its artifacts hold PTX.
bool isPortableArchitecture(llvm::StringRef architecture);

/// The layout of a weight [N, K], null where no kernel reads the element type.
kernel::LayoutAttr cudaLayout(mlir::RankedTensorType type);

/// The image of a weight in units of 64 channels.
llvm::Expected<std::unique_ptr<TilePacker>>
createCUDAPacker(kernel::PackedType type, llvm::ArrayRef<const WeightTensor *> sources, bool keep);

/// How a gemm or an attention of `plan` is cut, from the table where it has the layer;
/// null for other launches.
kernel::ScheduleAttr cudaSchedule(mlir::Operation *launch, kernel::PlanOp plan,
                                  const ScheduleTable &table);

/// The text of one kernel.
struct KernelSource {
  std::string entry;
  std::string text;
};

/// How `fused` of `plan` is cut, a gemm whose prologue does what `maker` does for `apart`; null,
/// with the reason, where that takes longer than both launches.
kernel::ScheduleAttr cudaPrologueSchedule(kernel::GemmOp fused, kernel::GemmOp apart,
                                          mlir::Operation *maker, kernel::PlanOp plan,
                                          const ScheduleTable &table, std::string &reason);

/// How a gemm or an attention of `plan` is cut for the portable kernels; null for other
/// launches.
kernel::ScheduleAttr portableSchedule(mlir::Operation *launch, kernel::PlanOp plan);

/// Gives every launch of every plan its `entry`; launches that do the same share
/// one. Reports what has no kernel.
mlir::LogicalResult assignCUDAEntries(mlir::ModuleOp module);

/// The kernels of the launches in order of first use.
mlir::FailureOr<std::vector<KernelSource>> emitCUDA(mlir::ModuleOp module);

/// The text of one of them.
mlir::FailureOr<std::string> emitCUDAKernel(mlir::Operation *launch, llvm::StringRef entry);

/// All of them as one text to read.
std::string joinSources(llvm::ArrayRef<KernelSource> sources);

/// Null where the schedule of a launch has a kernel, else the reason.
llvm::Error checkCUDALaunch(mlir::Operation *launch);
/// The same in code of a portable architecture.
llvm::Error checkPortableLaunch(mlir::Operation *launch);

/// Grid and tensor maps of a launch with a schedule.
LaunchForm cudaLaunchForm(mlir::Operation *launch);

/// Compiles each kernel by NVRTC, side by side, or takes it from `cacheFolder`; with its PTX
/// if the architecture is portable.
llvm::Expected<CompiledCode> compileCUDA(llvm::ArrayRef<KernelSource> sources,
                                         llvm::StringRef architecture, llvm::StringRef cacheFolder);

/// The same for those that can be built: a kernel of size 0 is not, and `errors`, one for
/// each source, says why.
llvm::Expected<CompiledCode> compileCUDA(llvm::ArrayRef<KernelSource> sources,
                                         llvm::StringRef architecture, llvm::StringRef cacheFolder,
                                         std::vector<std::string> &errors);

/// The cubins of all kernels, aligned, and their PTX as one text to read.
std::string cubinsOf(const CompiledCode &code);
std::string ptxOf(const CompiledCode &code);

} // namespace qopt

#endif // QOPT_TARGET_CUDA_CUDATARGET_H
