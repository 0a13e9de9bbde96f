//===- KernelEnums.td - Enums of kernel ------------------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_DIALECT_KERNEL_IR_KERNELENUMS_TD
#define QOPT_DIALECT_KERNEL_IR_KERNELENUMS_TD

include "mlir/IR/EnumAttr.td"

def Kernel_StepInput : I32EnumAttr<"StepInput", "what the runtime fills for each step", [
    I32EnumAttrCase<"Tokens", 0, "tokens">,
    I32EnumAttrCase<"LogitRows", 1, "logit_rows">,
    I32EnumAttrCase<"Sampling", 2, "sampling">]> {
  let cppNamespace = "::qopt::kernel";
  let genSpecializedAttr = 0;
}

def Kernel_Rows : I32EnumAttr<"Rows", "what the rows of a launch are", [
    I32EnumAttrCase<"Tokens", 0, "tokens">,
    I32EnumAttrCase<"LogitRows", 1, "logit_rows">]> {
  let cppNamespace = "::qopt::kernel";
  let genSpecializedAttr = 0;
}

def Kernel_PlanKind : I32EnumAttr<"PlanKind", "which steps a plan serves", [
    I32EnumAttrCase<"Mixed", 0, "mixed">,
    I32EnumAttrCase<"Decode", 1, "decode">]> {
  let cppNamespace = "::qopt::kernel";
  let genSpecializedAttr = 0;
}

def Kernel_LayoutKind : I32EnumAttr<"LayoutKind", "the order of a packed weight's bytes", [
    I32EnumAttrCase<"RowMajor", 0, "row_major">,
    I32EnumAttrCase<"Tiled", 1, "tiled">,
    I32EnumAttrCase<"Swizzled", 2, "swizzled">,
    I32EnumAttrCase<"Fragment", 3, "fragment">]> {
  let cppNamespace = "::qopt::kernel";
  let genSpecializedAttr = 0;
}

#endif // QOPT_DIALECT_KERNEL_IR_KERNELENUMS_TD
