//===- LowerToLLVM.cpp - From launches to functions -----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../LaunchKey.h"
#include "ElementConversions.h"
#include "GemmOperands.h"
#include "KernelEmitters.h"
#include "LaunchNames.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "qopt/Target/CPU/Passes.h"
#include "qopt/Target/CPU/Schedule.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/TypeSwitch.h"

namespace qopt {
#define GEN_PASS_DEF_LOWERTOLLVM
#include "qopt/Target/CPU/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

static bool isLaunch(Operation &op) {
  return isa<kernel::GemmOp, kernel::EmbeddingOp, kernel::NormOp, kernel::QuantizeOp,
             kernel::ElementwiseOp, kernel::RotaryTableOp, kernel::RopeOp, kernel::RopeAppendOp,
             kernel::KVAppendOp, kernel::AttentionOp, kernel::GatherOp>(op);
}

LaunchUnits qopt::launchUnits(Operation *launch) {
  if (auto gemm = dyn_cast<kernel::GemmOp>(launch))
    return {static_cast<uint64_t>(WeightImage(gemm.getWeight().getType()).tiles()), 0, 0};
  if (auto attention = dyn_cast<kernel::AttentionOp>(launch))
    return {0, static_cast<uint64_t>(attention.getNumHeads() / attentionHeads(attention)), 0};
  if (kernel::rowsOf(launch) == kernel::Rows::LogitRows)
    return {0, 0, 1};
  return {0, 1, 0};
}

//===----------------------------------------------------------------------===//
// What has no kernel
//===----------------------------------------------------------------------===//

static LogicalResult checkWeight(Operation *op, kernel::PackedType type, const CPUTarget &target) {
  WeightImage image(type);
  if (type.getLayout().getKind() == kernel::LayoutKind::Tiled && hasOperands(image) &&
      image.tileN % target.vectorLanes == 0 && image.k % image.group == 0)
    return success();
  return op->emitOpError("weight ") << type << " has no kernel on " << target.name;
}

static LogicalResult checkCache(Operation *op, KVCacheType type) {
  if (isWritable(type.getType()))
    return success();
  return op->emitOpError("cache of ") << type.getType() << " has no kernel, expected f32 or bf16";
}

/// Every output must be writable: values as f32 or bf16, codes as i8 or e4m3.
static LogicalResult checkOutputs(Operation *op, ValueRange outs) {
  for (Value out : outs) {
    Type element = cast<MemRefType>(out.getType()).getElementType();
    bool isCode = element.isInteger(8) || isa<Float8E4M3FNType>(element);
    if (!isWritable(element) && !(outs.size() == 2 && isCode))
      return op->emitOpError("output of ") << element << " has no kernel, expected f32 or bf16";
  }
  return success();
}

static LogicalResult checkInputs(Operation *op, ValueRange inputs) {
  for (Value input : inputs) {
    Type element = cast<MemRefType>(input.getType()).getElementType();
    if (!isReadable(element))
      return op->emitOpError("input of ")
             << element << " has no kernel, expected f32, bf16, f16 or f8E4M3FN";
  }
  return success();
}

static LogicalResult checkCopy(kernel::GatherOp op) {
  Type from = cast<MemRefType>(op.getInput().getType()).getElementType();
  Type to = cast<MemRefType>(op.getOuts()[0].getType()).getElementType();
  if (from == to)
    return success();
  return op.emitOpError("copies ") << from << " to " << to << ", expected the same type";
}

/// Every float that the launch reads one by one; codes and indices are other things.
static SmallVector<Value> floatInputs(Operation *op) {
  return llvm::TypeSwitch<Operation *, SmallVector<Value>>(op)
      .Case([](kernel::GemmOp gemm) -> SmallVector<Value> {
        if (gemm.getScales())
          return {};
        return {gemm.getInput()};
      })
      .Case([](kernel::NormOp norm) -> SmallVector<Value> {
        return {norm.getInput(), norm.getWeight()};
      })
      .Case<kernel::QuantizeOp, kernel::RopeOp>(
          [](auto launch) -> SmallVector<Value> { return {launch.getInput()}; })
      .Case([](kernel::RopeAppendOp rope) -> SmallVector<Value> {
        return {rope.getQuery(), rope.getKey(), rope.getValue()};
      })
      .Case([](kernel::KVAppendOp append) -> SmallVector<Value> {
        return {append.getKey(), append.getValue()};
      })
      .Case([](kernel::AttentionOp attention) -> SmallVector<Value> {
        return {attention.getQuery()};
      })
      .Default([](Operation *) { return SmallVector<Value>(); });
}

static LogicalResult checkLaunch(Operation *op, const CPUTarget &target) {
  if (failed(checkInputs(op, floatInputs(op))))
    return failure();
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](kernel::GemmOp gemm) -> LogicalResult {
        if (gemm.hasPrologue())
          return gemm.emitOpError("prologue has no kernel on ") << target.name;
        return success(succeeded(checkWeight(op, gemm.getWeight().getType(), target)) &&
                       succeeded(checkOutputs(op, gemm.getOuts())) &&
                       succeeded(checkRegion(gemm.getEpilogue().front())));
      })
      .Case([&](kernel::EmbeddingOp embedding) {
        return success(succeeded(checkWeight(op, embedding.getTable().getType(), target)) &&
                       succeeded(checkOutputs(op, embedding.getOuts())));
      })
      .Case([&](kernel::ElementwiseOp elementwise) {
        return success(succeeded(checkOutputs(op, elementwise.getOuts())) &&
                       succeeded(checkRegion(elementwise.getBody().front())));
      })
      .Case([&](kernel::AttentionOp attention) -> LogicalResult {
        if (attention.hasRopeAppend())
          return attention.emitOpError("rope_append has no kernel on ") << target.name;
        return success(succeeded(checkCache(op, attention.getCache().getType())) &&
                       succeeded(checkOutputs(op, attention.getOuts())));
      })
      .Case([&](kernel::RopeAppendOp launch) {
        return success(succeeded(checkCache(op, launch.getCache().getType())) &&
                       succeeded(checkOutputs(op, launch.getOuts())));
      })
      .Case([&](kernel::KVAppendOp append) { return checkCache(op, append.getCache().getType()); })
      .Case<kernel::NormOp, kernel::QuantizeOp, kernel::RotaryTableOp, kernel::RopeOp>(
          [&](auto launch) { return checkOutputs(op, launch.getOuts()); })
      .Case([&](kernel::GatherOp gather) { return checkCopy(gather); })
      .Default([](Operation *) { return success(); });
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

static void emitBody(KernelBuilder &b, Operation *launch, const KernelArguments &args) {
  llvm::TypeSwitch<Operation *>(launch)
      .Case([&](kernel::GemmOp op) { emitGemm(b, op, args); })
      .Case([&](kernel::EmbeddingOp op) { emitEmbedding(b, op, args); })
      .Case([&](kernel::NormOp op) { emitNorm(b, op, args); })
      .Case([&](kernel::QuantizeOp op) { emitQuantize(b, op, args); })
      .Case([&](kernel::ElementwiseOp op) { emitElementwise(b, op, args); })
      .Case([&](kernel::RotaryTableOp op) { emitRotaryTable(b, op, args); })
      .Case([&](kernel::RopeOp op) { emitRope(b, op, args); })
      .Case([&](kernel::RopeAppendOp op) { emitRopeAppend(b, op, args); })
      .Case([&](kernel::KVAppendOp op) { emitKVAppend(b, op, args); })
      .Case([&](kernel::AttentionOp op) { emitAttention(b, op, args); })
      .Case([&](kernel::GatherOp op) { emitGather(b, op, args); });
}

/// void name(args, worker, workers) at the end of `module`.
static void emitFunction(ModuleOp module, Operation *launch, StringRef name,
                         const CPUTarget &target) {
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  KernelBuilder b(launch->getLoc(), builder, target);
  auto type = b.getFunctionType({b.ptrType(), b.getI64Type(), b.getI64Type()}, {});
  auto function = func::FuncOp::create(b, name, type);
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  KernelArguments args(b, launch, entry->getArgument(0), entry->getArgument(1),
                       entry->getArgument(2));
  emitBody(b, launch, args);
  func::ReturnOp::create(b);
}

/// The kernels of `module`, each in a module of its own, side by side.
static LogicalResult convertToLLVM(ModuleOp module) {
  PassManager manager(module.getContext());
  OpPassManager &kernel = manager.nest<ModuleOp>();
  kernel.addPass(createCSEPass());
  kernel.addPass(createSCFToControlFlowPass());
  kernel.addPass(createConvertVectorToLLVMPass());
  kernel.addPass(createArithToLLVMConversionPass());
  kernel.addPass(createConvertMathToLLVMPass());
  kernel.addPass(createConvertControlFlowToLLVMPass());
  kernel.addPass(createConvertFuncToLLVMPass());
  kernel.addPass(createReconcileUnrealizedCastsPass());
  return manager.run(module);
}

LogicalResult qopt::lowerToLLVM(ModuleOp module, const CPUTarget &target) {
  // The functions are converted by themselves: the plans' regions stay as they are.
  OwningOpRef<ModuleOp> kernels = ModuleOp::create(module.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(kernels->getBody());
  llvm::StringMap<std::string> entries; // of a key
  llvm::StringMap<int64_t> uses;        // of a name
  for (auto plan : module.getOps<kernel::PlanOp>())
    for (Operation &launch : plan.getBody().front()) {
      if (!isLaunch(launch))
        continue;
      if (failed(checkLaunch(&launch, target)))
        return failure();
      std::string &entry = entries[launchKey(&launch)];
      if (entry.empty()) {
        entry = launchName(&launch);
        if (int64_t use = uses[entry]++)
          entry += "_v" + std::to_string(use + 1);
        emitFunction(ModuleOp::create(builder, launch.getLoc()), &launch, entry, target);
      }
      launch.setAttr("entry", FlatSymbolRefAttr::get(module.getContext(), entry));
    }
  if (failed(convertToLLVM(*kernels)))
    return module.emitError("kernels could not be converted to LLVM");
  Block *body = module.getBody();
  for (auto kernel : kernels->getOps<ModuleOp>())
    for (Operation &op : llvm::make_early_inc_range(*kernel.getBody()))
      op.moveBefore(body, body->end());
  return success();
}

namespace {

struct LowerToLLVM : public qopt::impl::LowerToLLVMBase<LowerToLLVM> {
  using LowerToLLVMBase::LowerToLLVMBase;

  void runOnOperation() override {
    llvm::Expected<CPUTarget> parsed = CPUTarget::parse(target);
    if (!parsed) {
      getOperation().emitError(llvm::toString(parsed.takeError()));
      return signalPassFailure();
    }
    if (failed(lowerToLLVM(getOperation(), *parsed)))
      signalPassFailure();
  }
};

} // namespace
