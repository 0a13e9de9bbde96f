//===- QOptTypes.cpp - Syntax and verification of types and attributes ----===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "qopt/Dialect/QOpt/IR/QOptDialect.h"

using namespace mlir;
using namespace qopt;

/// `<` storage `,` (`group` `=` int | `per_channel` | `per_token`)
///     `,` `scale` `=` type (`,` `min` `=` type)? `>`
Type QuantizedType::parse(AsmParser &parser) {
  Type storage;
  FloatType scale, min;
  int64_t groupSize;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseType(storage) || parser.parseComma())
    return {};
  if (succeeded(parser.parseOptionalKeyword("per_channel"))) {
    groupSize = perChannel;
  } else if (succeeded(parser.parseOptionalKeyword("per_token"))) {
    groupSize = perToken;
  } else if (parser.parseKeyword("group") || parser.parseEqual() ||
             parser.parseInteger(groupSize)) {
    return {};
  } else if (groupSize <= 0) {
    parser.emitError(loc, "group size must be positive, found ") << groupSize;
    return {};
  }
  if (parser.parseComma() || parser.parseKeyword("scale") || parser.parseEqual() ||
      parser.parseType(scale))
    return {};
  if (succeeded(parser.parseOptionalComma()) &&
      (parser.parseKeyword("min") || parser.parseEqual() || parser.parseType(min)))
    return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<QuantizedType>(loc, parser.getContext(), storage, groupSize, scale, min);
}

void QuantizedType::print(AsmPrinter &printer) const {
  printer << "<" << getStorage() << ", ";
  if (isPerChannel())
    printer << "per_channel";
  else if (isPerToken())
    printer << "per_token";
  else
    printer << "group = " << getGroupSize();
  printer << ", scale = " << getScale();
  if (isAffine())
    printer << ", min = " << getMin();
  printer << ">";
}

LogicalResult QuantizedType::verify(function_ref<InFlightDiagnostic()> emitError, Type storage,
                                    int64_t groupSize, FloatType scale, FloatType min) {
  bool isUnsigned4 = storage.isUnsignedInteger(4);
  if (!isUnsigned4 && !storage.isSignlessInteger(4) && !storage.isSignlessInteger(8) &&
      !isa<Float8E4M3FNType>(storage))
    return emitError() << "storage must be i4, ui4, i8 or f8E4M3FN, found " << storage;
  if (groupSize > 0 && groupSize % 16 != 0)
    return emitError() << "group size must be a multiple of 16, found " << groupSize;
  for (FloatType type : {scale, min})
    if (type && !type.isF32() && !type.isF16() && !type.isBF16())
      return emitError() << "scale and min must be f32, f16 or bf16, found " << type;
  if (isUnsigned4 != static_cast<bool>(min))
    return emitError() << "ui4 storage goes with a min, and only ui4 does";
  if (min && min != scale)
    return emitError() << "min must have the scale's type " << scale << ", found " << min;
  if (groupSize == perToken && (!isa<Float8E4M3FNType>(storage) && !storage.isInteger(8)))
    return emitError() << "per_token storage must be i8 or f8E4M3FN, found " << storage;
  return success();
}

LogicalResult KVCacheType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t layers,
                                  int64_t kvHeads, int64_t headDim, int64_t pageTokens, Type type) {
  if (layers <= 0 || kvHeads <= 0 || headDim <= 0 || pageTokens <= 0)
    return emitError() << "layers, kv_heads, head_dim and page_tokens must be positive";
  if (!isa<FloatType>(type))
    return emitError() << "cache type must be a float type, found " << type;
  return success();
}

LogicalResult RopeAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t headDim,
                               FloatAttr theta, RopeScalingKind scaling, FloatAttr factor,
                               FloatAttr low, FloatAttr high, int64_t original,
                               DenseF32ArrayAttr table) {
  if (headDim <= 0 || headDim % 2 != 0)
    return emitError() << "head_dim must be positive and even, found " << headDim;
  if (theta.getValueAsDouble() <= 0)
    return emitError() << "theta must be positive";
  bool needsFactor = scaling == RopeScalingKind::Linear || scaling == RopeScalingKind::Llama3;
  if (needsFactor && (!factor || factor.getValueAsDouble() <= 0))
    return emitError() << stringifyRopeScalingKind(scaling) << " scaling needs a positive factor";
  if (scaling == RopeScalingKind::Llama3 && (!low || !high || original <= 0))
    return emitError() << "llama3 scaling needs low, high and original";
  if (scaling == RopeScalingKind::Llama3 && low.getValueAsDouble() >= high.getValueAsDouble())
    return emitError() << "llama3 scaling needs low below high";
  if ((scaling == RopeScalingKind::Table) != static_cast<bool>(table))
    return emitError() << "table scaling, and only it, has a table";
  if (table && table.size() * 2 != headDim)
    return emitError() << "table has " << table.size()
                       << " frequencies, expected head_dim / 2 = " << headDim / 2;
  return success();
}
