//===- KernelTypes.td - Types and attributes of kernel -----*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_DIALECT_KERNEL_IR_KERNELTYPES_TD
#define QOPT_DIALECT_KERNEL_IR_KERNELTYPES_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinTypes.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/CommonTypeConstraints.td"
include "mlir/IR/EnumAttr.td"
include "qopt/Dialect/Kernel/IR/KernelDialect.td"
include "qopt/Dialect/Kernel/IR/KernelEnums.td"
include "qopt/Dialect/QOpt/IR/QOptTypes.td"

def Kernel_StepInputAttr : EnumAttr<Kernel_Dialect, Kernel_StepInput, "step_input">;
def Kernel_RowsAttr : EnumAttr<Kernel_Dialect, Kernel_Rows, "rows">;
def Kernel_PlanKindAttr : EnumAttr<Kernel_Dialect, Kernel_PlanKind, "plan_kind">;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

class Kernel_Attr<string name, string attrMnemonic> : AttrDef<Kernel_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def Kernel_LayoutAttr : Kernel_Attr<"Layout", "layout"> {
  let summary = "The order of a packed weight's bytes.";
  let description = [{
    `row_major`: the elements in order, nothing else.

    `tiled`, for the CPU: rows (output channels) in tiles of `tile_n`. A vector
    lane is a channel, so that every sum over K runs in one order, whatever the
    tile of tokens. A tile holds, for each group of K (the whole of K where the
    scales are per channel or there are none), one after another,

    - the elements `[K_group / k_pack][tile_n][k_pack]`: `k_pack` elements of a
      channel are one little-endian word of 32 bits;
    - the group's scales `[tile_n]` and, if affine, its minima `[tile_n]`, in their
      types.

    Every tile starts at a multiple of 64 bytes. Channels beyond N, elements
    beyond K and the bytes between tiles are 0.

    4-bit codes are stored offset by 8 (`i4`) or as they are (`ui4`); of the eight
    in a word, element k starts at bit `4 (k / 2 + 4 (k mod 2))`, so that a shift
    leaves two neighbours in the word's halves. 8-bit integers are stored offset
    by 128: an instruction that multiplies unsigned by signed bytes takes the
    activations as they are.

    `swizzled` and `fragment`, for CUDA: output channels in units of 16, N padded
    with zero rows to a multiple of 64.

    `swizzled` holds bf16, `i8` (signed, as it is) or `f8E4M3FN` per channel:
    `[N/16][K bytes/128][16 rows][128 bytes]`, K padded to 128 bytes; of the eight
    16-byte chunks of a row, chunk c stands at `c ^ (row mod 8)`, as `wgmma` and
    the tensor copy have it. The scales `[N padded]` follow.

    `fragment` holds integers that share scales in groups, or a channel's: blocks
    `[N/16][K/group]`, each the codes, then `scales[16]` and, if affine,
    `minima[16]`. Codes stand as the A fragments of m16k16 steps: register i of
    lane 4 g + j in step s holds the elements `(g + 8 (i mod 2), 16 s + 8 (i/2) +
    2 j + e)`, e in 0, 1.

    - 4 bits: a word of 32 bits for each lane and step, register i's element e at
      bit `4 i + 16 e`; `i4` stored offset by 8, `ui4` as it is.
    - 8 bits: two words, word h with the bytes of register 2h (e = 0, 1), then of
      2h + 1; stored offset by 128.
    - The words of a lane are side by side, up to v = 4: `[words/v][32 lanes][v]`.

    `interleave = 1`: the rows are two stacked sources of N/2, in groups of 8 by
    turns: a unit has 8 rows of the first and the same 8 of the second.
  }];
  let parameters = (ins EnumParameter<Kernel_LayoutKind>:$kind,
                        DefaultValuedParameter<"int64_t", "0">:$tile_n,
                        DefaultValuedParameter<"int64_t", "0">:$k_pack,
                        DefaultValuedParameter<"int64_t", "0">:$interleave);
  let assemblyFormat = "`<` $kind (`,` struct($tile_n, $k_pack, $interleave)^)? `>`";
  let genVerifyDecl = 1;
}

def Kernel_ScheduleAttr : Kernel_Attr<"Schedule", "schedule"> {
  let summary = "How a launch is cut, and why.";
  let description = [{
    `params` are the target's tile and split sizes by name; `reason` says why
    they were chosen; `rejected` lists what else was considered.

    ```mlir
    #kernel.schedule<{tile_m = 4 : i64}, reason = "16 accumulators of 16 lanes fit 32 registers",
                     rejected = ["tile_m = 8: 32 accumulators leave no register for weights"]>
    ```
  }];
  let parameters = (ins "::mlir::DictionaryAttr":$params, "::mlir::StringAttr":$reason,
                        OptionalParameter<"::mlir::ArrayAttr">:$rejected);
  let assemblyFormat = "`<` $params `,` `reason` `=` $reason (`,` `rejected` `=` $rejected^)? `>`";
  let extraClassDeclaration = [{
    /// The parameter `name`, or `otherwise` when there is none.
    int64_t get(::llvm::StringRef name, int64_t otherwise) const;
  }];
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

def Kernel_PackedType : TypeDef<Kernel_Dialect, "Packed"> {
  let mnemonic = "packed";
  let summary = "A weight as the byte image that its kernels stream.";
  let description = [{
    The logical tensor and the order of its bytes.

    ```mlir
    !kernel.packed<tensor<960x576x!qopt.q<i4, group = 64, scale = bf16>>,
                   #kernel.layout<tiled, tile_n = 64, k_pack = 8>>
    ```
  }];
  let parameters = (ins "::mlir::RankedTensorType":$tensor, "::qopt::kernel::LayoutAttr":$layout);
  let assemblyFormat = "`<` $tensor `,` $layout `>`";
  let genVerifyDecl = 1;
}

def Kernel_Buffer : MemRefRankOf<[F32, BF16, F16, I8, I32, F8E4M3FN], [1, 2]>;
def Kernel_Operand : AnyTypeOf<[Kernel_Buffer, Kernel_PackedType]>;

#endif // QOPT_DIALECT_KERNEL_IR_KERNELTYPES_TD
