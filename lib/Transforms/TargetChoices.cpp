//===- TargetChoices.cpp - What a target wants of the passes --------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TargetChoices.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace qopt;

namespace {

class CPUChoices : public TargetChoices {
public:
  CPUChoices(int64_t lanes) : lanes(lanes) {}

  kernel::LayoutAttr layout(RankedTensorType weight) const override {
    Type element = weight.getElementType();
    if (auto quantized = dyn_cast<QuantizedType>(element))
      element = quantized.getStorage();
    int64_t kPack = element.isF32() ? 1 : 32 / element.getIntOrFloatBitWidth();
    return kernel::LayoutAttr::get(weight.getContext(), kernel::LayoutKind::Tiled, 4 * lanes,
                                   kPack);
  }

  kernel::ScheduleAttr schedule(Operation *launch, int64_t maxTokens) const override {
    if (!isa<kernel::GemmOp>(launch))
      return {};
    Builder builder(launch);
    int64_t tileM = std::min<int64_t>(maxTokens, lanes == 16 ? 6 : 2);
    auto params =
        builder.getDictionaryAttr(builder.getNamedAttr("tile_m", builder.getI64IntegerAttr(tileM)));
    std::string reason = maxTokens == tileM
                             ? "a step has no more tokens"
                             : std::to_string(4 * tileM) + " accumulators of " +
                                   std::to_string(lanes) + " lanes fit the registers";
    return kernel::ScheduleAttr::get(builder.getContext(), params, builder.getStringAttr(reason),
                                     ArrayAttr());
  }

  ArrayRef<int64_t> buckets() const override {
    static constexpr int64_t counts[] = {1, 8, 64};
    return counts;
  }

private:
  int64_t lanes;
};

} // namespace

std::unique_ptr<TargetChoices> TargetChoices::create(Operation *op, StringRef name) {
  int64_t lanes = llvm::StringSwitch<int64_t>(name)
                      .Cases({"cpu:x86-64-v4", "cpu:znver4", "cpu:native", "cpu"}, 16)
                      .Case("cpu:x86-64-v3", 8)
                      .Case("cpu:x86-64-v2", 4)
                      .Default(0);
  if (lanes == 0) {
    op->emitError("target is '") << name << "', expected cpu:x86-64-v2, -v3, -v4, znver4 or native";
    return nullptr;
  }
  return std::make_unique<CPUChoices>(lanes);
}
