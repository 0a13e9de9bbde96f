//===- SafeTensorsFuzzer.cpp - Hostile .safetensors files -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads the input as a file, and decodes every floating tensor of one that is in
// order.
//
//===----------------------------------------------------------------------===//

#include "AllocationBound.h"
#include "ReadTensors.h"
#include "qopt/Frontend/HF/SafeTensors.h"
#include "qopt/Frontend/MappedTensor.h"

using namespace qopt;

static void readFile(llvm::StringRef bytes) {
  llvm::Expected<std::vector<SafeTensor>> tensors = readSafeTensors(bytes, "fuzz");
  if (!tensors) {
    llvm::consumeError(tensors.takeError());
    return;
  }
  for (const SafeTensor &tensor : *tensors) {
    if (tensor.shape.empty() || tensor.bytes.empty())
      continue;
    if (tensor.dtype == "F32")
      fuzz::readTensor(MappedTensor("t", tensor.shape, FloatType::f32, tensor.bytes.data()));
    if (tensor.dtype == "F16")
      fuzz::readTensor(MappedTensor("t", tensor.shape, FloatType::f16, tensor.bytes.data()));
    if (tensor.dtype == "BF16")
      fuzz::readTensor(MappedTensor("t", tensor.shape, FloatType::bf16, tensor.bytes.data()));
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::AllocationBound bound(size);
  readFile(llvm::StringRef(reinterpret_cast<const char *>(data), size));
  // With a header as long as its JSON, which random bytes seldom say: up to the
  // last brace.
  std::string file(8, '\0');
  file.append(reinterpret_cast<const char *>(data), size);
  uint64_t length = file.rfind('}') == std::string::npos ? size : file.rfind('}') + 1 - 8;
  for (int i = 0; i < 8; ++i)
    file[i] = static_cast<char>(length >> (8 * i));
  readFile(file);
  return 0;
}
