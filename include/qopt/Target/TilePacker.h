//===- TilePacker.h - The bytes of a packed weight --------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Writes the byte image that `#kernel.layout` describes, tile by tile, in any
/// order and on any threads: nothing larger than a tile's rows is in memory,
/// whatever the weight.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_TARGET_TILEPACKER_H
#define QOPT_TARGET_TILEPACKER_H

#include "mlir/IR/BuiltinTypes.h"
#include "qopt/Frontend/Weights.h"
#include "qopt/Quantization/Metrics.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace qopt {

class TilePacker {
public:
  virtual ~TilePacker() = default;

  virtual int64_t tiles() const = 0;
  virtual int64_t tileBytes() const = 0;

  /// Bytes of a tile that stand behind the last tile, in order of the tiles.
  virtual int64_t sideBytes() const { return 0; }

  /// Writes as many tiles from `firstTile` on as there are `energies`, to which
  /// it adds what quantizing each of them costs. `to` has tileBytes() for each,
  /// `sides` has sideBytes().
  virtual llvm::Error pack(int64_t firstTile, llvm::MutableArrayRef<char> to,
                           llvm::MutableArrayRef<char> sides,
                           llvm::MutableArrayRef<ErrorEnergy> energies) const = 0;
};

/// The elements of a vector (norm weight, bias) in order, in the type's elements.
llvm::Error packVector(mlir::MemRefType type, llvm::ArrayRef<const WeightTensor *> sources,
                       llvm::function_ref<llvm::Error(llvm::ArrayRef<char>)> write);

} // namespace qopt

#endif // QOPT_TARGET_TILEPACKER_H
