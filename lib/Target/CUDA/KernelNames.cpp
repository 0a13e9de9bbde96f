//===- KernelNames.cpp - Readable names of CUDA kernels -------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelNames.h"
#include "../LaunchKey.h"
#include "KernelConfigs.h"

using namespace mlir;
using namespace qopt;

static std::string columns(Value buffer) {
  return std::to_string(cast<MemRefType>(buffer.getType()).getShape().back());
}

static std::string gemmName(kernel::GemmOp op) {
  std::string name = "gemm_" + formatName(op) + "_k" + columns(op.getInput()) + "_n" +
                     columns(op.getOuts()[0]) + (op.isPair() ? "_pair" : "") +
                     (op.getNorm() ? "_norm" : op.getQuantize() ? "_quantize" : "");
  if (std::optional<cuda::GemmConfig> c = gemmConfig(op)) {
    const char *products = isPortable(op) ? "_p" : c->wgmma ? "_w" : "_c";
    name += products + std::to_string(c->tile_n) + "_t" + std::to_string(c->tile_t) +
            (c->k_warps > 1 ? "_k" + std::to_string(c->k_warps) : "") +
            (c->cluster > 1 ? "_x" + std::to_string(c->cluster) : "");
  }
  return name;
}

static std::string attentionName(kernel::AttentionOp op) {
  cuda::AttentionConfig c = attentionConfig(op);
  int64_t splits = attentionSplits(op);
  std::string kind = op.hasRopeAppend() ? "rope_" : isPortable(op) ? "portable_" : "";
  return kind + "attention_" + (splits ? "decode_s" + std::to_string(splits) : "tiles") + "_h" +
         std::to_string(c.heads) + "_kv" + std::to_string(c.kv_heads) + "_d" +
         std::to_string(c.head_dim);
}

std::string qopt::cudaKernelName(Operation *launch) {
  if (auto gemm = dyn_cast<kernel::GemmOp>(launch))
    return gemmName(gemm);
  if (auto attention = dyn_cast<kernel::AttentionOp>(launch))
    return attentionName(attention);
  std::string name = launch->getName().stripDialect().str();
  if (auto append = dyn_cast<kernel::KVAppendOp>(launch))
    return name + "_k" + columns(append.getKey());
  if (auto sample = dyn_cast<kernel::SampleOp>(launch))
    return name + "_v" + columns(sample.getLogits());
  // The outputs come last; with two of them the first holds codes.
  auto outs = cast<OperandRange>(launch->getOperands()).take_back(2);
  bool quantizes = isa<kernel::NormOp, kernel::ElementwiseOp, kernel::QuantizeOp>(launch) &&
                   cast<MemRefType>(launch->getOperands().back().getType()).getRank() == 1;
  Value out = quantizes ? outs.front() : outs.back();
  if (quantizes)
    name += "_" + elementName(cast<MemRefType>(out.getType()).getElementType());
  return name + "_k" + columns(out);
}
