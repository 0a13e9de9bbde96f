//===- ONNXGraphDialect.cpp - The onnx_graph dialect ----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Dialect/ONNX/IR/ONNXGraphDialect.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt::onnx_graph;

#include "qopt/Dialect/ONNX/IR/ONNXGraphDialect.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "qopt/Dialect/ONNX/IR/ONNXGraphTypes.cpp.inc"

void ONNXGraphDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "qopt/Dialect/ONNX/IR/ONNXGraphTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "qopt/Dialect/ONNX/IR/ONNXGraphOps.cpp.inc"
      >();
}
