//===- KernelDialect.td - The kernel dialect ---------------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_DIALECT_KERNEL_IR_KERNELDIALECT_TD
#define QOPT_DIALECT_KERNEL_IR_KERNELDIALECT_TD

include "mlir/IR/OpBase.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let cppNamespace = "::qopt::kernel";
  let summary = "What runs: launches over buffers, in a straight line.";
  let description = [{
    A `kernel.plan` is one step for up to `max_tokens` tokens: buffers, and the
    launches that read and write them in program order. Rows of a buffer are the
    step's tokens (`memref<?x576xbf16>`); a row stride or an offset in the memref
    type makes it a range of columns of another buffer.

    Each launch carries a `#kernel.schedule` once `kernel-select-schedule` has
    run, and each buffer an arena offset once `kernel-plan-memory` has. Scalar
    regions say what a launch does to an element beside its main work, so that a
    new fusion needs no new kernel.

    ```mlir
    kernel.plan @step_16 max_tokens = 16 max_logit_rows = 16 {
      %tokens = kernel.input tokens : memref<?xi32>
      %table = kernel.weight @model.embed_tokens.weight
        : !kernel.packed<tensor<49152x576xbf16>, #kernel.layout<tiled, tile_n = 64, k_pack = 2>>
      %x = kernel.alloc : memref<?x576xbf16>
      kernel.embedding ins(%tokens, %table) outs(%x)
        : (memref<?xi32>, !kernel.packed<...>, memref<?x576xbf16>) -> ()
    }
    ```

    A launch becomes one function of the target: its arguments are the operands
    in order, where a buffer or weight is a pointer, a `!qopt.kv_cache` the
    pointer to the pool plus the layer's offset in a page, and a `!qopt.batch`
    four arguments (pointer to positions, pointer to sequences, pointer to block
    tables, block table stride); then comes the number of rows (tokens, or logit
    rows where `rows = logit_rows`).
  }];
  let dependentDialects = ["::qopt::QOptDialect"];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

#endif // QOPT_DIALECT_KERNEL_IR_KERNELDIALECT_TD
