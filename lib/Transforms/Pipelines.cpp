//===- Pipelines.cpp - The stages of a compile ----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Transforms/Pipelines.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "qopt/Conversion/Passes.h"
#include "qopt/Target/Target.h"
#include "qopt/Transforms/Passes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace qopt;

namespace {

struct Fusion {
  const char *name;
  std::unique_ptr<Pass> (*create)();
};

/// In the order in which they run: merged layers first, then what joins them.
constexpr Fusion fusions[] = {
    {"qkv", [] { return createFuseQKV(); }},
    {"gate-up", [] { return createFuseGateUp(); }},
    {"residual", [] { return createFuseResidual(); }},
    {"norm-quantize", [] { return createFuseNormQuantize(); }},
    {"silu-quantize", [] { return createFuseSiluQuantize(); }},
    {"rope-append", [] { return createFuseRopeAppend(); }},
};

/// Fusions of launches, by the same option.
constexpr const char *swigluFusion = "swiglu", *ropeAttentionFusion = "rope-attention",
                     *prologueFusion = "prologue";

/// The options of `qopt-lower-model` and `qopt-lower-kernel` as text.
struct TextOptions : public PassPipelineOptions<TextOptions> {
  PipelineOptions defaults;
  Option<std::string> format{*this, "format",
                             llvm::cl::desc("fp32, bf16, w8a8-fp8, w8a8-int8, w4a16 or keep"),
                             llvm::cl::init(defaults.format)};
  Option<int64_t> groupSize{*this, "group-size",
                            llvm::cl::desc("w4a16: elements that share a scale, 0 chooses"),
                            llvm::cl::init(defaults.groupSize)};
  Option<bool> asymmetric{*this, "asymmetric",
                          llvm::cl::desc("w4a16: a float minimum for each group"),
                          llvm::cl::init(defaults.asymmetric)};
  Option<std::string> lmHead{*this, "lm-head", llvm::cl::desc("native, or 8bit"),
                             llvm::cl::init(defaults.lmHead)};
  Option<std::string> target{*this, "target", llvm::cl::desc("the target"),
                             llvm::cl::init(defaults.target)};
  Option<int64_t> maxTokens{*this, "max-tokens", llvm::cl::desc("tokens that one step can take"),
                            llvm::cl::init(defaults.maxTokens)};
  Option<int64_t> maxLogitRows{*this, "max-logit-rows",
                               llvm::cl::desc("tokens of one step whose logits can be asked for"),
                               llvm::cl::init(defaults.maxLogitRows)};
  ListOption<int64_t> buckets{*this, "buckets",
                              llvm::cl::desc("token counts that get a plan of their own")};
  Option<std::string> schedule{*this, "schedule",
                               llvm::cl::desc("a table of measured schedules"),
                               llvm::cl::init(defaults.schedule)};
  ListOption<std::string> disableFusion{*this, "disable-fusion",
                                        llvm::cl::desc("fusions to leave out")};

  PipelineOptions get() const {
    return {format,
            groupSize,
            asymmetric,
            lmHead,
            target,
            maxTokens,
            maxLogitRows,
            {buckets.begin(), buckets.end()},
            schedule,
            {disableFusion.begin(), disableFusion.end()}};
  }
};

void registerPipeline(StringRef name, StringRef description,
                      LogicalResult (*build)(OpPassManager &, const PipelineOptions &,
                                             std::string &)) {
  registerPassPipeline(
      name, description,
      [build](OpPassManager &manager, StringRef text,
              function_ref<LogicalResult(const Twine &)> errorHandler) -> LogicalResult {
        TextOptions options;
        if (failed(options.parseFromString(text)))
          return failure();
        std::string error;
        if (failed(build(manager, options.get(), error)))
          return errorHandler(error);
        return success();
      },
      [](function_ref<void(const mlir::detail::PassOptions &)> handle) { handle(TextOptions()); });
}

} // namespace

const std::vector<std::string> &qopt::fusionNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> names;
    for (const Fusion &fusion : fusions)
      names.push_back(fusion.name);
    names.push_back(swigluFusion);
    names.push_back(ropeAttentionFusion);
    names.push_back(prologueFusion);
    return names;
  }();
  return names;
}

LogicalResult qopt::buildModelPipeline(OpPassManager &manager, const PipelineOptions &options,
                                       std::string &error) {
  for (const std::string &name : options.disabledFusions)
    if (!llvm::is_contained(fusionNames(), name)) {
      error = "fusion is '" + name + "', expected one of " + llvm::join(fusionNames(), ", ");
      return failure();
    }
  manager.addPass(createPageKV());
  manager.addPass(createAssignSchemes(
      {options.format, options.groupSize, options.asymmetric, options.lmHead}));
  auto &functions = manager.nest<func::FuncOp>();
  for (const Fusion &fusion : fusions)
    if (!llvm::is_contained(options.disabledFusions, fusion.name))
      functions.addPass(fusion.create());
  functions.addPass(createPackWeights({options.target}));
  return success();
}

void qopt::buildKernelPipeline(OpPassManager &manager, const PipelineOptions &options) {
  manager.addPass(createConvertQOptToKernel({options.maxTokens, options.maxLogitRows}));
  llvm::Expected<std::unique_ptr<Target>> target = Target::parse(options.target);
  bool hasRopeAttention = target && (*target)->hasRopeAttention();
  if (target) {
    if ((*target)->hasPairEpilogues() &&
        !llvm::is_contained(options.disabledFusions, swigluFusion))
      manager.addPass(createFuseSwiGLU());
    if (int64_t vocabulary = (*target)->maxSampledVocabulary())
      manager.addPass(createAddSampling({vocabulary}));
  } else {
    llvm::consumeError(target.takeError()); // the passes below report it
  }
  SelectScheduleOptions schedule;
  schedule.target = options.target;
  llvm::append_range(schedule.buckets, options.buckets);
  schedule.schedule = options.schedule;
  manager.addPass(createSelectSchedule(schedule));
  if (hasRopeAttention && !llvm::is_contained(options.disabledFusions, ropeAttentionFusion))
    manager.addPass(createFuseRopeAttention());
  if (!llvm::is_contained(options.disabledFusions, prologueFusion))
    manager.addPass(createFusePrologue({options.target, options.schedule}));
  manager.addPass(createPlanMemory());
  manager.addPass(createVerifyPlan({options.target}));
}

void qopt::registerPipelines() {
  registerPipeline("qopt-lower-model", "Dense model to ragged, quantized, fused and packed",
                   &buildModelPipeline);
  registerPipeline("qopt-lower-kernel", "Ragged model to scheduled plans with memory",
                   [](OpPassManager &manager, const PipelineOptions &options, std::string &) {
                     buildKernelPipeline(manager, options);
                     return success();
                   });
}
