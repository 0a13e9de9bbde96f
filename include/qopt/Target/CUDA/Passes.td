//===- Passes.td - Code for NVIDIA Hopper --------------------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_TARGET_CUDA_PASSES_TD
#define QOPT_TARGET_CUDA_PASSES_TD

include "mlir/Pass/PassBase.td"

def EmitCUDA : Pass<"kernel-emit-cuda", "::mlir::ModuleOp"> {
  let summary = "Write a kernel of CUDA C++ for every launch";
  let description = [{
    Each launch of each plan gets an `entry`, and each entry a text that goes to
    `output`: constants, the scalar region as a functor, and a `__global__`
    function that instantiates a template of the device headers. Launches whose
    text would be the same share an entry: layers differ in their arguments.

    ```mlir
    kernel.gemm ins(%x, %w) extras(%r) outs(%y) epilogue {
    ^bb0(%acc: f32, %r0: bf16):
      %0 = arith.extf %r0 : bf16 to f32
      %1 = arith.addf %acc, %0 : f32
      ...
    ```
    becomes
    ```cpp
    struct Epilogue {
      ...
      __device__ static float apply(float sum, float extra0) {
        const float v0 = __fadd_rn(sum, extra0);
        return v0;
      }
    };
    extern "C" __global__ void gemm_bf16_k576_n576_c32_t8(...) {
      gemm<config>(x_map, nullptr, weight, Epilogue{y, extra0}, rows);
    }
    ```

    On entry weights are packed and launches scheduled for CUDA; what has no kernel is
    an error at the launch. On exit every launch has its `entry`.
  }];
  let options = [Option<"output", "output", "std::string", "\"-\"", "the file for the text">];
}

#endif // QOPT_TARGET_CUDA_PASSES_TD
