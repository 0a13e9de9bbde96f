//===- KernelTypes.cpp - Verification of types and attributes -------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Dialect/Kernel/IR/KernelDialect.h"

using namespace mlir;
using namespace qopt::kernel;
using qopt::QuantizedType;

LogicalResult LayoutAttr::verify(function_ref<InFlightDiagnostic()> emitError, LayoutKind kind,
                                 int64_t tileN, int64_t kPack, int64_t interleave) {
  bool isTiled = kind == LayoutKind::Tiled;
  if (!isTiled && (tileN != 0 || kPack != 0))
    return emitError() << stringifyLayoutKind(kind) << " layout has no tile_n or k_pack";
  if (isTiled && (tileN <= 0 || kPack <= 0))
    return emitError() << "tiled layout needs a positive tile_n and k_pack";
  bool hasUnits = kind == LayoutKind::Swizzled || kind == LayoutKind::Fragment;
  if (interleave != 0 && (interleave != 1 || !hasUnits))
    return emitError() << "interleave is " << interleave
                       << ", expected 0, or 1 in a swizzled or fragment layout";
  return success();
}

/// What the CUDA layouts hold.
static LogicalResult verifyElement(function_ref<InFlightDiagnostic()> emitError,
                                   RankedTensorType tensor, LayoutAttr layout) {
  Type element = tensor.getElementType();
  auto quantized = dyn_cast<QuantizedType>(element);
  if (layout.getKind() == LayoutKind::Swizzled) {
    bool isCode = quantized && quantized.isPerChannel() && !quantized.isAffine() &&
                  quantized.getStorage().getIntOrFloatBitWidth() == 8;
    if (!element.isBF16() && !isCode)
      return emitError() << "swizzled layout holds bf16 or 8-bit codes per channel, found "
                         << element;
  }
  if (layout.getKind() == LayoutKind::Fragment) {
    if (!quantized || !quantized.getStorage().isInteger())
      return emitError() << "fragment layout holds integers with scales, found " << element;
    int64_t group = quantized.isGrouped() ? quantized.getGroupSize() : tensor.getDimSize(1);
    if (group % 16 != 0)
      return emitError() << "fragment layout needs groups of a multiple of 16, found " << group;
  }
  return success();
}

LogicalResult PackedType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 RankedTensorType tensor, LayoutAttr layout) {
  if (!tensor.hasStaticShape() || tensor.getRank() != 2)
    return emitError() << "packed tensor must have a static shape of rank 2, found " << tensor;
  if (tensor.getNumElements() == 0)
    return emitError() << "packed tensor must have elements, found " << tensor;
  auto quantized = dyn_cast<QuantizedType>(tensor.getElementType());
  if (quantized && quantized.isGrouped() && tensor.getDimSize(1) % quantized.getGroupSize() != 0)
    return emitError() << "group size " << quantized.getGroupSize()
                       << " does not divide K = " << tensor.getDimSize(1);
  if (layout.getInterleave() && tensor.getDimSize(0) % 16 != 0)
    return emitError() << "interleaved layout needs two sources of a multiple of 8 rows, found N = "
                       << tensor.getDimSize(0);
  return verifyElement(emitError, tensor, layout);
}

int64_t ScheduleAttr::get(llvm::StringRef name, int64_t otherwise) const {
  auto value = getParams().getAs<IntegerAttr>(name);
  return value ? value.getInt() : otherwise;
}
