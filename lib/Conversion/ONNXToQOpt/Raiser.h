//===- Raiser.h - What raising patterns share -------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CONVERSION_ONNXTOQOPT_RAISER_H
#define QOPT_LIB_CONVERSION_ONNXTOQOPT_RAISER_H

#include "GraphBuilder.h"
#include "GraphInputs.h"
#include "qopt/Conversion/ONNXToQOpt/RaiseONNX.h"
#include "qopt/Dialect/QOpt/IR/QOptDialect.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace qopt::onnx_graph {

/// A matrix [N, K] or a vector [N] of the model, as a view of an initializer.
struct WeightView {
  InitializerOp initializer;
  bool transposed = false;
  int64_t rowOffset = 0;
  llvm::SmallVector<int64_t, 2> shape;
};

/// Builds `@forward` while it walks `@main`. `raised` maps a value of the graph
/// to the qopt value with the same elements in the same order, [batch, seq,
/// width] whatever shape the graph's value has.
class Raiser {
public:
  Raiser(mlir::func::FuncOp source, const WeightStore *initializers, RaisedONNX &result);
  mlir::LogicalResult run();

private:
  // Raiser.cpp
  mlir::LogicalResult prepare();
  mlir::LogicalResult checkOperators();
  mlir::LogicalResult checkShapes();
  void findData();
  void visit(NodeOp node);
  mlir::LogicalResult finish();
  std::optional<llvm::SmallVector<mlir::Value>> findOutputs(mlir::Value &logits);
  void setSignature(llvm::ArrayRef<mlir::Value> results);
  mlir::LogicalResult reportUnraised();
  bool isData(mlir::Value value) const { return data.contains(value); }
  /// Lets what follows be matched, so that the report has all that is wrong.
  void raiseOpaque(mlir::Value value, int64_t width);
  /// Remembers why a node was not raised, for the report.
  bool fail(NodeOp node, const llvm::Twine &reason);
  mlir::Value look(mlir::Value value) const { return raised.lookup(value); }
  void raise(NodeOp node, unsigned result, mlir::Value value);
  mlir::RankedTensorType rowsBy(int64_t width) const;
  int64_t widthOf(mlir::Value raisedValue) const;
  /// The shape that a raised value of the graph has for a step, [batch, seq, width] or
  /// flat; nothing when it has another one.
  std::optional<Shape> rowsShape(mlir::Value value, StepShape step);

  // Views.cpp
  /// The raised value that `value` is a view of, with the elements in the same
  /// order; null when there is none.
  mlir::Value canonical(mlir::Value value);
  /// Whether `value` has the elements of `root`, which it is a view of, in their
  /// order, for both steps.
  bool keepsOrder(mlir::Value root, mlir::Value value);
  /// Follows operators that move or convert elements to what they view.
  mlir::Value peel(mlir::Value value) const;
  std::optional<WeightView> vectorWeight(mlir::Value value);
  std::optional<WeightView> matrixWeight(mlir::Value value);
  mlir::Value weight(WeightView view, mlir::Location loc);
  Shape shapeAt(unsigned step, mlir::Value value);

  // RaiseLayers.cpp: one pattern an operation.
  bool raiseEmbedding(NodeOp node);
  bool raiseLinear(NodeOp node);
  bool raiseProduct(NodeOp node);
  bool raiseRMSNorm(NodeOp node, llvm::ArrayRef<mlir::Value> factors);
  bool raiseSiluMul(NodeOp node, llvm::ArrayRef<mlir::Value> factors);
  bool raiseAdd(NodeOp node);
  bool raiseBias(NodeOp node, mlir::Value sum, mlir::Value bias);
  void collectFactors(mlir::Value value, llvm::SmallVectorImpl<mlir::Value> &factors);

  // MatchAttention.cpp
  struct AttentionMatch;
  bool matchAttention(AttentionMatch &match);
  bool matchMasks(AttentionMatch &match);
  bool findRotatedKey(AttentionMatch &match);

  // ProveMask.cpp
  /// Whether masks hide exactly later tokens and padding from each query that is
  /// one of a token, at small steps and beyond every constant they contain. The
  /// error tells a query and a key where they differ. `additive` values are added
  /// to scores, `allowed` ones say what stays.
  llvm::Error proveMask(llvm::ArrayRef<mlir::Value> additive, llvm::ArrayRef<mlir::Value> allowed);

  // RaiseAttention.cpp
  struct Sample;
  /// Raises what computes `sink`, the operand of a linear layer, if that is an
  /// attention.
  bool raiseAttention(mlir::Value sink);
  llvm::Expected<std::vector<double>> rotationAngles(const AttentionMatch &match,
                                                     llvm::ArrayRef<int64_t> positions);
  bool fitRotation(AttentionMatch &match);
  bool fitScale(AttentionMatch &match);
  bool verifyAttention(const AttentionMatch &match);
  bool evaluateAttention(const AttentionMatch &match, bool countsMask);
  void buildAttention(const AttentionMatch &match);
  /// Of double arithmetic, with the initializers' data.
  Evaluator exactEvaluator() const;
  static Sample drawSample(const AttentionMatch &match, StepShape step);
  void bindSample(Evaluator &evaluator, const AttentionMatch &match, const Sample &sample);

  // NameWeights.cpp
  mlir::LogicalResult nameWeights(mlir::Value logits);
  mlir::LogicalResult nameLayer(AttentionOp attention, size_t index);
  mlir::LogicalResult nameHead(LogitsOp head);
  mlir::LogicalResult nameLinear(mlir::Value value, const llvm::Twine &name);
  mlir::LogicalResult nameNorm(mlir::Value value, const llvm::Twine &name);
  mlir::LogicalResult rename(mlir::Value weight, const llvm::Twine &name);
  mlir::LogicalResult reportUnnamed();

  mlir::func::FuncOp source;
  const WeightStore *initializers;
  RaisedONNX &result;
  GraphInputs inputs;
  mlir::OpBuilder builder;
  mlir::func::FuncOp target;
  mlir::FloatType type;                  ///< of weights and activations
  llvm::SmallVector<Evaluator, 2> steps; ///< shapes of every value for two steps
  llvm::DenseSet<mlir::Value> data;      ///< depend on tokens or pasts, not on shapes alone
  llvm::DenseMap<mlir::Value, mlir::Value> raised;
  llvm::MapVector<mlir::Operation *, std::string> reasons;
  llvm::StringMap<WeightView> views;                 ///< by the symbol that stands for the name yet
  llvm::DenseSet<mlir::Operation *> named;           ///< weights whose role is known
  llvm::DenseMap<mlir::Value, mlir::Value> presents; ///< of the graph, to raised
  llvm::SmallVector<AttentionOp> layers;
  /// Masks added and allowed, as a layer has them together.
  using Masks = std::pair<llvm::SmallVector<mlir::Value>, llvm::SmallVector<mlir::Value>>;
  llvm::SmallVector<Masks> provedMasks;
};

} // namespace qopt::onnx_graph

#endif // QOPT_LIB_CONVERSION_ONNXTOQOPT_RAISER_H
