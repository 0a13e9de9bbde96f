//===- LaunchForm.cpp - Grids and tensor maps of launches -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelConfigs.h"
#include "device/row_config.h"
#include "device/sample_config.h"
#include "qopt/Target/CUDA/CUDATarget.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace qopt;

namespace {

int64_t columnsOf(Value buffer) { return cast<MemRefType>(buffer.getType()).getShape().back(); }

/// A block for each row.
LaunchForm rowForm(int64_t threads, int64_t y = 1) {
  LaunchForm form;
  form.grid = GridForm{};
  form.grid->threads = threads;
  form.grid->y = y;
  return form;
}

/// The portable kernels copy tokens without a map.
LaunchForm portableGemmForm(const cuda::PortableGemmConfig &config) {
  LaunchForm form = rowForm(cuda::threads(config), cuda::grid_y(config));
  form.grid->rowsPerBlock = config.layer.tile_t;
  form.grid->sharedBytes = cuda::shared_bytes(config);
  return form;
}

LaunchForm gemmForm(kernel::GemmOp op) {
  if (std::optional<cuda::PortableGemmConfig> portable = portableGemmConfig(op))
    return portableGemmForm(*portable);
  cuda::GemmConfig config = gemmConfig(op).value();
  LaunchForm form = rowForm(cuda::threads(config), cuda::grid_y(config));
  // A block that stays takes all rows, which are no more than the plan's.
  int64_t rows = kernel::maxRowsOf(op, op->getParentOfType<kernel::PlanOp>());
  form.grid->rowsPerBlock =
      is_persistent(config) ? rows : int64_t(cuda::rows_per_block(config));
  form.grid->sharedBytes = cuda::shared_bytes(config);
  if (!op.hasPrologue())
    form.maps.push_back({op.getInput(), cuda::box_tokens(config)});
  return form;
}

LaunchForm portableAttentionForm(const cuda::AttentionConfig &config, bool isDecode) {
  LaunchForm form = rowForm(cuda::portable_threads(config), config.kv_heads);
  form.grid->sharedBytes = cuda::decode_shared_bytes(config);
  if (isDecode)
    return form;
  form.grid->rows = GridRows::queryTiles;
  form.grid->z = cuda::portable_row_blocks(config);
  form.grid->sharedBytes = cuda::portable_tile_bytes(config);
  return form;
}

LaunchForm attentionForm(kernel::AttentionOp op) {
  cuda::AttentionConfig config = attentionConfig(op);
  int64_t splits = attentionSplits(op);
  if (isPortable(op))
    return portableAttentionForm(config, /*isDecode=*/splits != 0);
  LaunchForm form = rowForm(splits ? cuda::decode_threads(config) : cuda::tile_threads(config),
                            config.kv_heads);
  form.grid->sharedBytes =
      splits ? cuda::decode_shared_bytes(config) : cuda::tile_shared_bytes(config);
  if (splits)
    form.grid->z = splits;
  else
    form.grid->rows = GridRows::queryTiles;
  return form;
}

LaunchForm elementwiseForm(kernel::ElementwiseOp op) {
  int64_t columns = columnsOf(op.getOuts()[0]);
  if (op.getOuts().size() == 2)
    return rowForm(cuda::row_threads(columns));
  return rowForm(cuda::elementwise_threads(columns), cuda::elementwise_blocks(columns));
}

LaunchForm sampleForm(kernel::SampleOp op) {
  int vocabulary = static_cast<int>(columnsOf(op.getLogits()));
  cuda::SampleConfig config = {vocabulary, vocabulary, static_cast<int>(sampleBlocks(op))};
  LaunchForm form = rowForm(cuda::sample_threads(config));
  form.grid->z = config.blocks;
  form.grid->sharedBytes = cuda::sample_shared_bytes(config);
  return form;
}

LaunchForm ropeForm(int64_t heads, int64_t kvHeads, int64_t headDim) {
  return rowForm(cuda::rope_threads(heads, kvHeads, headDim));
}

} // namespace

LaunchForm qopt::cudaLaunchForm(Operation *launch) {
  LaunchForm form =
      llvm::TypeSwitch<Operation *, LaunchForm>(launch)
          .Case([](kernel::GemmOp op) { return gemmForm(op); })
          .Case([](kernel::AttentionOp op) { return attentionForm(op); })
          .Case([](kernel::ElementwiseOp op) { return elementwiseForm(op); })
          .Case<kernel::NormOp, kernel::QuantizeOp, kernel::GatherOp>(
              [](auto op) { return rowForm(cuda::row_threads(columnsOf(op.getInput()))); })
          .Case([](kernel::EmbeddingOp op) {
            return rowForm(cuda::row_threads(columnsOf(op.getOuts()[0])));
          })
          .Case([](kernel::SampleOp op) { return sampleForm(op); })
          .Case([](kernel::RotaryTableOp) { return rowForm(rotaryThreads); })
          .Case([](kernel::RopeOp op) {
            int64_t headDim = columnsOf(op.getTable());
            return ropeForm(columnsOf(op.getInput()) / headDim, 0, headDim);
          })
          .Case([](kernel::KVAppendOp op) {
            KVCacheType cache = op.getCache().getType();
            return ropeForm(0, cache.getKvHeads(), cache.getHeadDim());
          })
          .Case([](kernel::RopeAppendOp op) {
            KVCacheType cache = op.getCache().getType();
            return ropeForm(columnsOf(op.getQuery()) / cache.getHeadDim(), cache.getKvHeads(),
                            cache.getHeadDim());
          });
  if (kernel::rowsOf(launch) == kernel::Rows::LogitRows)
    form.grid->rows = GridRows::logitRows;
  return form;
}
