//===- ONNXGraphDialect.h - The onnx_graph dialect --------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_ONNX_IR_ONNXGRAPHDIALECT_H
#define QOPT_DIALECT_ONNX_IR_ONNXGRAPHDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "qopt/Dialect/ONNX/IR/ONNXGraphDialect.h.inc"

#define GET_TYPEDEF_CLASSES
#include "qopt/Dialect/ONNX/IR/ONNXGraphTypes.h.inc"

#define GET_OP_CLASSES
#include "qopt/Dialect/ONNX/IR/ONNXGraphOps.h.inc"

#endif // QOPT_DIALECT_ONNX_IR_ONNXGRAPHDIALECT_H
