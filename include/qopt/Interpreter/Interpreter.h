//===- Interpreter.h - The reference interpreter of qopt --------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Executes `@forward` of a qopt module, dense or ragged, by the definitions in
/// QOptOps.td and the plainest loops: the oracle of every test.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_INTERPRETER_INTERPRETER_H
#define QOPT_INTERPRETER_INTERPRETER_H

#include "mlir/IR/BuiltinOps.h"
#include "qopt/Frontend/Weights.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <memory>
#include <vector>

namespace qopt {

/// A dense row-major array. Integers are held exactly too.
struct Array {
  llvm::SmallVector<int64_t, 4> shape;
  std::vector<double> values;
};

struct InterpreterOptions {
  /// Compute in float64 and round nothing but codes and scales: the exact model
  /// on the same quantized operands. Otherwise every operation rounds as its
  /// description says, a sum once it is complete: sums are accumulated in double
  /// so that no result depends on their order. Weights are in both modes what
  /// their element type holds.
  bool float64 = false;
  /// Bytes of weights that are kept for later uses.
  int64_t weightCacheBytes = int64_t(1) << 30;
};

/// One step of a ragged module: T tokens of S sequences.
struct RaggedStep {
  std::vector<int64_t> tokens;    ///< [T]
  std::vector<int64_t> sequences; ///< [T], any small numbers
  std::vector<int64_t> positions; ///< [T]
  std::vector<int64_t> logitRows; ///< [R], rows whose logits are wanted
};

class Interpreter {
public:
  /// Both must outlive the interpreter. Weights are read when they are used.
  Interpreter(mlir::ModuleOp module, const WeightStore &weights, InterpreterOptions options = {});
  ~Interpreter();

  /// Runs a dense `@forward` on its arguments in order, and gives its results.
  llvm::Expected<std::vector<Array>> runDense(llvm::ArrayRef<Array> arguments);

  /// Runs one step of a ragged `@forward`; keys and values stay for later steps.
  /// Gives the logits [R, vocabulary]. A position is at most one behind the last
  /// of its sequence; an earlier one is written again. After an error the cache
  /// may hold a part of the step.
  llvm::Expected<Array> runStep(const RaggedStep &step);

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace qopt

#endif // QOPT_INTERPRETER_INTERPRETER_H
