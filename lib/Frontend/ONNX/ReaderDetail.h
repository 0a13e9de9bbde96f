//===- ReaderDetail.h - The parts of the ONNX reader ------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_FRONTEND_ONNX_READERDETAIL_H
#define QOPT_LIB_FRONTEND_ONNX_READERDETAIL_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "onnx.pb.h"
#include "qopt/Frontend/Weights.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"

namespace qopt::onnx {

/// The MLIR type of an ONNX data type; null when there is none.
mlir::Type elementType(int32_t dataType, mlir::MLIRContext &context);

/// The bytes of a tensor, wherever they are.
struct TensorBytes {
  mlir::RankedTensorType type;
  llvm::StringRef bytes; ///< little-endian; 4-bit elements two a byte, low half first
};

/// Finds the bytes of tensors: in the file's message, or in files beside it.
class TensorReader {
public:
  TensorReader(llvm::StringRef file, mlir::MLIRContext &context, WeightStore &store);

  /// The bytes live as long as the store.
  llvm::Expected<TensorBytes> read(const TensorProto &tensor, llvm::StringRef name);

  /// Dense elements, of at most 64 KiB.
  static mlir::DenseElementsAttr toElements(const TensorBytes &tensor);

private:
  llvm::Expected<llvm::StringRef> readExternal(const TensorProto &tensor, int64_t size);

  std::string file;
  std::string folder;
  mlir::MLIRContext &context;
  WeightStore &store;
  llvm::StringMap<std::shared_ptr<llvm::MemoryBuffer>> externalFiles;
};

/// Fails on a file of more than 2^18 messages and texts: the shortest takes two
/// bytes of it, and a hundred in memory. What is no message is left to the parser.
llvm::Error checkMessages(llvm::StringRef file);

/// Replaces the calls of model-local functions by their bodies. Fails on
/// functions that call each other deeper than 16, or make more than 2^17 nodes or
/// 64 MiB of them.
llvm::Error inlineFunctions(ModelProto &model);

template <typename... Args> llvm::Error error(const char *format, Args &&...args) {
  return llvm::createStringError(llvm::formatv(format, std::forward<Args>(args)...));
}

} // namespace qopt::onnx

#endif // QOPT_LIB_FRONTEND_ONNX_READERDETAIL_H
