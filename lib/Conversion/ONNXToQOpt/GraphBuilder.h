//===- GraphBuilder.h - Making nodes, reading constants ---------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CONVERSION_ONNXTOQOPT_GRAPHBUILDER_H
#define QOPT_LIB_CONVERSION_ONNXTOQOPT_GRAPHBUILDER_H

#include "mlir/IR/Builders.h"
#include "qopt/Dialect/ONNX/Evaluator/Tensor.h"
#include "qopt/Dialect/ONNX/IR/ONNXGraphDialect.h"

namespace qopt::onnx_graph {

/// Makes nodes of undeclared type at one location.
class GraphBuilder {
public:
  GraphBuilder(mlir::OpBuilder &builder, mlir::Location loc) : builder(builder), loc(loc) {}

  mlir::Value node(llvm::StringRef opType, mlir::ValueRange inputs,
                   llvm::ArrayRef<mlir::NamedAttribute> attributes = {},
                   llvm::StringRef domain = {}) {
    mlir::Type type = UnknownType::get(builder.getContext());
    return NodeOp::create(builder, loc, type, opType, inputs, attributes, domain).getResult(0);
  }
  mlir::NamedAttribute attr(llvm::StringRef name, int64_t value) {
    return builder.getNamedAttr(name, builder.getI64IntegerAttr(value));
  }
  mlir::NamedAttribute attr(llvm::StringRef name, llvm::ArrayRef<int64_t> values) {
    return builder.getNamedAttr(name, builder.getI64ArrayAttr(values));
  }
  mlir::Value constant(mlir::DenseElementsAttr value) {
    return NodeOp::create(builder, loc, value.getType(), "Constant", {},
                          builder.getNamedAttr("value", value))
        .getResult(0);
  }
  mlir::Value constant(const Tensor &tensor) { return constant(toElements(tensor)); }
  mlir::Value integers(llvm::ArrayRef<int64_t> values) {
    return constant(makeInts(builder.getI64Type(), {static_cast<int64_t>(values.size())},
                             std::vector<int64_t>(values.begin(), values.end())));
  }
  mlir::Value integer(int64_t value) {
    return constant(makeInts(builder.getI64Type(), {}, {value}));
  }
  mlir::Value real(double value) { return constant(makeReals(builder.getF32Type(), {}, {value})); }
  mlir::Value cast(mlir::Value value, mlir::Type type) {
    return node("Cast", value, builder.getNamedAttr("to", mlir::TypeAttr::get(type)));
  }
  mlir::Value castLike(mlir::Value value, mlir::Value like) {
    return node("CastLike", {value, like});
  }
  /// Dimension `axis` of a value, as a vector of one element.
  mlir::Value dim(mlir::Value value, int64_t axis) {
    return node("Shape", value, {attr("start", axis), attr("end", axis + 1)});
  }
  mlir::OpBuilder &builder;
  mlir::Location loc;
};

/// The elements of a Constant node or of an initializer that has them; null when
/// the value is no such thing.
mlir::ElementsAttr constantElements(mlir::Value value);

/// The one element of a floating constant of any shape.
std::optional<double> constantReal(mlir::Value value);

} // namespace qopt::onnx_graph

#endif // QOPT_LIB_CONVERSION_ONNXTOQOPT_GRAPHBUILDER_H
