//===- QOptToKernel.cpp - A plan of launches from a model -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Conversion/Passes.h"
#include "qopt/Dialect/QOpt/IR/Forward.h"
#include "llvm/ADT/TypeSwitch.h"

namespace qopt {
#define GEN_PASS_DEF_CONVERTQOPTTOKERNEL
#include "qopt/Conversion/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// What a tensor has become: a buffer, and for codes their scales. A packed
/// weight is its `buffer` alone.
struct Lowered {
  Value buffer;
  Value scales;
};

RankedTensorType tensorOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Builds the plan, operation by operation in program order.
class PlanBuilder {
public:
  PlanBuilder(func::FuncOp forward, int64_t maxTokens, int64_t maxLogitRows)
      : forward(forward), maxTokens(maxTokens), maxLogitRows(std::min(maxLogitRows, maxTokens)),
        builder(forward) {}

  LogicalResult run() {
    if (failed(checkForm()))
      return failure();
    auto plan = kernel::PlanOp::create(builder, forward.getLoc(), "step", kernel::PlanKind::Mixed,
                                       maxTokens, maxLogitRows, IntegerAttr(), IntegerAttr());
    plan.getBody().emplaceBlock();
    builder.setInsertionPointToStart(&plan.getBody().front());
    Location loc = forward.getLoc();
    auto indices = MemRefType::get({ShapedType::kDynamic}, builder.getI32Type());
    values[forward.getArgument(0)] = {
        kernel::InputOp::create(builder, loc, indices, kernel::StepInput::Tokens), {}};
    values[forward.getArgument(1)] = {
        kernel::BatchOp::create(builder, loc, forward.getArgument(1).getType()), {}};
    values[forward.getArgument(2)] = {
        kernel::CacheOp::create(builder, loc, forward.getArgument(2).getType()), {}};
    logitRowsType = indices;

    for (Operation &op : forward.front()) {
      LogicalResult converted =
          TypeSwitch<Operation *, LogicalResult>(&op)
              .Case<WeightOp, EmbeddingOp, RMSNormOp, LinearOp, RopeOp, PagedAttentionOp,
                    KVAppendOp, RopeAppendOp, SiluMulOp, AddOp, SliceOp, QuantizeOp, LogitsOp,
                    func::ReturnOp>([&](auto op) { return convert(op); })
              .Default([](Operation *op) {
                return op->emitError("operation '") << op->getName() << "' has no kernel";
              });
      if (failed(converted))
        return failure();
    }
    forward.erase();
    return success();
  }

private:
  /// Arguments, results and shapes are those of a ragged model.
  LogicalResult checkForm() {
    TypeRange arguments = forward.getArgumentTypes();
    auto tokens = RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());
    if (arguments.size() != 3 || arguments[0] != tokens || !isa<BatchType>(arguments[1]) ||
        !isa<KVCacheType>(arguments[2]))
      return forward.emitError("expected a ragged model: tokens, batch and cache");
    Operation *terminator = forward.front().getTerminator();
    if (terminator->getNumOperands() != 1 || !terminator->getOperand(0).getDefiningOp<LogitsOp>())
      return terminator->emitError("expected the logits as only result");
    for (Operation &op : forward.front()) {
      if (isa<WeightOp>(op))
        continue;
      for (Value result : op.getResults()) {
        auto type = dyn_cast<RankedTensorType>(result.getType());
        if (type && (type.getRank() != 2 || !type.isDynamicDim(0) || type.isDynamicDim(1) ||
                     type.getElementType().isF64()))
          return op.emitError("expected rows [tokens, columns] of a type that kernels have, found ")
                 << type;
      }
    }
    return success();
  }

  Value buffer(Value value) { return values.at(value).buffer; }

  MemRefType bufferType(RankedTensorType type, Type element) {
    return MemRefType::get(type.getShape(), element);
  }

  /// A new buffer for each part of `value`.
  Lowered allocate(Value value, Location loc, kernel::Rows rows = kernel::Rows::Tokens) {
    RankedTensorType type = tensorOf(value);
    auto alloc = [&](MemRefType memref) -> Value {
      return kernel::AllocOp::create(builder, loc, memref, rows, IntegerAttr());
    };
    auto quantized = dyn_cast<QuantizedType>(type.getElementType());
    Lowered lowered;
    lowered.buffer =
        alloc(bufferType(type, quantized ? quantized.getStorage() : type.getElementType()));
    if (quantized)
      lowered.scales = alloc(
          bufferType(RankedTensorType::get(type.getShape().drop_back(), type.getElementType()),
                     quantized.getScale()));
    return values[value] = lowered;
  }

  static SmallVector<Value, 2> outsOf(const Lowered &lowered) {
    SmallVector<Value, 2> outs{lowered.buffer};
    if (lowered.scales)
      outs.push_back(lowered.scales);
    return outs;
  }

  //===--------------------------------------------------------------------===//
  // Scalar regions
  //===--------------------------------------------------------------------===//

  /// Fills `region` with one block over elements of `inputs` (after `leading`)
  /// that computes in float32, rounds through `rounded`, and yields `yielded`.
  void buildRegion(Region &region, Location loc, ArrayRef<Type> leading, ValueRange inputs,
                   Type rounded, Type yielded,
                   function_ref<Value(OpBuilder &, ValueRange)> compute) {
    OpBuilder::InsertionGuard guard(builder);
    SmallVector<Type> types(leading);
    for (Value input : inputs)
      types.push_back(cast<MemRefType>(input.getType()).getElementType());
    Block *block =
        builder.createBlock(&region, {}, types, SmallVector<Location>(types.size(), loc));
    Type f32 = builder.getF32Type();
    SmallVector<Value> wide;
    for (Value argument : block->getArguments())
      wide.push_back(argument.getType() == f32
                         ? argument
                         : arith::ExtFOp::create(builder, loc, f32, argument));
    Value result = compute(builder, wide);
    if (rounded != f32)
      result = arith::TruncFOp::create(builder, loc, rounded, result);
    if (result.getType() != yielded)
      result = arith::ExtFOp::create(builder, loc, yielded, result);
    kernel::YieldOp::create(builder, loc, result);
  }

  static Value sum(OpBuilder &builder, ValueRange terms, Location loc) {
    Value total = terms.front();
    for (Value term : terms.drop_front())
      total = arith::AddFOp::create(builder, loc, total, term);
    return total;
  }

  //===--------------------------------------------------------------------===//
  // Operations
  //===--------------------------------------------------------------------===//

  LogicalResult convert(WeightOp op) {
    RankedTensorType type = tensorOf(op.getResult());
    Type lowered;
    if (type.getRank() > 2 || (type.getRank() == 1 && isa<QuantizedType>(type.getElementType())))
      return op.emitError("expected a matrix or a vector of floats, found ") << type;
    if (type.getRank() == 1) {
      lowered = MemRefType::get(type.getShape(), type.getElementType());
    } else {
      auto layout = op->getAttrOfType<kernel::LayoutAttr>("kernel.layout");
      if (!layout)
        return op.emitError("weight has no kernel.layout: qopt-pack-weights must run first");
      lowered = kernel::PackedType::get(op.getContext(), type, layout);
    }
    values[op.getResult()] = {
        kernel::WeightOp::create(builder, op.getLoc(), lowered, op.getSources()), {}};
    return success();
  }

  LogicalResult convert(EmbeddingOp op) {
    Lowered out = allocate(op.getResult(), op.getLoc());
    kernel::EmbeddingOp::create(builder, op.getLoc(), buffer(op.getTokens()), buffer(op.getTable()),
                                outsOf(out), {}, {});
    return success();
  }

  LogicalResult convert(RMSNormOp op) {
    Lowered out = allocate(op.getResult(), op.getLoc());
    kernel::NormOp::create(builder, op.getLoc(), buffer(op.getInput()), buffer(op.getWeight()),
                           outsOf(out), op.getEpsAttr(), {}, {});
    return success();
  }

  LogicalResult convert(QuantizeOp op) {
    if (isOfLogits(op))
      return success(); // where they are gathered
    Lowered out = allocate(op.getResult(), op.getLoc());
    kernel::QuantizeOp::create(builder, op.getLoc(), buffer(op.getInput()), outsOf(out), {}, {});
    return success();
  }

  void gemm(Location loc, Lowered input, Value weight, ArrayRef<Value> extras, Value result,
            kernel::Rows rows) {
    Type element = tensorOf(result).getElementType();
    auto op = kernel::GemmOp::create(builder, loc, input.buffer, input.scales, buffer(weight),
                                     extras, outsOf(allocate(result, loc, rows)), rows);
    buildRegion(op.getEpilogue(), loc, {builder.getF32Type()}, extras, element, element,
                [&](OpBuilder &b, ValueRange terms) { return sum(b, terms, loc); });
  }

  LogicalResult convert(LinearOp op) {
    SmallVector<Value> extras;
    for (Value extra : {op.getBias(), op.getResidual()})
      if (extra)
        extras.push_back(buffer(extra));
    gemm(op.getLoc(), values.at(op.getInput()), op.getWeight(), extras, op.getResult(),
         kernel::Rows::Tokens);
    return success();
  }

  /// quantize(x)[rows] = quantize(x[rows]): only the rows that are wanted.
  static bool isOfLogits(QuantizeOp op) {
    return !op->use_empty() &&
           llvm::all_of(op->getUsers(), [](Operation *user) { return isa<LogitsOp>(user); });
  }

  LogicalResult convert(LogitsOp op) {
    if (!op.getBatch())
      return op.emitError("expected the batch that says which rows are wanted");
    Location loc = op.getLoc();
    Value rows = kernel::InputOp::create(builder, loc, logitRowsType, kernel::StepInput::LogitRows);
    Value source = op.getInput();
    auto quantize = source.getDefiningOp<QuantizeOp>();
    if (quantize && isOfLogits(quantize))
      source = quantize.getInput();
    RankedTensorType input = tensorOf(source);
    if (isa<QuantizedType>(input.getElementType()))
      return op.emitError("an input quantized by another operation has no kernel");
    MemRefType inputType = bufferType(input, input.getElementType());
    Value gathered =
        kernel::AllocOp::create(builder, loc, inputType, kernel::Rows::LogitRows, IntegerAttr());
    kernel::GatherOp::create(builder, loc, buffer(source), rows, ValueRange(gathered), {}, {});
    Lowered rowsOfLogits{gathered, {}};
    if (quantize) {
      rowsOfLogits = allocate(quantize.getResult(), loc, kernel::Rows::LogitRows);
      kernel::QuantizeOp::create(builder, loc, gathered, outsOf(rowsOfLogits), {}, {});
    }
    gemm(loc, rowsOfLogits, op.getWeight(), {}, op.getResult(), kernel::Rows::LogitRows);
    return success();
  }

  LogicalResult convert(SiluMulOp op) {
    Lowered out = allocate(op.getResult(), op.getLoc());
    Location loc = op.getLoc();
    SmallVector<Value> inputs{buffer(op.getGate()), buffer(op.getUp())};
    auto launch = kernel::ElementwiseOp::create(builder, loc, inputs, outsOf(out), {}, {});
    Type rounded = tensorOf(op.getGate()).getElementType();
    buildRegion(launch.getBody(), loc, {}, inputs, rounded,
                out.scales ? builder.getF32Type() : rounded, [&](OpBuilder &b, ValueRange x) {
                  // silu(g) * u = g / (1 + exp(-g)) * u
                  Value one = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(1.0f));
                  Value minus = arith::NegFOp::create(b, loc, x[0]);
                  Value exp = math::ExpOp::create(b, loc, minus);
                  Value denominator = arith::AddFOp::create(b, loc, one, exp);
                  Value silu = arith::DivFOp::create(b, loc, x[0], denominator);
                  return arith::MulFOp::create(b, loc, silu, x[1]).getResult();
                });
    return success();
  }

  LogicalResult convert(AddOp op) {
    Lowered out = allocate(op.getResult(), op.getLoc());
    SmallVector<Value> inputs{buffer(op.getLhs()), buffer(op.getRhs())};
    auto launch = kernel::ElementwiseOp::create(builder, op.getLoc(), inputs, outsOf(out), {}, {});
    Type element = tensorOf(op.getResult()).getElementType();
    buildRegion(launch.getBody(), op.getLoc(), {}, inputs, element, element,
                [&](OpBuilder &b, ValueRange terms) { return sum(b, terms, op.getLoc()); });
    return success();
  }

  LogicalResult convert(SliceOp op) {
    auto input = cast<MemRefType>(buffer(op.getInput()).getType());
    if (!input.getLayout().isIdentity())
      return op.emitError("a slice of a slice has no kernel");
    int64_t offset = op.getOffset();
    auto layout = StridedLayoutAttr::get(op.getContext(), offset, {input.getDimSize(1), 1});
    auto type =
        MemRefType::get(tensorOf(op.getResult()).getShape(), input.getElementType(), layout);
    values[op.getResult()] = {
        kernel::SliceOp::create(builder, op.getLoc(), type, buffer(op.getInput()), offset), {}};
    return success();
  }

  /// The step's cosines and sines, filled by one launch for all layers.
  Value rotaryTable(RopeAttr rope, Location loc) {
    Value &table = tables[rope];
    if (!table) {
      auto type = MemRefType::get({ShapedType::kDynamic, rope.getHeadDim()}, builder.getF32Type());
      table = kernel::AllocOp::create(builder, loc, type, kernel::Rows::Tokens, IntegerAttr());
      kernel::RotaryTableOp::create(builder, loc, buffer(forward.getArgument(1)), ValueRange(table),
                                    rope, {}, {});
    }
    return table;
  }

  LogicalResult convert(RopeOp op) {
    if (op.getPositions() != forward.getArgument(1))
      return op.emitError("positions must be the batch's");
    Value table = rotaryTable(op.getRope(), op.getLoc());
    Lowered out = allocate(op.getResult(), op.getLoc());
    kernel::RopeOp::create(builder, op.getLoc(), buffer(op.getInput()), table, outsOf(out), {}, {});
    return success();
  }

  LogicalResult convert(RopeAppendOp op) {
    Value table = rotaryTable(op.getRope(), op.getLoc());
    Lowered out = allocate(op.getResult(), op.getLoc());
    kernel::RopeAppendOp::create(builder, op.getLoc(), buffer(op.getQuery()), buffer(op.getKey()),
                                 buffer(op.getValue()), table, buffer(op.getCache()),
                                 buffer(op.getBatch()), outsOf(out), op.getLayerAttr(), {}, {});
    return success();
  }

  LogicalResult convert(KVAppendOp op) {
    kernel::KVAppendOp::create(builder, op.getLoc(), buffer(op.getKey()), buffer(op.getValue()),
                               buffer(op.getCache()), buffer(op.getBatch()), ValueRange(),
                               op.getLayerAttr(), {}, {});
    return success();
  }

  LogicalResult convert(PagedAttentionOp op) {
    Lowered out = allocate(op.getResult(), op.getLoc());
    kernel::AttentionOp::create(builder, op.getLoc(), buffer(op.getQuery()), buffer(op.getCache()),
                                buffer(op.getBatch()), /*key=*/{}, /*value=*/{}, /*table=*/{},
                                outsOf(out), op.getLayerAttr(), op.getNumHeadsAttr(), op.getScaleAttr(), {}, {});
    return success();
  }

  LogicalResult convert(func::ReturnOp op) {
    kernel::OutputOp::create(builder, op.getLoc(), buffer(op.getOperand(0)), ValueRange());
    return success();
  }

  func::FuncOp forward;
  int64_t maxTokens, maxLogitRows;
  OpBuilder builder;
  MemRefType logitRowsType;
  DenseMap<Value, Lowered> values;
  DenseMap<Attribute, Value> tables;
};

struct ConvertQOptToKernel : public qopt::impl::ConvertQOptToKernelBase<ConvertQOptToKernel> {
  using ConvertQOptToKernelBase::ConvertQOptToKernelBase;

  void runOnOperation() override {
    func::FuncOp forward = lookupForward(getOperation());
    if (!forward || failed(PlanBuilder(forward, maxTokens, maxLogitRows).run()))
      signalPassFailure();
  }
};

} // namespace
