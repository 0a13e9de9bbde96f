//===- SourceHash.h - What a model was made from -----------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_SOURCEHASH_H
#define QOPT_FRONTEND_SOURCEHASH_H

#include "qopt/Frontend/Weights.h"

namespace qopt {

/// XXH3-128 in hexadecimal of the source's own description (a config.json, a
/// file's header) and of every tensor's name, shape and type; not of values.
std::string hashSource(llvm::StringRef description, const WeightStore &weights);

} // namespace qopt

#endif // QOPT_FRONTEND_SOURCEHASH_H
