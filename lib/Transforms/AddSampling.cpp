//===- AddSampling.cpp - Tokens chosen in the plan ------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Transforms/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_ADDSAMPLING
#include "qopt/Transforms/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

struct AddSampling : public qopt::impl::AddSamplingBase<AddSampling> {
  using AddSamplingBase::AddSamplingBase;

  void runOnOperation() override {
    for (auto plan : getOperation().getOps<kernel::PlanOp>())
      for (auto output : plan.getOps<kernel::OutputOp>()) {
        auto logits = cast<MemRefType>(output.getLogits().getType());
        if (output.getSampled().empty() && logits.getDimSize(1) <= maxVocabulary)
          add(output);
      }
  }

private:
  static void add(kernel::OutputOp output) {
    OpBuilder builder(output);
    Location loc = output.getLoc();
    constexpr int64_t rowWords = 14; // as the verifier of kernel.input says
    auto type = MemRefType::get({ShapedType::kDynamic, rowWords}, builder.getI32Type());
    Value sampling = kernel::InputOp::create(builder, loc, type, kernel::StepInput::Sampling);
    Value sampled[] = {allocate(builder, loc, builder.getI32Type()),
                       allocate(builder, loc, builder.getF32Type())};
    kernel::SampleOp::create(builder, loc, output.getLogits(), sampling, sampled,
                             kernel::ScheduleAttr(), FlatSymbolRefAttr());
    output.getSampledMutable().assign(sampled);
  }

  /// An element for each logit row.
  static Value allocate(OpBuilder &builder, Location loc, Type element) {
    auto type = MemRefType::get({ShapedType::kDynamic}, element);
    auto rows = kernel::RowsAttr::get(builder.getContext(), kernel::Rows::LogitRows);
    return kernel::AllocOp::create(builder, loc, type, rows, IntegerAttr(), UnitAttr());
  }
};

} // namespace
