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
                                 int64_t tileN, int64_t kPack) {
  if (kind == LayoutKind::RowMajor && (tileN != 0 || kPack != 0))
    return emitError() << "row_major layout has no tile_n or k_pack";
  if (kind == LayoutKind::Tiled && (tileN <= 0 || kPack <= 0))
    return emitError() << "tiled layout needs a positive tile_n and k_pack";
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
  return success();
}

int64_t ScheduleAttr::get(llvm::StringRef name, int64_t otherwise) const {
  auto value = getParams().getAs<IntegerAttr>(name);
  return value ? value.getInt() : otherwise;
}
