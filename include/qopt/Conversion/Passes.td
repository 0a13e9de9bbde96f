//===- Passes.td - Conversions between dialects -------------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_CONVERSION_PASSES_TD
#define QOPT_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertQOptToKernel : Pass<"convert-qopt-to-kernel", "::mlir::ModuleOp"> {
  let summary = "Turn a ragged model into a plan of launches over buffers";
  let description = [{
    Replaces `@forward` by one `kernel.plan`. Every tensor becomes a buffer of
    the arena (a quantized one two: codes and scales), every operation a launch;
    slices become views, weights packed images, additions to a linear layer its
    epilogue, and rope's cosines and sines a table that one launch fills for all
    layers.

    ```mlir
    %y = qopt.linear %x, %w residual(%r) : ...
    ```
    becomes
    ```mlir
    %y = kernel.alloc : memref<?x576xbf16>
    kernel.gemm ins(%x, %w) extras(%r) outs(%y) epilogue {
    ^bb0(%acc: f32, %r0: bf16):
      %0 = arith.extf %r0 : bf16 to f32
      %1 = arith.addf %acc, %0 : f32
      %2 = arith.truncf %1 : f32 to bf16
      kernel.yield %2 : bf16
    } : ...
    ```

    On entry `@forward` is ragged and `qopt-pack-weights` has run. On exit the
    module holds the plan `@step` alone; its launches have no schedule and its
    buffers no place yet.

    A plan gives the logits of up to `max-logit-rows` of its tokens: a prompt needs
    those of its last token only, and 512 rows of a vocabulary of 128,256 would be
    263 MB of the arena.
  }];
  let dependentDialects = ["::qopt::kernel::KernelDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect"];
  let options = [
    Option<"maxTokens", "max-tokens", "int64_t", "512", "tokens that one step can take">,
    Option<"maxLogitRows", "max-logit-rows", "int64_t", "128",
           "tokens of one step whose logits can be asked for, where it takes more">];
}

#endif // QOPT_CONVERSION_PASSES_TD
