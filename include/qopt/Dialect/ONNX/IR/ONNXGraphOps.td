//===- ONNXGraphOps.td - Operations of onnx_graph ----------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_DIALECT_ONNX_IR_ONNXGRAPHOPS_TD
#define QOPT_DIALECT_ONNX_IR_ONNXGRAPHOPS_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "qopt/Dialect/ONNX/IR/ONNXGraphDialect.td"

def ONNXGraph_UnknownType : TypeDef<ONNXGraph_Dialect, "Unknown"> {
  let mnemonic = "unknown";
  let summary = "A tensor whose type the file does not declare.";
}

def ONNXGraph_Value : AnyTypeOf<[AnyTensor, ONNXGraph_UnknownType]>;
def ONNXGraph_Operand : AnyTypeOf<[AnyTensor, ONNXGraph_UnknownType, NoneType]>;

class ONNXGraph_Op<string mnemonic, list<Trait> traits = []>
    : Op<ONNXGraph_Dialect, mnemonic, traits>;

def ONNXGraph_NodeOp : ONNXGraph_Op<"node", [Pure]> {
  let summary = "A node of the graph.";
  let description = [{
    An operator of a domain (ai.onnx, when there is none) with its attributes as
    the file has them: integers are `i64`, floats `f32`, lists arrays, tensors
    dense elements. An operand that the file leaves out, `""`, is an
    `onnx_graph.absent`; a graph attribute (`then_branch`, `else_branch`) is a
    body, named in `body_names`.

    ```mlir
    %y = onnx_graph.node "Transpose"(%x) {perm = [0, 2, 1]}
      : (tensor<?x4x8xf32>) -> tensor<?x8x4xf32>
    %z:2 = onnx_graph.node "SkipSimplifiedLayerNormalization" in "com.microsoft"(%x, %r, %w)
      {epsilon = 1.0e-5 : f32} : (...) -> (!onnx_graph.unknown, !onnx_graph.unknown)
    ```
  }];
  let arguments = (ins StrAttr:$op_type, OptionalAttr<StrAttr>:$domain,
                       Variadic<ONNXGraph_Operand>:$inputs,
                       DefaultValuedAttr<DictionaryAttr, "{}">:$node_attributes,
                       OptionalAttr<StrArrayAttr>:$body_names);
  let results = (outs Variadic<ONNXGraph_Value>:$outputs);
  let regions = (region VariadicRegion<SizedRegion<1>>:$bodies);
  let assemblyFormat = [{
    $op_type (`in` $domain^)? `(` $inputs `)` `` custom<NodeAttributes>($node_attributes)
    (`bodies` $body_names^ $bodies)? attr-dict `:` functional-type($inputs, $outputs)
  }];
  let builders = [
    OpBuilder<(ins "::mlir::TypeRange":$results, "::llvm::StringRef":$opType,
                   "::mlir::ValueRange":$inputs,
                   CArg<"::llvm::ArrayRef<::mlir::NamedAttribute>", "{}">:$attributes,
                   CArg<"::llvm::StringRef", "{}">:$domain)>];
  let extraClassDeclaration = [{
    /// An operator of ai.onnx by name.
    bool is(::llvm::StringRef opType) { return is("", opType); }
    bool is(::llvm::StringRef domain, ::llvm::StringRef opType) {
      return getOpType() == opType && getDomain().value_or("") == domain;
    }
    /// `domain.op_type`, or the bare op_type of ai.onnx.
    std::string getFullName();
    /// Null when the node has no such operand or leaves it out.
    ::mlir::Value getInput(unsigned index);
    ::mlir::Attribute getAttribute(::llvm::StringRef name) { return getNodeAttributes().get(name); }
    int64_t getInt(::llvm::StringRef name, int64_t missing);
    double getFloat(::llvm::StringRef name, double missing);
    ::llvm::StringRef getString(::llvm::StringRef name, ::llvm::StringRef missing);
    /// Nothing when the node has no such list of integers.
    std::optional<::llvm::SmallVector<int64_t>> getInts(::llvm::StringRef name);
    /// The node's name in the file, or a description of it.
    std::string getNodeName();
  }];
  let hasVerifier = 1;
}

def ONNXGraph_YieldOp : ONNXGraph_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "The outputs of a node's body.";
  let description = [{
    ```mlir
    onnx_graph.yield %a, %b : tensor<?xf32>, !onnx_graph.unknown
    ```
  }];
  let arguments = (ins Variadic<ONNXGraph_Value>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def ONNXGraph_AbsentOp : ONNXGraph_Op<"absent", [Pure]> {
  let summary = "An optional operand that is left out.";
  let description = [{
    ```mlir
    %none = onnx_graph.absent
    ```
  }];
  let results = (outs NoneType:$result);
  let assemblyFormat = "attr-dict";
}

def ONNXGraph_InitializerOp : ONNXGraph_Op<"initializer", [Pure]> {
  let summary = "A tensor of the file, by name.";
  let description = [{
    A small one has its value with it. Normalisation takes in what the graph does
    to a large one before it is used: `transposed` makes it the transpose of the
    file's matrix, `rows` takes the rows from that one on (after transposing), as
    many as the type has.

    ```mlir
    %w = onnx_graph.initializer "onnx::MatMul_700" transposed : tensor<32x128xf32>
    %k = onnx_graph.initializer "qkv" transposed rows 128 : tensor<32x128xf32>
    %c = onnx_graph.initializer "eps" value dense<1.0e-5> : tensor<f32> : tensor<f32>
    ```
  }];
  let arguments = (ins StrAttr:$name, OptionalAttr<ElementsAttr>:$value,
                       UnitAttr:$transposed, OptionalAttr<I64Attr>:$row_offset);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = [{
    $name (`value` $value^)? (`transposed` $transposed^)? (`rows` $row_offset^)? attr-dict
    `:` type($result)
  }];
  let hasVerifier = 1;
}

#endif // QOPT_DIALECT_ONNX_IR_ONNXGRAPHOPS_TD
