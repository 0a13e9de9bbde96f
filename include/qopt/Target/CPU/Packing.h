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
#include "qopt/Target/CPU/Layout.h"
#include "qopt/Target/TilePacker.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace qopt {

/// Bytes of the image of `type`.
int64_t packedSize(kernel::PackedType type);

/// The image of `type`, whose rows are those of `sources` one after another, tile
/// by tile, in any order and on any threads. Rows are quantized to the element
/// type, or kept bit for bit where the source stores just that type and `keep`
/// is set.
class WeightPacker {
public:
  static llvm::Expected<WeightPacker>
  create(kernel::PackedType type, llvm::ArrayRef<const WeightTensor *> sources, bool keep);

  int64_t tiles() const { return image.tiles(); }
  int64_t tileBytes() const { return image.tileBytes(); }

  /// Writes as many tiles from `firstTile` on as there are `energies`, to which
  /// it adds what quantizing each of them costs. `to` has tileBytes() for each.
  llvm::Error pack(int64_t firstTile, llvm::MutableArrayRef<char> to,
                   llvm::MutableArrayRef<ErrorEnergy> energies) const;

private:
  WeightPacker(kernel::PackedType type, llvm::ArrayRef<const WeightTensor *> sources, bool keep)
      : type(type), image(type), sources(sources), keep(keep) {}

  kernel::PackedType type;
  WeightImage image;
  llvm::SmallVector<const WeightTensor *> sources;
  bool keep;
};

/// Packs all tiles in order to `write`, and adds what quantization costs to
/// `energy`.
llvm::Error packWeight(kernel::PackedType type, llvm::ArrayRef<const WeightTensor *> sources,
                       bool keep, llvm::function_ref<llvm::Error(llvm::ArrayRef<char>)> write,
                       ErrorEnergy &energy);

} // namespace qopt

#endif // QOPT_TARGET_CPU_PACKING_H
