//===- KernelConfigs.h - The device headers' constants of a launch -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The constexpr configurations of the device headers, from a launch's types and
/// schedule.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_CUDA_KERNELCONFIGS_H
#define QOPT_LIB_TARGET_CUDA_KERNELCONFIGS_H

#include "device/attention_config.h"
#include "device/gemm_config.h"
#include "device/portable_attention_config.h"
#include "device/portable_gemm_config.h"
#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include "qopt/Target/MakeSchedule.h"
#include <optional>

namespace qopt {

namespace cuda {
/// In the order of Codes, Number and Prologue.
constexpr llvm::StringRef codesNames[] = {"bf16", "e4m3", "s8", "s4", "u4", "s8_grouped"};
constexpr llvm::StringRef numberNames[] = {"bf16", "f16", "f32", "s8", "e4m3"};
constexpr llvm::StringRef prologueNames[] = {"none", "quantize", "norm"};
} // namespace cuda

/// What the types of a gemm fix; tiles and stages are 0 without a schedule. None for
/// a weight that no kernel multiplies.
std::optional<cuda::GemmConfig> gemmConfig(kernel::GemmOp op);

/// A schedule with the tiles of `config`.
kernel::ScheduleAttr gemmScheduleAttr(mlir::MLIRContext *context, const cuda::GemmConfig &config,
                                      const llvm::Twine &reason);

/// Whether a schedule takes a portable kernel: what runs on sm_80.
bool isPortable(mlir::Operation *launch);

/// Of a gemm whose schedule takes one.
std::optional<cuda::PortableGemmConfig> portableGemmConfig(kernel::GemmOp op);

/// The same for an image that is read row by row.
std::optional<cuda::GemmConfig> imageConfig(kernel::PackedType type);

cuda::AttentionConfig attentionConfig(kernel::AttentionOp op);

/// Blocks along z of a decode attention, which are a cluster; 0 for query tiles.
int64_t attentionSplits(kernel::AttentionOp op);

/// Blocks along z of a row whose token is chosen, which are a cluster if they are several.
int64_t sampleBlocks(kernel::SampleOp op);

/// Threads of a block of kernel.rotary_table.
constexpr int64_t rotaryThreads = 64;

/// Bytes of a page with all its layers.
int64_t pageBytes(KVCacheType cache);

/// Elements from row to row.
int64_t rowStride(mlir::Value buffer);

} // namespace qopt

#endif // QOPT_LIB_TARGET_CUDA_KERNELCONFIGS_H
