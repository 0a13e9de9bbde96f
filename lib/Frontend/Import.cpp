//===- Import.cpp - A model from whatever the path names ------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/Import.h"
#include "qopt/Frontend/HF/HFFolder.h"
#include "qopt/Frontend/ModelFiles.h"
#include "qopt/Frontend/Random/ReadyConfigs.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace qopt;

static Error unknownModel(StringRef path, const Twine &why) {
  return createStringError(
      path + ": " + why +
      "; a model is an ONNX file (.onnx), a GGUF file, a Hugging Face folder with a config.json, "
      "its name in the local hub cache (org/model), or with random weights a config.json or one "
      "of " +
      readyConfigNames());
}

static Expected<ImportedModel> importFile(StringRef path, mlir::MLIRContext &context,
                                          const ImportOptions &options) {
  Expected<std::unique_ptr<MemoryBuffer>> file = openModelFile(path);
  if (!file)
    return file.takeError();
  bool isGGUF = (*file)->getBuffer().starts_with("GGUF");
  file->reset();
  StringRef extension = sys::path::extension(path);
  if (isGGUF && options.randomSeed)
    return unknownModel(path, "a GGUF file has weights, random ones were asked for");
  if (isGGUF)
    return importGGUF(path, context);
  if (extension == ".onnx")
    return importONNX(path, context, options);
  if (extension == ".json" && options.randomSeed)
    return importRandom(path, *options.randomSeed, context);
  if (extension == ".json")
    return unknownModel(path, "a configuration has no weights (--random-weights SEED draws some)");
  if (extension == ".gguf")
    return unknownModel(path, "does not begin with 'GGUF'");
  return unknownModel(path, "not a model file that is known");
}

Expected<ImportedModel> qopt::importModel(StringRef path, mlir::MLIRContext &context,
                                          const ImportOptions &options) {
  if (sys::fs::exists(path) && !sys::fs::is_directory(path))
    return importFile(path, context, options);
  if (findReadyConfig(path) && !sys::fs::exists(path)) {
    if (options.randomSeed)
      return importRandom(path, *options.randomSeed, context);
    return unknownModel(path, "a configuration has no weights (--random-weights SEED draws some)");
  }
  if (!findHFFolder(path))
    return unknownModel(path, "no such file or folder");
  if (options.randomSeed)
    return importRandom(path, *options.randomSeed, context);
  return importHF(path, context);
}
