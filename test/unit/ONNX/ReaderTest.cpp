//===- ReaderTest.cpp - ONNX files, good and bad --------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/ONNX/Reader.h"
#include "../Frontend/TestFiles.h"
#include "mlir/IR/MLIRContext.h"
#include "onnx.pb.h"
#include "qopt/Dialect/ONNX/IR/ONNXGraphDialect.h"
#include <filesystem>

using namespace qopt;
using namespace qopt::test;
using onnx::AttributeProto;
using onnx::FunctionProto;
using onnx::GraphProto;
using onnx::ModelProto;
using onnx::NodeProto;
using onnx::TensorProto;

namespace {

class ReaderTest : public ::testing::Test {
protected:
  ReaderTest() {
    model.set_ir_version(8);
    model.add_opset_import()->set_version(18);
    declare(model.mutable_graph()->add_input(), "x");
    declare(model.mutable_graph()->add_output(), "y");
  }

  static void declare(onnx::ValueInfoProto *info, const std::string &name) {
    info->set_name(name);
    info->mutable_type()->mutable_tensor_type()->set_elem_type(1);
    auto *shape = info->mutable_type()->mutable_tensor_type()->mutable_shape();
    shape->add_dim()->set_dim_param("n");
    shape->add_dim()->set_dim_value(2);
  }
  static NodeProto *add(GraphProto *graph, const std::string &op, std::vector<std::string> inputs,
                        std::vector<std::string> outputs) {
    NodeProto *node = graph->add_node();
    node->set_op_type(op);
    for (const std::string &input : inputs)
      node->add_input(input);
    for (const std::string &output : outputs)
      node->add_output(output);
    return node;
  }
  NodeProto *add(const std::string &op, std::vector<std::string> inputs,
                 std::vector<std::string> outputs) {
    return add(model.mutable_graph(), op, inputs, outputs);
  }
  TensorProto *initializer(const std::string &name, std::vector<int64_t> dims, int type = 1) {
    TensorProto *tensor = model.mutable_graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(type);
    for (int64_t dim : dims)
      tensor->add_dims(dim);
    return tensor;
  }
  static void external(TensorProto *tensor, const std::string &location,
                       const std::string &offset = "0", const std::string &length = "") {
    tensor->set_data_location(1);
    auto entry = [&](const char *key, const std::string &value) {
      auto *pair = tensor->add_external_data();
      pair->set_key(key);
      pair->set_value(value);
    };
    entry("location", location);
    entry("offset", offset);
    if (!length.empty())
      entry("length", length);
  }

  llvm::Expected<ONNXGraph> read() {
    return readONNX(folder.write("model.onnx", model.SerializeAsString()), context);
  }
  std::string readText() {
    ONNXGraph graph = unwrap(read());
    std::string text;
    llvm::raw_string_ostream stream(text);
    graph.module->print(stream);
    return text;
  }
  void expectText(const std::string &part) {
    std::string text = readText();
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }

  mlir::MLIRContext context;
  TempFolder folder;
  ModelProto model;
};

TEST_F(ReaderTest, readsNodesAndAttributes) {
  NodeProto *node = add("Fused", {"x", "", "x"}, {"y", ""});
  node->set_domain("com.microsoft");
  auto attribute = [&](const char *name, int type) {
    AttributeProto *result = node->add_attribute();
    result->set_name(name);
    result->set_type(type);
    return result;
  };
  attribute("a", 1)->set_f(0.5f);
  attribute("b", 2)->set_i(-3);
  attribute("c", 3)->set_s("text");
  attribute("d", 7)->add_ints(4);
  attribute("e", 6)->add_floats(1.5f);
  attribute("f", 8)->add_strings("s");
  expectText("onnx_graph.node \"Fused\" in \"com.microsoft\"(%arg0, %0, %arg0) {a = 5.000000e-01 : "
             "f32, b = -3 : i64, c = \"text\", d = [4], e = [1.500000e+00 : f32], f = [\"s\"]} : "
             "(tensor<?x2xf32>, none, tensor<?x2xf32>) -> (tensor<?x2xf32>, !onnx_graph.unknown)");
}

TEST_F(ReaderTest, readsTensorsOfEveryField) {
  add("Identity", {"x"}, {"y"});
  TensorProto *f32 = initializer("f32", {2});
  f32->add_float_data(1.5f);
  f32->add_float_data(-2.0f);
  initializer("i64", {1}, 7)->add_int64_data(-5);
  initializer("i32", {1}, 6)->add_int32_data(-6);
  initializer("bool", {1}, 9)->add_int32_data(1);
  initializer("f16", {1}, 10)->add_int32_data(0x3c00);
  initializer("bf16", {1}, 16)->set_raw_data("\x80\x3f");
  initializer("f64", {}, 11)->add_double_data(0.25);
  initializer("u4", {3}, 21)->set_raw_data("\x21\x03");
  std::string text = readText();
  for (const char *part :
       {"\"f32\" value dense<[1.500000e+00, -2.000000e+00]> : tensor<2xf32>",
        "\"i64\" value dense<-5> : tensor<1xi64>", "\"i32\" value dense<-6> : tensor<1xi32>",
        "\"bool\" value dense<true> : tensor<1xi1>",
        "\"f16\" value dense<1.000000e+00> : tensor<1xf16>",
        "\"bf16\" value dense<1.000000e+00> : tensor<1xbf16>",
        "\"f64\" value dense<2.500000e-01> : tensor<f64>",
        "\"u4\" value dense<[1, 2, 3]> : tensor<3xui4>"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

TEST_F(ReaderTest, leavesLargeTensorsOutside) {
  add("Identity", {"x"}, {"y"});
  initializer("big", {200, 100})->set_raw_data(std::string(200 * 100 * 4, '\0'));
  ONNXGraph graph = unwrap(read());
  EXPECT_NE(graph.initializers.find("big"), nullptr);
  expectText("onnx_graph.initializer \"big\" : tensor<200x100xf32>");
}

TEST_F(ReaderTest, readsExternalData) {
  add("Identity", {"x"}, {"y"});
  folder.write("w.data", "12345678" + floatBytes({1.0f, 2.0f}));
  external(initializer("w", {2}), "w.data", "8", "8");
  ONNXGraph graph = unwrap(read());
  float values[2];
  expectOk(graph.initializers.find("w")->readRows(0, 2, values));
  EXPECT_EQ(values[1], 2.0f);
}

TEST_F(ReaderTest, keepsExternalDataInTheFolder) {
  add("Identity", {"x"}, {"y"});
  TempFolder other;
  std::string secret = other.write("secret", floatBytes({1.0f, 2.0f}));
  auto refuses = [&](const std::string &location, const char *why) {
    model.mutable_graph()->clear_initializer();
    external(initializer("w", {2}), location);
    expectError(read(), why);
  };
  refuses("../secret", "must be relative and without '..'");
  refuses(secret, "must be relative and without '..'");
  refuses("", "must be relative and without '..'");
  refuses("missing", "no such file or directory");
  std::filesystem::create_symlink(secret, folder.path("link"));
  refuses("link", "leads out of the model's folder");
  std::filesystem::create_hard_link(secret, folder.path("hard"));
  refuses("hard", "has 2 hard links, expected 1");
  std::filesystem::create_directory(folder.path("folder"));
  refuses("folder", "expected a regular file");
}

TEST_F(ReaderTest, checksOffsetsOfExternalData) {
  add("Identity", {"x"}, {"y"});
  folder.write("w.data", floatBytes({1.0f, 2.0f}));
  auto refuses = [&](const std::string &offset, const std::string &length, const char *why) {
    model.mutable_graph()->clear_initializer();
    external(initializer("w", {2}), "w.data", offset, length);
    expectError(read(), why);
  };
  refuses("4", "8", "external data at 4 to 12 lies outside of 'w.data' of 8 bytes");
  refuses("18446744073709551612", "8", "lies outside of 'w.data'");
  refuses("-1", "8", "external data has offset '-1'");
  refuses("0", "x", "external data has length 'x'");
  refuses("0", "4", "external data has length 4, expected 8");
}

TEST_F(ReaderTest, refusesBadTensors) {
  add("Identity", {"x"}, {"y"});
  auto refuses = [&](std::vector<int64_t> dims, int type, const std::string &bytes,
                     const char *why) {
    model.mutable_graph()->clear_initializer();
    initializer("w", dims, type)->set_raw_data(bytes);
    expectError(read(), why);
  };
  refuses({2}, 1, "1234", "tensor 'w' of shape [2] has 4 bytes, expected 8");
  refuses({-1}, 1, "", "tensor 'w' has shape [-1]");
  refuses({int64_t(1) << 40, int64_t(1) << 40}, 1, "", "which is out of range");
  refuses({1}, 8, "", "tensor 'w' has data type 8, which is not supported");
  refuses({1}, 99, "", "has data type 99, which is not supported");
}

TEST_F(ReaderTest, refusesBadGraphs) {
  add("Neg", {"z"}, {"y"})->set_name("n");
  expectError(read(), "node 'n' (Neg) reads 'z', which nothing before it defines");
  model.mutable_graph()->clear_node();
  add("Neg", {"x"}, {"x"});
  expectError(read(), "value 'x' is defined twice");
  model.mutable_graph()->clear_node();
  expectError(read(), "output 'y' is not defined");
  add("", {"x"}, {"y"})->set_name("n");
  expectError(read(), "node 'n' has no operator");
  model.mutable_graph()->mutable_node(0)->set_op_type("Cast");
  AttributeProto *to = model.mutable_graph()->mutable_node(0)->add_attribute();
  to->set_name("to");
  to->set_type(2);
  to->set_i(8);
  expectError(read(), "node 'n' (Cast) has data type 8, which is not supported");
  to->set_name("sparse");
  to->set_type(11);
  expectError(read(), "attribute 'sparse' of 'y' has type 11, which is not supported");
  to->set_type(2);
  to->clear_name();
  expectError(read(), "node 'n' has an attribute without a name");
  to->set_name("t");
  to->set_type(4);
  to->mutable_t()->set_data_type(1);
  to->mutable_t()->add_dims(20000);
  to->mutable_t()->set_raw_data(std::string(80000, '\0'));
  expectError(read(), "attribute 't' of 'y' has 80000 bytes, expected at most 65536");
  auto *dim = model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type();
  dim->mutable_shape()->mutable_dim(1)->set_dim_value(-2);
  expectError(read(), "value 'x' has a dimension of -2");
  dim->set_elem_type(8);
  expectError(read(), "value 'x' has data type 8, which is not supported");
}

TEST_F(ReaderTest, refusesNodesWithoutOutputs) {
  add("Neg", {"x"}, {})->set_name("n");
  expectError(read(), "node 'n' (Neg) has no outputs");
}

TEST_F(ReaderTest, tellsInitializersOfOneNameApart) {
  initializer("c", {}, 9)->add_int32_data(1);
  NodeProto *node = add("If", {"c"}, {"y"});
  for (const char *name : {"then_branch", "else_branch"}) {
    AttributeProto *body = node->add_attribute();
    body->set_name(name);
    body->set_type(5);
    TensorProto *tensor = body->mutable_g()->add_initializer();
    tensor->set_name("w");
    tensor->set_data_type(1);
    tensor->add_dims(1);
    tensor->set_raw_data(floatBytes({1.0f}));
    add(body->mutable_g(), "Add", {"x", "w"}, {"z"});
    body->mutable_g()->add_output()->set_name("z");
  }
  unwrap(read()); // the same tensor twice
  node->mutable_attribute(1)->mutable_g()->mutable_initializer(0)->set_raw_data(floatBytes({2.0f}));
  expectError(read(), "two initializers have the name 'w'");
}

TEST_F(ReaderTest, boundsMemory) {
  // 2 bytes a node in the file, and no more after.
  std::string bytes = model.SerializeAsString(), nodes;
  for (int i = 0; i < (1 << 18) + 1; ++i)
    nodes += std::string("\x0a\x00", 2);
  std::string graph = "\x3a" + std::string("\x82\x80\x20", 3) + nodes; // 2^19 + 2 bytes
  expectError(readONNX(folder.write("m.onnx", bytes + graph), context),
              "has more than 262144 messages and texts");

  // Many constants share the bytes of one file.
  add("Identity", {"x"}, {"y"});
  folder.write("w.data", std::string(65536 + 2048, 'x'));
  for (int i = 0; i < 1025; ++i)
    external(initializer("w" + std::to_string(i), {65536}, 3), "w.data", std::to_string(i));
  expectError(read(), "has constants of more than 67108864 bytes that are no weights");
}

TEST_F(ReaderTest, refusesOtherFiles) {
  expectError(readONNX(folder.path("missing.onnx"), context), "no such file or directory");
  expectError(readONNX(folder.write("a.onnx", "text, not protobuf"), context),
              "is not an ONNX file");
  expectError(readONNX(folder.write("b.onnx", ""), context), "is not an ONNX file");
  add("Identity", {"x"}, {"y"});
  std::string bytes = model.SerializeAsString();
  expectError(readONNX(folder.write("c.onnx", bytes.substr(0, bytes.size() - 3)), context),
              "is not an ONNX file");
  model.set_ir_version(2);
  expectError(read(), "has IR version 2, expected 3 or later");
  model.set_ir_version(8);
  model.mutable_opset_import(0)->set_version(9);
  expectError(read(), "has opset 9, expected 11 or later");
}

TEST_F(ReaderTest, neverCrashesOnDamage) {
  add("Add", {"x", "w"}, {"y"});
  initializer("w", {2})->set_raw_data(floatBytes({1.0f, 2.0f}));
  std::string bytes = model.SerializeAsString();
  for (size_t i = 0; i < bytes.size(); ++i)
    for (int flip : {1, 16, 128}) {
      std::string damaged = bytes;
      damaged[i] ^= flip;
      llvm::consumeError(readONNX(folder.write("d.onnx", damaged), context).takeError());
    }
}

TEST_F(ReaderTest, readsBodies) {
  initializer("c", {}, 9)->add_int32_data(1);
  NodeProto *node = add("If", {"c"}, {"y"});
  for (const char *name : {"then_branch", "else_branch"}) {
    AttributeProto *body = node->add_attribute();
    body->set_name(name);
    body->set_type(5);
    add(body->mutable_g(), "Neg", {"x"}, {"z"});
    body->mutable_g()->add_output()->set_name("z");
  }
  expectText("bodies [\"then_branch\", \"else_branch\"]");
  node->mutable_attribute(0)->mutable_g()->add_input()->set_name("i");
  expectError(read(), "has a body with inputs, which is not supported");
}

TEST_F(ReaderTest, boundsNesting) {
  initializer("c", {}, 9)->add_int32_data(1);
  GraphProto *graph = model.mutable_graph();
  for (int depth = 0; depth < 12; ++depth) {
    NodeProto *node = add(graph, "If", {"c"}, {"v" + std::to_string(depth)});
    AttributeProto *body = node->add_attribute();
    body->set_name("then_branch");
    body->set_type(5);
    graph = body->mutable_g();
  }
  expectError(read(), "bodies are nested deeper than 8");
}

TEST_F(ReaderTest, inlinesFunctions) {
  FunctionProto *function = model.add_functions();
  function->set_name("Scale");
  function->set_domain("local");
  function->add_input("a");
  function->add_output("b");
  NodeProto *inner = function->add_node();
  inner->set_op_type("LeakyRelu");
  inner->add_input("a");
  inner->add_output("t");
  AttributeProto *alpha = inner->add_attribute();
  alpha->set_name("alpha");
  alpha->set_type(1);
  alpha->set_ref_attr_name("slope");
  NodeProto *last = function->add_node();
  last->set_op_type("Neg");
  last->add_input("t");
  last->add_output("b");
  NodeProto *call = add("Scale", {"x"}, {"m"});
  call->set_domain("local");
  AttributeProto *slope = call->add_attribute();
  slope->set_name("slope");
  slope->set_type(1);
  slope->set_f(0.25f);
  add("Scale", {"m"}, {"y"})->set_domain("local");
  std::string text = readText();
  EXPECT_NE(text.find("\"LeakyRelu\"(%arg0) {alpha = 2.500000e-01 : f32}"), std::string::npos);
  EXPECT_NE(text.find("\"LeakyRelu\"(%1)"), std::string::npos) << text;
  EXPECT_EQ(text.find("Scale"), std::string::npos);
}

TEST_F(ReaderTest, boundsFunctions) {
  FunctionProto *function = model.add_functions();
  function->set_name("F");
  function->set_domain("local");
  for (int i = 0; i < 2; ++i) {
    NodeProto *inner = function->add_node();
    inner->set_op_type("F");
    inner->set_domain("local");
  }
  add("F", {}, {})->set_domain("local");
  expectError(read(), "nested deeper than 16");
  // 20^5 nodes, five deep.
  model.clear_functions();
  for (int depth = 0; depth < 5; ++depth) {
    FunctionProto *level = model.add_functions();
    level->set_name("F" + std::to_string(depth));
    level->set_domain("local");
    for (int i = 0; i < 20; ++i) {
      NodeProto *inner = level->add_node();
      inner->set_op_type(depth == 4 ? "Neg" : "F" + std::to_string(depth + 1));
      inner->set_domain(depth == 4 ? "" : "local");
    }
  }
  model.mutable_graph()->clear_node();
  add("F0", {}, {})->set_domain("local");
  expectError(read(), "has more than 131072 nodes after its functions are inlined");
  // One node of 1 MiB, many times.
  NodeProto *leaf = model.mutable_functions(4)->mutable_node(0);
  leaf->set_name(std::string(1 << 20, 'n'));
  expectError(read(), "has more than 67108864 bytes of nodes after its functions are inlined");
  leaf->clear_name();
  leaf->add_attribute()->mutable_g();
  model.mutable_graph()->mutable_node(0)->set_op_type("F4");
  expectError(read(), "of a model-local function has a body, which is not supported");
}

} // namespace
