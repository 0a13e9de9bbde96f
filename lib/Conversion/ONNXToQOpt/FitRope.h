//===- FitRope.h - What rotary frequencies come from ------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CONVERSION_ONNXTOQOPT_FITROPE_H
#define QOPT_LIB_CONVERSION_ONNXTOQOPT_FITROPE_H

#include "qopt/Support/Rope.h"

namespace qopt {

/// The plainest configuration whose frequencies equal `frequencies` [head size /
/// 2] within `tolerance`, relative: none, linear or llama3 with round parameters,
/// or else a table.
RopeConfig fitRope(const std::vector<double> &frequencies, double tolerance);

} // namespace qopt

#endif // QOPT_LIB_CONVERSION_ONNXTOQOPT_FITROPE_H
