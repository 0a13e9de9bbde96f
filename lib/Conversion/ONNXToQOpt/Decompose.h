//===- Decompose.h - Fused operators as primitive ones ----------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CONVERSION_ONNXTOQOPT_DECOMPOSE_H
#define QOPT_LIB_CONVERSION_ONNXTOQOPT_DECOMPOSE_H

#include "GraphBuilder.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace qopt::onnx_graph {

/// The shape of a value for one step; nothing where it is not known.
using ShapeOracle = llvm::function_ref<std::optional<Shape>(mlir::Value)>;

/// One decomposition: makes primitive nodes before `node` and gives the values
/// that replace its results (null for one that must have no uses), or nothing
/// where the node's form is not known.
using Decomposition = std::optional<llvm::SmallVector<mlir::Value>> (*)(NodeOp node,
                                                                        GraphBuilder &graph,
                                                                        ShapeOracle shapeOf);

/// Null when the operator is not of the group.
Decomposition findNormDecomposition(NodeOp node);
Decomposition findRotaryDecomposition(NodeOp node);
Decomposition findAttentionDecomposition(NodeOp node);
Decomposition findLinearDecomposition(NodeOp node);

} // namespace qopt::onnx_graph

#endif // QOPT_LIB_CONVERSION_ONNXTOQOPT_DECOMPOSE_H
