//===- KernelPlan.td - The plan and its values --------------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_DIALECT_KERNEL_IR_KERNELPLAN_TD
#define QOPT_DIALECT_KERNEL_IR_KERNELPLAN_TD

include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "qopt/Dialect/Kernel/IR/KernelTypes.td"

class Kernel_Op<string mnemonic, list<Trait> traits = []>
    : Op<Kernel_Dialect, mnemonic, traits>;

def Kernel_PlanOp : Kernel_Op<"plan", [Symbol, IsolatedFromAbove, SingleBlock, NoTerminator,
                                       NoRegionArguments]> {
  let summary = "The launches of one step, in order.";
  let description = [{
    Serves steps of up to `max_tokens` tokens that ask for the logits of up to
    `max_logit_rows` of them. `arena_bytes` is set by `kernel-plan-memory`.

    A plan of kind `decode` serves steps in which every token is of another
    sequence, one of kind `mixed` any step. Where `query_tile` is given, attention
    takes that many consecutive tokens of a sequence at once, at most; the runtime
    lists these tiles.

    ```mlir
    kernel.plan @step_16 max_tokens = 16 max_logit_rows = 16 arena_bytes = 8192 { ... }
    kernel.plan @step_decode_8 kind = decode max_tokens = 8 max_logit_rows = 8 { ... }
    kernel.plan @step_64 max_tokens = 64 max_logit_rows = 64 query_tile = 21 { ... }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
                       DefaultValuedAttr<Kernel_PlanKindAttr, "::qopt::kernel::PlanKind::Mixed">:$kind,
                       I64Attr:$max_tokens, I64Attr:$max_logit_rows,
                       OptionalAttr<I64Attr>:$query_tile, OptionalAttr<I64Attr>:$arena_bytes);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name (`kind` `=` `` $kind^)? `max_tokens` `=` custom<Integer>($max_tokens)
    `max_logit_rows` `=` custom<Integer>($max_logit_rows)
    (`query_tile` `=` custom<Integer>($query_tile)^)?
    (`arena_bytes` `=` custom<Integer>($arena_bytes)^)? attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
}

def Kernel_InputOp : Kernel_Op<"input", [Pure]> {
  let summary = "What the runtime fills for each step.";
  let description = [{
    `tokens` `[T]`, or `logit_rows` `[R]`: the token rows whose logits are wanted;
    or `sampling` `[R, 14]`: how the token of each logit row is chosen, 56 bytes as
    the artifact's `SAMPLING` lays them out.

    ```mlir
    %tokens = kernel.input tokens : memref<?xi32>
    %sampling = kernel.input sampling : memref<?x14xi32>
    ```
  }];
  let arguments = (ins Kernel_StepInputAttr:$kind);
  let results = (outs MemRefRankOf<[I32], [1, 2]>:$result);
  let assemblyFormat = "`` $kind attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Kernel_BatchOp : Kernel_Op<"batch", [Pure]> {
  let summary = "The step's positions, sequences and block tables.";
  let description = [{
    ```mlir
    %batch = kernel.batch : !qopt.batch
    ```
  }];
  let results = (outs QOpt_BatchType:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Kernel_CacheOp : Kernel_Op<"cache", [Pure]> {
  let summary = "The paged cache.";
  let description = [{
    ```mlir
    %cache = kernel.cache : !qopt.kv_cache<layers = 30, kv_heads = 3, head_dim = 64,
                                           page_tokens = 64, type = bf16>
    ```
  }];
  let results = (outs QOpt_KVCacheType:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Kernel_WeightOp : Kernel_Op<"weight", [Pure]> {
  let summary = "A packed weight of the artifact.";
  let description = [{
    The image is named by its sources (`qopt.weight`); equal sources and types
    are one image. A vector (norm weight, bias) is a memref, row-major.

    ```mlir
    %w = kernel.weight @q, @k, @v
      : !kernel.packed<tensor<960x576xbf16>, #kernel.layout<tiled, tile_n = 64, k_pack = 2>>
    %n = kernel.weight @model.norm.weight : memref<576xbf16>
    ```
  }];
  let arguments = (ins TypedArrayAttrBase<FlatSymbolRefAttr, "array of weight names">:$sources);
  let results = (outs Kernel_Operand:$result);
  let assemblyFormat = "custom<SymbolList>($sources) attr-dict `:` type($result)";
}

def Kernel_AllocOp : Kernel_Op<"alloc", [MemoryEffects<[MemAlloc]>]> {
  let summary = "A buffer of the arena.";
  let description = [{
    One row for each token, or for each logit row. `offset` is its place in the
    plan's arena in bytes, set by `kernel-plan-memory`. A `persistent` buffer is in
    the model's state instead: zero before the first step, kept from step to step
    and shared by all plans, whose persistent buffers lie over each other.

    ```mlir
    %x = kernel.alloc {offset = 4096 : i64} : memref<?x576xbf16>
    %t = kernel.alloc persistent : memref<?x3xi32>
    %l = kernel.alloc rows = logit_rows : memref<?x49152xf32>
    ```
  }];
  let arguments = (ins DefaultValuedAttr<Kernel_RowsAttr, "::qopt::kernel::Rows::Tokens">:$rows,
                       OptionalAttr<I64Attr>:$offset, UnitAttr:$persistent);
  let results = (outs Kernel_Buffer:$result);
  let assemblyFormat = [{
    (`rows` `=` `` $rows^)? (`persistent` $persistent^)? attr-dict `:` type($result)
  }];
  let hasVerifier = 1;
}

def Kernel_SliceOp : Kernel_Op<"slice", [Pure]> {
  let summary = "A range of a buffer's columns.";
  let description = [{
    `qopt.slice`: columns `[offset, offset + size)` as a view.

    ```mlir
    %k = kernel.slice %qkv {offset = 576 : i64}
      : memref<?x960xbf16> to memref<?x192xbf16, strided<[960, 1], offset: 576>>
    ```
  }];
  let arguments = (ins Kernel_Buffer:$input, I64Attr:$offset);
  let results = (outs Kernel_Buffer:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `to` type($result)";
  let hasVerifier = 1;
}

def Kernel_OutputOp : Kernel_Op<"output", [MemoryEffects<[MemRead]>]> {
  let summary = "The buffers that the runtime reads after the step.";
  let description = [{
    Logits, float32, a row for each logit row; and where `kernel.sample` chooses
    tokens, these and their log-probabilities.

    ```mlir
    kernel.output %logits : memref<?x49152xf32>
    kernel.output %logits sampled(%tokens, %logprobs : memref<?xi32>, memref<?xf32>)
      : memref<?x49152xf32>
    ```
  }];
  let arguments = (ins Kernel_Buffer:$logits, Variadic<Kernel_Buffer>:$sampled);
  let assemblyFormat = [{
    $logits (`sampled` `(` $sampled^ `:` type($sampled) `)`)? attr-dict `:` type($logits)
  }];
  let hasVerifier = 1;
}

#endif // QOPT_DIALECT_KERNEL_IR_KERNELPLAN_TD
