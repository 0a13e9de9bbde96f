//===- InitAll.cpp - Registration of every dialect and pass ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/InitAll.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "qopt/Conversion/ONNXToQOpt/Passes.h"
#include "qopt/Conversion/Passes.h"
#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include "qopt/Dialect/ONNX/IR/ONNXGraphDialect.h"
#include "qopt/Dialect/QOpt/IR/QOptDialect.h"
#include "qopt/Target/CPU/Passes.h"
#include "qopt/Target/CUDA/Passes.h"
#include "qopt/Transforms/Passes.h"
#include "qopt/Transforms/Pipelines.h"

void qopt::registerDialects(mlir::DialectRegistry &registry) {
  registry.insert<QOptDialect, kernel::KernelDialect, onnx_graph::ONNXGraphDialect,
                  mlir::arith::ArithDialect, mlir::func::FuncDialect, mlir::LLVM::LLVMDialect,
                  mlir::math::MathDialect, mlir::memref::MemRefDialect, mlir::scf::SCFDialect,
                  mlir::vector::VectorDialect>();
}

void qopt::registerPasses() {
  registerQOptPasses();
  registerQOptConversionPasses();
  registerQOptONNXPasses();
  registerQOptCPUPasses();
  registerQOptCUDAPasses();
  registerPipelines();
}
