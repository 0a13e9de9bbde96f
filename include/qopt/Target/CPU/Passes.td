//===- Passes.td - Code for the CPU --------------------------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_TARGET_CPU_PASSES_TD
#define QOPT_TARGET_CPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def LowerToLLVM : Pass<"kernel-lower-to-llvm", "::mlir::ModuleOp"> {
  let summary = "Write a function of the CPU for every launch";
  let description = [{
    Each launch of each plan gets an `entry`, the symbol of a function

        void entry(const uint64_t *args, uint64_t worker, uint64_t workers)

    in the LLVM dialect, whose arguments KernelDialect.td describes. Launches
    whose code would be the same share one: layers differ in their arguments.

    ```mlir
    kernel.gemm ins(%x, %w) outs(%y) epilogue { ... } : ...
    ```
    becomes
    ```mlir
    kernel.gemm ins(%x, %w) outs(%y) attributes {entry = @gemm_bf16_k576_n576_m1} ...
    llvm.func @gemm_bf16_k576_n576_m1(%args: !llvm.ptr, %worker: i64, %workers: i64) { ... }
    ```

    On entry weights are packed for the same target; a launch whose types have
    no kernel is an error at the launch. On exit every launch has its `entry`, and
    the plans are as they were.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect",
                           "::mlir::cf::ControlFlowDialect", "::mlir::func::FuncDialect",
                           "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
  let options = [Option<"target", "target", "std::string", "\"cpu:x86-64-v4\"", "the target">];
}

#endif // QOPT_TARGET_CPU_PASSES_TD
