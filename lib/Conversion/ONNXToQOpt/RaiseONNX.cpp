//===- RaiseONNX.cpp - A normalised ONNX graph as a model -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Conversion/ONNXToQOpt/RaiseONNX.h"
#include "Raiser.h"
#include "mlir/Pass/PassManager.h"
#include "qopt/Conversion/ONNXToQOpt/Passes.h"
#include "qopt/Transforms/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_RAISEONNX
#include "qopt/Conversion/ONNXToQOpt/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

RopeAttr qopt::ropeAttr(MLIRContext *context, int64_t headDim, const RopeConfig &rope) {
  Builder builder(context);
  using Scaling = RopeConfig::Scaling;
  FloatAttr factor, low, high;
  DenseF32ArrayAttr table;
  int64_t original = 0;
  RopeScalingKind kind = RopeScalingKind::None;
  if (rope.scaling == Scaling::linear || rope.scaling == Scaling::llama3)
    factor = builder.getF64FloatAttr(rope.factor);
  if (rope.scaling == Scaling::linear)
    kind = RopeScalingKind::Linear;
  if (rope.scaling == Scaling::llama3) {
    kind = RopeScalingKind::Llama3;
    low = builder.getF64FloatAttr(rope.lowFreqFactor);
    high = builder.getF64FloatAttr(rope.highFreqFactor);
    original = rope.originalContext;
  }
  if (rope.scaling == Scaling::table) {
    kind = RopeScalingKind::Table;
    table = builder.getDenseF32ArrayAttr(rope.table);
  }
  return RopeAttr::get(context, headDim, builder.getF64FloatAttr(rope.theta), kind, factor, low,
                       high, original, table);
}

LogicalResult qopt::raiseONNX(ModuleOp module, RaisedONNX &raised,
                              const WeightStore *initializers) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main || main.isDeclaration())
    return module.emitError("has no function @main");
  if (failed(onnx_graph::Raiser(main, initializers, raised).run()))
    return failure();
  module->removeAttr("onnx_graph.opset");
  return success();
}

namespace {

struct RaiseONNX : public qopt::impl::RaiseONNXBase<RaiseONNX> {
  void runOnOperation() override {
    RaisedONNX raised;
    OpPassManager order(ModuleOp::getOperationName());
    order.addPass(createCanonicalOrder());
    if (failed(raiseONNX(getOperation(), raised)) || failed(runPipeline(order, getOperation())))
      signalPassFailure();
  }
};

} // namespace
