//===- Layout.h - Where the elements of a packed weight are -----*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The CPU's choice of `#kernel.layout`, and the byte offsets that follow from
/// one: what the packer writes and the kernels read.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_TARGET_CPU_LAYOUT_H
#define QOPT_TARGET_CPU_LAYOUT_H

#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include "qopt/Target/CPU/CPUTarget.h"
#include "llvm/Support/MathExtras.h"

namespace qopt {

/// Vectors of channels in a tile: with `tile_m` rows of accumulators for each
/// they fill the registers.
constexpr int64_t vectorsPerTile = 2;

/// The layout of a weight of this type [N, K] on `target`; null for an element
/// type that has no kernel.
kernel::LayoutAttr cpuLayout(mlir::RankedTensorType type, const CPUTarget &target);

/// Offsets in the image of a packed weight, in bytes unless said otherwise.
struct WeightImage {
  explicit WeightImage(kernel::PackedType type);

  int64_t n, k;         ///< channels; elements of a channel
  int64_t tileN, kPack; ///< channels of a tile, elements of K side by side
  int64_t group;        ///< elements that share a scale: K when per channel or plain
  int64_t codeBits;     ///< bits of an element
  int64_t alignment;    ///< of a tile: 64, or 1 in row_major
  bool isGrouped;       ///< whether groups along K have scales of their own
  mlir::Type element;   ///< what is stored: bf16, i4, ...
  mlir::Type scale;     ///< null when plain
  mlir::Type minimum;   ///< null unless affine

  int64_t tiles() const { return llvm::divideCeil(n, tileN); }
  int64_t groups() const { return k / group; }
  int64_t steps() const { return llvm::divideCeil(group, kPack); } ///< of kPack, in a group
  int64_t stepBytes() const { return tileN * kPack * codeBits / 8; }
  int64_t codeBytes() const { return steps() * stepBytes(); } ///< of a group
  int64_t scaleBytes() const { return scale ? tileN * scale.getIntOrFloatBitWidth() / 8 : 0; }
  int64_t minimumBytes() const { return minimum ? tileN * minimum.getIntOrFloatBitWidth() / 8 : 0; }
  int64_t groupBytes() const { return codeBytes() + scaleBytes() + minimumBytes(); }
  int64_t tileBytes() const { return llvm::alignTo(groups() * groupBytes(), alignment); }
  int64_t bytes() const { return tiles() * tileBytes(); }
};

/// What a linear layer multiplies, and adds to: with the type of its operands their
/// lanes of 32 bits hold one, two or four elements of K.
enum class Products {
  Floats, ///< float32 by float32, to float32
  Shorts, ///< int16 activations of a group's fixed point by 4-bit codes, to int32
  Bytes,  ///< int8 by int8, to int32
};

/// Of weights in `image` and activations of this element.
Products productsOf(const WeightImage &image, mlir::Type activations);

constexpr int64_t elementsOfLane(Products products) {
  return products == Products::Floats ? 1 : products == Products::Shorts ? 2 : 4;
}

/// The bit in an eight-element word of 4-bit codes where element k starts: even
/// elements fill the low half, odd ones the high half, so that a shifted word
/// holds two neighbours in its 16-bit halves.
constexpr int64_t nibbleBit(int64_t k) { return 4 * (k / 2 + 4 * (k % 2)); }

} // namespace qopt

#endif // QOPT_TARGET_CPU_LAYOUT_H
