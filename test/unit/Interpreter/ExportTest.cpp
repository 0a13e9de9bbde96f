//===- ExportTest.cpp - A Hugging Face folder against its reference -------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "qopt/Frontend/Import.h"
#include "qopt/Interpreter/Interpreter.h"
#include "qopt/Quantization/Metrics.h"
#include "qopt/Support/Npy.h"
#include "qopt/Transforms/Passes.h"
#include <gtest/gtest.h>

using namespace qopt;

namespace {

template <typename T> Array read(llvm::StringRef name) {
  NpyArray<T> file;
  Status status = readNpy(QOPT_TEST_DIR "/unit/Interpreter/ref_past/" + name.str() + ".npy", file);
  EXPECT_TRUE(status) << status.message();
  Array array;
  array.shape.assign(file.shape.begin(), file.shape.end());
  array.values.assign(file.data.begin(), file.data.end());
  return array;
}

class Export : public ::testing::TestWithParam<std::pair<const char *, double>> {};

/// Seven tokens behind a past of five, a batch of two.
TEST_P(Export, logitsAndPresents_equalTheReferenceImplementation) {
  auto [format, bound] = GetParam();
  mlir::MLIRContext context;
  context.loadDialect<QOptDialect, kernel::KernelDialect, mlir::func::FuncDialect>();
  llvm::Expected<ImportedModel> model = importHF(QOPT_TEST_DIR "/fixtures/exports/hf", context);
  ASSERT_TRUE(bool(model)) << llvm::toString(model.takeError());
  mlir::PassManager manager(&context);
  AssignSchemesOptions schemes;
  schemes.format = format;
  manager.addPass(createAssignSchemes(schemes));
  ASSERT_TRUE(mlir::succeeded(manager.run(*model->module)));

  auto forward = model->module->lookupSymbol<mlir::func::FuncOp>("forward");
  std::vector<Array> arguments;
  for (mlir::BlockArgument argument : forward.getArguments()) {
    auto name = forward.getArgAttrOfType<mlir::StringAttr>(argument.getArgNumber(), "qopt.name");
    ASSERT_TRUE(name);
    bool isFloat =
        mlir::cast<mlir::RankedTensorType>(argument.getType()).getElementType().isFloat();
    arguments.push_back(isFloat ? read<float>(name) : read<int64_t>(name));
  }
  auto results = Interpreter(*model->module, model->weights).runDense(arguments);
  ASSERT_TRUE(bool(results)) << llvm::toString(results.takeError());
  const char *names[] = {"logits", "present.0.key", "present.0.value", "present.1.key",
                         "present.1.value"};
  ASSERT_EQ(results->size(), std::size(names));
  for (auto [name, result] : llvm::zip(names, *results)) {
    Array expected = read<float>(name);
    ASSERT_EQ(result.shape, expected.shape) << name;
    ErrorEnergy energy;
    energy.add(expected.values.data(), result.values.data(), expected.values.size());
    EXPECT_LT(energy.relative(), bound) << name;
    RecordProperty(name, std::to_string(energy.relative() * 1e6));
  }
}

INSTANTIATE_TEST_SUITE_P(Interpreter, Export,
                         ::testing::Values(std::pair("fp32", 1e-5), std::pair("bf16", 2e-2)));

} // namespace
