//===- Layout.cpp - Where the elements of a packed weight are -------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/CPU/Layout.h"

using namespace mlir;
using namespace qopt;

kernel::LayoutAttr qopt::cpuLayout(RankedTensorType type, const CPUTarget &target) {
  Type element = type.getElementType();
  if (auto quantized = dyn_cast<QuantizedType>(element))
    element = quantized.getStorage();
  unsigned bits = element.getIntOrFloatBitWidth();
  bool isFloat = element.isF32() || element.isBF16() || element.isF16();
  bool isCode = element.isInteger(4) || element.isInteger(8) || isa<Float8E4M3FNType>(element);
  if (!isFloat && !isCode)
    return {};
  // A lane of 32 bits holds as much of a channel's K as fits.
  return kernel::LayoutAttr::get(type.getContext(), kernel::LayoutKind::Tiled,
                                 vectorsPerTile * target.vectorLanes, 32 / bits, /*interleave=*/0);
}

WeightImage::WeightImage(kernel::PackedType type) {
  RankedTensorType tensor = type.getTensor();
  n = tensor.getDimSize(0);
  k = tensor.getDimSize(1);
  bool isTiled = type.getLayout().getKind() == kernel::LayoutKind::Tiled;
  tileN = isTiled ? type.getLayout().getTileN() : 1;
  kPack = isTiled ? type.getLayout().getKPack() : 1;
  alignment = isTiled ? 64 : 1;
  group = k;
  isGrouped = false;
  element = tensor.getElementType();
  if (auto quantized = dyn_cast<QuantizedType>(element)) {
    element = quantized.getStorage();
    scale = quantized.getScale();
    minimum = quantized.getMin();
    isGrouped = quantized.isGrouped();
    if (isGrouped)
      group = quantized.getGroupSize();
  }
  codeBits = element.getIntOrFloatBitWidth();
}

Products qopt::productsOf(const WeightImage &image, Type activations) {
  if (activations.isInteger(8))
    return Products::Bytes;
  // Vectors of a group; an int32 holds the sum of 4,096 codes by 15 bits.
  constexpr int64_t mostOfGroup = 512, multipleOf = 32;
  bool isGroup = image.isGrouped && image.group <= mostOfGroup && image.group % multipleOf == 0;
  bool isPair = image.codeBits == 4 && activations.isBF16();
  return isGroup && isPair ? Products::Shorts : Products::Floats;
}
