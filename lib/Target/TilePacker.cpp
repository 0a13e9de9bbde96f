//===- TilePacker.cpp - The bytes of vectors ------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/TilePacker.h"
#include "WeightRows.h"

using namespace mlir;
using namespace qopt;

llvm::Error qopt::packVector(MemRefType type, ArrayRef<const WeightTensor *> sources,
                             llvm::function_ref<llvm::Error(ArrayRef<char>)> write) {
  int64_t elements = 0;
  for (const WeightTensor *source : sources)
    elements += source->rows() * source->rowSize();
  if (elements != type.getNumElements())
    return llvm::createStringError("tensor '" + (sources.empty() ? "" : sources.front()->name()) +
                                   "' and what goes with it have " + Twine(elements) +
                                   " elements, expected " + Twine(type.getNumElements()));
  Type element = type.getElementType();
  int64_t size = element.getIntOrFloatBitWidth() / 8;
  for (const WeightTensor *source : sources) {
    std::vector<float> values(source->rows() * source->rowSize());
    if (llvm::Error error = source->readRows(0, source->rows(), values.data()))
      return error;
    std::vector<char> bytes(values.size() * size);
    for (auto [i, value] : llvm::enumerate(values))
      writeScale(element, value, bytes.data() + i * size);
    if (llvm::Error error = write(bytes))
      return error;
  }
  return llvm::Error::success();
}
