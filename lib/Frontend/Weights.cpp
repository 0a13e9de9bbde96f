//===- Weights.cpp - The weight store and views of its tensors ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/Weights.h"
#include <vector>

using namespace llvm;
using namespace qopt;

Error WeightTensor::readColumns(int64_t first, int64_t count, float *out) const {
  // Whole rows through a buffer of about 1 MiB.
  int64_t width = rowSize();
  int64_t rowsPerRead = std::clamp<int64_t>((1 << 18) / std::max<int64_t>(width, 1), 1, rows());
  std::vector<float> buffer(rowsPerRead * width);
  for (int64_t row = 0; row < rows(); row += rowsPerRead) {
    int64_t numRows = std::min(rowsPerRead, rows() - row);
    if (Error error = readRows(row, numRows, buffer.data()))
      return error;
    for (int64_t column = 0; column < count; ++column)
      for (int64_t i = 0; i < numRows; ++i)
        out[column * rows() + row + i] = buffer[i * width + first + column];
  }
  return Error::success();
}

Error WeightTensor::readGroups(int64_t, int64_t, uint8_t *, uint16_t *, uint16_t *) const {
  return createStringError("tensor '" + name_ + "' is not stored as grouped integers");
}

void WeightStore::insert(std::unique_ptr<WeightTensor> tensor) {
  std::string name = tensor->name().str();
  tensors_.insert_or_assign(std::move(name), std::move(tensor));
}

const WeightTensor *WeightStore::find(StringRef name) const {
  auto entry = tensors_.find(std::string_view(name));
  return entry == tensors_.end() ? nullptr : entry->second.get();
}

void WeightStore::erase(StringRef name) { tensors_.erase(name.str()); }

namespace {

class TransposedTensor : public WeightTensor {
public:
  explicit TransposedTensor(std::unique_ptr<WeightTensor> source)
      : WeightTensor(source->name().str(), {source->shape()[1], source->shape()[0]},
                     source->type()),
        source(std::move(source)) {}

  Error readRows(int64_t first, int64_t count, float *out) const override {
    return source->readColumns(first, count, out);
  }
  Error readColumns(int64_t first, int64_t count, float *out) const override {
    return source->readRows(first, count, out);
  }

private:
  std::unique_ptr<WeightTensor> source;
};

} // namespace

std::unique_ptr<WeightTensor> qopt::transposed(std::unique_ptr<WeightTensor> tensor) {
  assert(tensor->shape().size() == 2 && "only a matrix can be transposed");
  return std::make_unique<TransposedTensor>(std::move(tensor));
}
