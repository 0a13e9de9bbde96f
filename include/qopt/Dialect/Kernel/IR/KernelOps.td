//===- KernelOps.td - The launches of a plan ----------------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_DIALECT_KERNEL_IR_KERNELOPS_TD
#define QOPT_DIALECT_KERNEL_IR_KERNELOPS_TD

include "qopt/Dialect/Kernel/IR/KernelPlan.td"

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
  let summary = "A linear layer with a prologue and an epilogue.";
  let description = [{
    `acc[t, n] = sum_k input[t, k] weight[n, k]` in float32 (int32 for `i8`,
    then times `scales[t]` and the channel's scale), handed with the elements of
    `extras` at `[t, n]` (of a vector: at `[n]`) to the epilogue region, whose
    yield is the output element.

    A weight of `interleave = 1` has two sources of `N/2` channels, gate and up:
    the epilogue takes the sums of both and the output has `N/2` columns.

    A prologue makes of each row of `input`, which is bf16, what is multiplied: with
    `norm` what `kernel.norm` would write for this weight and `eps`, with `quantize`
    its codes and scale, as `kernel.quantize` would, with both first one, then the
    other. It spares a launch where few tokens make launches dear, and does the work
    once in each block.

    ```mlir
    kernel.gemm ins(%x, %w) extras(%r) outs(%y) epilogue {
    ^bb0(%acc: f32, %r0: bf16):
      %0 = arith.extf %r0 : bf16 to f32
      %1 = arith.addf %acc, %0 : f32
      %2 = arith.truncf %1 : f32 to bf16
      kernel.yield %2 : bf16
    } : (memref<?x576xbf16>, !kernel.packed<...>, memref<?x576xbf16>, memref<?x576xbf16>) -> ()
    kernel.gemm ins(%x, %w) norm(%n) quantize outs(%y) attributes {eps = 1.0e-5 : f64} epilogue {
    ^bb0(%acc: f32):
      %0 = arith.truncf %acc : f32 to bf16
      kernel.yield %0 : bf16
    } : (memref<?x576xbf16>, !kernel.packed<...>, memref<576xbf16>, memref<?x576xbf16>) -> ()
    ```
  }];
  let arguments = !con((ins Kernel_Buffer:$input, Optional<Kernel_Buffer>:$scales,
                            Kernel_PackedType:$weight, Optional<Kernel_Buffer>:$norm,
                            Variadic<Kernel_Buffer>:$extras, Variadic<Kernel_Buffer>:$outs,
                            DefaultValuedAttr<Kernel_RowsAttr, "::qopt::kernel::Rows::Tokens">:$rows,
                            UnitAttr:$quantize, OptionalAttr<F64Attr>:$eps),
                       common);
  let builders = [
    /// Without a prologue, to be scheduled.
    OpBuilder<(ins "::mlir::Value":$input, "::mlir::Value":$scales, "::mlir::Value":$weight,
                   "::mlir::ValueRange":$extras, "::mlir::ValueRange":$outs, "Rows":$rows)>];
  let regions = (region SizedRegion<1>:$epilogue);
  let extraClassDeclaration = [{
    /// Whether the epilogue takes the sums of a gate and an up channel.
    bool isPair();
    /// Whether what is multiplied is made of `input` first.
    bool hasPrologue() { return getNorm() || getQuantize(); }
  }];
  let assemblyFormat = [{
    `ins` `(` $input (`scales` $scales^)? `,` $weight `)` (`norm` `(` $norm^ `)`)?
    (`quantize` $quantize^)? (`extras` `(` $extras^ `)`)? `outs` `(` $outs `)` (`rows` `=` `` $rows^)? attr-dict-with-keyword `epilogue` $epilogue `:`
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

def Kernel_AttentionOp : Kernel_LaunchOp<"attention", [AttrSizedOperandSegments]> {
  let summary = "Causal grouped-query attention over the pages.";
  let description = [{
    `qopt.paged_attention`: scores and an online softmax in float32, page after
    page in order; a page's scores beyond the query's position do not count.

    With `rope_append` key, value and the rotary table it does the work of
    `kernel.rope_append` first: query and key come as the layer before has them, and
    the token's rotated key and its value go into the pages. That is for decode plans,
    where no row sees the token of another one.

    ```mlir
    kernel.attention ins(%q, %cache, %batch) outs(%y)
      {layer = 0 : i64, num_heads = 9 : i64, scale = 1.25e-1 : f64}
      : (memref<?x576xbf16>, !cache, !qopt.batch, memref<?x576xbf16>) -> ()
    kernel.attention ins(%q, %cache, %batch) rope_append(%k, %v, %table) outs(%y)
      {layer = 0 : i64, num_heads = 9 : i64, scale = 1.25e-1 : f64}
      : (memref<?x576xbf16>, !cache, !qopt.batch, memref<?x192xbf16>, memref<?x192xbf16>,
         memref<?x64xf32>, memref<?x576xbf16>) -> ()
    ```
  }];
  let arguments = !con((ins Kernel_Buffer:$query, QOpt_KVCacheType:$cache, QOpt_BatchType:$batch,
                            Optional<Kernel_Buffer>:$key, Optional<Kernel_Buffer>:$value,
                            Optional<Kernel_Buffer>:$table, Variadic<Kernel_Buffer>:$outs,
                            I64Attr:$layer, I64Attr:$num_heads,
                            F64Attr:$scale), common);
  let assemblyFormat = [{
    `ins` `(` $query `,` $cache `,` $batch `)`
    (`rope_append` `(` $key^ `,` $value `,` $table `)`)? `outs` `(` $outs `)` attr-dict `:`
    functional-type(operands, results)
  }];
  let extraClassDeclaration = [{
    /// Whether it rotates query and key and writes the cache itself.
    bool hasRopeAppend() { return static_cast<bool>(getKey()); }
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

def Kernel_SampleOp : Kernel_LaunchOp<"sample"> {
  let summary = "The token of each logit row.";
  let description = [{
    Chooses a token as the row of `sampling` says, and writes it, -1 where no logit
    is a finite maximum, and where it is asked for the token's log-probability
    `log softmax(logits[r, :])[token]`. The steps, and the tokens, are those of
    qopt/Runtime/Sampler.h. The runtime leaves the launch out of a step that
    asks for logits alone.

    ```mlir
    kernel.sample ins(%logits, %sampling) outs(%tokens, %logprobs)
      : (memref<?x49152xf32>, memref<?x14xi32>, memref<?xi32>, memref<?xf32>) -> ()
    ```
  }];
  let arguments = !con((ins Kernel_Buffer:$logits, Kernel_Buffer:$sampling,
                            Variadic<Kernel_Buffer>:$outs), common);
  let assemblyFormat = [{
    `ins` `(` $logits `,` $sampling `)` `outs` `(` $outs `)` attr-dict `:`
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
