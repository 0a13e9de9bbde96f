//===- ONNXMutator.cpp - ONNX files that are wrong in what they say -------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A flipped bit of a protobuf seldom leaves one. Half of the mutations change the
// message instead: operators, operands, attributes, shapes and constants.
//
//===----------------------------------------------------------------------===//

#include "onnx.pb.h"
#include <cstring>
#include <random>

using namespace qopt::onnx;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace {

class Mutator {
public:
  explicit Mutator(unsigned seed) : numbers(seed) {}

  void mutate(GraphProto &graph) {
    if (graph.node_size() == 0)
      return;
    int node = pick(graph.node_size());
    switch (pick(8)) {
    case 0:
      return mutateOperator(*graph.mutable_node(node));
    case 1:
    case 2:
      return mutateOperands(*graph.mutable_node(node), graph);
    case 3:
      return mutateAttribute(*graph.mutable_node(node));
    case 4:
      return mutateTensor(graph);
    case 5:
      return mutateType(graph);
    case 6: { // a copy of a node is an operand of others
      NodeProto copy = graph.node(node);
      for (std::string &output : *copy.mutable_output())
        output += "'";
      *graph.add_node() = copy;
      for (int i = graph.node_size() - 1; i > node + 1; --i)
        graph.mutable_node()->SwapElements(i, i - 1);
      return;
    }
    default:
      graph.mutable_node()->DeleteSubrange(node, 1);
    }
  }

private:
  int pick(int count) { return static_cast<int>(numbers() % static_cast<unsigned>(count)); }

  int64_t integer() {
    static constexpr int64_t values[] = {0,       1,         2,         3,         4,  5,
                                         -1,      -2,        -3,        8,         64, 4096,
                                         1 << 20, INT64_MIN, INT64_MAX, 1LL << 32, 7,  -64,
                                         1234,    INT32_MAX, INT32_MIN, 1LL << 62};
    return values[pick(std::size(values))];
  }

  /// A value that some node of the graph has, or none.
  std::string value(const GraphProto &graph) {
    switch (pick(8)) {
    case 0:
      return "";
    case 1:
      return graph.input_size() ? graph.input(pick(graph.input_size())).name() : "";
    case 2:
    case 3:
      return graph.initializer_size() ? graph.initializer(pick(graph.initializer_size())).name()
                                      : "";
    default:
      const NodeProto &node = graph.node(pick(graph.node_size()));
      return node.output_size() ? node.output(pick(node.output_size())) : "";
    }
  }

  void mutateOperator(NodeProto &node) {
    static constexpr const char *names[] = {"Add",
                                            "Sub",
                                            "Mul",
                                            "Div",
                                            "Pow",
                                            "Mod",
                                            "Max",
                                            "And",
                                            "Equal",
                                            "Less",
                                            "Where",
                                            "Not",
                                            "IsNaN",
                                            "Cast",
                                            "CastLike",
                                            "Identity",
                                            "Neg",
                                            "Sqrt",
                                            "Sigmoid",
                                            "Reciprocal",
                                            "Gather",
                                            "GatherND",
                                            "Shape",
                                            "Size",
                                            "Range",
                                            "Trilu",
                                            "Constant",
                                            "ConstantOfShape",
                                            "Reshape",
                                            "Flatten",
                                            "Squeeze",
                                            "Unsqueeze",
                                            "Transpose",
                                            "Expand",
                                            "Tile",
                                            "Concat",
                                            "Slice",
                                            "Split",
                                            "MatMul",
                                            "Softmax",
                                            "ReduceMean",
                                            "ReduceSum",
                                            "ReduceMax",
                                            "CumSum",
                                            "Gemm",
                                            "Swish",
                                            "Attention",
                                            "RMSNormalization",
                                            "RotaryEmbedding",
                                            "Dropout",
                                            "If",
                                            "QuickGelu",
                                            "FusedMatMul",
                                            "MultiHeadAttention",
                                            "SkipSimplifiedLayerNormalization"};
    node.set_op_type(names[pick(std::size(names))]);
    node.set_domain(pick(4) == 0 ? "com.microsoft" : "");
  }

  void mutateOperands(NodeProto &node, const GraphProto &graph) {
    switch (pick(5)) {
    case 0:
      node.add_input(value(graph));
      return;
    case 1:
      if (node.input_size())
        node.mutable_input()->RemoveLast();
      return;
    case 2:
      node.add_output("extra" + std::to_string(pick(1000)));
      return;
    default:
      if (node.input_size())
        node.set_input(pick(node.input_size()), value(graph));
    }
  }

  void mutateAttribute(NodeProto &node) {
    static constexpr const char *names[] = {
        "axis",         "axes",  "perm",        "start",        "end",
        "to",           "split", "keepdims",    "value_ints",   "num_outputs",
        "transB",       "upper", "q_num_heads", "kv_num_heads", "num_heads",
        "value_floats", "value", "epsilon",     "is_causal",    "allowzero"};
    AttributeProto *attribute = pick(2) || node.attribute_size() == 0
                                    ? node.add_attribute()
                                    : node.mutable_attribute(pick(node.attribute_size()));
    if (attribute->name().empty())
      attribute->set_name(names[pick(std::size(names))]);
    static constexpr int types[] = {1, 2, 2, 4, 6, 7, 7};
    attribute->set_type(types[pick(std::size(types))]);
    attribute->set_i(integer());
    attribute->set_f(static_cast<float>(integer()));
    attribute->clear_ints();
    attribute->clear_floats();
    for (int i = pick(4); i > 0; --i) {
      attribute->add_ints(integer());
      attribute->add_floats(static_cast<float>(integer()));
    }
    if (attribute->type() == 4)
      fill(*attribute->mutable_t());
  }

  /// A tensor of a few elements.
  void fill(TensorProto &tensor) {
    static constexpr int types[] = {1, 7, 9, 6, 10, 16, 11, 3};
    tensor.Clear();
    tensor.set_data_type(types[pick(std::size(types))]);
    int count = pick(5);
    if (pick(3))
      tensor.add_dims(count);
    else
      count = 1;
    for (int i = 0; i < count; ++i) {
      tensor.add_int64_data(integer());
      tensor.add_int32_data(static_cast<int32_t>(integer()));
      tensor.add_float_data(static_cast<float>(integer()));
      tensor.add_double_data(static_cast<double>(integer()));
    }
  }

  void mutateTensor(GraphProto &graph) {
    if (graph.initializer_size() == 0)
      return;
    TensorProto &tensor = *graph.mutable_initializer(pick(graph.initializer_size()));
    if (tensor.data_location() == 0) {
      std::string name = tensor.name();
      fill(tensor);
      tensor.set_name(name);
      return;
    }
    // Other dimensions; the data beside the file has as many bytes as it takes.
    int64_t bytes = tensor.data_type() == 1 ? 4 : 2;
    if (pick(2) && tensor.dims_size() == 2)
      tensor.mutable_dims()->SwapElements(0, 1);
    else if (pick(4) == 0)
      tensor.add_dims(1);
    else if (tensor.dims_size())
      tensor.set_dims(pick(tensor.dims_size()), 1 + pick(70));
    for (int64_t dim : tensor.dims())
      if (__builtin_mul_overflow(bytes, dim, &bytes))
        return;
    for (StringStringEntryProto &entry : *tensor.mutable_external_data())
      if (entry.key() == "length")
        entry.set_value(std::to_string(bytes));
  }

  void mutateType(GraphProto &graph) {
    if (graph.input_size() == 0)
      return;
    ValueInfoProto &input = *graph.mutable_input(pick(graph.input_size()));
    TypeProto::Tensor &type = *input.mutable_type()->mutable_tensor_type();
    if (pick(3) == 0) {
      static constexpr int types[] = {1, 7, 9, 6, 10, 16};
      type.set_elem_type(types[pick(std::size(types))]);
      return;
    }
    TensorShapeProto &shape = *type.mutable_shape();
    if (shape.dim_size() == 0 || pick(6) == 0)
      shape.add_dim();
    TensorShapeProto::Dimension &dim = *shape.mutable_dim(pick(shape.dim_size()));
    if (pick(2))
      dim.set_dim_param("d");
    else
      dim.set_dim_value(integer());
  }

  std::minstd_rand numbers;
};

} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize,
                                          unsigned seed) {
  ModelProto model;
  if (seed % 2 == 0 || !model.ParseFromArray(data, static_cast<int>(size)))
    return LLVMFuzzerMutate(data, size, maxSize);
  Mutator mutator(seed);
  for (unsigned i = 0; i < 1 + seed / 2 % 3; ++i)
    mutator.mutate(*model.mutable_graph());
  std::string bytes = model.SerializeAsString();
  if (bytes.size() > maxSize)
    return LLVMFuzzerMutate(data, size, maxSize);
  std::memcpy(data, bytes.data(), bytes.size());
  return bytes.size();
}
