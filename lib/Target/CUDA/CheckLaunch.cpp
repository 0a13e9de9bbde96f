//===- CheckLaunch.cpp - Whether a schedule has a kernel ------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelConfigs.h"
#include "device/sample_config.h"
#include "qopt/Target/CUDA/CUDATarget.h"

using namespace mlir;
using namespace qopt;

/// Tiles cover all rows and channels, or blocks that stay share all of them.
static llvm::Error checkTiles(kernel::GemmOp op, const cuda::GemmConfig &config) {
  GridForm grid = *cudaLaunchForm(op).grid;
  int64_t rows = kernel::maxRowsOf(op, op->getParentOfType<kernel::PlanOp>());
  int64_t most = is_persistent(config) ? rows : config.tile_t;
  bool coversRows = is_persistent(config) ? grid.rowsPerBlock >= rows : grid.rowsPerBlock <= most;
  if (!coversRows)
    return llvm::createStringError("has " + std::to_string(grid.rowsPerBlock) +
                                   " rows a block, but tiles of " + std::to_string(most));
  if (is_persistent(config) || grid.y * config.tile_n >= config.n)
    return llvm::Error::success();
  return llvm::createStringError("has " + std::to_string(grid.y) + " tiles of " +
                                 std::to_string(config.tile_n) + " channels, which don't cover " +
                                 std::to_string(config.n));
}

/// A prologue reads rows in pieces of 16 bytes, without a tensor map that would say so.
static llvm::Error checkPrologueRows(kernel::GemmOp op) {
  constexpr int64_t piece = 8; // elements of bf16
  auto slice = op.getInput().getDefiningOp<kernel::SliceOp>();
  int64_t first = slice ? slice.getOffset() : 0, stride = rowStride(op.getInput());
  if (!op.hasPrologue() || (first % piece == 0 && stride % piece == 0))
    return llvm::Error::success();
  return llvm::createStringError("has a prologue that reads rows every " + std::to_string(stride) +
                                 " elements from element " + std::to_string(first) +
                                 ", expected multiples of " + std::to_string(piece));
}

/// What the portable kernels lack: clusters, rope, large heads and the shared memory of Hopper.
static llvm::Error checkPortable(kernel::AttentionOp op) {
  int headDim = attentionConfig(op).head_dim;
  if (op.hasRopeAppend())
    return llvm::createStringError("has a rope_append, which portable kernels lack");
  if (attentionSplits(op) > 1)
    return llvm::createStringError("has " + std::to_string(attentionSplits(op)) +
                                   " splits, expected 1: portable kernels have no clusters");
  if (headDim > cuda::portable_max_head_dim)
    return llvm::createStringError(
        "head_dim " + std::to_string(headDim) + " has no portable CUDA kernel, expected at most " +
        std::to_string(cuda::portable_max_head_dim) + ", or target cuda:sm_90a");
  int64_t bytes = cudaLaunchForm(op).grid->sharedBytes;
  if (bytes > cuda::portable_shared_bytes)
    return llvm::createStringError("has " + std::to_string(bytes) +
                                   " bytes of shared memory, expected at most " +
                                   std::to_string(cuda::portable_shared_bytes));
  return llvm::Error::success();
}

/// The splits of a row are the blocks of a cluster.
static llvm::Error checkSplits(kernel::AttentionOp op) {
  int64_t splits = attentionSplits(op);
  if (splits <= cuda::max_splits)
    return llvm::Error::success();
  return llvm::createStringError("has " + std::to_string(splits) + " splits, expected at most " +
                                 std::to_string(cuda::max_splits) + ", the blocks of a cluster");
}

/// So are those of a row whose token is chosen.
static llvm::Error checkBlocks(kernel::SampleOp op) {
  int64_t blocks = sampleBlocks(op);
  if (blocks >= 1 && blocks <= cuda::sample_blocks)
    return llvm::Error::success();
  return llvm::createStringError("has " + std::to_string(blocks) + " blocks a row, expected 1 to " +
                                 std::to_string(cuda::sample_blocks));
}

llvm::Error qopt::checkPortableLaunch(Operation *launch) {
  if (isa<kernel::GemmOp, kernel::AttentionOp>(launch) && !isPortable(launch))
    return llvm::createStringError("has a schedule of Hopper's kernels, expected portable = 1");
  if (auto sample = dyn_cast<kernel::SampleOp>(launch); sample && sampleBlocks(sample) != 1)
    return llvm::createStringError("has " + std::to_string(sampleBlocks(sample)) +
                                   " blocks a row, expected 1: portable kernels have no clusters");
  return checkCUDALaunch(launch);
}

llvm::Error qopt::checkCUDALaunch(Operation *launch) {
  if (auto sample = dyn_cast<kernel::SampleOp>(launch))
    return checkBlocks(sample);
  if (auto attention = dyn_cast<kernel::AttentionOp>(launch))
    return isPortable(attention) ? checkPortable(attention) : checkSplits(attention);
  auto gemm = dyn_cast<kernel::GemmOp>(launch);
  if (!gemm)
    return llvm::Error::success();
  std::optional<cuda::GemmConfig> config = gemmConfig(gemm);
  if (!config)
    return llvm::createStringError("has no CUDA kernel for its weight");
  if (config->tile_n <= 0 || config->tile_t <= 0 || config->k_stage <= 0)
    return llvm::createStringError("has a schedule without tile_n, tile_t or k_stage");
  std::optional<cuda::PortableGemmConfig> portable = portableGemmConfig(gemm);
  if (const char *reason =
          portable ? cuda::reason_invalid(*portable) : cuda::reason_invalid(*config))
    return llvm::createStringError(std::string("has no CUDA kernel for its schedule: ") + reason);
  if (llvm::Error error = checkPrologueRows(gemm))
    return error;
  return checkTiles(gemm, *config);
}
