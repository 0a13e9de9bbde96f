//===- Elementwise.cpp - Elementwise operators on host tensors ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>

using namespace mlir;
using namespace qopt::onnx_graph;

namespace {

using Unary = double (*)(double);
using Binary = double (*)(double, double);
using IntUnary = int64_t (*)(int64_t);
using IntBinary = int64_t (*)(int64_t, int64_t);

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double reciprocal(double x) { return 1.0 / x; }
double rsqrt(double x) { return 1.0 / std::sqrt(x); }
double negate(double x) { return -x; }
double sign(double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : x; }

Unary findUnary(NodeOp node) {
  if (node.is("qopt", "Rsqrt"))
    return rsqrt;
  if (node.getDomain())
    return nullptr;
  return llvm::StringSwitch<Unary>(node.getOpType())
      .Case("Neg", negate)
      .Case("Sqrt", [](double x) { return std::sqrt(x); })
      .Case("Reciprocal", reciprocal)
      .Case("Cos", [](double x) { return std::cos(x); })
      .Case("Sin", [](double x) { return std::sin(x); })
      .Case("Exp", [](double x) { return std::exp(x); })
      .Case("Log", [](double x) { return std::log(x); })
      .Case("Sigmoid", sigmoid)
      .Case("Tanh", [](double x) { return std::tanh(x); })
      .Case("Erf", [](double x) { return std::erf(x); })
      .Case("Abs", [](double x) { return std::fabs(x); })
      .Case("Ceil", [](double x) { return std::ceil(x); })
      .Case("Floor", [](double x) { return std::floor(x); })
      .Case("Sign", sign)
      .Default(nullptr);
}

/// The operators that ONNX has for integers too.
IntUnary findIntUnary(NodeOp node) {
  return llvm::StringSwitch<IntUnary>(node.getOpType())
      .Case("Neg", [](int64_t x) { return wrapSub(0, x); })
      .Case("Abs", [](int64_t x) { return x < 0 ? wrapSub(0, x) : x; })
      .Case("Sign", [](int64_t x) { return static_cast<int64_t>((x > 0) - (x < 0)); })
      .Default(nullptr);
}

struct BinaryOp {
  Binary real = nullptr;
  IntBinary integer = nullptr;
};

// Division by 0 is undefined in ONNX; INT64_MIN / -1 wraps.
int64_t divide(int64_t a, int64_t b) { return b == 0 ? 0 : b == -1 ? wrapSub(0, a) : a / b; }
/// With the sign of the dividend, as in C.
int64_t truncatedRemainder(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }
/// With the sign of the divisor, as in Python.
int64_t modulo(int64_t a, int64_t b) {
  int64_t r = truncatedRemainder(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
/// Towards zero, and to the nearest bound beyond the range.
int64_t truncate(double value) {
  if (!(value == value))
    return 0;
  return static_cast<int64_t>(std::clamp(std::trunc(value), -0x1p63, 0x1.fffffffffffffp62));
}
int64_t power(int64_t a, int64_t b) {
  return truncate(std::pow(static_cast<double>(a), static_cast<double>(b)));
}

BinaryOp findArithmetic(NodeOp node) {
  return llvm::StringSwitch<BinaryOp>(node.getOpType())
      .Case("Add", {[](double a, double b) { return a + b; }, wrapAdd})
      .Case("Sub", {[](double a, double b) { return a - b; }, wrapSub})
      .Case("Mul", {[](double a, double b) { return a * b; }, wrapMul})
      .Case("Div", {[](double a, double b) { return a / b; }, divide})
      .Case("Pow", {[](double a, double b) { return std::pow(a, b); }, power})
      .Case("Mod", {[](double a, double b) { return std::fmod(a, b); },
                    node.getInt("fmod", 0) != 0 ? truncatedRemainder : modulo})
      .Case("Max", {[](double a, double b) { return a != a || a > b ? a : b; },
                    [](int64_t a, int64_t b) { return std::max(a, b); }})
      .Case("Min", {[](double a, double b) { return a != a || a < b ? a : b; },
                    [](int64_t a, int64_t b) { return std::min(a, b); }})
      .Case("And", {nullptr, [](int64_t a, int64_t b) { return a & b; }})
      .Case("Or", {nullptr, [](int64_t a, int64_t b) { return a | b; }})
      .Case("Xor", {nullptr, [](int64_t a, int64_t b) { return a ^ b; }})
      .Case("BitwiseAnd", {nullptr, [](int64_t a, int64_t b) { return a & b; }})
      .Case("BitwiseOr", {nullptr, [](int64_t a, int64_t b) { return a | b; }})
      .Default({});
}

struct Comparison {
  bool (*real)(double, double) = nullptr;
  bool (*integer)(int64_t, int64_t) = nullptr;
};

template <typename Compare> Comparison comparison() {
  return {[](double a, double b) { return Compare()(a, b); },
          [](int64_t a, int64_t b) { return Compare()(a, b); }};
}

Comparison findComparison(StringRef name) {
  return llvm::StringSwitch<Comparison>(name)
      .Case("Equal", comparison<std::equal_to<>>())
      .Case("Less", comparison<std::less<>>())
      .Case("LessOrEqual", comparison<std::less_equal<>>())
      .Case("Greater", comparison<std::greater<>>())
      .Case("GreaterOrEqual", comparison<std::greater_equal<>>())
      .Default({});
}

Outputs unary(NodeOp node, Inputs inputs) {
  Tensor y = *inputs[0];
  Unary real = findUnary(node);
  IntUnary integer = findIntUnary(node);
  if (!y.isReal() && !integer)
    return invalid("expected a floating operand");
  for (double &value : y.reals)
    value = real(value);
  for (int64_t &value : y.ints)
    value = integer(value);
  return single(std::move(y));
}

/// Operands against their common shape, with the index of each result's element
/// in each operand. Without indices when an operand has no values.
struct Broadcast {
  Shape shape;
  bool known;
  SmallVector<std::vector<int64_t>, 3> indices;
};

/// Fails when the shapes don't broadcast, and when operands, the first `numOthers`
/// aside, mix floating and integer elements.
llvm::Expected<Broadcast> broadcast(Inputs inputs, unsigned numOthers = 0) {
  SmallVector<ArrayRef<int64_t>> shapes;
  Broadcast result{{}, true, {}};
  for (auto [i, input] : llvm::enumerate(inputs)) {
    if (i > numOthers && input->isReal() != inputs[numOthers]->isReal())
      return invalid("operands mix floating and integer elements");
    shapes.push_back(input->shape);
    result.known &= input->known();
  }
  llvm::Expected<Shape> shape = broadcastShapes(shapes);
  if (!shape)
    return shape.takeError();
  result.shape = *shape;
  if (!result.known)
    return result;
  if (llvm::Expected<int64_t> count = resultCount(*shape, inputs); !count)
    return count.takeError();
  for (ArrayRef<int64_t> operand : shapes)
    result.indices.push_back(broadcastIndices(operand, *shape));
  return result;
}

Outputs arithmetic(NodeOp node, Inputs inputs) {
  const Tensor &first = *inputs[0];
  llvm::Expected<Broadcast> cast = broadcast(inputs);
  if (!cast)
    return cast.takeError();
  BinaryOp op = findArithmetic(node);
  if (first.isReal() && !op.real)
    return invalid("expected integer or boolean operands");
  if (!cast->known)
    return single(makeUnknown(first.type, cast->shape));
  Tensor y = gatherFlat(first, cast->shape, cast->indices[0]);
  for (auto [input, indices] :
       llvm::zip_equal(inputs.drop_front(), ArrayRef(cast->indices).drop_front())) {
    for (size_t i = 0; i < y.reals.size(); ++i)
      y.reals[i] = op.real(y.reals[i], input->reals[indices[i]]);
    for (size_t i = 0; i < y.ints.size(); ++i)
      y.ints[i] = op.integer(y.ints[i], input->ints[indices[i]]);
  }
  return single(std::move(y));
}

Outputs compare(NodeOp node, Inputs inputs) {
  Type boolean = IntegerType::get(node.getContext(), 1);
  const Tensor &a = *inputs[0], &b = *inputs[1];
  llvm::Expected<Broadcast> cast = broadcast(inputs);
  if (!cast)
    return cast.takeError();
  if (!cast->known)
    return single(makeUnknown(boolean, cast->shape));
  Comparison op = findComparison(node.getOpType());
  std::vector<int64_t> values(cast->indices[0].size());
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t ia = cast->indices[0][i], ib = cast->indices[1][i];
    values[i] = a.isReal() ? op.real(a.reals[ia], b.reals[ib]) : op.integer(a.ints[ia], b.ints[ib]);
  }
  return single(makeInts(boolean, cast->shape, std::move(values)));
}

Outputs where(NodeOp, Inputs inputs) {
  const Tensor &condition = *inputs[0], &yes = *inputs[1], &no = *inputs[2];
  if (condition.isReal())
    return invalid("has a condition that is not boolean");
  llvm::Expected<Broadcast> cast = broadcast(inputs, /*numOthers=*/1);
  if (!cast)
    return cast.takeError();
  if (!cast->known)
    return single(makeUnknown(yes.type, cast->shape));
  Tensor y = gatherFlat(yes, cast->shape, cast->indices[1]);
  for (size_t i = 0; i < cast->indices[0].size(); ++i) {
    if (condition.ints[cast->indices[0][i]])
      continue;
    if (y.isReal())
      y.reals[i] = no.reals[cast->indices[2][i]];
    else
      y.ints[i] = no.ints[cast->indices[2][i]];
  }
  return single(std::move(y));
}

Outputs booleanNot(NodeOp, Inputs inputs) {
  if (inputs[0]->isReal())
    return invalid("expected a boolean operand");
  Tensor y = *inputs[0];
  for (int64_t &value : y.ints)
    value = !value;
  return single(std::move(y));
}

Outputs isNaN(NodeOp node, Inputs inputs) {
  Type boolean = IntegerType::get(node.getContext(), 1);
  const Tensor &x = *inputs[0];
  if (!x.isReal())
    return invalid("expected a floating operand");
  if (!x.known())
    return single(makeUnknown(boolean, x.shape));
  std::vector<int64_t> values;
  for (double value : x.reals)
    values.push_back(value != value);
  return single(makeInts(boolean, x.shape, std::move(values)));
}

Outputs castTo(Type type, Inputs inputs) {
  bool toReal = isa<mlir::FloatType>(type);
  if (inputs[0]->weight && toReal) { // the weight itself stays where it is
    Tensor y = *inputs[0];
    y.type = type;
    return single(std::move(y));
  }
  llvm::Expected<TensorPtr> values = materialize(inputs[0]);
  if (!values)
    return values.takeError();
  const Tensor &x = **values;
  if (!x.known())
    return single(makeUnknown(type, x.shape));
  Tensor y{type, x.shape, {}, {}};
  if (toReal)
    y.reals = x.isReal() ? x.reals : std::vector<double>(x.ints.begin(), x.ints.end());
  else if (x.isReal())
    for (double value : x.reals)
      y.ints.push_back(type.isInteger(1) ? value != 0.0 : truncate(value));
  else
    y.ints = x.ints; // wrapped to the type's width with every result
  return single(std::move(y));
}

/// The exponent may be of another kind than the base, whose type the power has.
Outputs powerOf(NodeOp node, Inputs inputs) {
  if (inputs[0]->isReal() == inputs[1]->isReal())
    return arithmetic(node, inputs);
  unsigned integer = inputs[0]->isReal() ? 1 : 0;
  Outputs real = castTo(inputs[1 - integer]->type, inputs.slice(integer, 1));
  if (!real)
    return real.takeError();
  SmallVector<TensorPtr> operands(inputs);
  operands[integer] = std::make_shared<Tensor>(std::move(real->front()));
  Outputs power = arithmetic(node, operands);
  if (!power || integer == 1)
    return power;
  return castTo(inputs[0]->type, std::make_shared<const Tensor>(std::move(power->front())));
}

Outputs cast(NodeOp node, Inputs inputs) {
  auto target = dyn_cast_or_null<TypeAttr>(node.getAttribute("to"));
  if (!target)
    return invalid("has no element type to cast to that is known");
  return castTo(target.getValue(), inputs);
}

Outputs castLike(NodeOp, Inputs inputs) { return castTo(inputs[1]->type, inputs); }

Outputs identity(NodeOp, Inputs inputs) { return single(*inputs[0]); }

} // namespace

Kernel qopt::onnx_graph::findElementwiseKernel(NodeOp node) {
  if (findUnary(node))
    return unary;
  if (node.getDomain())
    return nullptr;
  StringRef name = node.getOpType();
  if (name == "Pow")
    return powerOf;
  if (findArithmetic(node).integer)
    return arithmetic;
  if (findComparison(name).integer)
    return compare;
  return llvm::StringSwitch<Kernel>(name)
      .Case("Where", where)
      .Case("Not", booleanNot)
      .Case("IsNaN", isNaN)
      .Case("Cast", cast)
      .Case("CastLike", castLike)
      .Case("Identity", identity)
      .Default(nullptr);
}
