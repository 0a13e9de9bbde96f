//===- Reader.cpp - ONNX files as onnx_graph modules ----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/ONNX/Reader.h"
#include "ReaderDetail.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "qopt/Dialect/ONNX/IR/ONNXGraphDialect.h"
#include "qopt/Frontend/LlamaTensors.h"
#include "qopt/Frontend/MappedTensor.h"
#include "qopt/Frontend/ModelFiles.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MathExtras.h"
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;
using onnx_graph::AbsentOp;
using onnx_graph::InitializerOp;
using onnx_graph::NodeOp;
using onnx_graph::UnknownType;
using onnx_graph::YieldOp;

namespace {

constexpr int64_t inlineBytes = 64 * 1024;

class GraphReader {
public:
  GraphReader(llvm::StringRef file, MLIRContext &context, WeightStore &store)
      : file(file), builder(&context), tensors(file, context, store), store(store) {}

  llvm::Expected<OwningOpRef<ModuleOp>> read(const ModelProto &model);

private:
  template <typename... Args> llvm::Error error(const char *format, Args &&...args) {
    return onnx::error("{0}: {1}", file, llvm::formatv(format, std::forward<Args>(args)...).str());
  }

  llvm::Expected<Type> readType(const ValueInfoProto &info);
  llvm::Error declareTypes(const GraphProto &graph);
  llvm::Error readInitializers(const GraphProto &graph);
  llvm::Error readNodes(const GraphProto &graph, int depth);
  llvm::Error readNode(const NodeProto &node, int depth);
  llvm::Expected<Value> addInitializer(const TensorProto &tensor, StringRef name);
  llvm::Expected<Attribute> readAttribute(const AttributeProto &attribute, StringRef output);
  llvm::Error define(StringRef name, Value value);
  llvm::Error countInline(int64_t bytes);
  llvm::Expected<SmallVector<Value>> outputs(const GraphProto &graph);
  Location at(StringRef name) { return NameLoc::get(builder.getStringAttr(printable(name))); }

  std::string file;
  OpBuilder builder;
  TensorReader tensors;
  WeightStore &store;
  llvm::StringMap<Value> values;
  llvm::StringMap<Type> types;
  llvm::StringMap<TensorBytes> stored; ///< what `store` has
  int64_t numInline = 0;               ///< bytes of values in the module
  Value absent;
  int64_t opset = 0;
};

} // namespace

llvm::Expected<Type> GraphReader::readType(const ValueInfoProto &info) {
  if (!info.has_type() || !info.type().has_tensor_type())
    return Type(UnknownType::get(builder.getContext()));
  const TypeProto::Tensor &tensor = info.type().tensor_type();
  if (tensor.elem_type() == 0)
    return Type(UnknownType::get(builder.getContext()));
  Type element = elementType(tensor.elem_type(), *builder.getContext());
  if (!element)
    return error("value '{0}' has data type {1}, which is not supported", printable(info.name()),
                 tensor.elem_type());
  if (!tensor.has_shape())
    return Type(UnrankedTensorType::get(element));
  SmallVector<int64_t> shape;
  for (const TensorShapeProto::Dimension &dim : tensor.shape().dim()) {
    bool fixed = dim.has_dim_value();
    if (fixed && dim.dim_value() < 0)
      return error("value '{0}' has a dimension of {1}", printable(info.name()), dim.dim_value());
    shape.push_back(fixed ? dim.dim_value() : ShapedType::kDynamic);
  }
  return Type(RankedTensorType::get(shape, element));
}

llvm::Error GraphReader::declareTypes(const GraphProto &graph) {
  for (const auto *infos : {&graph.value_info(), &graph.output()})
    for (const ValueInfoProto &info : *infos) {
      llvm::Expected<Type> type = readType(info);
      if (!type)
        return type.takeError();
      types[info.name()] = *type;
    }
  return llvm::Error::success();
}

llvm::Error GraphReader::define(StringRef name, Value value) {
  if (!values.try_emplace(name, value).second)
    return error("value '{0}' is defined twice", printable(name));
  return llvm::Error::success();
}

/// Many small tensors may share the bytes of one file beside the graph.
llvm::Error GraphReader::countInline(int64_t bytes) {
  constexpr int64_t most = 64 << 20;
  numInline += bytes;
  if (numInline > most)
    return error("has constants of more than {0} bytes that are no weights", most);
  return llvm::Error::success();
}

llvm::Expected<Value> GraphReader::addInitializer(const TensorProto &tensor, StringRef name) {
  llvm::Expected<TensorBytes> bytes = tensors.read(tensor, name);
  if (!bytes)
    return bytes.takeError();
  Type element = bytes->type.getElementType();
  std::optional<qopt::FloatType> kind;
  if (element.isF32())
    kind = qopt::FloatType::f32;
  else if (element.isF16())
    kind = qopt::FloatType::f16;
  else if (element.isBF16())
    kind = qopt::FloatType::bf16;
  bool small = static_cast<int64_t>(bytes->bytes.size()) <= inlineBytes;
  if (kind && bytes->type.getRank() > 0 && !bytes->bytes.empty()) {
    // Bodies have names of their own, the store has not.
    auto [entry, isNew] = stored.try_emplace(name, *bytes);
    if (!isNew && (entry->second.type != bytes->type || entry->second.bytes != bytes->bytes))
      return error("two initializers have the name '{0}'", printable(name));
    if (isNew)
      store.insert(std::make_unique<MappedTensor>(name.str(), bytes->type.getShape(), *kind,
                                                  bytes->bytes.data()));
  }
  if (small)
    if (llvm::Error error = countInline(bytes->bytes.size()))
      return error;
  ElementsAttr value = small ? ElementsAttr(TensorReader::toElements(*bytes)) : ElementsAttr();
  return InitializerOp::create(builder, at(name), bytes->type, builder.getStringAttr(name), value,
                               UnitAttr(), IntegerAttr())
      .getResult();
}

llvm::Error GraphReader::readInitializers(const GraphProto &graph) {
  for (const TensorProto &tensor : graph.initializer()) {
    llvm::Expected<Value> value = addInitializer(tensor, tensor.name());
    if (!value)
      return value.takeError();
    if (llvm::Error error = define(tensor.name(), *value))
      return error;
  }
  return llvm::Error::success();
}

llvm::Expected<Attribute> GraphReader::readAttribute(const AttributeProto &attribute,
                                                     StringRef output) {
  switch (attribute.type()) {
  case 1:
    return Attribute(builder.getF32FloatAttr(attribute.f()));
  case 2:
    return Attribute(builder.getI64IntegerAttr(attribute.i()));
  case 3:
    return Attribute(builder.getStringAttr(attribute.s()));
  case 4: {
    llvm::Expected<TensorBytes> bytes = tensors.read(attribute.t(), output);
    if (!bytes)
      return bytes.takeError();
    if (static_cast<int64_t>(bytes->bytes.size()) > inlineBytes)
      return error("attribute '{0}' of '{1}' has {2} bytes, expected at most {3}",
                   printable(attribute.name()), printable(output), bytes->bytes.size(),
                   inlineBytes);
    if (llvm::Error error = countInline(bytes->bytes.size()))
      return error;
    return Attribute(TensorReader::toElements(*bytes));
  }
  case 6: {
    SmallVector<float> floats(attribute.floats().begin(), attribute.floats().end());
    return Attribute(builder.getF32ArrayAttr(floats));
  }
  case 7: {
    SmallVector<int64_t> ints(attribute.ints().begin(), attribute.ints().end());
    return Attribute(builder.getI64ArrayAttr(ints));
  }
  case 8: {
    SmallVector<StringRef> strings;
    for (const std::string &text : attribute.strings())
      strings.push_back(text);
    return Attribute(builder.getStrArrayAttr(strings));
  }
  default:
    return error("attribute '{0}' of '{1}' has type {2}, which is not supported",
                 printable(attribute.name()), printable(output), attribute.type());
  }
}

llvm::Error GraphReader::readNode(const NodeProto &node, int depth) {
  StringRef output = node.output_size() ? StringRef(node.output(0)) : StringRef();
  StringRef name = node.name().empty() ? output : StringRef(node.name());
  StringRef domain = node.domain() == "ai.onnx" ? StringRef() : StringRef(node.domain());
  if (node.op_type().empty())
    return error("node '{0}' has no operator", printable(name));
  if (node.output_size() == 0)
    return error("node '{0}' ({1}) has no outputs", printable(name), printable(node.op_type()));

  // A large constant is an initializer in another place.
  if (domain.empty() && node.op_type() == "Constant" && node.attribute_size() == 1 &&
      node.attribute(0).type() == 4 && node.output_size() == 1) {
    llvm::Expected<TensorBytes> bytes = tensors.read(node.attribute(0).t(), output);
    if (!bytes)
      return bytes.takeError();
    if (static_cast<int64_t>(bytes->bytes.size()) > inlineBytes) {
      llvm::Expected<Value> value = addInitializer(node.attribute(0).t(), output);
      if (!value)
        return value.takeError();
      return define(output, *value);
    }
  }

  SmallVector<Value> inputs;
  for (const std::string &input : node.input()) {
    Value value = input.empty() ? absent : values.lookup(input);
    if (!value)
      return error("node '{0}' ({1}) reads '{2}', which nothing before it defines", printable(name),
                   printable(node.op_type()), printable(input));
    inputs.push_back(value);
  }
  NamedAttrList attributes;
  SmallVector<Attribute> bodyNames;
  SmallVector<const GraphProto *> bodies;
  for (const AttributeProto &attribute : node.attribute()) {
    if (attribute.type() == 5) {
      bodyNames.push_back(builder.getStringAttr(attribute.name()));
      bodies.push_back(&attribute.g());
      continue;
    }
    if (attribute.name().empty())
      return error("node '{0}' has an attribute without a name", printable(name));
    if (domain.empty() && node.op_type() == "Cast" && attribute.name() == "to") {
      Type type = llvm::isInt<32>(attribute.i())
                      ? elementType(static_cast<int32_t>(attribute.i()), *builder.getContext())
                      : Type();
      if (!type)
        return error("node '{0}' (Cast) has data type {1}, which is not supported", printable(name),
                     attribute.i());
      attributes.set("to", TypeAttr::get(type));
      continue;
    }
    llvm::Expected<Attribute> value = readAttribute(attribute, output);
    if (!value)
      return value.takeError();
    attributes.set(attribute.name(), *value);
  }
  // Before opset 13 Softmax had another default axis.
  if (domain.empty() && node.op_type() == "Softmax" && opset < 13 && !attributes.get("axis"))
    attributes.set("axis", builder.getI64IntegerAttr(1));

  SmallVector<Type> resultTypes;
  for (const std::string &result : node.output()) {
    Type type = types.lookup(result);
    resultTypes.push_back(type ? type : UnknownType::get(builder.getContext()));
  }
  auto op =
      NodeOp::create(builder, at(name), resultTypes, builder.getStringAttr(node.op_type()),
                     domain.empty() ? StringAttr() : builder.getStringAttr(domain), inputs,
                     attributes.getDictionary(builder.getContext()),
                     bodies.empty() ? ArrayAttr() : builder.getArrayAttr(bodyNames), bodies.size());
  for (auto [region, body] : llvm::zip_equal(op.getBodies(), bodies)) {
    OpBuilder::InsertionGuard guard(builder);
    builder.createBlock(&region);
    if (body->input_size() != 0)
      return error("node '{0}' ({1}) has a body with inputs, which is not supported",
                   printable(name), printable(node.op_type()));
    if (llvm::Error error = readNodes(*body, depth + 1))
      return error;
    llvm::Expected<SmallVector<Value>> yielded = outputs(*body);
    if (!yielded)
      return yielded.takeError();
    YieldOp::create(builder, op.getLoc(), *yielded);
    // Names of a body end with it.
    for (const TensorProto &tensor : body->initializer())
      values.erase(tensor.name());
    for (const NodeProto &inner : body->node())
      for (const std::string &result : inner.output())
        values.erase(result);
  }
  for (auto [result, value] : llvm::zip_equal(node.output(), op.getOutputs()))
    if (!result.empty())
      if (llvm::Error error = define(result, value))
        return error;
  return llvm::Error::success();
}

llvm::Error GraphReader::readNodes(const GraphProto &graph, int depth) {
  constexpr int maxDepth = 8;
  if (depth > maxDepth)
    return error("bodies are nested deeper than {0}", maxDepth);
  if (llvm::Error error = declareTypes(graph))
    return error;
  if (llvm::Error error = readInitializers(graph))
    return error;
  for (const NodeProto &node : graph.node())
    if (llvm::Error error = readNode(node, depth))
      return error;
  return llvm::Error::success();
}

llvm::Expected<SmallVector<Value>> GraphReader::outputs(const GraphProto &graph) {
  SmallVector<Value> results;
  for (const ValueInfoProto &info : graph.output()) {
    Value value = values.lookup(info.name());
    if (!value)
      return error("output '{0}' is not defined", printable(info.name()));
    results.push_back(value);
  }
  return results;
}

llvm::Expected<OwningOpRef<ModuleOp>> GraphReader::read(const ModelProto &model) {
  constexpr int64_t oldest = 11;
  for (const OperatorSetIdProto &set : model.opset_import())
    if (set.domain().empty() || set.domain() == "ai.onnx")
      opset = set.version();
  if (opset < oldest)
    return error("has opset {0}, expected {1} or later", opset, oldest);
  const GraphProto &graph = model.graph();
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder.getUnknownLoc());
  (*module)->setAttr("onnx_graph.opset", builder.getI64IntegerAttr(opset));

  llvm::StringSet<> initialized;
  for (const TensorProto &tensor : graph.initializer())
    initialized.insert(tensor.name());
  SmallVector<Type> inputTypes;
  SmallVector<StringRef> inputNames;
  for (const ValueInfoProto &info : graph.input()) {
    if (initialized.contains(info.name()))
      continue;
    llvm::Expected<Type> type = readType(info);
    if (!type)
      return type.takeError();
    inputTypes.push_back(*type);
    inputNames.push_back(info.name());
  }
  auto named = [&](StringRef name) {
    return builder.getDictionaryAttr(
        builder.getNamedAttr("onnx_graph.name", builder.getStringAttr(printable(name))));
  };
  builder.setInsertionPointToEnd(module->getBody());
  auto func = func::FuncOp::create(builder, at(graph.name().empty() ? "main" : graph.name()),
                                   "main", builder.getFunctionType(inputTypes, {}));
  Block *body = func.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  for (auto [index, name] : llvm::enumerate(inputNames)) {
    func.setArgAttrs(index, named(name));
    if (llvm::Error error = define(name, body->getArgument(index)))
      return error;
  }
  absent = AbsentOp::create(builder, builder.getUnknownLoc(), builder.getNoneType());
  if (llvm::Error error = readNodes(graph, 0))
    return error;
  llvm::Expected<SmallVector<Value>> results = outputs(graph);
  if (!results)
    return results.takeError();
  func::ReturnOp::create(builder, func.getLoc(), *results);
  func.setFunctionType(builder.getFunctionType(inputTypes, ValueRange(*results).getTypes()));
  for (auto [index, info] : llvm::enumerate(graph.output()))
    func.setResultAttrs(index, named(info.name()));
  if (absent.use_empty())
    absent.getDefiningOp()->erase();
  return module;
}

llvm::Expected<ONNXGraph> qopt::readONNX(StringRef file, MLIRContext &context) {
  // A protobuf message has less than 2 GiB.
  llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> buffer = openModelFile(file, INT32_MAX);
  if (!buffer)
    return buffer.takeError();
  return readONNX((*buffer)->getMemBufferRef(), context);
}

llvm::Expected<ONNXGraph> qopt::readONNX(llvm::MemoryBufferRef source, MLIRContext &context) {
  context.loadDialect<func::FuncDialect, onnx_graph::ONNXGraphDialect>();
  StringRef file = source.getBufferIdentifier(), bytes = source.getBuffer();
  if (llvm::Error error = checkMessages(bytes))
    return inContext(file, std::move(error));
  auto model = std::make_shared<ModelProto>();
  google::protobuf::io::ArrayInputStream array(bytes.data(), bytes.size());
  google::protobuf::io::CodedInputStream stream(&array);
  stream.SetTotalBytesLimit(INT32_MAX);
  if (!model->ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage() ||
      !model->has_graph())
    return onnx::error("{0}: is not an ONNX file", file);
  if (model->ir_version() < 3)
    return onnx::error("{0}: has IR version {1}, expected 3 or later", file, model->ir_version());
  if (llvm::Error error = inlineFunctions(*model))
    return inContext(file, std::move(error));

  ONNXGraph graph;
  graph.initializers.own(model);
  graph.producer = printable(model->producer_name());
  if (!model->producer_version().empty())
    graph.producer += " " + printable(model->producer_version());
  llvm::Expected<OwningOpRef<ModuleOp>> module =
      GraphReader(file, context, graph.initializers).read(*model);
  if (!module)
    return module.takeError();
  std::string problem;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    problem = problem.empty() ? diagnostic.str() : problem;
    return success();
  });
  if (failed(verify(**module)))
    return onnx::error("{0}: makes no valid module: {1}", file, printable(problem));
  graph.module = std::move(*module);
  return graph;
}
