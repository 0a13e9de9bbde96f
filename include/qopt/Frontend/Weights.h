//===- Weights.h - Tensors of a model, read lazily ---------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The weights of an imported model by canonical (Hugging Face) name. A tensor
/// is a view of its source, a mapped file as a rule: nothing is read before
/// somebody asks for rows, and nothing stays in memory after.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_WEIGHTS_H
#define QOPT_FRONTEND_WEIGHTS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace qopt {

/// The floating type in which a tensor's values are exact.
enum class FloatType { f32, f16, bf16 };

/// Integers in groups along K, as some sources store them:
/// value = scale * code (+ minimum when affine), in float32.
struct GroupQuantization {
  int bits;      ///< 4 or 8
  int groupSize; ///< elements along K that share a scale
  bool affine;   ///< codes are unsigned and a minimum is added
  FloatType scaleType;
};

/// One tensor, row-major, rows along the first dimension ([out, in] for a
/// linear weight; a vector has one element a row).
class WeightTensor {
public:
  WeightTensor(std::string name, llvm::ArrayRef<int64_t> shape, FloatType type)
      : name_(std::move(name)), shape_(shape), type_(type) {}
  virtual ~WeightTensor() = default;

  llvm::StringRef name() const { return name_; }
  llvm::ArrayRef<int64_t> shape() const { return shape_; }
  FloatType type() const { return type_; }
  int64_t rows() const { return shape_.front(); }
  int64_t rowSize() const {
    int64_t size = 1;
    for (int64_t dim : llvm::ArrayRef<int64_t>(shape_).drop_front())
      size *= dim;
    return size;
  }

  /// Decodes rows [first, first + count) to float32, exactly. `out` has
  /// count * rowSize() elements. Fails on an I/O error or on NaN or Inf, and
  /// names the tensor.
  virtual llvm::Error readRows(int64_t first, int64_t count, float *out) const = 0;

  /// Decodes columns [first, first + count) of a matrix, each contiguous: what
  /// readRows() of the transposed tensor gives, count * rows() elements. Reads
  /// every row whole unless the tensor knows better: ask for many columns.
  virtual llvm::Error readColumns(int64_t first, int64_t count, float *out) const;

  /// Set when the source holds grouped integers that a scheme can keep.
  virtual std::optional<GroupQuantization> groupQuantization() const { return std::nullopt; }

  /// The stored integers of rows [first, first + count), bit for bit: codes
  /// [count, K] (signed in [-8, 7] or [-128, 127], unsigned when affine), and
  /// scales and minima [count, K / groupSize] as bits of scaleType. `minima`
  /// is null unless affine. Only when groupQuantization() is set.
  virtual llvm::Error readGroups(int64_t first, int64_t count, uint8_t *codes, uint16_t *scales,
                                 uint16_t *minima) const;

private:
  std::string name_;
  llvm::SmallVector<int64_t, 2> shape_;
  FloatType type_;
};

/// The tensors of a model, ordered by name.
class WeightStore {
public:
  /// Replaces a tensor of the same name.
  void insert(std::unique_ptr<WeightTensor> tensor);

  /// Null when there is none of this name.
  const WeightTensor *find(llvm::StringRef name) const;

  void erase(llvm::StringRef name);

  auto begin() const { return tensors_.begin(); }
  auto end() const { return tensors_.end(); }
  size_t size() const { return tensors_.size(); }

  /// Keeps what tensors view (mapped files) alive as long as the store.
  void own(std::shared_ptr<void> backing) { backing_.push_back(std::move(backing)); }

private:
  std::map<std::string, std::unique_ptr<WeightTensor>, std::less<>> tensors_;
  llvm::SmallVector<std::shared_ptr<void>> backing_;
};

/// A new tensor whose value is `tensor` transposed ([K, N] read as [N, K]).
std::unique_ptr<WeightTensor> transposed(std::unique_ptr<WeightTensor> tensor);

} // namespace qopt

#endif // QOPT_FRONTEND_WEIGHTS_H
