//===- QOptTypes.td - Types and attributes of qopt ---------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_DIALECT_QOPT_IR_QOPTTYPES_TD
#define QOPT_DIALECT_QOPT_IR_QOPTTYPES_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/BuiltinTypes.td"
include "qopt/Dialect/QOpt/IR/QOptDialect.td"

class QOpt_Type<string name, string typeMnemonic> : TypeDef<QOpt_Dialect, name> {
  let mnemonic = typeMnemonic;
}

class QOpt_Attr<string name, string attrMnemonic> : AttrDef<QOpt_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def QOpt_QuantizedType : QOpt_Type<"Quantized", "q"> {
  let summary = "An element stored as a narrow code with a shared scale.";
  let description = [{
    `value = scale * code` or, with a minimum, `value = scale * code + minimum`,
    in float32. Who shares a scale is one of

    - `group = G`: `G` consecutive elements along the last dimension (weights);
    - `per_channel`: a row of a weight `[N, K]`;
    - `per_token`: a row of activations `[T, K]`, its scale found at run time.

    Storage is `i4` (codes in [-8, 7]), `ui4` (codes in [0, 15], only with a
    minimum), `i8` (codes in [-128, 127]) or `f8E4M3FN`. Minima have the scales'
    type. Both are data, not literals: a 4096x4096 weight in groups of 128 has
    131,072 scales.

    ```mlir
    !qopt.q<i4, group = 128, scale = bf16>
    !qopt.q<ui4, group = 32, scale = f16, min = f16>
    !qopt.q<i8, per_channel, scale = f32>
    !qopt.q<f8E4M3FN, per_token, scale = f32>
    ```
  }];
  // groupSize > 0: that group; 0: per channel; -1: per token.
  let parameters = (ins "::mlir::Type":$storage, "int64_t":$groupSize,
                        "::mlir::FloatType":$scale, "::mlir::FloatType":$min);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let builders = [
    TypeBuilderWithInferredContext<(ins "::mlir::Type":$storage, "int64_t":$groupSize,
        "::mlir::FloatType":$scale, CArg<"::mlir::FloatType", "{}">:$min), [{
      return $_get(storage.getContext(), storage, groupSize, scale, min);
    }]>];
  let extraClassDeclaration = [{
    static constexpr int64_t perChannel = 0;
    static constexpr int64_t perToken = -1;
    bool isGrouped() const { return getGroupSize() > 0; }
    bool isPerChannel() const { return getGroupSize() == perChannel; }
    bool isPerToken() const { return getGroupSize() == perToken; }
    bool isAffine() const { return static_cast<bool>(getMin()); }
  }];
}

def QOpt_BatchType : QOpt_Type<"Batch", "batch"> {
  let summary = "The metadata of one ragged step.";
  let description = [{
    For each of the step's `T` tokens its position in its sequence and the row of
    the block table that belongs to the sequence; the block tables; and the
    token rows whose logits are wanted.
  }];
}

def QOpt_KVCacheType : QOpt_Type<"KVCache", "kv_cache"> {
  let summary = "The paged keys and values of every sequence and layer.";
  let description = [{
    A page holds `page_tokens` consecutive tokens of one sequence, all layers,
    keys (after rope) and values. How a page is laid out inside is the target's.
  }];
  let parameters = (ins "int64_t":$layers, "int64_t":$kv_heads, "int64_t":$head_dim,
                        "int64_t":$page_tokens, "::mlir::Type":$type);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Rotary embedding
//===----------------------------------------------------------------------===//

def QOpt_RopeScalingKind : I32EnumAttr<"RopeScalingKind",
    "how rotary frequencies are rescaled", [
      I32EnumAttrCase<"None", 0, "none">,
      I32EnumAttrCase<"Linear", 1, "linear">,
      I32EnumAttrCase<"Llama3", 2, "llama3">,
      I32EnumAttrCase<"Table", 3, "table">]> {
  let cppNamespace = "::qopt";
  let genSpecializedAttr = 0;
}
def QOpt_RopeScalingKindAttr : EnumParameter<QOpt_RopeScalingKind>;

def QOpt_RopeAttr : QOpt_Attr<"Rope", "rope"> {
  let summary = "The frequencies of a rotary embedding.";
  let description = [{
    Before scaling `f[i] = theta^(-2i / head_dim)` for `i < head_dim / 2`.

    - `none`: as they are;
    - `linear`: divided by `factor`;
    - `llama3`: with `w = 2 pi / f`: unchanged where `w < original / high`,
      divided by `factor` where `w > original / low`, and between them
      `(1 - s) f / factor + s f`, `s = (original / w - low) / (high - low)`;
    - `table`: `table` holds them, `theta` does not count.

    ```mlir
    #qopt.rope<head_dim = 64, theta = 1.000000e+05, scaling = none>
    #qopt.rope<head_dim = 128, theta = 5.000000e+05, scaling = llama3, factor = 8.000000e+00,
               low = 1.000000e+00, high = 4.000000e+00, original = 8192>
    ```
  }];
  let parameters = (ins "int64_t":$head_dim, "::mlir::FloatAttr":$theta,
      QOpt_RopeScalingKindAttr:$scaling,
      OptionalParameter<"::mlir::FloatAttr">:$factor,
      OptionalParameter<"::mlir::FloatAttr">:$low,
      OptionalParameter<"::mlir::FloatAttr">:$high,
      DefaultValuedParameter<"int64_t", "0">:$original,
      OptionalParameter<"::mlir::DenseF32ArrayAttr">:$table);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Constraints
//===----------------------------------------------------------------------===//

// Rows have columns: no operation takes a scalar.
class QOpt_NonScalar<Type tensor>
    : ConfinedType<tensor, [HasRankGreaterOrEqualPred<1>], "non-scalar " # tensor.summary>;

def QOpt_QuantizedElement : Type<CPred<"::llvm::isa<::qopt::QuantizedType>($_self)">, "!qopt.q">;
def QOpt_FloatTensor : QOpt_NonScalar<RankedTensorOf<[F64, F32, F16, BF16]>>;
def QOpt_Tensor : QOpt_NonScalar<RankedTensorOf<[F64, F32, F16, BF16, QOpt_QuantizedElement]>>;
def QOpt_TokenTensor : QOpt_NonScalar<RankedTensorOf<[I32, I64]>>;
def QOpt_Positions : AnyTypeOf<[QOpt_TokenTensor, QOpt_BatchType]>;

#endif // QOPT_DIALECT_QOPT_IR_QOPTTYPES_TD
