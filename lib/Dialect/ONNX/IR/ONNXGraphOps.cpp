//===- ONNXGraphOps.cpp - Operations of onnx_graph ------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Dialect/ONNX/IR/ONNXGraphDialect.h"

using namespace mlir;
using namespace qopt::onnx_graph;

//===----------------------------------------------------------------------===//
// NodeOp
//===----------------------------------------------------------------------===//

static ParseResult parseNodeAttributes(OpAsmParser &parser, DictionaryAttr &attributes) {
  NamedAttrList list;
  if (parser.parseOptionalAttrDict(list))
    return failure();
  attributes = list.getDictionary(parser.getContext());
  return success();
}

static void printNodeAttributes(OpAsmPrinter &printer, Operation *, DictionaryAttr attributes) {
  printer.printOptionalAttrDict(attributes.getValue());
}

void NodeOp::build(OpBuilder &builder, OperationState &state, TypeRange results, StringRef opType,
                   ValueRange inputs, ArrayRef<NamedAttribute> attributes, StringRef domain) {
  build(builder, state, results, builder.getStringAttr(opType),
        domain.empty() ? StringAttr() : builder.getStringAttr(domain), inputs,
        builder.getDictionaryAttr(attributes), ArrayAttr(), /*bodiesCount=*/0);
}

LogicalResult NodeOp::verify() {
  if (getOpType().empty())
    return emitOpError("has an empty operator name");
  if (getDomain() && getDomain()->empty())
    return emitOpError("has an empty domain, expected none for ai.onnx");
  size_t names = getBodyNames() ? getBodyNames()->size() : 0;
  if (names != getBodies().size())
    return emitOpError() << "names " << names << " bodies, has " << getBodies().size();
  for (Region &body : getBodies()) {
    if (body.getNumArguments() != 0)
      return emitOpError() << "has a body with " << body.getNumArguments()
                           << " arguments, expected none";
    if (body.front().empty() || !isa<YieldOp>(body.front().back()))
      return emitOpError("has a body that does not end in onnx_graph.yield");
  }
  return success();
}

std::string NodeOp::getFullName() {
  std::string name = getOpType().str();
  return getDomain() ? getDomain()->str() + "." + name : name;
}

Value NodeOp::getInput(unsigned index) {
  if (index >= getInputs().size())
    return {};
  Value input = getInputs()[index];
  return isa<NoneType>(input.getType()) ? Value() : input;
}

int64_t NodeOp::getInt(StringRef name, int64_t missing) {
  auto attr = getNodeAttributes().getAs<IntegerAttr>(name);
  return attr ? attr.getValue().getSExtValue() : missing;
}

double NodeOp::getFloat(StringRef name, double missing) {
  auto attr = getNodeAttributes().getAs<FloatAttr>(name);
  return attr ? attr.getValueAsDouble() : missing;
}

StringRef NodeOp::getString(StringRef name, StringRef missing) {
  auto attr = getNodeAttributes().getAs<StringAttr>(name);
  return attr ? attr.getValue() : missing;
}

std::optional<SmallVector<int64_t>> NodeOp::getInts(StringRef name) {
  auto attr = getNodeAttributes().getAs<ArrayAttr>(name);
  if (!attr)
    return std::nullopt;
  SmallVector<int64_t> values;
  for (Attribute element : attr) {
    auto integer = dyn_cast<IntegerAttr>(element);
    if (!integer)
      return std::nullopt;
    values.push_back(integer.getValue().getSExtValue());
  }
  return values;
}

std::string NodeOp::getNodeName() {
  if (auto name = dyn_cast<NameLoc>(getLoc()))
    return name.getName().str();
  return getFullName() + " node";
}

//===----------------------------------------------------------------------===//
// InitializerOp
//===----------------------------------------------------------------------===//

LogicalResult InitializerOp::verify() {
  auto type = cast<RankedTensorType>(getType());
  if (std::optional<ElementsAttr> value = getValue()) {
    if (value->getType() != type)
      return emitOpError() << "has a value of type " << value->getType() << ", expected " << type;
    if (getTransposed() || getRowOffset())
      return emitOpError("has a value and is a view of another tensor");
  }
  if ((getTransposed() || getRowOffset()) && type.getRank() != 2)
    return emitOpError() << "is a view of rank " << type.getRank() << ", expected a matrix";
  if (getRowOffset() && static_cast<int64_t>(*getRowOffset()) < 0)
    return emitOpError() << "starts at row " << static_cast<int64_t>(*getRowOffset());
  return success();
}

#define GET_OP_CLASSES
#include "qopt/Dialect/ONNX/IR/ONNXGraphOps.cpp.inc"
