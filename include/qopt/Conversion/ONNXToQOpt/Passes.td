//===- Passes.td - From ONNX graphs to qopt ----------------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_CONVERSION_ONNXTOQOPT_PASSES_TD
#define QOPT_CONVERSION_ONNXTOQOPT_PASSES_TD

include "mlir/Pass/PassBase.td"

def NormalizeONNX : Pass<"qopt-normalize-onnx", "::mlir::ModuleOp"> {
  let summary = "Bring an ONNX graph's operators to one small set and one spelling";
  let description = [{
    Exporters spell one Llama layer in a dozen ways. So that one raising pattern
    an operation is enough, this pass

    - takes the branch with a past of an `If` that asks for a cache;
    - decomposes fused operators of any domain (`RMSNormalization`,
      `SkipSimplifiedLayerNormalization`, `RotaryEmbedding`, `Attention`, `Gemm`,
      `Swish`, ...) into primitive ones;
    - folds constants;
    - leaves one spelling of each thing: `Pow(x, 2)` is `Mul(x, x)`, `Div(1,
      Sqrt(x))` and `Reciprocal(Sqrt(x))` are `Rsqrt(x)`, a division by a constant
      is a product, `Identity`, `Dropout` and a product with 1 are gone;
    - takes transpositions of weights, and the parts of a packed weight's result,
      into the initializers.

    ```mlir
    %s = onnx_graph.node "Sqrt"(%x) : (tensor<?xf32>) -> tensor<?xf32>
    %y = onnx_graph.node "Reciprocal"(%s) : (tensor<?xf32>) -> tensor<?xf32>
    ```
    becomes
    ```mlir
    %y = onnx_graph.node "Rsqrt" in "qopt"(%x) : (tensor<?xf32>) -> tensor<?xf32>
    ```

    What it does not know stays as it is; `qopt-raise-onnx` reports it.
  }];
  let dependentDialects = ["::qopt::onnx_graph::ONNXGraphDialect"];
}

def RaiseONNX : Pass<"qopt-raise-onnx", "::mlir::ModuleOp"> {
  let summary = "Turn a normalised ONNX graph of a Llama model into qopt operations";
  let description = [{
    One pattern an operation, matched up to views (operators that only move
    elements, whose effect is found by evaluating them on small shapes).
    What a mask and positions mean is not matched but proved: the mask is
    evaluated on small batches with and without a past and padding, and beyond
    every constant in it, and must be causal and padding wherever a query is one
    of a token; rotary embedding and attention as a whole are evaluated against
    their definitions; the frequencies come out of the graph.

    The result is `@forward` as every frontend makes it, in canonical order,
    with a past also where the graph has none. Weights are named by their role.

    ```mlir
    %r = onnx_graph.node "Sigmoid"(%g) : ...
    %s = onnx_graph.node "Mul"(%g, %r) : ...
    %y = onnx_graph.node "Mul"(%s, %u) : ...
    ```
    becomes
    ```mlir
    %y = qopt.silu_mul %g, %u : ...
    ```

    On entry `qopt-normalize-onnx` has run. Everything that is not understood is
    reported at once, each node with what was expected.
  }];
  let dependentDialects = ["::qopt::onnx_graph::ONNXGraphDialect", "::qopt::QOptDialect",
                           "::mlir::func::FuncDialect"];
}

#endif // QOPT_CONVERSION_ONNXTOQOPT_PASSES_TD
