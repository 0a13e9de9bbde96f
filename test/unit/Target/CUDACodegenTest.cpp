//===- CUDACodegenTest.cpp - Logs, headers and schedules ------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DeviceHeaders.h"
#include "EmitRegion.h"
#include "PtxasLog.h"
#include <cmath>
#include <cstdlib>
#include <gtest/gtest.h>

using namespace qopt;

namespace {

constexpr llvm::StringRef goodLog =
    "ptxas info    : 0 bytes gmem\n"
    "ptxas info    : Compiling entry function 'f' for 'sm_90a'\n"
    "ptxas info    : Function properties for f\n"
    "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
    "ptxas info    : Used 168 registers, used 9 barriers, 1040 bytes smem\n";

std::string errorOf(llvm::Expected<KernelResources> resources) {
  return resources ? "" : llvm::toString(resources.takeError());
}

TEST(PtxasLogTest, ResourcesOfAKernel) {
  KernelResources resources = llvm::cantFail(readPtxasLog(goodLog, "f"));
  EXPECT_EQ(resources.registers, 168u);
  EXPECT_EQ(resources.sharedBytes, 1040u);
  EXPECT_EQ(resources.spillBytes, 0u);
  KernelResources none = llvm::cantFail(readPtxasLog("ptxas info    : Used 24 registers\n", "f"));
  EXPECT_EQ(none.registers, 24u);
  EXPECT_EQ(none.sharedBytes, 0u);
}

TEST(PtxasLogTest, SpillsAndSerialisedProductsAreErrors) {
  std::string spilled = goodLog.str();
  spilled.replace(spilled.find("0 bytes spill stores"), 1, "24");
  EXPECT_EQ(errorOf(readPtxasLog(spilled, "f")),
            "kernel 'f' spills 24 bytes of registers at 168 registers");
  for (llvm::StringRef note : {"C7504", "C7508", "C7510", "C7515", "C7519"}) {
    std::string line = "ptxas info    : (" + note.str() + ") Potential Performance Loss: wgmma";
    EXPECT_EQ(errorOf(readPtxasLog(goodLog.str() + line + "\n", "f")),
              "kernel 'f' is serialised: " + line);
  }
  EXPECT_EQ(errorOf(readPtxasLog("nothing\n", "f")),
            "kernel 'f' has no line of registers in the log: nothing");
}

TEST(DeviceHeadersTest, WhatATextIncludes) {
  std::vector<DeviceHeader> headers = includedHeaders("#include \"gemm.cuh\"\nint x;\n");
  auto has = [&](llvm::StringRef name) {
    return llvm::count_if(headers, [&](const DeviceHeader &h) { return h.name == name; });
  };
  EXPECT_EQ(has("gemm.cuh"), 1);
  EXPECT_EQ(has("gemm_config.h"), 1);
  EXPECT_EQ(has("types.cuh"), 1);
  EXPECT_EQ(has("attention_decode.cuh"), 0);
  EXPECT_TRUE(includedHeaders("#include \"none.cuh\"\n").empty());
}

TEST(FloatLiteralTest, EveryBitSurvives) {
  for (float value : {0.0f, -0.0f, 1.0f, 1.0e-5f, 0.1f, 3.4e38f, 1.4e-45f, -7.25f}) {
    std::string text = floatLiteral(value);
    ASSERT_EQ(text.back(), 'f');
    EXPECT_EQ(std::strtof(text.c_str(), nullptr), value);
    EXPECT_EQ(std::signbit(std::strtof(text.c_str(), nullptr)), std::signbit(value));
  }
}

} // namespace
