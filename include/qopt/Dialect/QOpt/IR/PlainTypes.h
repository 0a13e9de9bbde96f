//===- PlainTypes.h - Types of the dialect without MLIR ---------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_DIALECT_QOPT_IR_PLAINTYPES_H
#define QOPT_DIALECT_QOPT_IR_PLAINTYPES_H

#include "qopt/Dialect/QOpt/IR/QOptDialect.h"
#include "qopt/Quantization/Scheme.h"
#include "qopt/Support/Rope.h"

namespace qopt {

/// What ropeFrequencies computes the frequencies from.
RopeConfig ropeConfigOf(RopeAttr rope);

/// How codes and scales are computed; per token counts as per row.
Scheme schemeOf(QuantizedType type);

} // namespace qopt

#endif // QOPT_DIALECT_QOPT_IR_PLAINTYPES_H
