//===- Reader.h - ONNX files as onnx_graph modules --------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_ONNX_READER_H
#define QOPT_FRONTEND_ONNX_READER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "qopt/Frontend/Weights.h"
#include "llvm/Support/MemoryBufferRef.h"

namespace qopt {

struct ONNXGraph {
  mlir::OwningOpRef<mlir::ModuleOp> module; ///< `@main` of onnx_graph operations
  WeightStore initializers;                 ///< the floating ones, by the file's names
  std::string producer;                     ///< `pytorch 2.11.0`
};

/// Reads an ONNX file of IR version 3 or later with its external data, which is
/// mapped and must lie in the file's folder. Initializers and constants of at
/// most 64 KiB have their values in the module too. Calls of model-local
/// functions are replaced by their bodies. The file is not trusted.
llvm::Expected<ONNXGraph> readONNX(llvm::StringRef file, mlir::MLIRContext &context);

/// The same from the file's bytes, whose identifier is its path.
llvm::Expected<ONNXGraph> readONNX(llvm::MemoryBufferRef file, mlir::MLIRContext &context);

} // namespace qopt

#endif // QOPT_FRONTEND_ONNX_READER_H
