//===- GGUFFuzzer.cpp - Hostile GGUF files --------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Imports the input. Of a file whose container is in order every tensor is
// decoded, whether or not the model is.
//
//===----------------------------------------------------------------------===//

#include "AllocationBound.h"
#include "ReadTensors.h"
#include "qopt/Frontend/GGUF/BlockTensor.h"
#include "qopt/Frontend/Import.h"

using namespace qopt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::AllocationBound bound(size);
  llvm::StringRef bytes(reinterpret_cast<const char *>(data), size);
  llvm::Expected<GGUFFile> file = GGUFFile::read(bytes, "fuzz");
  if (!file) {
    llvm::consumeError(file.takeError());
    return 0;
  }
  for (const GGUFTensor &tensor : file->tensors())
    if (tensor.format->isFloat() || tensor.shape.size() > 1)
      fuzz::readTensor(BlockTensor(tensor.name, tensor, /*headDim=*/0));
  for (const auto &[key, value] : file->metadata()) {
    (void)file->strings(key);
    (void)file->integers(key);
    (void)file->number(key);
  }
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  llvm::Expected<ImportedModel> model =
      importGGUF(llvm::MemoryBuffer::getMemBuffer(bytes, "fuzz", false), context);
  if (model)
    fuzz::readTensors(model->weights);
  else
    llvm::consumeError(model.takeError());
  return 0;
}
