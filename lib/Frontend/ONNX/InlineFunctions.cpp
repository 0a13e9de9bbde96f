//===- InlineFunctions.cpp - Model-local functions of ONNX files ----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReaderDetail.h"
#include "qopt/Frontend/ModelFiles.h"

using namespace llvm;
using namespace qopt;
using namespace qopt::onnx;

namespace {

constexpr int maxDepth = 16;
constexpr int64_t maxNodes = 1 << 17;
constexpr size_t maxBytes = 64 << 20;

class FunctionInliner {
public:
  explicit FunctionInliner(const ModelProto &model) {
    for (const FunctionProto &function : model.functions())
      functions[key(function.domain(), function.name())] = &function;
  }

  Error inlineInto(GraphProto &graph, int depth) {
    google::protobuf::RepeatedPtrField<NodeProto> nodes;
    for (NodeProto &node : *graph.mutable_node())
      if (Error error = append(node, nodes, depth))
        return error;
    graph.mutable_node()->Swap(&nodes);
    return Error::success();
  }

private:
  static std::string key(StringRef domain, StringRef name) {
    return ((domain == "ai.onnx" ? "" : domain) + ":" + name).str();
  }

  Error append(NodeProto &node, google::protobuf::RepeatedPtrField<NodeProto> &nodes, int depth) {
    if (depth > maxDepth)
      return onnx::error("functions and bodies are nested deeper than {0}", maxDepth);
    if (++made > maxNodes)
      return onnx::error("has more than {0} nodes after its functions are inlined", maxNodes);
    auto function = functions.find(key(node.domain(), node.op_type()));
    if (function == functions.end()) {
      for (AttributeProto &attribute : *node.mutable_attribute())
        if (attribute.has_g())
          if (Error error = inlineInto(*attribute.mutable_g(), depth + 1))
            return error;
      nodes.Add()->Swap(&node);
      return Error::success();
    }
    return expand(node, *function->second, nodes, depth);
  }

  Error expand(const NodeProto &call, const FunctionProto &function,
               google::protobuf::RepeatedPtrField<NodeProto> &nodes, int depth) {
    StringMap<std::string> names;
    std::string prefix = (call.name().empty() && call.output_size() ? call.output(0) : call.name());
    for (int i = 0; i < function.input_size(); ++i)
      names[function.input(i)] = i < call.input_size() ? call.input(i) : "";
    for (int i = 0; i < function.output_size(); ++i)
      if (i < call.output_size() && !call.output(i).empty() && !names.contains(function.output(i)))
        names[function.output(i)] = call.output(i);
    StringMap<const AttributeProto *> given;
    for (const AttributeProto &attribute : function.attribute_proto())
      given[attribute.name()] = &attribute;
    for (const AttributeProto &attribute : call.attribute())
      given[attribute.name()] = &attribute;
    int64_t number = ++calls;
    auto rename = [&](const std::string &name) {
      if (name.empty())
        return name;
      auto [entry, isNew] = names.try_emplace(name);
      if (isNew)
        entry->second = formatv("{0}/{1}.{2}", prefix, name, number);
      return entry->second;
    };
    for (const NodeProto &source : function.node()) {
      NodeProto node = source;
      for (std::string &name : *node.mutable_input())
        name = rename(name);
      for (std::string &name : *node.mutable_output())
        name = rename(name);
      node.set_name(prefix + "/" + (source.name().empty() ? source.op_type() : source.name()));
      if (Error error = bindAttributes(node, given))
        return error;
      copied += node.ByteSizeLong();
      if (copied > maxBytes)
        return onnx::error("has more than {0} bytes of nodes after its functions are inlined",
                           maxBytes);
      if (Error error = append(node, nodes, depth + 1))
        return error;
    }
    return Error::success();
  }

  static Error bindAttributes(NodeProto &node, const StringMap<const AttributeProto *> &given) {
    google::protobuf::RepeatedPtrField<AttributeProto> attributes;
    for (AttributeProto &attribute : *node.mutable_attribute()) {
      if (attribute.has_g())
        return onnx::error(
            "node '{0}' of a model-local function has a body, which is not supported",
            printable(node.name()));
      if (attribute.ref_attr_name().empty()) {
        attributes.Add()->Swap(&attribute);
        continue;
      }
      auto value = given.find(attribute.ref_attr_name());
      if (value == given.end())
        continue; // the operator's default holds
      AttributeProto *bound = attributes.Add();
      *bound = *value->second;
      bound->set_name(attribute.name());
    }
    node.mutable_attribute()->Swap(&attributes);
    return Error::success();
  }

  StringMap<const FunctionProto *> functions;
  int64_t made = 0;
  int64_t calls = 0;
  size_t copied = 0; ///< bytes
};

} // namespace

Error onnx::inlineFunctions(ModelProto &model) {
  return FunctionInliner(model).inlineInto(*model.mutable_graph(), 0);
}
