//===- StaticLLVM.cpp - What static lld wants and qopt does not -----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// lld can link bitcode for every target of LLVM, with Polly's passes. qopt hands it
/// machine code for x86-64 or AArch64 alone: for the rest, which would double a
/// self-contained compiler (and, for Polly, is not packaged), there is nothing to
/// initialize.
///
//===----------------------------------------------------------------------===//

#include "llvm/Plugins/PassPlugin.h"

llvm::PassPluginLibraryInfo getPollyPluginInfo() {
  return {LLVM_PLUGIN_API_VERSION, "none", "", [](llvm::PassBuilder &) {}, nullptr};
}

#define QOPT_NO_TARGET(NAME)                                                                       \
  extern "C" {                                                                                     \
  void LLVMInitialize##NAME##TargetInfo() {}                                                       \
  void LLVMInitialize##NAME##Target() {}                                                           \
  void LLVMInitialize##NAME##TargetMC() {}                                                         \
  void LLVMInitialize##NAME##AsmPrinter() {}                                                       \
  void LLVMInitialize##NAME##AsmParser() {}                                                        \
  }

QOPT_NO_TARGET(AMDGPU)
QOPT_NO_TARGET(ARM)
QOPT_NO_TARGET(AVR)
QOPT_NO_TARGET(BPF)
QOPT_NO_TARGET(Hexagon)
QOPT_NO_TARGET(Lanai)
QOPT_NO_TARGET(LoongArch)
QOPT_NO_TARGET(M68k)
QOPT_NO_TARGET(MSP430)
QOPT_NO_TARGET(Mips)
QOPT_NO_TARGET(NVPTX)
QOPT_NO_TARGET(PowerPC)
QOPT_NO_TARGET(RISCV)
QOPT_NO_TARGET(SPIRV)
QOPT_NO_TARGET(Sparc)
QOPT_NO_TARGET(SystemZ)
QOPT_NO_TARGET(VE)
QOPT_NO_TARGET(WebAssembly)
QOPT_NO_TARGET(XCore)
QOPT_NO_TARGET(Xtensa)
