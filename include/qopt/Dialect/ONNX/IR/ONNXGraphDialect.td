//===- ONNXGraphDialect.td - The onnx_graph dialect --------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_DIALECT_ONNX_IR_ONNXGRAPHDIALECT_TD
#define QOPT_DIALECT_ONNX_IR_ONNXGRAPHDIALECT_TD

include "mlir/IR/OpBase.td"

def ONNXGraph_Dialect : Dialect {
  let name = "onnx_graph";
  let cppNamespace = "::qopt::onnx_graph";
  let summary = "An ONNX file, node by node.";
  let description = [{
    The dialect is an image of an ONNX graph and knows nothing of what its
    operators mean: one `node` for every node of the file, one `initializer` for
    every initializer, a `func.func @main` for the graph. The node's name is its
    location. It has a namespace of its own, so that it can live beside other
    projects' `onnx` dialects.

    ```mlir
    module attributes {onnx_graph.opset = 18 : i64} {
      func.func @main(%x: tensor<?x8xf32> {onnx_graph.name = "x"})
          -> (tensor<?x4xf32> {onnx_graph.name = "y"}) {
        %w = onnx_graph.initializer "w" : tensor<8x4xf32>
        %y = onnx_graph.node "MatMul"(%x, %w)
          : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
        return %y : tensor<?x4xf32>
      }
    }
    ```

    A result whose type the file does not declare is an `!onnx_graph.unknown`.
    Large initializers have no value here: whoever read the file has the bytes,
    under the initializer's name.

    Normalisation (`qopt-normalize-onnx`) adds one operator to ONNX's, `Rsqrt` of
    the domain `qopt`: `y = 1 / sqrt(x)`, elementwise.
  }];
  let useDefaultTypePrinterParser = 1;
  let dependentDialects = ["::mlir::func::FuncDialect"];
}

#endif // QOPT_DIALECT_ONNX_IR_ONNXGRAPHDIALECT_TD
