//===- EvaluatorTest.cpp - Primitive operators on host tensors ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Dialect/ONNX/Evaluator/Evaluator.h"
#include "../Frontend/TestFiles.h"
#include "mlir/Parser/Parser.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx_graph;
using namespace qopt::test;

namespace {

class EvaluatorTest : public ::testing::Test {
protected:
  EvaluatorTest() { context.loadDialect<func::FuncDialect, ONNXGraphDialect>(); }

  /// The first result of one node; `attributes` as text, `{axis = 1}`.
  llvm::Expected<Tensor> run(const std::string &op, std::vector<Tensor> operands,
                             const std::string &attributes = "", unsigned numResults = 1) {
    std::string arguments, names, types, results = "!onnx_graph.unknown";
    for (size_t i = 0; i < operands.size(); ++i) {
      std::string name = "%a" + std::to_string(i), comma = i ? ", " : "";
      arguments += comma + name + ": !onnx_graph.unknown";
      names += comma + name;
      types += comma + "!onnx_graph.unknown";
    }
    for (unsigned i = 1; i < numResults; ++i)
      results += ", !onnx_graph.unknown";
    std::string count = numResults > 1 ? ":" + std::to_string(numResults) : "";
    std::string result = numResults > 1 ? "%r#" + std::to_string(numResults - 1) : "%r";
    module = parseSourceString<ModuleOp>(
        "func.func @f(" + arguments + ") -> !onnx_graph.unknown {\n  %r" + count +
            " = onnx_graph.node \"" + op + "\"(" + names + ") " + attributes + " : (" + types +
            ") -> (" + results + ")\n  return " + result + " : !onnx_graph.unknown\n}",
        &context);
    if (!module)
      return llvm::createStringError("the node can't be parsed");
    auto func = module->lookupSymbol<func::FuncOp>("f");
    Evaluator evaluator;
    for (auto [argument, operand] : llvm::zip_equal(func.getArguments(), operands))
      evaluator.bind(argument, std::move(operand));
    llvm::Expected<TensorPtr> tensor =
        evaluator.evaluate(func.front().getTerminator()->getOperand(0));
    if (!tensor)
      return tensor.takeError();
    return **tensor;
  }

  Tensor ints(Shape shape, std::vector<int64_t> values) {
    return makeInts(IntegerType::get(&context, 64), shape, std::move(values));
  }
  Tensor bools(Shape shape, std::vector<int64_t> values) {
    return makeInts(IntegerType::get(&context, 1), shape, std::move(values));
  }
  Tensor reals(Shape shape, std::vector<double> values) {
    return makeReals(Float32Type::get(&context), shape, std::move(values));
  }
  Tensor count(Shape shape) {
    Tensor tensor = ints(shape, {});
    for (int64_t i = 0, n = tensor.size(); i < n; ++i)
      tensor.ints.push_back(i);
    return tensor;
  }

  void expectInts(llvm::Expected<Tensor> found, Shape shape, std::vector<int64_t> values) {
    Tensor tensor = unwrap(std::move(found));
    EXPECT_EQ(tensor.shape, shape);
    EXPECT_EQ(tensor.ints, values);
  }
  void expectReals(llvm::Expected<Tensor> found, Shape shape, std::vector<double> values) {
    Tensor tensor = unwrap(std::move(found));
    EXPECT_EQ(tensor.shape, shape);
    ASSERT_EQ(tensor.reals.size(), values.size());
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(tensor.reals[i], values[i], 1e-6);
  }

  void refuses(llvm::Expected<Tensor> found, const char *why) {
    expectError(std::move(found), why);
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

TEST_F(EvaluatorTest, boundsShapes) {
  constexpr int64_t large = int64_t(1) << 32;
  Type f32 = Float32Type::get(&context);
  refuses(run("Reshape", {makeUnknown(f32, {4}), ints({2}, {large, large})}), "[4294967296, 4294");
  refuses(run("Reshape", {makeUnknown(f32, {0}), ints({3}, {0, large, large})}),
          "has a result of shape [0, 4294967296, 4294967296]");
  refuses(run("Neg", {makeUnknown(f32, {large, large})}), "has an operand of shape");
  refuses(run("Tile", {makeUnknown(f32, {large}), ints({1}, {large})}), "repeats an axis");
  refuses(run("Unsqueeze", {reals({}, {1}), count({65})}), "has a result of shape");
  refuses(run("ConstantOfShape", {ints({2}, {4096, 4096})}), "is out of range");
  refuses(run("Range", {ints({}, {-1000000000}), ints({}, {1000000000}), ints({}, {1})}),
          "is out of range");
  refuses(run("Range", {ints({}, {INT64_MIN}), ints({}, {0}), ints({}, {1})}), "ranges from");
  std::vector<double> zeros(8192);
  refuses(run("Add", {reals({8192, 1}, zeros), reals({8192}, zeros)}), "is out of range");
  refuses(run("MatMul", {reals({8192, 1}, zeros), reals({1, 8192}, zeros)}), "is out of range");
  Tensor indices = makeInts(IntegerType::get(&context, 64), {8192}, std::vector<int64_t>(8192));
  refuses(run("Gather", {reals({1, 8192}, zeros), indices}), "is out of range");
  Tensor rows = makeInts(IntegerType::get(&context, 64), {8192, 1}, std::vector<int64_t>(8192));
  refuses(run("GatherND", {reals({1, 8192}, zeros), rows}), "is out of range");
}

TEST_F(EvaluatorTest, boundsWhatIsKept) {
  module =
      parseSourceString<ModuleOp>(R"(func.func @f(%x: !onnx_graph.unknown) -> !onnx_graph.unknown {
    %y = onnx_graph.node "Neg"(%x) : (!onnx_graph.unknown) -> !onnx_graph.unknown
    %z = onnx_graph.node "Neg"(%y) {} : (!onnx_graph.unknown) -> !onnx_graph.unknown
    return %z : !onnx_graph.unknown
  })",
                                  &context);
  auto func = module->lookupSymbol<func::FuncOp>("f");
  EvaluatorOptions options;
  options.maxBytes = 100 * sizeof(double);
  Evaluator evaluator(options);
  evaluator.bind(func.getArgument(0), reals({60}, std::vector<double>(60)));
  auto result = evaluator.evaluate(func.front().getTerminator()->getOperand(0));
  expectError(std::move(result), "makes values of more than 800 bytes in all");
}

TEST_F(EvaluatorTest, refusesOtherKindsOfElements) {
  refuses(run("Softmax", {ints({2}, {1, 2})}), "expected a floating operand");
  refuses(run("IsNaN", {ints({2}, {1, 2})}), "expected a floating operand");
  refuses(run("Not", {reals({2}, {1, 2})}), "expected a boolean operand");
  refuses(run("Where", {reals({1}, {1}), reals({1}, {1}), reals({1}, {1})}), "not boolean");
  refuses(run("Tile", {reals({1}, {1}), reals({1}, {1})}), "has repeats that don't fit rank 1");
  refuses(run("Constant", {}, "{value_floats = [1]}"), "has value_floats that are no floats");
  refuses(run("Max", {}), "has no operand 0");
  refuses(run("Concat", {}), "has no operand 0");
  refuses(run("Exp", {ints({1}, {1000})}), "expected a floating operand");
  expectInts(run("Pow", {ints({1}, {10}), ints({1}, {30})}), {1}, {INT64_MAX - 1023});
  expectInts(run("ReduceSum", {ints({2}, {INT64_MAX, 1})}, "{keepdims = 0 : i64}"), {},
             {INT64_MIN});
}

TEST_F(EvaluatorTest, arithmeticBroadcasts) {
  expectInts(run("Add", {ints({2, 1}, {1, 2}), ints({3}, {10, 20, 30})}), {2, 3},
             {11, 21, 31, 12, 22, 32});
  expectReals(run("Sub", {reals({2}, {1, 2}), reals({}, {3})}), {2}, {-2, -1});
  expectInts(run("Div", {ints({3}, {-7, 7, INT64_MIN}), ints({3}, {2, 0, -1})}), {3},
             {-3, 0, INT64_MIN});
  expectInts(run("Mod", {ints({2}, {-7, 7}), ints({}, {4})}), {2}, {1, 3});
  expectInts(run("Mod", {ints({2}, {-7, 7}), ints({}, {4})}, "{fmod = 1 : i64}"), {2}, {-3, 3});
  expectReals(run("Mod", {reals({1}, {-7}), reals({}, {4})}, "{fmod = 1 : i64}"), {1}, {-3});
  expectReals(run("Add", {reals({0, 1}, {}), reals({3}, {1, 2, 3})}), {0, 3}, {});
  expectReals(run("Max", {reals({2}, {1, 5}), reals({2}, {3, 2}), reals({}, {4})}), {2}, {4, 5});
  expectReals(run("Pow", {reals({2}, {2, 3}), reals({}, {3})}), {2}, {8, 27});
  expectReals(run("Pow", {reals({2}, {2, 3}), ints({}, {3})}), {2}, {8, 27});
  expectInts(run("Pow", {ints({2}, {4, 9}), reals({}, {0.5})}), {2}, {2, 3});
  refuses(run("Add", {ints({1}, {1}), ints({1}, {1}), ints({1}, {1})}),
          "has 3 operands, expected 2");
  refuses(run("Add", {ints({2}, {1, 2}), ints({3}, {1, 2, 3})}), "can't broadcast [2] and [3]");
  refuses(run("Add", {ints({1}, {1}), reals({1}, {1})}), "mix floating and integer elements");
  refuses(run("And", {reals({1}, {1}), reals({1}, {1})}), "expected integer or boolean");
}

TEST_F(EvaluatorTest, integersAreExactAndWrap) {
  expectInts(run("Neg", {ints({2}, {INT64_MAX, INT64_MIN})}), {2}, {-INT64_MAX, INT64_MIN});
  expectInts(run("Abs", {ints({2}, {-INT64_MAX, 3})}), {2}, {INT64_MAX, 3});
  expectInts(run("Sign", {ints({3}, {-5, 0, 7})}), {3}, {-1, 0, 1});
  auto narrow = [&](unsigned bits, int64_t value) {
    return makeInts(IntegerType::get(&context, bits), {1}, {value});
  };
  expectInts(run("Add", {narrow(32, INT32_MAX), narrow(32, 1)}), {1}, {INT32_MIN});
  expectInts(run("Mul", {narrow(8, 100), narrow(8, 3)}), {1}, {44});
  expectInts(run("ReduceSum", {makeInts(IntegerType::get(&context, 32), {2}, {INT32_MAX, 1})}), {1},
             {INT32_MIN});
}

TEST_F(EvaluatorTest, comparesAndChooses) {
  expectInts(run("LessOrEqual", {ints({3}, {1, 2, 3}), ints({}, {2})}), {3}, {1, 1, 0});
  expectInts(run("Equal", {reals({2}, {1, 2}), reals({2}, {1, 3})}), {2}, {1, 0});
  expectInts(run("Not", {bools({2}, {0, 1})}), {2}, {1, 0});
  expectInts(run("IsNaN", {reals({2}, {NAN, 1})}), {2}, {1, 0});
  expectReals(run("Where", {bools({2, 1}, {1, 0}), reals({2}, {1, 2}), reals({}, {9})}), {2, 2},
              {1, 2, 9, 9});
}

TEST_F(EvaluatorTest, castsAsInC) {
  expectInts(run("Cast", {reals({4}, {-1.9, 2.9, NAN, 1e30})}, "{to = i64}"), {4},
             {-1, 2, 0, INT64_MAX - 1023});
  expectInts(run("Cast", {reals({3}, {0, 0.5, -3})}, "{to = i1}"), {3}, {0, 1, 1});
  expectInts(run("Cast", {ints({2}, {300, -1})}, "{to = ui8}"), {2}, {44, 255});
  expectReals(run("Cast", {reals({1}, {1.0009765625})}, "{to = bf16}"), {1}, {1.0});
  refuses(run("Cast", {reals({1}, {1})}), "no element type to cast to");
}

TEST_F(EvaluatorTest, reshapes) {
  expectInts(run("Reshape", {count({2, 6}), ints({3}, {0, -1, 2})}), {2, 3, 2}, count({12}).ints);
  expectInts(run("Reshape", {count({0, 3}), ints({2}, {0, 3})}, "{allowzero = 1 : i64}"), {0, 3},
             {});
  refuses(run("Reshape", {count({2, 3}), ints({1}, {5})}), "can't reshape [2, 3] to [5]");
  refuses(run("Reshape", {count({2, 3}), ints({2}, {-1, -1})}), "can't reshape");
  expectInts(run("Flatten", {count({2, 3, 2})}, "{axis = 2 : i64}"), {6, 2}, count({12}).ints);
  expectInts(run("Squeeze", {count({1, 3, 1}), ints({1}, {-1})}), {1, 3}, {0, 1, 2});
  refuses(run("Squeeze", {count({3}), ints({1}, {0})}), "can't squeeze axis 0 of [3]");
  expectInts(run("Unsqueeze", {count({2}), ints({2}, {0, -1})}), {1, 2, 1}, {0, 1});
  refuses(run("Unsqueeze", {count({2}), ints({2}, {0, 0})}), "names an axis twice");
  expectInts(run("Transpose", {count({2, 3})}), {3, 2}, {0, 3, 1, 4, 2, 5});
  refuses(run("Transpose", {count({2, 3})}, "{perm = [0, 0]}"), "no permutation");
  refuses(run("Transpose", {count({2, 3})}, "{perm = [0]}"), "has a perm of 1 axes for rank 2");
}

TEST_F(EvaluatorTest, repeats) {
  expectInts(run("Expand", {count({2, 1}), ints({3}, {2, 1, 2})}), {2, 2, 2},
             {0, 0, 1, 1, 0, 0, 1, 1});
  expectInts(run("Tile", {count({2}), ints({1}, {2})}), {4}, {0, 1, 0, 1});
  refuses(run("Expand", {count({1}), ints({2}, {1 << 20, 1 << 20})}), "is out of range");
  refuses(run("Tile", {count({1}), ints({1}, {-1})}), "repeats an axis -1 times");
}

TEST_F(EvaluatorTest, slices) {
  auto slice = [&](std::vector<int64_t> range) {
    return run("Slice", {count({5}), ints({1}, {range[0]}), ints({1}, {range[1]}), ints({1}, {0}),
                         ints({1}, {range[2]})});
  };
  expectInts(slice({1, INT64_MAX, 2}), {2}, {1, 3});
  expectInts(slice({-2, 5, 1}), {2}, {3, 4});
  expectInts(slice({-1, INT64_MIN, -2}), {3}, {4, 2, 0});
  expectInts(slice({3, 1, 1}), {0}, {});
  expectInts(slice({INT64_MIN, INT64_MAX, INT64_MAX}), {1}, {0});
  refuses(slice({0, 1, 0}), "has step 0");
  refuses(run("Slice", {count({5}), ints({1}, {0}), ints({2}, {1, 1})}), "different lengths");
}

TEST_F(EvaluatorTest, splitsAndJoins) {
  expectInts(run("Concat", {count({2, 1}), count({2, 2})}, "{axis = -1 : i64}"), {2, 3},
             {0, 0, 1, 1, 2, 3});
  refuses(run("Concat", {count({2, 1}), count({3, 1})}, "{axis = 1 : i64}"),
          "can't concatenate [2, 1] and [3, 1]");
  expectInts(run("Split", {count({2, 3}), ints({2}, {1, 2})}, "{axis = 1 : i64}", 2), {2, 2},
             {1, 2, 4, 5});
  expectInts(run("Split", {count({5})}, "{num_outputs = 2 : i64}", 2), {2}, {3, 4});
  refuses(run("Split", {count({5}), ints({2}, {1, 2})}, "", 2), "splits 5 elements into [1, 2]");
}

TEST_F(EvaluatorTest, gathers) {
  expectInts(run("Gather", {count({3, 2}), ints({2}, {-1, 0})}), {2, 2}, {4, 5, 0, 1});
  expectInts(run("Gather", {count({2, 3}), ints({}, {1})}, "{axis = 1 : i64}"), {2}, {1, 4});
  refuses(run("Gather", {count({3}), ints({1}, {3})}), "gathers element 3 of 3");
  expectInts(run("GatherND", {count({2, 3}), ints({2, 2}, {1, 2, 0, -1})}), {2}, {5, 2});
  expectInts(run("GatherND", {count({2, 3}), ints({2, 1}, {2, 0})}, "{batch_dims = 1 : i64}"), {2},
             {2, 3});
  refuses(run("GatherND", {count({2}), ints({1, 1}, {2})}), "gathers element 2 of 2");
  refuses(run("GatherND", {count({2, 2}), ints({1, 2}, {0, INT64_MAX})}), "gathers element");
}

TEST_F(EvaluatorTest, makesTensors) {
  expectInts(run("Shape", {count({2, 3, 4})}, "{start = -2 : i64, end = 3 : i64}"), {2}, {3, 4});
  expectInts(run("Size", {count({2, 3})}), {}, {6});
  expectInts(run("Range", {ints({}, {5}), ints({}, {0}), ints({}, {-2})}), {3}, {5, 3, 1});
  refuses(run("Range", {ints({}, {0}), ints({}, {1}), ints({}, {0})}), "by 0");
  refuses(run("Range", {ints({}, {0}), ints({}, {INT64_MAX}), ints({}, {1})}), "ranges from");
  expectReals(run("ConstantOfShape", {ints({1}, {2})}), {2}, {0, 0});
  expectInts(run("ConstantOfShape", {ints({0}, {})}, "{value = dense<7> : tensor<1xi64>}"), {},
             {7});
  refuses(run("ConstantOfShape", {ints({1}, {-1})}), "is out of range");
  expectInts(run("Trilu", {count({2, 3}), ints({}, {1})}), {2, 3}, {0, 1, 2, 0, 0, 5});
  expectInts(run("Trilu", {count({2, 2})}, "{upper = 0 : i64}"), {2, 2}, {0, 0, 2, 3});
}

TEST_F(EvaluatorTest, reduces) {
  expectReals(run("ReduceMean", {reals({2, 2}, {1, 3, 5, 9}), ints({1}, {-1})}), {2, 1}, {2, 7});
  expectInts(run("ReduceSum", {count({2, 3})}, "{keepdims = 0 : i64}"), {}, {15});
  expectInts(run("ReduceMax", {count({2, 3})}, "{axes = [0], keepdims = 0 : i64}"), {3}, {3, 4, 5});
  EXPECT_EQ(unwrap(run("ReduceMax", {reals({0, 2}, {}), ints({1}, {0})})).reals,
            (std::vector<double>{-INFINITY, -INFINITY}));
  expectInts(run("ReduceMin", {ints({2, 0}, {}), ints({1}, {-1})}), {2, 1}, {INT64_MAX, INT64_MAX});
  expectInts(run("ReduceSum", {count({2, 2}), ints({0}, {})}, "{noop_with_empty_axes = 1 : i64}"),
             {2, 2}, {0, 1, 2, 3});
  expectInts(run("CumSum", {count({2, 3}), ints({}, {1})}), {2, 3}, {0, 1, 3, 3, 7, 12});
  refuses(run("CumSum", {count({2}), ints({}, {0})}, "{reverse = 1 : i64}"), "is exclusive");
}

TEST_F(EvaluatorTest, multiplies) {
  expectReals(run("MatMul", {reals({1, 2, 2}, {1, 2, 3, 4}), reals({2, 1}, {5, 6})}), {1, 2, 1},
              {17, 39});
  expectReals(run("MatMul", {reals({2}, {1, 2}), reals({2}, {3, 4})}), {}, {11});
  refuses(run("MatMul", {reals({1, 2}, {1, 2}), reals({3, 1}, {1, 2, 3})}),
          "multiplies [1, 2] and [3, 1]");
  expectReals(run("Softmax", {reals({1, 2}, {0, std::log(3.0)})}), {1, 2}, {0.25, 0.75});
}

TEST_F(EvaluatorTest, carriesShapesWithoutValues) {
  Type f32 = Float32Type::get(&context);
  Tensor found = unwrap(run("MatMul", {makeUnknown(f32, {2, 3, 4}), makeUnknown(f32, {4, 5})}));
  EXPECT_FALSE(found.known());
  EXPECT_EQ(found.shape, (Shape{2, 3, 5}));
  found = unwrap(run("Transpose", {makeUnknown(f32, {2, 3})}));
  EXPECT_EQ(found.shape, (Shape{3, 2}));
  EXPECT_FALSE(found.known());
}

/// A matrix in memory: element (i, j) is 10 i + j.
class CountedMatrix : public WeightTensor {
public:
  CountedMatrix(int64_t rows, int64_t columns)
      : WeightTensor("w", {rows, columns}, qopt::FloatType::f32) {}
  llvm::Error readRows(int64_t first, int64_t count, float *out) const override {
    for (int64_t i = first; i < first + count; ++i)
      for (int64_t j = 0; j < rowSize(); ++j)
        *out++ = static_cast<float>(10 * i + j);
    return llvm::Error::success();
  }
};

/// Rows 1 and 2 of a transposed matrix [2, 4], left in place by what moves them.
class WeightPartTest : public EvaluatorTest {
protected:
  llvm::Expected<Tensor> runOnPart(const std::string &node, std::vector<Tensor> operands = {}) {
    module = parseSourceString<ModuleOp>(
        "func.func @f(%a: !onnx_graph.unknown) -> !onnx_graph.unknown {\n"
        "  %w = onnx_graph.initializer \"w\" transposed rows 1 : tensor<2x2xf32>\n"
        "  %t = onnx_graph.node \"Transpose\"(%w) {} : (tensor<2x2xf32>) -> !onnx_graph.unknown\n"
        "  %y = " +
            node + " -> !onnx_graph.unknown\n  return %y : !onnx_graph.unknown\n}",
        &context);
    if (!module)
      return llvm::createStringError("the node can't be parsed");
    WeightStore store;
    store.insert(std::make_unique<CountedMatrix>(2, 4));
    EvaluatorOptions options;
    options.weights = &store;
    auto func = module->lookupSymbol<func::FuncOp>("f");
    Evaluator evaluator(options);
    for (Tensor &operand : operands)
      evaluator.bind(func.getArgument(0), std::move(operand));
    auto tensor = evaluator.evaluate(func.front().getTerminator()->getOperand(0));
    if (!tensor)
      return tensor.takeError();
    return **tensor;
  }
};

TEST_F(WeightPartTest, readsRowsAndColumns) {
  // w is [[1, 11], [2, 12]].
  std::string u = "!onnx_graph.unknown";
  expectReals(runOnPart("onnx_graph.node \"Neg\"(%w) : (tensor<2x2xf32>)"), {2, 2},
              {-1, -11, -2, -12});
  expectReals(runOnPart("onnx_graph.node \"Neg\"(%t) : (" + u + ")"), {2, 2}, {-1, -2, -11, -12});
  expectInts(runOnPart("onnx_graph.node \"Cast\"(%t) {to = i64} : (" + u + ")"), {2, 2},
             {1, 2, 11, 12});
  std::string matmul = "onnx_graph.node \"MatMul\"(%a, ";
  expectReals(runOnPart(matmul + "%w) : (" + u + ", tensor<2x2xf32>)", {reals({1, 2}, {1, 100})}),
              {1, 2}, {201, 1211});
  expectReals(runOnPart(matmul + "%t) : (" + u + ", " + u + ")", {reals({1, 2}, {1, 100})}), {1, 2},
              {1101, 1202});
  expectReals(runOnPart("onnx_graph.node \"Gather\"(%w, %a) : (tensor<2x2xf32>, " + u + ")",
                        {ints({1}, {-1})}),
              {1, 2}, {2, 12});
  expectReals(
      runOnPart("onnx_graph.node \"Gather\"(%t, %a) : (" + u + ", " + u + ")", {ints({2}, {1, 0})}),
      {2, 2}, {11, 12, 1, 2});
}

class SampleTest : public EvaluatorTest {
protected:
  /// The elements at `indices` of the last of nodes on a column %c and a row %r of
  /// eight numbers, where no more than eight elements are kept.
  llvm::Expected<Tensor> sample(const std::string &nodes, std::vector<int64_t> indices) {
    module = parseSourceString<ModuleOp>(
        "!u = !onnx_graph.unknown\nfunc.func @f(%c: !u, %r: !u, %s: !u) -> !u {\n" + nodes +
            "  return %y : !u\n}",
        &context);
    if (!module)
      return llvm::createStringError("the nodes can't be parsed");
    EvaluatorOptions options;
    options.maxElements = 8;
    Evaluator evaluator(options);
    auto func = module->lookupSymbol<func::FuncOp>("f");
    evaluator.bind(func.getArgument(0), count({8, 1}));
    evaluator.bind(func.getArgument(1), count({8}));
    evaluator.bind(func.getArgument(2), ints({3}, {2, 8, 8}));
    return evaluator.sample(func.front().getTerminator()->getOperand(0), indices);
  }
};

TEST_F(SampleTest, computesWhatIsWanted) {
  expectInts(sample("%y = onnx_graph.node \"Sub\"(%c, %r) : (!u, !u) -> !u\n", {0, 7, 56, 63}), {4},
             {0, -7, 7, 0});
  expectInts(sample("%a = onnx_graph.node \"LessOrEqual\"(%r, %c) : (!u, !u) -> !u\n"
                    "%e = onnx_graph.node \"Expand\"(%a, %s) : (!u, !u) -> !u\n"
                    "%n = onnx_graph.node \"Flatten\"(%e) {axis = 2 : i64} : (!u) -> !u\n"
                    "%y = onnx_graph.node \"Not\"(%n) : (!u) -> !u\n",
                    {1, 8, 64 + 1, 64 + 8}),
             {4}, {1, 0, 1, 0});
  expectReals(sample("%z = onnx_graph.node \"ConstantOfShape\"(%s) : (!u) -> !u\n"
                     "%y = onnx_graph.node \"Cos\"(%z) : (!u) -> !u\n",
                     {0, 127}),
              {2}, {1, 1});
  refuses(sample("%a = onnx_graph.node \"Sub\"(%c, %r) : (!u, !u) -> !u\n"
                 "%y = onnx_graph.node \"Transpose\"(%a) : (!u) -> !u\n",
                 {0}),
          "node 'Transpose node' (Transpose) has elements that are not known");
}

TEST_F(EvaluatorTest, namesTheNode) {
  refuses(run("Unheard", {count({1})}), "node 'Unheard node' (Unheard) is not supported");
  refuses(run("Add", {count({1})}), "has no operand 1");
}

} // namespace
