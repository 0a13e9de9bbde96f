//===- TargetTest.cpp - Targets, schedules, objects -----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Parser/Parser.h"
#include "qopt/Target/CPU/CPUTarget.h"
#include "qopt/Target/CPU/Passes.h"
#include "qopt/Target/CPU/Schedule.h"
#include <gtest/gtest.h>

using namespace qopt;

namespace {

const char *text = R"(
!w = !kernel.packed<tensor<70x100000xf32>, #kernel.layout<tiled, tile_n = 32, k_pack = 1>>
!cache = !qopt.kv_cache<layers = 1, kv_heads = 3, head_dim = 16, page_tokens = 16, type = bf16>
kernel.plan @step max_tokens = 512 max_logit_rows = 512 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %x = kernel.alloc : memref<?x100000xf32>
  %w = kernel.weight @w : !w
  %y = kernel.alloc : memref<?x70xf32>
  %q = kernel.alloc : memref<?x144xbf16>
  %rows = kernel.input logit_rows : memref<?xi32>
  kernel.gemm ins(%x, %w) outs(%y) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x100000xf32>, !w, memref<?x70xf32>) -> ()
  kernel.attention ins(%q, %cache, %batch) outs(%q)
    {layer = 0 : i64, num_heads = 9 : i64, scale = 2.5e-1 : f64}
    : (memref<?x144xbf16>, !cache, !qopt.batch, memref<?x144xbf16>) -> ()
  kernel.gather ins(%q, %rows) outs(%q)
    : (memref<?x144xbf16>, memref<?xi32>, memref<?x144xbf16>) -> ()
})";

class TargetTest : public testing::Test {
protected:
  TargetTest() : context(mlir::MLIRContext::Threading::DISABLED) {
    context
        .loadDialect<QOptDialect, kernel::KernelDialect, mlir::arith::ArithDialect,
                     mlir::cf::ControlFlowDialect, mlir::func::FuncDialect, mlir::LLVM::LLVMDialect,
                     mlir::math::MathDialect, mlir::scf::SCFDialect, mlir::vector::VectorDialect>();
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  }

  mlir::Operation *launch(llvm::StringRef name) {
    mlir::Operation *found = nullptr;
    module->walk([&](mlir::Operation *op) {
      if (op->getName().getStringRef() == name)
        found = op;
    });
    return found;
  }

  static CPUTarget target(llvm::StringRef name) { return llvm::cantFail(CPUTarget::parse(name)); }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

TEST_F(TargetTest, LevelsNameWhatTheirCodeNeeds) {
  CPUTarget v2 = target("cpu:x86-64-v2"), v3 = target("cpu:x86-64-v3"),
            v4 = target("cpu:x86-64-v4"), zen = target("cpu:znver4");
  EXPECT_EQ(v2.vectorLanes, 4);
  EXPECT_EQ(v3.vectorLanes, 8);
  EXPECT_EQ(v4.vectorLanes, 16);
  EXPECT_FALSE(v2.avx2);
  EXPECT_FALSE(v4.vnni);
  EXPECT_TRUE(zen.vnni);
  EXPECT_TRUE(llvm::is_contained(v3.features, "fma"));
  EXPECT_TRUE(llvm::is_contained(v4.features, "avx512bw"));
  EXPECT_FALSE(llvm::is_contained(v4.features, "avx512_vnni"));
  EXPECT_TRUE(llvm::is_contained(zen.features, "avx512_vnni"));
  EXPECT_EQ(target("cpu").features, target("cpu:native").features);
}

TEST_F(TargetTest, UnknownTargetsAreErrors) {
  for (const char *name : {"", "gpu", "cpux", "cpu:", "cpu:x86-64-v1", "x86-64-v3"}) {
    llvm::Expected<CPUTarget> parsed = CPUTarget::parse(name);
    ASSERT_FALSE(static_cast<bool>(parsed)) << name;
    EXPECT_EQ(llvm::toString(parsed.takeError()),
              "unknown target '" + std::string(name) +
                  "', expected cpu, cpu:native, cpu:x86-64-v2, cpu:x86-64-v3, cpu:x86-64-v4 or "
                  "cpu:znver4");
  }
}

TEST_F(TargetTest, UnitsFollowTheShapes) {
  LaunchUnits gemm = launchUnits(launch("kernel.gemm"));
  EXPECT_EQ(gemm.fixed, 3u); // tiles of 32 in 70 channels
  EXPECT_EQ(gemm.perToken, 0u);
  EXPECT_EQ(launchUnits(launch("kernel.attention")).perToken, 3u);
  EXPECT_EQ(launchUnits(launch("kernel.gather")).perLogitRow, 1u);
}

TEST_F(TargetTest, SchedulesFitRegistersAndStack) {
  CPUTarget v4 = target("cpu:x86-64-v4");
  mlir::Operation *gemm = launch("kernel.gemm");
  EXPECT_EQ(cpuSchedule(gemm, 1, v4).get("rows", 0), 1);
  EXPECT_EQ(cpuSchedule(gemm, 1, v4).getRejected().size(), 2u);
  // 100,000 float32 a row: two rows fit 1 MiB.
  kernel::ScheduleAttr large = cpuSchedule(gemm, 512, v4);
  EXPECT_EQ(large.get("tile_m", 0), 2);
  EXPECT_EQ(large.get("rows", 0), 2);
  EXPECT_EQ(large.getRejected().size(), 1u);
}

TEST_F(TargetTest, AttentionSharesPagesInPromptsOnly) {
  CPUTarget v4 = target("cpu:x86-64-v4");
  mlir::Operation *attention = launch("kernel.attention");
  EXPECT_EQ(cpuSchedule(attention, 1, v4).get("queries", 0), 1);
  EXPECT_EQ(cpuSchedule(attention, 8, v4).get("queries", 0), 1);
  EXPECT_EQ(cpuSchedule(attention, 64, v4).get("queries", 0), 8);
  EXPECT_EQ(cpuSchedule(attention, 64, v4).get("heads", 0), 3);
  EXPECT_EQ(launchUnits(attention).perToken, 3u);
  attention->setAttr(
      "schedule",
      mlir::parseAttribute("#kernel.schedule<{queries = 1 : i64, heads = 1 : i64}, reason = \"\">",
                           &context));
  EXPECT_EQ(launchUnits(attention).perToken, 9u);
  EXPECT_EQ(cpuSchedule(launch("kernel.gather"), 64, v4), nullptr);
}

TEST_F(TargetTest, ObjectsAreTheSameBytesAndNeedNothing) {
  CPUTarget v3 = target("cpu:x86-64-v3");
  std::string objects[2];
  for (std::string &object : objects) {
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    launch("kernel.gemm")->erase(); // packed for another target
    ASSERT_TRUE(mlir::succeeded(lowerToLLVM(*module, v3)));
    object = llvm::cantFail(emitSharedObject(*module, v3));
  }
  EXPECT_EQ(objects[0], objects[1]);
  EXPECT_EQ(objects[0].substr(0, 4), "\x7f"
                                     "ELF");
  for (const char *symbol : {"memcpy", "memset", "expf", "GLIBC", "/tmp"})
    EXPECT_EQ(objects[0].find(symbol), std::string::npos) << symbol;
  std::string llvmText = llvm::cantFail(emitLLVM(*module, v3));
  EXPECT_NE(llvmText.find("define void @attention_h9_kv3_d16"), std::string::npos);
  EXPECT_NE(llvmText.find("llvm.fma.v8f32"), std::string::npos);
}

} // namespace
