//===- Canonicalize.cpp - One spelling of each thing ----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Canonicalize.h"
#include "GraphBuilder.h"
#include "qopt/Dialect/ONNX/Evaluator/Evaluator.h"

using namespace mlir;
using namespace qopt::onnx_graph;

namespace {

struct NodePattern : OpRewritePattern<NodeOp> {
  using OpRewritePattern::OpRewritePattern;
};

/// An operator with two operands, neither left out, and one result.
bool isBinary(NodeOp node, StringRef opType) {
  return node.is(opType) && node.getInputs().size() == 2 && node.getInput(0) && node.getInput(1) &&
         node.getNumResults() == 1;
}

bool isFalse(Value value) {
  ElementsAttr elements = constantElements(value);
  return elements && elements.getElementType().isInteger(1) && elements.getNumElements() == 1 &&
         !*elements.value_begin<bool>();
}

/// Identity(x) = Dropout(x) = Concat(x) = x
struct DropIdentity : NodePattern {
  using NodePattern::NodePattern;
  LogicalResult matchAndRewrite(NodeOp node, PatternRewriter &rewriter) const override {
    bool isConcat = node.is("Concat") && node.getInputs().size() == 1;
    if (!node.is("Identity") && !node.is("Dropout") && !isConcat)
      return rewriter.notifyMatchFailure(node, "not an identity");
    Value x = node.getInput(0);
    if (!x || node.getNumResults() == 0)
      return rewriter.notifyMatchFailure(node, "no operand or no result");
    if (node.is("Dropout") && node.getInput(2) && !isFalse(node.getInput(2)))
      return rewriter.notifyMatchFailure(node, "elements may be dropped");
    for (Value result : node.getOutputs().drop_front())
      if (!result.use_empty())
        return rewriter.notifyMatchFailure(node, "the mask is used");
    rewriter.replaceAllUsesWith(node.getResult(0), x);
    rewriter.eraseOp(node);
    return success();
  }
};

/// x * 1 = x, with 1 a scalar or a vector of one element
struct DropProductWithOne : NodePattern {
  using NodePattern::NodePattern;
  LogicalResult matchAndRewrite(NodeOp node, PatternRewriter &rewriter) const override {
    if (!isBinary(node, "Mul"))
      return rewriter.notifyMatchFailure(node, "not a product");
    for (unsigned i : {0, 1}) {
      Value one = node.getInputs()[i];
      ElementsAttr elements = constantElements(one);
      if (constantReal(one) != 1.0 || elements.getShapedType().getRank() > 1)
        continue;
      rewriter.replaceOp(node, node.getInputs()[1 - i]);
      return success();
    }
    return rewriter.notifyMatchFailure(node, "no factor is 1");
  }
};

/// x^2 = x * x, x^0.5 = sqrt(x), x^-0.5 = 1 / sqrt(x), x^-1 = 1 / x
struct RewritePow : NodePattern {
  using NodePattern::NodePattern;
  LogicalResult matchAndRewrite(NodeOp node, PatternRewriter &rewriter) const override {
    if (!isBinary(node, "Pow"))
      return rewriter.notifyMatchFailure(node, "not a power");
    Value x = node.getInput(0);
    ElementsAttr elements = constantElements(node.getInput(1));
    if (!elements || elements.getNumElements() != 1 || elements.getShapedType().getRank() > 1)
      return rewriter.notifyMatchFailure(node, "the exponent is no constant scalar");
    llvm::Expected<Tensor> value = fromElements(elements);
    if (!value) {
      llvm::consumeError(value.takeError());
      return rewriter.notifyMatchFailure(node, "the exponent has an unknown type");
    }
    double power = value->isReal() ? value->reals[0] : static_cast<double>(value->ints[0]);
    GraphBuilder graph(rewriter, node.getLoc());
    Value y;
    if (power == 2.0)
      y = graph.node("Mul", {x, x});
    else if (power == 0.5)
      y = graph.node("Sqrt", x);
    else if (power == -0.5)
      y = graph.node("Rsqrt", x, {}, "qopt");
    else if (power == -1.0)
      y = graph.node("Reciprocal", x);
    else
      return rewriter.notifyMatchFailure(node, "the exponent is none of 2, 0.5, -0.5 and -1");
    rewriter.replaceOp(node, y);
    return success();
  }
};

NodeOp definedBy(Value value, StringRef opType) {
  auto node = value ? value.getDefiningOp<NodeOp>() : NodeOp();
  return node && node.is(opType) ? node : NodeOp();
}

/// 1 / sqrt(x) = rsqrt(x); y / sqrt(x) = y * rsqrt(x)
struct FormRsqrt : NodePattern {
  using NodePattern::NodePattern;
  LogicalResult matchAndRewrite(NodeOp node, PatternRewriter &rewriter) const override {
    bool isDivision = isBinary(node, "Div");
    if (!isDivision && (!node.is("Reciprocal") || node.getNumResults() != 1))
      return rewriter.notifyMatchFailure(node, "not a reciprocal");
    NodeOp root = definedBy(node.getInput(isDivision ? 1 : 0), "Sqrt");
    if (!root || !root.getInput(0) || constantElements(root.getInput(0)))
      return rewriter.notifyMatchFailure(node, "not of a square root");
    GraphBuilder graph(rewriter, node.getLoc());
    Value y = graph.node("Rsqrt", root.getInput(0), {}, "qopt");
    if (isDivision && constantReal(node.getInput(0)) != 1.0)
      y = graph.node("Mul", {node.getInput(0), y});
    rewriter.replaceOp(node, y);
    return success();
  }
};

/// x / c = x * (1 / c), c a floating constant
struct DivideByConstant : NodePattern {
  using NodePattern::NodePattern;
  LogicalResult matchAndRewrite(NodeOp node, PatternRewriter &rewriter) const override {
    if (!isBinary(node, "Div"))
      return rewriter.notifyMatchFailure(node, "not a division");
    Value divisor = node.getInput(1);
    std::optional<double> value = constantReal(divisor);
    if (!value || *value == 0.0)
      return rewriter.notifyMatchFailure(node, "the divisor is no constant scalar");
    ElementsAttr elements = constantElements(divisor);
    GraphBuilder graph(rewriter, node.getLoc());
    Type type = elements.getElementType();
    Value factor = graph.constant(
        makeReals(type, elements.getShapedType().getShape(), {roundTo(type, 1.0 / *value)}));
    rewriter.replaceOp(node, graph.node("Mul", {node.getInput(0), factor}));
    return success();
  }
};

/// Transpose(w) of a matrix of the file is another view of it.
struct TransposeInitializer : NodePattern {
  using NodePattern::NodePattern;
  LogicalResult matchAndRewrite(NodeOp node, PatternRewriter &rewriter) const override {
    Value x = node.is("Transpose") ? node.getInput(0) : Value();
    auto source = x ? x.getDefiningOp<InitializerOp>() : InitializerOp();
    if (!source || node.getNumResults() != 1)
      return rewriter.notifyMatchFailure(node, "not the transpose of an initializer");
    auto type = cast<RankedTensorType>(source.getType());
    auto perm = node.getInts("perm");
    if (type.getRank() != 2 || source.getRowOffset() ||
        !isa<mlir::FloatType>(type.getElementType()) ||
        (perm && *perm != SmallVector<int64_t>{1, 0}))
      return rewriter.notifyMatchFailure(node, "not the transpose of a whole matrix");
    auto transposed =
        RankedTensorType::get({type.getDimSize(1), type.getDimSize(0)}, type.getElementType());
    rewriter.replaceOpWithNewOp<InitializerOp>(
        node, transposed, source.getNameAttr(), ElementsAttr(),
        source.getTransposed() ? UnitAttr() : rewriter.getUnitAttr(), IntegerAttr());
    return success();
  }
};

/// split(x w) = x split(w): each part of a packed linear layer is one of its own.
struct UnpackLinear : NodePattern {
  using NodePattern::NodePattern;
  LogicalResult matchAndRewrite(NodeOp node, PatternRewriter &rewriter) const override {
    if (!node.is("Split") || node.getNumResults() == 0)
      return rewriter.notifyMatchFailure(node, "not a split");
    NodeOp product = definedBy(node.getInput(0), "MatMul");
    auto packed = product && isBinary(product, "MatMul")
                      ? product.getInput(1).getDefiningOp<InitializerOp>()
                      : InitializerOp();
    if (!packed || packed.getRowOffset())
      return rewriter.notifyMatchFailure(node, "not of a product with a whole weight");
    auto type = cast<RankedTensorType>(packed.getType());
    // A value of undeclared shape is [batch, seq, width].
    auto declared = dyn_cast<RankedTensorType>(node.getInput(0).getType());
    int64_t axis = node.getInt("axis", 0), last = declared ? declared.getRank() - 1 : 2;
    if (type.getRank() != 2 || (axis != -1 && axis != last))
      return rewriter.notifyMatchFailure(node, "not along the last axis");
    int64_t width = type.getDimSize(1), parts = node.getNumResults();
    if (parts > width)
      return rewriter.notifyMatchFailure(node, "the sizes don't fit the weight");
    SmallVector<int64_t> sizes(parts, (width + parts - 1) / parts);
    sizes.back() = width - (parts - 1) * sizes.front();
    if (Value given = node.getInput(1)) {
      ElementsAttr elements = constantElements(given);
      if (!elements || !elements.getElementType().isInteger(64) ||
          elements.getNumElements() != parts)
        return rewriter.notifyMatchFailure(node, "the sizes are no constants");
      sizes.assign(elements.value_begin<int64_t>(), elements.value_end<int64_t>());
    } else if (auto attribute = node.getInts("split")) {
      sizes = *attribute;
    }
    int64_t offset = 0;
    for (int64_t size : sizes) {
      if (size <= 0 || size > width - offset)
        return rewriter.notifyMatchFailure(node, "the sizes don't fit the weight");
      offset += size;
    }
    if (offset != width || static_cast<int64_t>(sizes.size()) != parts)
      return rewriter.notifyMatchFailure(node, "the sizes don't fit the weight");
    // Rows of w^T, and its transpose again as the right operand.
    GraphBuilder graph(rewriter, node.getLoc());
    SmallVector<Value> results;
    offset = 0;
    for (int64_t size : sizes) {
      auto rows = InitializerOp::create(
          rewriter, node.getLoc(),
          RankedTensorType::get({size, type.getDimSize(0)}, type.getElementType()),
          packed.getNameAttr(), ElementsAttr(),
          packed.getTransposed() ? UnitAttr() : rewriter.getUnitAttr(),
          rewriter.getI64IntegerAttr(offset));
      Value part = graph.node("Transpose", rows.getResult(), graph.attr("perm", {1, 0}));
      results.push_back(graph.node("MatMul", {product.getInput(0), part}));
      offset += size;
    }
    rewriter.replaceOp(node, results);
    return success();
  }
};

/// A node of constants is a constant.
struct FoldConstants : NodePattern {
  using NodePattern::NodePattern;
  static constexpr int64_t maxElements = 16384;

  static bool isWeight(Value value) {
    auto initializer = value.getDefiningOp<InitializerOp>();
    if (!initializer)
      return false;
    auto type = cast<RankedTensorType>(initializer.getType());
    return isa<mlir::FloatType>(type.getElementType()) && type.getNumElements() > 1 &&
           (type.getRank() == 1 || type.getRank() == 2);
  }
  LogicalResult matchAndRewrite(NodeOp node, PatternRewriter &rewriter) const override {
    if (node.is("Constant") && isa_and_nonnull<ElementsAttr>(node.getAttribute("value")))
      return rewriter.notifyMatchFailure(node, "already a constant");
    if (!isPrimitive(node) || node.getNumResults() == 0)
      return rewriter.notifyMatchFailure(node, "not a primitive operator");
    SmallVector<TensorPtr> inputs;
    for (Value input : node.getInputs()) {
      if (isa<NoneType>(input.getType())) {
        inputs.push_back(nullptr);
        continue;
      }
      ElementsAttr elements = constantElements(input);
      if (!elements || isWeight(input))
        return rewriter.notifyMatchFailure(node, "an operand is no constant");
      llvm::Expected<Tensor> tensor = fromElements(elements);
      if (!tensor) {
        llvm::consumeError(tensor.takeError());
        return rewriter.notifyMatchFailure(node, "an operand has an unknown type");
      }
      inputs.push_back(std::make_shared<Tensor>(std::move(*tensor)));
    }
    auto shapes = evaluateShapes(node, inputs);
    if (shapes && llvm::any_of(*shapes, [](Tensor &y) { return y.size() > maxElements; }))
      return rewriter.notifyMatchFailure(node, "the result is too large");
    auto outputs = shapes ? evaluateNode(node, inputs) : std::move(shapes);
    if (!outputs) {
      llvm::consumeError(outputs.takeError());
      return rewriter.notifyMatchFailure(node, "the node can't be evaluated");
    }
    GraphBuilder graph(rewriter, node.getLoc());
    SmallVector<Value> results;
    for (Tensor &output : ArrayRef(*outputs).take_front(node.getNumResults()).vec()) {
      for (double &value : output.reals)
        value = roundTo(output.type, value);
      results.push_back(graph.constant(output));
    }
    rewriter.replaceOp(node, results);
    return success();
  }
};

} // namespace

void qopt::onnx_graph::populateCanonicalizePatterns(RewritePatternSet &patterns) {
  patterns.add<TransposeInitializer>(patterns.getContext(), /*benefit=*/2);
  patterns.add<DropIdentity, DropProductWithOne, RewritePow, FormRsqrt, DivideByConstant,
               UnpackLinear, FoldConstants>(patterns.getContext());
}
