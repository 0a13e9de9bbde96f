//===- GGUFFile.h - Reading GGUF files ---------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The container: metadata and tensor descriptions of a GGUF file, versions 2
/// and 3, little-endian. Everything is checked while it is read: counts and
/// lengths against the file's size, names for duplicates, tensors for alignment,
/// bounds and overlap. What is kept are views into the file's bytes.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_GGUF_GGUFFILE_H
#define QOPT_FRONTEND_GGUF_GGUFFILE_H

#include "qopt/Frontend/GGUF/BlockFormat.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace qopt {

/// gguf_metadata_value_type of the format.
enum class GGUFType : uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};

struct GGUFValue {
  GGUFType type; ///< of the value, or of an array's elements
  bool isArray = false;
  uint64_t count = 1;    ///< elements
  llvm::StringRef bytes; ///< of all elements; a string is 8 bytes of length and its text
};

struct GGUFTensor {
  std::string name;
  llvm::SmallVector<int64_t, 2> shape; ///< row-major, outermost first
  const BlockFormat *format = nullptr;
  llvm::StringRef bytes;
};

class GGUFFile {
public:
  /// `file` must outlive the result; `what` names it in errors.
  static llvm::Expected<GGUFFile> read(llvm::StringRef file, llvm::StringRef what);

  llvm::ArrayRef<GGUFTensor> tensors() const { return tensors_; }
  const std::map<std::string, GGUFValue, std::less<>> &metadata() const { return metadata_; }
  /// Everything before the tensors' data.
  llvm::StringRef header() const { return header_; }

  /// Typed access. Nothing when the key is absent or of another type; any
  /// integer type, and any floating type, goes for integer() and number().
  std::optional<int64_t> integer(llvm::StringRef key) const;
  /// A float32 as the shortest decimal that names it: 1e-05, not 9.99999975e-06.
  std::optional<double> number(llvm::StringRef key) const;
  std::optional<bool> boolean(llvm::StringRef key) const;
  std::optional<std::string> string(llvm::StringRef key) const;
  std::optional<std::vector<std::string>> strings(llvm::StringRef key) const;
  std::optional<std::vector<int64_t>> integers(llvm::StringRef key) const;

private:
  friend class GGUFReader;
  const GGUFValue *find(llvm::StringRef key, bool isArray) const;

  std::map<std::string, GGUFValue, std::less<>> metadata_;
  std::vector<GGUFTensor> tensors_;
  llvm::StringRef header_;
};

} // namespace qopt

#endif // QOPT_FRONTEND_GGUF_GGUFFILE_H
