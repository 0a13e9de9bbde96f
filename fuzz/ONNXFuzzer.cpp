//===- ONNXFuzzer.cpp - Hostile ONNX files --------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads, normalises and raises the input. Its external data is a file of zeros,
// model.data, beside it. Without the check by execution: that runs a model, at
// the cost of one.
//
//===----------------------------------------------------------------------===//

#include "AllocationBound.h"
#include "Folder.h"
#include "ReadTensors.h"
#include "qopt/Frontend/Import.h"

using namespace qopt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::AllocationBound bound(size);
  static const fuzz::Folder folder;
  static const std::string path = [] {
    folder.write("model.data", std::string(1 << 21, '\0'));
    return folder.path("model.onnx");
  }();
  llvm::StringRef bytes(reinterpret_cast<const char *>(data), size);
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  ImportOptions options;
  options.importCheck = false;
  llvm::Expected<ImportedModel> model =
      importONNX(llvm::MemoryBufferRef(bytes, path), context, options);
  if (model)
    fuzz::readTensors(model->weights);
  else
    llvm::consumeError(model.takeError());
  return 0;
}
