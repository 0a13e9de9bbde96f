//===- Import.h - Models from files -----------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What every frontend gives: the dense qopt module, the weights by canonical
/// name, and what the artifact carries beside them.
///
///   mlir::MLIRContext context(registry);
///   llvm::Expected<ImportedModel> model = importModel("SmolLM2.gguf", context, {});
///
/// Errors name the file and the node or tensor, what was expected and what was
/// found. Nothing is read outside of the model's folder.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_IMPORT_H
#define QOPT_FRONTEND_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "qopt/Frontend/LlamaConfig.h"
#include "qopt/Frontend/Weights.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include "llvm/Support/MemoryBuffer.h"
#include <optional>
#include <string>
#include <vector>

namespace qopt {

struct ImportOptions {
  /// Draw weights with this seed; the source needs no weights.
  std::optional<uint64_t> randomSeed = {};
  /// Compare an imported ONNX graph with the module raised from it.
  bool importCheck = true;
};

struct ImportedModel {
  /// Generation settings that leave the distribution as it is.
  ImportedModel() {
    generation.set_temperature(1.0f);
    generation.set_top_p(1.0f);
    generation.set_repetition_penalty(1.0f);
  }

  mlir::OwningOpRef<mlir::ModuleOp> module; ///< dense `@forward`, in canonical order
  LlamaConfig config;
  WeightStore weights;
  artifact::Tokenizer tokenizer;       ///< empty vocabulary: the source has none
  artifact::ChatTemplate chatTemplate; ///< empty source: none
  artifact::GenerationConfig generation;
  std::string name;               ///< the model's name, for people
  std::string sourceKind;         ///< onnx, hf, gguf, random
  std::string sourceHash;         ///< XXH3-128 of the source's metadata, hexadecimal
  std::vector<std::string> notes; ///< for the report
};

/// Imports an ONNX file, a Hugging Face folder, a GGUF file, or with a seed a
/// config.json or the name of a ready configuration (llama-3.1-8b), as the path
/// tells.
llvm::Expected<ImportedModel> importModel(llvm::StringRef path, mlir::MLIRContext &context,
                                          const ImportOptions &options);

llvm::Expected<ImportedModel> importHF(llvm::StringRef folder, mlir::MLIRContext &context);
llvm::Expected<ImportedModel> importGGUF(llvm::StringRef file, mlir::MLIRContext &context);
/// The same from a file's bytes, whose identifier is its path.
llvm::Expected<ImportedModel> importGGUF(std::unique_ptr<llvm::MemoryBuffer> file,
                                         mlir::MLIRContext &context);
llvm::Expected<ImportedModel> importONNX(llvm::StringRef file, mlir::MLIRContext &context,
                                         const ImportOptions &options);
llvm::Expected<ImportedModel> importONNX(llvm::MemoryBufferRef file, mlir::MLIRContext &context,
                                         const ImportOptions &options);
llvm::Expected<ImportedModel> importRandom(llvm::StringRef config, uint64_t seed,
                                           mlir::MLIRContext &context);

/// The dense module of a configuration; `qopt.weight`s get the shapes, and the
/// `stored` types, of the store's tensors. Runs qopt-canonical-order.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
buildLlamaModule(const LlamaConfig &config, const WeightStore &weights, mlir::MLIRContext &context);

} // namespace qopt

#endif // QOPT_FRONTEND_IMPORT_H
