//===- OpsTest.h - Functions of a few operations -----------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_UNIT_INTERPRETER_OPSTEST_H
#define QOPT_TEST_UNIT_INTERPRETER_OPSTEST_H

#include "TestModel.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "qopt/Dialect/QOpt/IR/QOptDialect.h"
#include <cmath>
#include <gtest/gtest.h>

namespace qopt::testing {

using Values = std::vector<double>;

/// Runs a dense function given as text on weights in memory.
class Ops : public ::testing::Test {
protected:
  Ops() { context.loadDialect<QOptDialect, mlir::func::FuncDialect>(); }

  void weight(const std::string &name, llvm::ArrayRef<int64_t> shape, std::vector<float> values) {
    store.insert(std::make_unique<MemoryTensor>(name, shape, std::move(values)));
  }

  /// The results of `func.func @forward` + text.
  llvm::Expected<std::vector<Array>> run(const std::string &text, std::vector<Array> arguments,
                                         bool float64 = false) {
    module = mlir::parseSourceString<mlir::ModuleOp>("func.func @forward" + text, &context);
    EXPECT_TRUE(module);
    if (!module)
      return llvm::createStringError("the module does not parse");
    return Interpreter(*module, store, {float64}).runDense(arguments);
  }

  /// The values of the one result.
  std::vector<double> values(const std::string &text, std::vector<Array> arguments,
                             bool float64 = false) {
    auto results = run(text, std::move(arguments), float64);
    if (!results) {
      ADD_FAILURE() << llvm::toString(results.takeError());
      return std::vector<double>(64, NAN); // for whoever indexes it
    }
    return results->front().values;
  }

  std::string failure(const std::string &text, std::vector<Array> arguments) {
    auto results = run(text, std::move(arguments));
    return results ? "no error" : llvm::toString(results.takeError());
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  WeightStore store;
};

} // namespace qopt::testing

#endif // QOPT_TEST_UNIT_INTERPRETER_OPSTEST_H
