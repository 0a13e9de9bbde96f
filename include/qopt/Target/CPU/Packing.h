//===- Packing.h - The bytes of a packed weight -----------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Writes the byte image that `#kernel.layout` describes, tile by tile: nothing
/// larger than a tile's rows is in memory, whatever the weight.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_TARGET_CPU_PACKING_H
#define QOPT_TARGET_CPU_PACKING_H

#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include "qopt/Frontend/Weights.h"
#include "qopt/Quantization/Metrics.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace qopt {

/// Bytes of the image of `type`.
int64_t packedSize(kernel::PackedType type);

/// Writes the image of `type`, whose rows are those of `sources` one after
/// another, in order to `write`. Rows are quantized to the element type, or kept
/// bit for bit where the source stores just that type and `keep` is set. Adds to
/// `energy` what quantization costs.
llvm::Error packWeight(kernel::PackedType type, llvm::ArrayRef<const WeightTensor *> sources,
                       bool keep, llvm::function_ref<llvm::Error(llvm::ArrayRef<char>)> write,
                       ErrorEnergy &energy);

/// The same for a vector (norm weight, bias): its elements in order.
llvm::Error packVector(mlir::MemRefType type, llvm::ArrayRef<const WeightTensor *> sources,
                       llvm::function_ref<llvm::Error(llvm::ArrayRef<char>)> write);

} // namespace qopt

#endif // QOPT_TARGET_CPU_PACKING_H
