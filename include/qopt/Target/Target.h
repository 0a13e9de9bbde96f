//===- Target.h - What a plan is compiled for -------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// All that passes and the driver ask of a target: how its kernels want weights
/// and launches, and their code. docs/architecture.md says where it is used.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_TARGET_TARGET_H
#define QOPT_TARGET_TARGET_H

#include "mlir/IR/BuiltinOps.h"
#include "qopt/Dialect/Kernel/IR/KernelDialect.h"
#include "qopt/Target/TilePacker.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace qopt {

/// A plan of its own for steps of up to `tokens` tokens.
struct Bucket {
  int64_t tokens;
  kernel::PlanKind kind = kernel::PlanKind::Mixed;
};

/// What an artifact says of the machine that it needs.
struct TargetDescription {
  std::string name;                  ///< cpu:x86-64-v4, cuda:sm_90a
  std::string triple;                ///< x86_64-unknown-linux-gnu, nvptx64-nvidia-cuda
  std::vector<std::string> features; ///< what the code needs, as the runtime checks
};

/// The units of a launch that the CPU's workers share: a function of the step's
/// rows.
struct LaunchUnits {
  uint64_t fixed = 0, perToken = 0, perLogitRow = 0;
};

/// What the blocks of a GPU's launch are along x.
enum class GridRows { tokens, logitRows, queryTiles };

/// The blocks of a GPU's launch: x = ceil(rows / rowsPerBlock).
struct GridForm {
  GridRows rows = GridRows::tokens;
  int64_t rowsPerBlock = 1, y = 1, z = 1;
  int64_t threads = 0;     ///< of a block
  int64_t sharedBytes = 0; ///< of a block, dynamic

  bool operator==(const GridForm &) const = default;
};

/// How the tensor copy engine reads a matrix: boxes of boxRows x 128 bytes.
struct LaunchMap {
  mlir::Value buffer; ///< [rows, columns]
  int64_t boxRows = 0;
};

/// How the runtime starts a launch, beside its operands.
struct LaunchForm {
  LaunchUnits units;            ///< CPU
  std::optional<GridForm> grid; ///< GPU
  std::vector<LaunchMap> maps;  ///< GPU, in the order of the parameters
};

/// The code of one kernel, and what its compiler says of it.
struct KernelCode {
  std::string entry;
  uint64_t offset = 0, size = 0; ///< in the code; size 0: all of it holds all kernels
  uint32_t registers = 0;        ///< of a thread
  uint32_t spillBytes = 0;       ///< of a thread
  uint32_t sharedBytes = 0;      ///< of a block, static
  uint64_t ptxOffset = 0, ptxSize = 0; ///< for other GPUs; size 0: there is none
};

/// The code section of an artifact.
struct CompiledCode {
  std::string bytes;
  std::vector<KernelCode> kernels;
  unsigned cached = 0; ///< kernels whose code was made before
};

class Target {
public:
  /// cpu, cpu:native, cpu:x86-64-v2, -v3, -v4, cpu:znver4, cuda:sm_80, sm_86, sm_89 or
  /// cuda:sm_90a. With \p schedule, a file, the target prefers what this table says was
  /// measured.
  static llvm::Expected<std::unique_ptr<Target>> parse(llvm::StringRef name,
                                                       llvm::StringRef schedule = "");

  virtual ~Target() = default;

  virtual TargetDescription describe() const = 0;

  /// Null where there are kernels for models of `format`, else the reason.
  virtual llvm::Error checkFormat(llvm::StringRef format) const { return llvm::Error::success(); }

  /// The bytes of a weight [N, K]; null for an element type that no kernel reads.
  virtual kernel::LayoutAttr layout(mlir::RankedTensorType type) const = 0;

  /// Whether a gemm can take the sums of a gate and an up channel at once.
  virtual bool hasPairEpilogues() const { return false; }

  /// Whether attention of a decode step can rotate the token and write it to the cache.
  virtual bool hasRopeAttention() const { return false; }

  /// Tokens of the largest vocabulary from which a launch can choose; 0: there is no
  /// such launch, and the runtime samples.
  virtual int64_t maxSampledVocabulary() const { return 0; }

  /// Tokens of the largest step, and of them those whose logits can be asked
  /// for, where the user says nothing.
  virtual int64_t defaultMaxTokens() const = 0;
  virtual int64_t defaultMaxLogitRows() const = 0;

  /// Token counts that get a plan beside the mixed one of `maxTokens`.
  virtual std::vector<Bucket> defaultBuckets(int64_t maxTokens) const = 0;

  /// The kinds of plan that a token count gets which the user asks for.
  virtual std::vector<kernel::PlanKind> planKinds() const { return {kernel::PlanKind::Mixed}; }

  /// Rows of a query tile where `group` heads share a KV head; 0: the plan has none.
  virtual int64_t queryTile(kernel::PlanKind kind, int64_t group) const { return 0; }

  /// How `launch` of `plan` is cut, and why; null where there is nothing to choose.
  virtual kernel::ScheduleAttr schedule(mlir::Operation *launch, kernel::PlanOp plan) const = 0;

  /// Lets schedule() prefer what the table in `file` says was measured.
  virtual llvm::Error addSchedules(llvm::StringRef file) {
    return llvm::createStringError("target '" + describe().name + "' takes no schedule table");
  }

  /// How `fused` is cut, a gemm whose prologue does what the launch `maker` does for the
  /// scheduled `apart`; null, with the reason, where that takes longer than both.
  virtual kernel::ScheduleAttr prologueSchedule(kernel::GemmOp fused, kernel::GemmOp apart,
                                                mlir::Operation *maker, kernel::PlanOp plan,
                                                std::string &reason) const {
    reason = "the target's linear layers have no prologues";
    return {};
  }

  /// Writes the image of `type`, whose rows are those of `sources` one after another.
  virtual llvm::Expected<std::unique_ptr<TilePacker>>
  packer(kernel::PackedType type, llvm::ArrayRef<const WeightTensor *> sources, bool keep) const = 0;

  /// Gives every launch its `entry`, and adds to the module what code is made
  /// from.
  virtual mlir::LogicalResult lower(mlir::ModuleOp module) const = 0;

  /// What `--emit` can ask for beside the stages of all targets: llvm; cuda, cubin, ptx.
  virtual std::vector<std::string> emitKinds() const = 0;

  /// The text of one of emitKinds() after lower().
  virtual llvm::Expected<std::string> emit(mlir::ModuleOp module, llvm::StringRef kind,
                                           llvm::StringRef cacheFolder) const = 0;

  /// The code after lower(), in parallel, parts from `cacheFolder` where they were
  /// made before.
  virtual llvm::Expected<CompiledCode> compile(mlir::ModuleOp module,
                                               llvm::StringRef cacheFolder) const = 0;

  /// Null where the schedule of `launch` has a kernel, else the reason.
  virtual llvm::Error check(mlir::Operation *launch) const { return llvm::Error::success(); }

  /// Of a launch that check() finds no fault with.
  virtual LaunchForm form(mlir::Operation *launch) const = 0;
};

} // namespace qopt

#endif // QOPT_TARGET_TARGET_H
