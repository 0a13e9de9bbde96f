//===- KernelEmitters.h - The body of each launch ---------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Each function writes the body of one launch at the builder's place. Whatever
/// the launch's tiles and the number of workers, the operations of one row are
/// the same, in the same order.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_CPU_KERNELEMITTERS_H
#define QOPT_LIB_TARGET_CPU_KERNELEMITTERS_H

#include "KernelBuilder.h"
#include "qopt/Dialect/Kernel/IR/KernelDialect.h"

namespace qopt {

void emitGemm(KernelBuilder &b, kernel::GemmOp op, const KernelArguments &args);
void emitEmbedding(KernelBuilder &b, kernel::EmbeddingOp op, const KernelArguments &args);
void emitNorm(KernelBuilder &b, kernel::NormOp op, const KernelArguments &args);
void emitQuantize(KernelBuilder &b, kernel::QuantizeOp op, const KernelArguments &args);
void emitElementwise(KernelBuilder &b, kernel::ElementwiseOp op, const KernelArguments &args);
void emitGather(KernelBuilder &b, kernel::GatherOp op, const KernelArguments &args);
void emitRotaryTable(KernelBuilder &b, kernel::RotaryTableOp op, const KernelArguments &args);
void emitRope(KernelBuilder &b, kernel::RopeOp op, const KernelArguments &args);
void emitRopeAppend(KernelBuilder &b, kernel::RopeAppendOp op, const KernelArguments &args);
void emitKVAppend(KernelBuilder &b, kernel::KVAppendOp op, const KernelArguments &args);
void emitAttention(KernelBuilder &b, kernel::AttentionOp op, const KernelArguments &args);

/// Whether every operation of a scalar region has vector code; reports on it.
mlir::LogicalResult checkRegion(Block &block);

/// The scalar region on vectors: `args` and the result are of storageType.
Value emitRegion(KernelBuilder &b, Block &block, ArrayRef<Value> args);

/// Quantizes one row per token. `produce(column, lanes)` gives its float32
/// values; codes and the float32 scale go to the pointers.
void emitQuantizeRow(KernelBuilder &b, const Rows &codes, Value codesRow, Value scalePointer,
                     Value scratch, llvm::function_ref<Value(Value, int64_t)> produce);

} // namespace qopt

#endif // QOPT_LIB_TARGET_CPU_KERNELEMITTERS_H
