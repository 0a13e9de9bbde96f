//===- KernelOps.td - Operations of kernel -----------------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_DIALECT_KERNEL_IR_KERNELOPS_TD
#define QOPT_DIALECT_KERNEL_IR_KERNELOPS_TD

include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "qopt/Dialect/Kernel/IR/KernelTypes.td"

class Kernel_Op<string mnemonic, list<Trait> traits = []>
    : Op<Kernel_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// The plan and its values
//===----------------------------------------------------------------------===//

def Kernel_PlanOp : Kernel_Op<"plan", [Symbol, IsolatedFromAbove, SingleBlock, NoTerminator,
                                       NoRegionArguments]> {
  let summary = "The launches of one step, in order.";
  let description = [{
    Serves steps of up to `max_tokens` tokens that ask for the logits of up to
    `max_logit_rows` of them. `arena_bytes` is set by `kernel-plan-memory`.

    ```mlir
    kernel.plan @step_16 max_tokens = 16 max_logit_rows = 16 arena_bytes = 8192 { ... }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$max_tokens, I64Attr:$max_logit_rows,
                       OptionalAttr<I64Attr>:$arena_bytes);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `max_tokens` `=` custom<Integer>($max_tokens)
    `max_logit_rows` `=` custom<Integer>($max_logit_rows)
    (`arena_bytes` `=` custom<Integer>($arena_bytes)^)? attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
}

def Kernel_InputOp : Kernel_Op<"input", [Pure]> {
  let summary = "A vector that the runtime fills for each step.";
  let description = [{
    `tokens` `[T]`, or `logit_rows` `[R]`: the token rows whose logits are wanted.

    ```mlir
    %tokens = kernel.input tokens : memref<?xi32>
    ```
  }];
  let arguments = (ins Kernel_StepInputAttr:$kind);
  let results = (outs MemRefRankOf<[I32], [1]>:$result);
  let assemblyFormat = "`` $kind attr-dict `:` type($result)";
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
    plan's arena in bytes, set by `kernel-plan-memory`.

    ```mlir
    %x = kernel.alloc {offset = 4096 : i64} : memref<?x576xbf16>
    %l = kernel.alloc rows = logit_rows : memref<?x49152xf32>
    ```
  }];
  let arguments = (ins DefaultValuedAttr<Kernel_RowsAttr, "::qopt::kernel::Rows::Tokens">:$rows,
                       OptionalAttr<I64Attr>:$offset);
  let results = (outs Kernel_Buffer:$result);
  let assemblyFormat = "(`rows` `=` `` $rows^)? attr-dict `:` type($result)";
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
  let summary = "The buffer that the runtime reads after the step.";
  let description = [{
    Logits, float32, a row for each logit row.

    ```mlir
    kernel.output %logits : memref<?x49152xf32>
    ```
  }];
  let arguments = (ins Kernel_Buffer:$logits);
  let assemblyFormat = "$logits attr-dict `:` type($logits)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

// A launch reads `ins` and writes `outs`; it has a schedule, and after code
// generation an entry point.
class Kernel_LaunchOp<string mnemonic, list<Trait> traits = []>
    : Kernel_Op<mnemonic, !listconcat(traits,
        [MemoryEffects<[MemRead, MemWrite]>])> {
  dag common = (ins OptionalAttr<Kernel_ScheduleAttr>:$schedule,
                    OptionalAttr<FlatSymbolRefAttr>:$entry);
}

def Kernel_EmbeddingOp : Kernel_LaunchOp<"embedding"> {
  let summary = "Rows of a packed table, by token.";
  let description = [{
    `outs[t, h] = table[tokens[t], h]`, dequantized in float32 and rounded to the
    output's type. The table may be tiled: tied embeddings have one image.

    ```mlir
    kernel.embedding ins(%tokens, %table) outs(%x)
      : (memref<?xi32>, !kernel.packed<...>, memref<?x576xbf16>) -> ()
    ```
  }];
  let arguments = !con((ins Kernel_Buffer:$tokens, Kernel_PackedType:$table,
                            Variadic<Kernel_Buffer>:$outs), common);
  let assemblyFormat = [{
    `ins` `(` $tokens `,` $table `)` `outs` `(` $outs `)` attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Kernel_NormOp : Kernel_LaunchOp<"norm"> {
  let summary = "RMS normalisation of rows, optionally quantized.";
  let description = [{
    `qopt.rms_norm`. With one output the values; with two, the per-token codes
    `[T, K]` and their float32 scales `[T]` of the product rounded to the input's
    type. The sum of squares runs over 16 partial sums (lane l takes columns
    congruent to l modulo 16, in order; then lanes are added pairwise: l and
    l + 8, l + 4, l + 2, l + 1).

    ```mlir
    kernel.norm ins(%x, %w) outs(%codes, %scales) {eps = 1.0e-5 : f64}
      : (memref<?x576xbf16>, memref<576xbf16>, memref<?x576xi8>, memref<?xf32>) -> ()
    ```
  }];
  let arguments = !con((ins Kernel_Buffer:$input, Kernel_Buffer:$weight,
                            Variadic<Kernel_Buffer>:$outs, F64Attr:$eps), common);
  let assemblyFormat = [{
    `ins` `(` $input `,` $weight `)` `outs` `(` $outs `)` attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Kernel_QuantizeOp : Kernel_LaunchOp<"quantize"> {
  let summary = "Rows to per-token codes and scales.";
  let description = [{
    `qopt.quantize`: outputs the codes `[T, K]` and float32 scales `[T]`.

    ```mlir
    kernel.quantize ins(%x) outs(%codes, %scales)
      : (memref<?x576xbf16>, memref<?x576xi8>, memref<?xf32>) -> ()
    ```
  }];
  let arguments = !con((ins Kernel_Buffer:$input, Variadic<Kernel_Buffer>:$outs), common);
  let assemblyFormat = [{
    `ins` `(` $input `)` `outs` `(` $outs `)` attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Kernel_GemmOp : Kernel_LaunchOp<"gemm", [SingleBlock, AttrSizedOperandSegments]> {
  let summary = "A linear layer with an epilogue.";
  let description = [{
    `acc[t, n] = sum_k input[t, k] weight[n, k]` in float32 (int32 for `i8`,
    then times `scales[t]` and the channel's scale), handed with the elements of
    `extras` at `[t, n]` (of a vector: at `[n]`) to the epilogue region, whose
    yield is the output element.

    ```mlir
    kernel.gemm ins(%x, %w) extras(%r) outs(%y) epilogue {
    ^bb0(%acc: f32, %r0: bf16):
      %0 = arith.extf %r0 : bf16 to f32
      %1 = arith.addf %acc, %0 : f32
      %2 = arith.truncf %1 : f32 to bf16
      kernel.yield %2 : bf16
    } : (memref<?x576xbf16>, !kernel.packed<...>, memref<?x576xbf16>, memref<?x576xbf16>) -> ()
    ```
  }];
  let arguments = !con((ins Kernel_Buffer:$input, Optional<Kernel_Buffer>:$scales,
                            Kernel_PackedType:$weight, Variadic<Kernel_Buffer>:$extras,
                            Variadic<Kernel_Buffer>:$outs,
                            DefaultValuedAttr<Kernel_RowsAttr, "::qopt::kernel::Rows::Tokens">:$rows),
                       common);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    `ins` `(` $input (`scales` $scales^)? `,` $weight `)` (`extras` `(` $extras^ `)`)?
    `outs` `(` $outs `)` (`rows` `=` `` $rows^)? attr-dict-with-keyword `epilogue` $epilogue `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Kernel_ElementwiseOp : Kernel_LaunchOp<"elementwise", [SingleBlock, AttrSizedOperandSegments]> {
  let summary = "A scalar function of each element, optionally quantized by row.";
  let description = [{
    The region maps the elements of `ins` at `[t, n]` to the output's element.
    With two outputs it yields float32 (already rounded to the activations'
    type), which is quantized per token as `kernel.quantize` does.

    ```mlir
    kernel.elementwise ins(%a, %b) outs(%y) body {
    ^bb0(%a0: f32, %b0: f32):
      %0 = arith.addf %a0, %b0 : f32
      kernel.yield %0 : f32
    } : (memref<?x576xf32>, memref<?x576xf32>, memref<?x576xf32>) -> ()
    ```
  }];
  let arguments = !con((ins Variadic<Kernel_Buffer>:$inputs, Variadic<Kernel_Buffer>:$outs), common);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `ins` `(` $inputs `)` `outs` `(` $outs `)` attr-dict-with-keyword `body` $body `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Kernel_RotaryTableOp : Kernel_LaunchOp<"rotary_table"> {
  let summary = "cos and sin of the step's positions.";
  let description = [{
    `outs[t, i] = cos(p[t] f[i])` and `outs[t, D/2 + i] = sin(p[t] f[i])`,
    float32 `[T, D]`; the angle is the float32 product, its cosine and sine are
    within 2^-23 of the exact ones for every position below 2^20. Computed once a
    step, used by every layer.

    ```mlir
    kernel.rotary_table ins(%batch) outs(%table) {rope = #rope}
      : (!qopt.batch, memref<?x64xf32>) -> ()
    ```
  }];
  let arguments = !con((ins QOpt_BatchType:$batch, Variadic<Kernel_Buffer>:$outs,
                            QOpt_RopeAttr:$rope), common);
  let assemblyFormat = [{
    `ins` `(` $batch `)` `outs` `(` $outs `)` attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Kernel_RopeOp : Kernel_LaunchOp<"rope"> {
  let summary = "Rotary embedding of every head, by the step's table.";
  let description = [{
    `qopt.rope` with the cosines and sines of `kernel.rotary_table`.

    ```mlir
    kernel.rope ins(%q, %table) outs(%y)
      : (memref<?x576xbf16>, memref<?x64xf32>, memref<?x576xbf16>) -> ()
    ```
  }];
  let arguments = !con((ins Kernel_Buffer:$input, Kernel_Buffer:$table,
                            Variadic<Kernel_Buffer>:$outs), common);
  let assemblyFormat = [{
    `ins` `(` $input `,` $table `)` `outs` `(` $outs `)` attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Kernel_KVAppendOp : Kernel_LaunchOp<"kv_append"> {
  let summary = "Writes keys and values into the pages.";
  let description = [{
    In the CPU's pages a layer holds its keys `[kv_heads][head_dim][page_tokens]`,
    then its values `[kv_heads][page_tokens][head_dim]`; layers follow each other.

    ```mlir
    kernel.kv_append ins(%k, %v, %cache, %batch) {layer = 0 : i64}
      : (memref<?x192xbf16>, memref<?x192xbf16>, !cache, !qopt.batch) -> ()
    ```
  }];
  let arguments = !con((ins Kernel_Buffer:$key, Kernel_Buffer:$value, QOpt_KVCacheType:$cache,
                            QOpt_BatchType:$batch, Variadic<Kernel_Buffer>:$outs,
                            I64Attr:$layer), common);
  let assemblyFormat = [{
    `ins` `(` $key `,` $value `,` $cache `,` $batch `)` (`outs` `(` $outs^ `)`)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Kernel_RopeAppendOp : Kernel_LaunchOp<"rope_append"> {
  let summary = "Rope of queries and keys with the cache write.";
  let description = [{
    `kernel.rope` of query and key and `kernel.kv_append` of the rotated key and
    the value; writes the rotated query.

    ```mlir
    kernel.rope_append ins(%q, %k, %v, %table, %cache, %batch) outs(%y) {layer = 0 : i64}
      : (memref<?x576xbf16>, memref<?x192xbf16>, memref<?x192xbf16>, memref<?x64xf32>, !cache,
         !qopt.batch, memref<?x576xbf16>) -> ()
    ```
  }];
  let arguments = !con((ins Kernel_Buffer:$query, Kernel_Buffer:$key, Kernel_Buffer:$value,
                            Kernel_Buffer:$table, QOpt_KVCacheType:$cache, QOpt_BatchType:$batch,
                            Variadic<Kernel_Buffer>:$outs, I64Attr:$layer), common);
  let assemblyFormat = [{
    `ins` `(` $query `,` $key `,` $value `,` $table `,` $cache `,` $batch `)`
    `outs` `(` $outs `)` attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Kernel_AttentionOp : Kernel_LaunchOp<"attention"> {
  let summary = "Causal grouped-query attention over the pages.";
  let description = [{
    `qopt.paged_attention`: scores and an online softmax in float32, page after
    page in order; a page's scores beyond the query's position do not count.

    ```mlir
    kernel.attention ins(%q, %cache, %batch) outs(%y)
      {layer = 0 : i64, num_heads = 9 : i64, scale = 1.25e-1 : f64}
      : (memref<?x576xbf16>, !cache, !qopt.batch, memref<?x576xbf16>) -> ()
    ```
  }];
  let arguments = !con((ins Kernel_Buffer:$query, QOpt_KVCacheType:$cache, QOpt_BatchType:$batch,
                            Variadic<Kernel_Buffer>:$outs, I64Attr:$layer, I64Attr:$num_heads,
                            F64Attr:$scale), common);
  let assemblyFormat = [{
    `ins` `(` $query `,` $cache `,` $batch `)` `outs` `(` $outs `)` attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Kernel_GatherOp : Kernel_LaunchOp<"gather"> {
  let summary = "Chosen rows of a buffer.";
  let description = [{
    `outs[r, :] = input[index[r], :]`; rows are logit rows.

    ```mlir
    kernel.gather ins(%x, %rows) outs(%y)
      : (memref<?x576xbf16>, memref<?xi32>, memref<?x576xbf16>) -> ()
    ```
  }];
  let arguments = !con((ins Kernel_Buffer:$input, Kernel_Buffer:$index,
                            Variadic<Kernel_Buffer>:$outs), common);
  let assemblyFormat = [{
    `ins` `(` $input `,` $index `)` `outs` `(` $outs `)` attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Kernel_YieldOp : Kernel_Op<"yield", [Pure, Terminator,
                                        ParentOneOf<["GemmOp", "ElementwiseOp"]>]> {
  let summary = "The value of a scalar region.";
  let description = [{
    ```mlir
    kernel.yield %0 : bf16
    ```
  }];
  let arguments = (ins AnyType:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

#endif // QOPT_DIALECT_KERNEL_IR_KERNELOPS_TD
