//===- LlamaTensors.h - The tensors of a Llama model -------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Which tensors a configuration has, by canonical (Hugging Face) name, and
/// whether a store holds exactly those.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_LLAMATENSORS_H
#define QOPT_FRONTEND_LLAMATENSORS_H

#include "qopt/Frontend/LlamaConfig.h"
#include "qopt/Frontend/Text.h"
#include <vector>

namespace qopt {

struct LlamaTensor {
  std::string name;
  llvm::SmallVector<int64_t, 2> shape; ///< [out, in], or [width] of norms and biases
};

/// Fails on a size that is not positive, implausibly large or inconsistent with
/// the others, and names it.
llvm::Error checkLlamaConfig(const LlamaConfig &config);

/// In the order of execution: embeddings, layers, final norm, lm_head unless
/// tied.
std::vector<LlamaTensor> llamaTensors(const LlamaConfig &config);

/// Fails when a tensor is missing, has another shape, or does not belong to the
/// model; lists every such tensor, the first 16 by name.
llvm::Error checkLlamaTensors(const LlamaConfig &config, const WeightStore &weights);

/// Whether two tensors of one shape have the same values.
llvm::Expected<bool> haveEqualValues(const WeightTensor &a, const WeightTensor &b);

} // namespace qopt

#endif // QOPT_FRONTEND_LLAMATENSORS_H
