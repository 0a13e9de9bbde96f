//===- QOptOps.td - Operations of qopt ---------------------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_DIALECT_QOPT_IR_QOPTOPS_TD
#define QOPT_DIALECT_QOPT_IR_QOPTOPS_TD

include "mlir/Interfaces/SideEffectInterfaces.td"
include "qopt/Dialect/QOpt/IR/QOptTypes.td"

class QOpt_Op<string mnemonic, list<Trait> traits = []>
    : Op<QOpt_Dialect, mnemonic, traits>;

def QOpt_WeightOp : QOpt_Op<"weight", [Pure]> {
  let summary = "A weight of the model, by name.";
  let description = [{
    Several names stand for the weights' concatenation along the first dimension
    (`qopt-fuse-qkv`, `qopt-fuse-gate-up`); each is quantized on its own, which
    gives the same codes since no scale spans two rows.

    `stored` tells what the source holds when that is grouped integers; `--format
    keep` makes it the element type.

    ```mlir
    %w = qopt.weight @model.layers.0.mlp.down_proj.weight : tensor<576x1536xbf16>
    %qkv = qopt.weight @q, @k, @v : tensor<960x576x!qopt.q<i4, group = 64, scale = bf16>>
    ```
  }];
  let arguments = (ins
    TypedArrayAttrBase<FlatSymbolRefAttr, "array of weight names">:$sources,
    OptionalAttr<TypeAttrOf<QOpt_QuantizedType>>:$stored);
  let results = (outs QOpt_Tensor:$result);
  let assemblyFormat = [{
    custom<SymbolList>($sources) (`stored` $stored^)? attr-dict `:` type($result)
  }];
  let hasVerifier = 1;
}

def QOpt_EmbeddingOp : QOpt_Op<"embedding", [Pure]> {
  let summary = "Rows of a table, by token.";
  let description = [{
    `y[.., h] = table[tokens[..], h]`, converted to the result's element type.

    ```mlir
    %y = qopt.embedding %tokens, %table
      : (tensor<?xi32>, tensor<49152x576xbf16>) -> tensor<?x576xbf16>
    ```
  }];
  let arguments = (ins QOpt_TokenTensor:$tokens, QOpt_Tensor:$table);
  let results = (outs QOpt_FloatTensor:$result);
  let assemblyFormat = "$tokens `,` $table attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def QOpt_RMSNormOp : QOpt_Op<"rms_norm", [Pure]> {
  let summary = "Root-mean-square normalisation of each row.";
  let description = [{
    `y = round(x * rsqrt(mean(x^2) + eps)) * weight`: the sum in float32, the
    normalised value rounded to x's element type before the weight multiplies
    it, the product rounded again. A quantized result type fuses `qopt.quantize`
    of that product into the operation (`qopt-fuse-norm-quantize`).

    ```mlir
    %y = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64}
      : (tensor<?x576xbf16>, tensor<576xbf16>) -> tensor<?x576xbf16>
    ```
  }];
  let arguments = (ins QOpt_FloatTensor:$input, QOpt_FloatTensor:$weight, F64Attr:$eps);
  let results = (outs QOpt_Tensor:$result);
  let assemblyFormat = "$input `,` $weight attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def QOpt_LinearOp : QOpt_Op<"linear", [Pure, AttrSizedOperandSegments]> {
  let summary = "A linear layer: y = x w^T (+ bias) (+ residual).";
  let description = [{
    `y[.., n] = sum_k x[.., k] w[n, k]`. The sum is float32, of 8-bit integers
    an exact int32; scales multiply the float32 sum; bias and residual are added
    in float32; the result is rounded once.

    Per-token quantized inputs go with per-channel weights of the same storage;
    group-quantized weights go with float inputs.

    ```mlir
    %y = qopt.linear %x, %w residual(%r)
      : (tensor<?x576xbf16>, tensor<576x576x!qopt.q<i4, group = 64, scale = bf16>>,
         tensor<?x576xbf16>) -> tensor<?x576xbf16>
    ```
  }];
  let arguments = (ins QOpt_Tensor:$input, QOpt_Tensor:$weight,
                       Optional<QOpt_FloatTensor>:$bias,
                       Optional<QOpt_FloatTensor>:$residual);
  let results = (outs QOpt_FloatTensor:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` `(` $bias^ `)`)? (`residual` `(` $residual^ `)`)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def QOpt_RopeOp : QOpt_Op<"rope", [Pure]> {
  let summary = "Rotary position embedding of every head.";
  let description = [{
    For each head of `head_dim = D` and `i < D / 2`, with `a = position * f[i]`
    in float32 and `f` from `#qopt.rope`:

        y[i]         = x[i] cos a - x[i + D/2] sin a
        y[i + D/2]   = x[i + D/2] cos a + x[i] sin a

    in float32, rounded once. Positions are a tensor, or the batch's.

    ```mlir
    %y = qopt.rope %x, %batch {rope = #qopt.rope<head_dim = 64, theta = 1.0e5 : f64, scaling = none>}
      : (tensor<?x576xbf16>, !qopt.batch) -> tensor<?x576xbf16>
    ```
  }];
  let arguments = (ins QOpt_FloatTensor:$input, QOpt_Positions:$positions, QOpt_RopeAttr:$rope);
  let results = (outs QOpt_FloatTensor:$result);
  let assemblyFormat = "$input `,` $positions attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def QOpt_AttentionOp : QOpt_Op<"attention", [Pure]> {
  let summary = "Causal grouped-query attention over a dense past.";
  let description = [{
    Queries `[B, S, num_heads * D]`, new keys and values
    `[B, S, num_kv_heads * D]`, past keys and values `[B, num_kv_heads, P, D]`;
    the presents are the past followed by the new ones. Query `s` of a row sees
    key `j` of `P + S` when `j <= P + s` and `mask[b, j]` is not 0. A query that
    sees nothing gives zeros. Scores and softmax are float32.

    ```mlir
    %y, %pk, %pv = qopt.attention %q, %k, %v, %mask, %past_key, %past_value
      {num_heads = 8 : i64, num_kv_heads = 2 : i64, scale = 2.5e-1 : f64}
      : (tensor<?x?x128xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>,
         tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
      -> (tensor<?x?x128xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    ```
  }];
  let arguments = (ins QOpt_FloatTensor:$query, QOpt_FloatTensor:$key, QOpt_FloatTensor:$value,
                       QOpt_TokenTensor:$mask, QOpt_FloatTensor:$past_key,
                       QOpt_FloatTensor:$past_value, I64Attr:$num_heads,
                       I64Attr:$num_kv_heads, F64Attr:$scale);
  let results = (outs QOpt_FloatTensor:$result, QOpt_FloatTensor:$present_key,
                      QOpt_FloatTensor:$present_value);
  let assemblyFormat = [{
    $query `,` $key `,` $value `,` $mask `,` $past_key `,` $past_value attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def QOpt_PagedAttentionOp : QOpt_Op<"paged_attention", [MemoryEffects<[MemRead]>]> {
  let summary = "Causal grouped-query attention over the paged cache.";
  let description = [{
    A query at position `p` sees the keys at positions `0..p` of its sequence.
    The softmax runs online over whole pages in order, so that the result does
    not depend on how the sequence was cut into steps.

    ```mlir
    %y = qopt.paged_attention %q, %cache, %batch
      {layer = 0 : i64, num_heads = 9 : i64, scale = 1.25e-1 : f64}
      : (tensor<?x576xbf16>, !qopt.kv_cache<layers = 30, kv_heads = 3, head_dim = 64,
         page_tokens = 64, type = bf16>, !qopt.batch) -> tensor<?x576xbf16>
    ```
  }];
  let arguments = (ins QOpt_FloatTensor:$query, QOpt_KVCacheType:$cache, QOpt_BatchType:$batch,
                       I64Attr:$layer, I64Attr:$num_heads, F64Attr:$scale);
  let results = (outs QOpt_FloatTensor:$result);
  let assemblyFormat = [{
    $query `,` $cache `,` $batch attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def QOpt_KVAppendOp : QOpt_Op<"kv_append", [MemoryEffects<[MemWrite]>]> {
  let summary = "Writes the step's keys and values into the pages.";
  let description = [{
    Keys (after rope) and values `[T, kv_heads * D]` go to the slot of each
    token's sequence and position, rounded to the cache's type.

    ```mlir
    qopt.kv_append %k, %v, %cache, %batch {layer = 0 : i64}
      : (tensor<?x192xbf16>, tensor<?x192xbf16>, !qopt.kv_cache<layers = 30, kv_heads = 3,
         head_dim = 64, page_tokens = 64, type = bf16>, !qopt.batch) -> ()
    ```
  }];
  let arguments = (ins QOpt_FloatTensor:$key, QOpt_FloatTensor:$value, QOpt_KVCacheType:$cache,
                       QOpt_BatchType:$batch, I64Attr:$layer);
  let assemblyFormat = [{
    $key `,` $value `,` $cache `,` $batch attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def QOpt_RopeAppendOp : QOpt_Op<"rope_append", [MemoryEffects<[MemWrite]>]> {
  let summary = "Rope of queries and keys, and the cache write, in one pass.";
  let description = [{
    `rope` of query and key, `kv_append` of the rotated key and the value; the
    rotated query is the result (`qopt-fuse-rope-append`).

    ```mlir
    %y = qopt.rope_append %q, %k, %v, %cache, %batch {layer = 0 : i64, rope = #rope}
      : (tensor<?x576xbf16>, tensor<?x192xbf16>, tensor<?x192xbf16>, !cache, !qopt.batch)
      -> tensor<?x576xbf16>
    ```
  }];
  let arguments = (ins QOpt_FloatTensor:$query, QOpt_FloatTensor:$key, QOpt_FloatTensor:$value,
                       QOpt_KVCacheType:$cache, QOpt_BatchType:$batch, I64Attr:$layer,
                       QOpt_RopeAttr:$rope);
  let results = (outs QOpt_FloatTensor:$result);
  let assemblyFormat = [{
    $query `,` $key `,` $value `,` $cache `,` $batch attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def QOpt_SiluMulOp : QOpt_Op<"silu_mul", [Pure]> {
  let summary = "silu(gate) * up.";
  let description = [{
    `y = gate / (1 + exp(-gate)) * up` in float32, rounded once. A quantized
    result type fuses `qopt.quantize` into it (`qopt-fuse-silu-quantize`).

    ```mlir
    %y = qopt.silu_mul %gate, %up
      : (tensor<?x1536xbf16>, tensor<?x1536xbf16>) -> tensor<?x1536xbf16>
    ```
  }];
  let arguments = (ins QOpt_FloatTensor:$gate, QOpt_FloatTensor:$up);
  let results = (outs QOpt_Tensor:$result);
  let assemblyFormat = "$gate `,` $up attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def QOpt_AddOp : QOpt_Op<"add", [Pure, Commutative, AllTypesMatch<["lhs", "rhs", "result"]>]> {
  let summary = "The residual addition.";
  let description = [{
    The sum in float32, rounded once.

    ```mlir
    %y = qopt.add %a, %b : tensor<?x576xbf16>
    ```
  }];
  let arguments = (ins QOpt_FloatTensor:$lhs, QOpt_FloatTensor:$rhs);
  let results = (outs QOpt_FloatTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

def QOpt_SliceOp : QOpt_Op<"slice", [Pure]> {
  let summary = "A range of the last dimension.";
  let description = [{
    Columns `[offset, offset + size)`, the size being that of the result. It
    costs nothing: kernels read their operands with a row stride. A slice of
    every column folds away, a slice of a slice becomes one.

    ```mlir
    %k = qopt.slice %qkv {offset = 576 : i64} : (tensor<?x960xbf16>) -> tensor<?x192xbf16>
    ```
  }];
  let arguments = (ins QOpt_FloatTensor:$input, I64Attr:$offset);
  let results = (outs QOpt_FloatTensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def QOpt_QuantizeOp : QOpt_Op<"quantize", [Pure]> {
  let summary = "Activations to per-token codes and scales.";
  let description = [{
    Of each row `scale = max|x| / 127.5` (`i8`) or `max|x| / 448` (`f8E4M3FN`),
    1 for a row of zeros; `code = round(x / scale)`, half to even, saturated.

    ```mlir
    %y = qopt.quantize %x
      : (tensor<?x576xbf16>) -> tensor<?x576x!qopt.q<i8, per_token, scale = f32>>
    ```
  }];
  let arguments = (ins QOpt_FloatTensor:$input);
  let results = (outs QOpt_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def QOpt_DequantizeOp : QOpt_Op<"dequantize", [Pure]> {
  let summary = "Codes and scales to values.";
  let description = [{
    `scale * code (+ minimum)` in float32, rounded to the result's element type.

    ```mlir
    %y = qopt.dequantize %x
      : (tensor<?x576x!qopt.q<i8, per_token, scale = f32>>) -> tensor<?x576xbf16>
    ```
  }];
  let arguments = (ins QOpt_Tensor:$input);
  let results = (outs QOpt_FloatTensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def QOpt_LogitsOp : QOpt_Op<"logits", [Pure]> {
  let summary = "Scores of every vocabulary entry, in float32.";
  let description = [{
    `x w^T`, accumulated and kept in float32: whatever ranks is not rounded.
    With a batch, only for the token rows that it asks for. An input quantized
    per token is multiplied as `qopt.linear` does.

    ```mlir
    %l = qopt.logits %x, %w batch(%batch)
      : (tensor<?x576xbf16>, tensor<49152x576xbf16>, !qopt.batch) -> tensor<?x49152xf32>
    ```
  }];
  let arguments = (ins QOpt_Tensor:$input, QOpt_Tensor:$weight,
                       Optional<QOpt_BatchType>:$batch);
  let results = (outs QOpt_NonScalar<RankedTensorOf<[F64, F32]>>:$result);
  let assemblyFormat = [{
    $input `,` $weight (`batch` `(` $batch^ `)`)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif // QOPT_DIALECT_QOPT_IR_QOPTOPS_TD
