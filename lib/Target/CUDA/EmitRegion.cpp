//===- EmitRegion.cpp - Scalar regions as CUDA C++ ------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EmitRegion.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cstdio>

using namespace mlir;
using namespace qopt;

std::string qopt::floatLiteral(float value) {
  char text[64];
  std::snprintf(text, sizeof text, "%af", value);
  return text;
}

namespace {

/// Whether `value` is c + exp(x) with c >= 1, a logistic function's divisor.
bool isOneOrMore(Value value) {
  auto sum = value.getDefiningOp<arith::AddFOp>();
  if (!sum)
    return false;
  auto isConstant = [](Value operand) {
    FloatAttr constant;
    return matchPattern(operand, m_Constant(&constant)) && constant.getValueAsDouble() >= 1.0;
  };
  auto isExp = [](Value operand) { return operand.getDefiningOp<math::ExpOp>() != nullptr; };
  return (isConstant(sum.getLhs()) && isExp(sum.getRhs())) ||
         (isExp(sum.getLhs()) && isConstant(sum.getRhs()));
}

/// The statements of one region.
class RegionWriter {
public:
  RegionWriter(llvm::raw_ostream &os, Block &block, ArrayRef<std::string> parameters) : os(os) {
    for (auto [argument, name] : llvm::zip(block.getArguments(), parameters))
      names[argument] = name;
  }

  LogicalResult write(Operation &op) {
    return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
        .Case([&](arith::ConstantOp constant) -> LogicalResult {
          auto value = dyn_cast<FloatAttr>(constant.getValue());
          if (!value)
            return constant.emitOpError("is not a float");
          float rounded = static_cast<float>(value.getValueAsDouble());
          names[constant] = floatLiteral(rounded);
          return success();
        })
        .Case([&](arith::AddFOp) { return binary(op, "__fadd_rn"); })
        .Case([&](arith::SubFOp) { return binary(op, "__fsub_rn"); })
        .Case([&](arith::MulFOp) { return binary(op, "__fmul_rn"); })
        .Case([&](arith::DivFOp division) {
          return binary(op, isOneOrMore(division.getRhs()) ? "quotient" : "__fdiv_rn");
        })
        .Case([&](arith::NegFOp) { return define(op, "-" + operand(op, 0)); })
        .Case([&](math::ExpOp) { return define(op, "expf(" + operand(op, 0) + ")"); })
        .Case<arith::ExtFOp>([&](auto extension) {
          names[extension] = operand(op, 0); // the same float32
          return success();
        })
        .Case<arith::TruncFOp>([&](auto) { return define(op, operand(op, 0)); })
        .Case([&](kernel::YieldOp yield) { return writeReturn(yield); })
        .Default([](Operation *other) { return other->emitOpError("has no text in CUDA C++"); });
  }

private:
  std::string operand(Operation &op, unsigned index) { return names.at(op.getOperand(index)); }

  /// Products and sums round by themselves: no compiler may merge them.
  LogicalResult binary(Operation &op, StringRef function) {
    return define(op, (function + "(" + operand(op, 0) + ", " + operand(op, 1) + ")").str());
  }

  LogicalResult define(Operation &op, const std::string &text) {
    Type type = op.getResult(0).getType();
    if (!type.isF32() && !type.isBF16())
      return op.emitOpError("has a result of ") << type << ", expected f32 or bf16";
    // The output's store rounds the last value.
    bool isLast = isa<arith::TruncFOp>(op) && op.hasOneUse() &&
                  isa<kernel::YieldOp>(*op.getUsers().begin());
    if (isLast) {
      names[op.getResult(0)] = text;
      return success();
    }
    std::string name = "v" + std::to_string(count++);
    os << "    const float " << name << " = "
       << (type.isBF16() ? "to_float(to_bf16(" + text + "))" : text) << ";\n";
    names[op.getResult(0)] = name;
    return success();
  }

  LogicalResult writeReturn(kernel::YieldOp yield) {
    os << "    return " << names.at(yield.getValue()) << ";\n";
    return success();
  }

  llvm::raw_ostream &os;
  DenseMap<Value, std::string> names;
  unsigned count = 0;
};

} // namespace

LogicalResult qopt::emitApply(llvm::raw_ostream &os, Block &block,
                              ArrayRef<std::string> parameters) {
  os << "  __device__ static float apply(";
  llvm::interleave(parameters, os, [&](const std::string &name) { os << "float " << name; }, ", ");
  os << ") {\n";
  RegionWriter writer(os, block, parameters);
  for (Operation &op : block)
    if (failed(writer.write(op)))
      return failure();
  os << "  }\n";
  return success();
}
