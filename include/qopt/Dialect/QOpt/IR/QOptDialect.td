//===- QOptDialect.td - The qopt dialect -------------------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_DIALECT_QOPT_IR_QOPTDIALECT_TD
#define QOPT_DIALECT_QOPT_IR_QOPTDIALECT_TD

include "mlir/IR/OpBase.td"

def QOpt_Dialect : Dialect {
  let name = "qopt";
  let cppNamespace = "::qopt";
  let summary = "A Llama model, its quantization and its fusions.";
  let description = [{
    The dialect holds a model between its source and its kernels. A module has
    one function `@forward`, in one of two forms.

    **Dense**, as imported: `[batch, seq]` tokens with a mask, positions and
    past keys and values as tensors, the same contract for every source.

    ```mlir
    func.func @forward(
        %ids: tensor<?x?xi64> {qopt.name = "input_ids"},
        %mask: tensor<?x?xi64> {qopt.name = "attention_mask"},
        %positions: tensor<?x?xi64> {qopt.name = "position_ids"},
        %past_key_0: tensor<?x2x?x16xf32> {qopt.name = "past_key_values.0.key"},
        %past_value_0: tensor<?x2x?x16xf32> {qopt.name = "past_key_values.0.value"})
        -> (tensor<?x?x512xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    ```

    **Ragged**, after `qopt-page-kv`: one step takes `T` tokens of any mix of
    sequences; `!qopt.batch` says which token belongs where, `!qopt.kv_cache`
    holds the pages.

    ```mlir
    func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch,
        %cache: !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>)
        -> tensor<?x512xf32>
    ```

    Weights are named, never held: `qopt.weight` gives a tensor its canonical
    name, and the weight store has the bytes. Quantized data is an element type,
    `!qopt.q`, that says how; a value of that type stands for its codes together
    with their scales (and minima), which stay data.

    Beside the operations' own attributes a module carries

    - `qopt.name` on the arguments and results of `@forward`: what each is;
    - `qopt.note` on a `qopt.weight`: a decision about it, in a sentence for the
      report;
    - `kernel.layout` on a `qopt.weight`: the order of its bytes in the artifact
      (`qopt-pack-weights`).
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 0;
}

#endif // QOPT_DIALECT_QOPT_IR_QOPTDIALECT_TD
